"""The memory of syncd: what only it knows (names issued, decisions, ownership, journal) and what it last knew of everything else.

The only importer of SQLAlchemy. Every method is one transaction: all of it becomes true, or nothing. Raises EndpointError for a
database that is locked, full, read-only or gone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import Engine, delete, insert, select, update

from syncd.core.addresses import FormerAddress
from syncd.core.guard import Cell
from syncd.core.health import Freshness, Kind
from syncd.core.lifecycle import PersonState
from syncd.core.model import (
    Campus,
    Change,
    NativeId,
    Outcome,
    PersonId,
    Record,
    RunId,
    SourceKey,
    SourceName,
    SubjectKey,
    TargetName,
)
from syncd.core.naming import IssuedName
from syncd.store import (
    backup,
    claims,
    codec,
    decisions,
    history,
    holding,
    journal,
    migrations,
    reading,
    remnants,
    roster,
    rotation,
    statements,
    tables,
    tombstones,
    turned,
    wellbeing,
    writing,
)
from syncd.store.audit import Audit
from syncd.store.claims import Claims
from syncd.store.database import connect, looking, snapshot, transaction
from syncd.store.decisions import Decisions
from syncd.store.devices import Devices
from syncd.store.facts import Facts
from syncd.store.leases import Leases
from syncd.store.lives import Lives
from syncd.store.past import Past
from syncd.store.quarantine import Quarantine
from syncd.store.releases import FIRST, Releases
from syncd.store.resolutions import Resolutions
from syncd.store.rotation import Rotation
from syncd.store.rows import (
    Acceptance,
    Approval,
    Enrolled,
    Finding,
    Guardian,
    Intention,
    JournalRow,
    Known,
    KnownKey,
    LedgerRow,
    Retold,
    RunRow,
    Said,
    SealedPassword,
    SnapshotRow,
    Wellbeing,
)
from syncd.store.uniting import Uniting
from syncd.vault import Vault

Names = Mapping[str, PersonId]
NO_NAMES: Names = MappingProxyType({})
NOTHING_SPENT: Mapping[Cell, int] = MappingProxyType({})


class Store:
    """One district's store (R27)."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._work_under(vault)

    def _work_under(self, vault: Vault, witness: str = "") -> None:
        self._vault, self._witness, engine = vault, witness, self._engine
        self.audit = Audit(engine, vault)
        self.facts = Facts(engine, vault)
        self.leases = Leases(engine)
        self.quarantine = Quarantine(engine, vault)
        self.resolutions = Resolutions(engine, vault)
        self.uniting = Uniting(engine, vault)
        self.past = Past(engine)
        self.lives = Lives(engine, vault)
        self.decisions = Decisions(engine, vault)
        self.rotation = Rotation(engine, vault, self._work_under)
        self.releases = Releases(engine, vault)
        self.devices = Devices(engine, vault)
        self.claims = Claims(engine, vault)

    @classmethod
    def open(cls, url: str, vault: Vault, *, migrate: bool = False) -> Store:
        """The store behind the URL; `migrate` brings its schema up to date first.

        Raises EndpointError where the schema is older (naming `syncd migrate`) or newer than this program, or the key another one.
        """
        store = cls(connect(url), vault)
        try:
            if migrate:
                store.migrate()
            with looking(store._engine) as connection:  # who only opens it waits for no writer
                migrations.check(connection)
                known = rotation.check_key(connection, vault)
                whole, left = rotation.with_heirlooms(connection, vault), remnants.are_left(connection)
            if left:
                remnants.wipe(store._engine)
            if not known:
                with transaction(store._engine) as connection:
                    known = rotation.keep_witness(connection, vault)
            store._work_under(whole, known)
            rotation.watch_key(store._engine, lambda: store._witness)
        except BaseException:
            store.close()
            raise
        return store

    def migrate(self) -> str:
        """Bring the schema up to date; the revision it is at then. Idempotent."""
        with transaction(self._engine) as connection:
            return migrations.upgrade(connection)

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()

    # --- runs ---------------------------------------------------------------------------------------------------------

    def begin_run(self, pipeline: str, kind: str, trigger: str, now: datetime) -> RunId:
        """The id of a new run: r1, r2, and so on."""
        values = {
            "pipeline": pipeline,
            "kind": kind,
            "trigger": trigger,
            "status": "planning",
            "started": _utc(now),
            "summary": "{}",
        }
        with transaction(self._engine) as connection:
            return history.run_id(connection.execute(insert(tables.runs).values(values).returning(tables.runs.c.seq)).scalar_one())

    def bring_back(self, now: datetime, today: date) -> None:
        """What was noted days from now was noted now: the clock was ahead, and is believed again (`core.clock`)."""
        with transaction(self._engine) as connection:
            turned.bring_back(connection, now.astimezone(UTC), today)

    def set_run(self, run: RunId, status: str, now: datetime | None = None, summary: Mapping[str, int] | None = None) -> None:
        """Where a run stands; `now` ends it."""
        values: dict[str, object] = {"status": status}
        if now is not None:
            values["ended"] = _utc(now)
        if summary is not None:
            values["summary"] = codec.dumps(dict(summary)).decode()
        with transaction(self._engine) as connection:
            connection.execute(update(tables.runs).where(tables.runs.c.seq == _number(run)).values(values))

    def bury(self, now: datetime) -> None:
        """Say of the runs a dead process left what became of them; whoever asks has the right to run, so none of them goes on."""
        ended = {"planning": "failed", "applying": "interrupted"}
        with transaction(self._engine) as connection:
            for status, told in ended.items():
                connection.execute(update(tables.runs).where(tables.runs.c.status == status).values(status=told, ended=_utc(now)))

    def runs(self, limit: int = 20) -> list[RunRow]:
        """The newest runs first."""
        with transaction(self._engine) as connection:
            return history.runs(connection, limit)

    def run(self, run: RunId) -> RunRow | None:
        """One run, or None."""
        with transaction(self._engine) as connection:
            row = connection.execute(select(tables.runs).where(tables.runs.c.seq == _number(run))).first()
            return history.run_row(row) if row else None

    def meta(self, key: str) -> str:
        """A single remembered value, or the empty string."""
        with transaction(self._engine) as connection:
            value = connection.execute(select(tables.meta.c.value).where(tables.meta.c.key == key)).scalar()
            return value or ""

    def set_meta(self, key: str, value: str) -> None:
        """Remember a single value."""
        with transaction(self._engine) as connection:
            statements.upsert(connection, tables.meta, [{"key": key, "value": value}])

    def fingerprints(self) -> dict[str, str]:
        """The mapping fingerprints of the last accepted plan."""
        with transaction(self._engine) as connection:
            query = select(tables.meta).where(tables.meta.c.key.startswith("fingerprint ", autoescape=True))
            return {row.key.removeprefix("fingerprint "): row.value for row in connection.execute(query)}

    # --- sources ------------------------------------------------------------------------------------------------------

    def digests(self, source: SourceName, subjects: Collection[SubjectKey] | None = None) -> dict[SubjectKey, int]:
        """The digests of the last accepted snapshot, of these or of everybody and everything."""
        with transaction(self._engine) as connection:
            return reading.digests(connection, source, subjects)

    def snapshots(self, source: SourceName, limit: int = 10) -> list[SnapshotRow]:
        """Accepted snapshots, newest first."""
        with transaction(self._engine) as connection:
            return reading.snapshots(connection, source, limit)

    def keys(self, source: SourceName, keys: Collection[SourceKey] | None = None) -> dict[SourceKey, KnownKey]:
        """Keys of one source and their persons."""
        with transaction(self._engine) as connection:
            return reading.keys(connection, source, keys)

    def missing(self, source: SourceName) -> dict[SourceKey, KnownKey]:
        """Keys that the source does not tell any more, of persons whom no source tells of under another one."""
        with transaction(self._engine) as connection:
            return reading.missing(connection, source)

    def only_planned(self) -> set[tuple[SourceName, SourceKey]]:
        """Keys whose person was minted by a plan that nobody applied: whose they are is still to be told (R35)."""
        with transaction(self._engine) as connection:
            return reading.only_planned(connection)

    def keys_of(self, persons: Collection[PersonId] | None = None) -> dict[PersonId, list[KnownKey]]:
        """Every key of each person."""
        with transaction(self._engine) as connection:
            return reading.keys_of(connection, persons)

    def records(self, persons: Collection[PersonId] | None = None) -> dict[PersonId, list[Record]]:
        """The last good records of each person."""
        with transaction(self._engine) as connection:
            return reading.records(connection, self._vault, persons)

    def referrers(self, source: SourceName, edges: Collection[SubjectKey]) -> set[PersonId]:
        """Everybody made from one of these subjects (R4)."""
        with transaction(self._engine) as connection:
            return reading.referrers(connection, source, edges)

    def campuses(self) -> dict[SourceName, list[Campus]]:
        """Every campus anybody was ever at, by source (R26)."""
        with transaction(self._engine) as connection:
            return roster.campuses(connection)

    def enrolled_in(self, source: SourceName, section: SourceKey) -> list[Enrolled]:
        """Everybody in one class, teachers too (R26)."""
        with transaction(self._engine) as connection:
            return roster.enrolled_in(connection, source, section)

    def guardians_of(self, person: PersonId) -> list[Guardian]:
        """Who a person's records name as guardians (R26)."""
        with transaction(self._engine) as connection:
            return roster.guardians_of(connection, person)

    # --- persons ------------------------------------------------------------------------------------------------------

    def dirty(self) -> set[PersonId]:
        """Everybody marked to be looked at (R5)."""
        with transaction(self._engine) as connection:
            return reading.dirty(connection)

    def due(self, today: date) -> set[PersonId]:
        """Everybody for whom a date has come."""
        with transaction(self._engine) as connection:
            return reading.due(connection, today)

    def left(self) -> set[PersonId]:
        """Everybody whose access has ended, and who has not returned."""
        with transaction(self._engine) as connection:
            return reading.left(connection)

    def everyone(self) -> set[PersonId]:
        """Everybody ever minted."""
        with transaction(self._engine) as connection:
            return reading.everyone(connection)

    def persons(self, ids: Collection[PersonId] | None = None) -> dict[PersonId, PersonState]:
        """What is remembered of each person."""
        with transaction(self._engine) as connection:
            return reading.persons(connection, ids)

    def resembling(self, likenesses: Collection[str]) -> dict[str, list[PersonState]]:
        """Everybody of the same birth date and family name (R35)."""
        with transaction(self._engine) as connection:
            return reading.resembling(connection, likenesses)

    def find_person(self, text: str) -> list[PersonId]:
        """Everybody this text means: a person id, a source key, a name, a native id. Waits for no writer."""
        with looking(self._engine) as connection:
            return reading.find_person(connection, text)

    def names(self, ids: Collection[PersonId] | None = None) -> dict[PersonId, dict[str, IssuedName]]:
        """The current names of each person, by kind."""
        with transaction(self._engine) as connection:
            return reading.names(connection, ids)

    def holders(self, names: Collection[str]) -> dict[str, str]:
        """Who holds each name: a person id, `target:native id` for an account nobody is linked to, or `forgotten`."""
        with transaction(self._engine) as connection:
            return tombstones.holders(connection, self._vault, names)

    def ledger(self, holder: str | None = None, like: str | None = None) -> list[LedgerRow]:
        """Names ever issued, reserved or found."""
        with transaction(self._engine) as connection:
            return reading.ledger(connection, holder, like)

    def mint(self, keys: Sequence[tuple[SourceName, SourceKey]]) -> dict[tuple[SourceName, SourceKey], PersonId]:
        """A person for each key: the one it has, else a new one, numbered in the order given; no number is ever used twice."""
        with transaction(self._engine) as connection:
            return writing.mint(connection, keys)

    def reserve(self, run: RunId, names: Names, now: datetime, *, again: Names = NO_NAMES) -> None:
        """Names for persons (R9); what of `again` is promised already is by this run. Raises ChangeError for somebody else's."""
        with transaction(self._engine) as connection:
            writing.reserve(connection, self._vault, run, names, now.astimezone(UTC))
            writing.promise_again(connection, run, again)

    def mark(self, persons: Collection[PersonId]) -> None:
        """Marks: these persons must be looked at (R5)."""
        with transaction(self._engine) as connection:
            writing.mark(connection, persons)

    def settle(self, persons: Collection[PersonId], states: Sequence[PersonState] = ()) -> None:
        """Take the marks of these persons away: everything they caused has landed (R5), so `states` are true now."""
        with transaction(self._engine) as connection:
            writing.set_states(connection, states)
            writing.settle(connection, persons)

    # --- targets ------------------------------------------------------------------------------------------------------

    def known(self, target: TargetName, persons: Collection[PersonId] | None = None) -> dict[PersonId, Known]:
        """Each person's account on one target as last known, with the memberships we own."""
        with transaction(self._engine) as connection:
            return reading.known(connection, self._vault, target, persons)

    def linked(self, target: TargetName, native_ids: Collection[NativeId] | None = None) -> dict[NativeId, PersonId]:
        """Whose each linked account is."""
        with transaction(self._engine) as connection:
            return reading.linked(connection, target, native_ids)

    def opened(self, target: TargetName, persons: Collection[PersonId]) -> dict[PersonId, bool]:
        """Who of these is linked to an account, and whether that is open: false where it is disabled, and by us.

        It was made ahead of a start date then, or closed.
        """
        with transaction(self._engine) as connection:
            return reading.opened(connection, target, persons)

    def accounts(self, target: TargetName) -> int:
        """How many accounts are linked."""
        with transaction(self._engine) as connection:
            return reading.accounts(connection, target)

    def bookmark(self, target: TargetName) -> str:
        """Up to where a target was looked at and nothing of it is forgotten, in the target's own words; empty where never."""
        return self.meta(reading.bookmark_key(target))

    def gone(self, target: TargetName) -> set[NativeId]:
        """The linked accounts that the last whole read of a target did not find anywhere."""
        return {NativeId(one) for one in json.loads(self.meta(reading.gone_key(target)) or "[]")}

    def has_history(self, target: TargetName) -> bool:
        """Whether its explicit first apply was ever begun (R14); one person synced alone is none."""
        return self.first_apply(target) != ""

    def first_apply(self, target: TargetName) -> str:
        """Where the explicit first apply to a target stands: "" (never begun), `begun`, or `ended`."""
        return self.meta(FIRST.format(target))

    def set_first_apply(self, target: TargetName, where: str) -> None:
        """The explicit first apply to a target has `begun`, or `ended`."""
        self.set_meta(FIRST.format(target), where)

    def link(self, run: RunId, links: Sequence[Known]) -> None:
        """Links and the accounts behind them: adopted, or seen to be other than we knew."""
        del run
        with transaction(self._engine) as connection:
            writing.put_known(connection, self._vault, links)

    # --- plans and their journal --------------------------------------------------------------------------------------

    def save_plan(self, run: RunId, plan: bytes, summary: Mapping[str, int], status: str, held: Sequence[str] = ()) -> None:
        """Keep a plan, sealed (R38), and say where its run stands; `held` says why it waits for somebody."""
        sealed = self._vault.seal(plan, f"plan {_number(run)}")
        stands = {"status": status, "summary": codec.dumps(dict(summary)).decode(), "held": codec.dumps(list(held)).decode()}
        with transaction(self._engine) as connection:
            statements.upsert(connection, tables.plans, [{"run": _number(run), "sealed": sealed}])
            connection.execute(update(tables.runs).where(tables.runs.c.seq == _number(run)).values(stands))

    def plan(self, run: RunId) -> bytes | None:
        """A kept plan, opened, or None."""
        with transaction(self._engine) as connection:
            sealed = connection.execute(select(tables.plans.c.sealed).where(tables.plans.c.run == _number(run))).scalar()
            return None if sealed is None else self._vault.open(sealed, f"plan {_number(run)}")

    def reject(self, run: RunId) -> int:
        """Drop a kept plan, and the names it promised that were never sent; how many names (R9)."""
        rejected = update(tables.runs).where(tables.runs.c.seq == _number(run)).values(status="rejected")
        with transaction(self._engine) as connection:
            connection.execute(delete(tables.plans).where(tables.plans.c.run == _number(run)))
            connection.execute(rejected)
            return writing.give_back(connection, tables.ledger.c.run == _number(run))

    def accept(self, run: RunId, acceptance: Acceptance, now: datetime) -> None:
        """Everything a clear plan makes true before its first change is sent."""
        with transaction(self._engine) as connection:
            writing.accept(connection, self._vault, run, acceptance, now.astimezone(UTC))

    def intend(
        self,
        run: RunId,
        changes: Sequence[Change],
        passwords: Mapping[int, tuple[bytes, datetime]],
        now: datetime,
        *,
        after: Sequence[tuple[int, Outcome]] = (),
        spent: Mapping[Cell, int] = NOTHING_SPENT,
        replaced: Sequence[FormerAddress] = (),
    ) -> list[int]:
        """Journal changes before they are sent, sealed first passwords by index with them (R21); their numbers, in order.

        Recorded with them: what came of the changes `after` which these are sent, what that `spent` (R12), what they `replaced`.
        """
        with transaction(self._engine) as connection:
            journal.record(connection, self._vault, after, now.astimezone(UTC))
            holding.spend(connection, spent, now.astimezone(UTC))
            return journal.intend(connection, self._vault, run, changes, passwords, now.astimezone(UTC), replaced)

    def record(
        self, run: RunId, outcomes: Sequence[tuple[int, Outcome]], now: datetime, spent: Mapping[Cell, int] = NOTHING_SPENT
    ) -> None:
        """Journal what came of changes, and make true what that means for links, accounts, memberships and limits (R12)."""
        del run
        with transaction(self._engine) as connection:
            journal.record(connection, self._vault, outcomes, now.astimezone(UTC))
            holding.spend(connection, spent, now.astimezone(UTC))

    def expire(self, now: datetime, plans_before: datetime, images_before: datetime) -> int:
        """Delete passwords past their day, and plans and before-images older than these times (R38); how many plans and images."""
        with transaction(self._engine) as connection:
            holding.expire(connection, now.astimezone(UTC))
            decisions.expire(connection, now.astimezone(UTC))
            claims.expire(connection, now)
            gone = journal.expire(
                connection, self._vault, now.astimezone(UTC), plans_before.astimezone(UTC), images_before.astimezone(UTC)
            )
        remnants.wipe(self._engine)
        return gone

    def open_intentions(self) -> list[Intention]:
        """Journalled changes without an outcome, oldest first."""
        with transaction(self._engine) as connection:
            return history.open_intentions(connection, self._vault)

    def journal(self, run: RunId | None = None, person: PersonId | None = None) -> list[JournalRow]:
        """What was intended and what came of it, in order."""
        with transaction(self._engine) as connection:
            return history.journal(connection, self._vault, _number(run) if run is not None else None, person)

    def has_journal(self, run: RunId) -> bool:
        """Whether a run intended any change."""
        with transaction(self._engine) as connection:
            return history.has_journal(connection, _number(run))

    def findings(self, kind: str | None = None) -> list[Finding]:
        """What the last accepted run found."""
        with transaction(self._engine) as connection:
            return history.findings(connection, self._vault, kind)

    # --- limits -------------------------------------------------------------------------------------------------------

    def spent(self, target: TargetName, now: datetime, since: datetime | None = None) -> tuple[dict[Cell, int], dict[Cell, int]]:
        """What was applied by cell in the last 24 hours, and in the last seven days, but not before `since` (R12)."""
        at = now.astimezone(UTC)
        first = since.astimezone(UTC) if since else datetime.min.replace(tzinfo=UTC)
        with transaction(self._engine) as connection:
            day = holding.spent_since(connection, target, max(at - timedelta(days=1), first))
            return day, holding.spent_since(connection, target, max(at - timedelta(days=7), first))

    def people_at(self) -> dict[tuple[str, str], int]:
        """How many persons with access there are, by the code of their campus and their population."""
        with transaction(self._engine) as connection:
            return wellbeing.people_at(connection)

    def shelved(self) -> dict[tuple[TargetName, PersonId], set[str]]:
        """What was undone, by target and person: digests of what is not to be done again; "" is what the next plan wants."""
        with transaction(self._engine) as connection:
            return holding.shelved(connection)

    def shelve(self, told: Mapping[tuple[TargetName, PersonId], Collection[str]]) -> None:
        """These digests, and no others, are on the shelf for each target and person told of."""
        if told:
            with transaction(self._engine) as connection:
                holding.shelve(connection, told)

    # --- how it is ----------------------------------------------------------------------------------------------------

    def answers(self) -> bool:
        """Whether the database gives a row of ours, whoever writes in it. Raises EndpointError where it does not answer."""
        with looking(self._engine) as connection:  # a row, for SQLite answers a bare question without its file
            return connection.execute(select(tables.meta.c.key).limit(1)).first() is not None

    def set_freshness(
        self,
        told: Collection[Freshness],
        campuses_at: datetime | None = None,
        campuses_failing: Collection[str] | None = None,
    ) -> None:
        """Remember how fresh these are; a time that is None leaves the one known before.

        `campuses_at`: at that time everything known of the campuses was found to be as it was. `campuses_failing`: with these
        something is wrong and with no other; one with nobody active is as old as what was last heard of it, none if all left.
        """
        with transaction(self._engine) as connection:
            if campuses_failing is not None:
                wellbeing.recover_campuses(connection, campuses_failing)
            wellbeing.set_freshness(connection, told)
            if campuses_at is not None:
                wellbeing.touch(connection, Kind.CAMPUS, campuses_at.astimezone(UTC))

    def wellbeing(
        self,
        pipelines: Collection[str],
        canaries: Mapping[SourceName, Collection[SourceKey]],
        required: Mapping[SourceName, Collection[SourceKey]] | None = None,
    ) -> Wellbeing:
        """What there is to know of the health, as of one instant; waits for no writer."""
        with looking(self._engine) as connection:
            return wellbeing.wellbeing(connection, pipelines, canaries, required)

    def campus_counts(self) -> dict[str, int]:
        """How many persons with access there are, by the code of their campus."""
        with looking(self._engine) as connection:
            return wellbeing.campus_counts(connection)

    def present(self, source: SourceName, keys: Collection[SourceKey]) -> set[SourceKey]:
        """Those of the keys that the last accepted snapshot of the source tells of."""
        with looking(self._engine) as connection:
            return wellbeing.present(connection, source, keys)

    # --- letters, backup ----------------------------------------------------------------------------------------------

    def sealed_passwords(self, now: datetime, target: TargetName | None = None) -> list[SealedPassword]:
        """First passwords of accounts that exist, not handed out and not expired."""
        with transaction(self._engine) as connection:
            return history.sealed_passwords(connection, target, now.astimezone(UTC))

    def hand_out(self, ids: Collection[int], now: datetime) -> None:
        """These letters are written: their passwords are gone from here."""
        with transaction(self._engine) as connection:
            history.hand_out(connection, ids, now.astimezone(UTC))

    def backup(self, path: Path) -> int:
        """Write a consistent, encrypted copy without passwords and leases (R25); how many rows it holds."""
        with snapshot(self._engine) as connection:
            return backup.write(connection, self._vault, path)

    def restore(self, path: Path) -> int:
        """Fill this empty store from a copy; how many rows. The next run will be a reconcile (R25)."""
        with transaction(self._engine) as connection:
            count = backup.read(connection, self._vault, path)
            restored = rotation.with_heirlooms(connection, self._vault), rotation.witness(connection)
        self._work_under(*restored)
        return count


def _utc(now: datetime) -> str:
    return now.astimezone(UTC).isoformat()


def _number(run: RunId) -> int:
    """The row number behind a run id; what is no run id means a run that never was."""
    return int(run[1:]) if run[:1] == "r" and run[1:].isascii() and run[1:].isdecimal() else 0


__all__ = [
    "Acceptance", "Approval", "Enrolled", "Finding", "Guardian", "Intention", "JournalRow", "Known", "KnownKey", "LedgerRow",
    "Retold", "RunRow", "Said", "SealedPassword", "SnapshotRow", "Store", "Wellbeing",
]  # fmt: skip
