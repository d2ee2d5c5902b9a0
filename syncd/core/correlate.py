"""Who is who: records become persons, accounts find their owner. Whose an unknown record is, `identify` says.

Two rules. Nobody is matched by name: a name or a likeness only ever raises a dispute, which a human resolves (R35). And the
decision is the same whenever it is made again from the same values: `today` is an argument, and order is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from syncd.core.model import (
    Campus,
    NativeId,
    Observed,
    Person,
    PersonId,
    Record,
    Section,
    SourceKey,
    Value,
)

CAMPUS_SETTLES_AFTER = 5
"""Days a newer campus has to last before it becomes the primary one: schedules are tried out in a school's first week."""

DISPLAYS = ("legal", "preferred")
"""What a district's `display:` may say."""

NAME_PARTS = ("given", "family", "preferred_given", "preferred_family", "suffix")
"""The fields that the names to show are made of."""

_GRADES: Mapping[str, int] = {"PK": -1, "KG": 0} | {f"{grade:02}": grade for grade in range(1, 13)}


# --- records to a person ----------------------------------------------------------------------------------------------


class Building:
    """Builds persons as of one day. What many of them share, whether the term of a class runs, is worked out once."""

    def __init__(self, today: date, display: str = "legal", *, settles_after: int = CAMPUS_SETTLES_AFTER) -> None:
        self._today = today
        self._display = display
        self._wait = timedelta(days=settles_after)
        # A class as told, and as of today; by the identity of the first, which is held here so that nothing else gets it.
        self._told: dict[int, tuple[Section, Section]] = {}

    def build(
        self,
        person_id: PersonId,
        records: Sequence[Record],
        related: Mapping[str, PersonId],
        *,
        previous_campus: str = "",
        guardians: Iterable[PersonId] = (),
    ) -> tuple[Person, date | None]:
        """The person as of today, and the next date on which time alone makes them different.

        `records` stand most authoritative first; for each field the first one that speaks of it wins. `previous_campus` is the code
        of the campus that was primary before, so that a tie does not flip; a newer one becomes it after `settles_after` days.
        """
        today = self._today
        campuses, settles = _campuses(records, today, self._wait)
        primary = _primary(campuses, previous_campus, today, self._wait)
        classes = self._classes(records)
        places = [stay.campus for stay in campuses]
        if len(places) > 1:
            places.sort(key=lambda campus: (campus.code, campus.key))
        person = Person(
            person_id,
            _fields(records, today, self._display),
            primary,
            tuple(places),
            tuple([section for section, _ in classes]),
            _homeroom(classes, primary),
            tuple(dict.fromkeys(guardians)),
            dict(related),
            tuple([(record.source, record.key) for record in records]),
        )
        days = _boundaries(records)
        days.add(settles)
        return person, min((day for day in days if day is not None and day > today), default=None)

    def _classes(self, records: Sequence[Record]) -> list[tuple[Section, bool]]:
        """The classes with an enrolment in use today, by source and key, told whether their term runs; True: a primary one."""
        classes: dict[tuple[int, SourceKey], tuple[Section, bool]] = {}
        for rank, record in enumerate(records):
            for enrolment in record.enrolments:
                if _runs(enrolment.begin, enrolment.end, self._today):
                    section = self._as_of_today(enrolment.section)
                    key = rank, section.key
                    classes[key] = section, enrolment.primary or (key in classes and classes[key][1])
        return [classes[key] for key in sorted(classes)]

    def _as_of_today(self, section: Section) -> Section:
        known = self._told.get(id(section))
        if known is None:
            active = _runs(section.begin, section.end, self._today)
            told = section if section.active == active else replace(section, active=active)
            known = self._told[id(section)] = section, told
        return known[1]


def build(
    person_id: PersonId,
    records: Sequence[Record],
    related: Mapping[str, PersonId],
    today: date,
    display: str = "legal",
    *,
    previous_campus: str = "",
    guardians: Iterable[PersonId] = (),
    settles_after: int = CAMPUS_SETTLES_AFTER,
) -> tuple[Person, date | None]:
    """One person, as `Building` builds many."""
    building = Building(today, display, settles_after=settles_after)
    return building.build(person_id, records, related, previous_campus=previous_campus, guardians=guardians)


def _runs(begin: date | None, end: date | None, today: date) -> bool:
    """True from `begin` (inclusive) to `end` (exclusive)."""
    return (begin is None or begin <= today) and (end is None or today < end)


def _boundaries(records: Sequence[Record]) -> set[date | None]:
    """Every day on which a role, an enrolment or a term begins or ends."""
    days: set[date | None] = set()
    for record in records:
        for role in record.roles:
            days.add(role.begin)
            days.add(role.end)
        for enrolment in record.enrolments:
            section = enrolment.section
            days.update((enrolment.begin, enrolment.end, section.begin, section.end))
    return days


def _fields(records: Sequence[Record], today: date, display: str) -> dict[str, Value]:
    """What the records say together: absent means a source does not speak of a field, empty that there is none."""
    told: dict[str, Value] = {}
    for record in reversed(records):
        told.update(record.fields)
    told["roles"] = _roles(records, today)
    if "grade" in told:
        # The number always belongs to the grade that won, never to another source's.
        index = _GRADES.get(_text(told["grade"]))
        told.pop("grade_index", None)
        if index is not None:
            told["grade_index"] = index
    told.update(shown_names({part: _text(told.get(part)) for part in NAME_PARTS}, display))
    return told


def shown_names(parts: Mapping[str, str], display: str) -> dict[str, str]:
    """The names to show, for every audience: the legal one, the preferred one, and whichever of both the district chose.

    `parts` has all NAME_PARTS. The preferred name falls back to the legal one part by part.
    """
    legal, suffix = (parts["given"], parts["family"]), parts["suffix"]
    preferred = parts["preferred_given"] or legal[0], parts["preferred_family"] or legal[1]
    given, family = preferred if display == "preferred" else legal
    return {
        "legal_name": _joined(*legal, suffix),
        "preferred_name": _joined(*preferred, suffix),
        "display_given": given,
        "display_family": family,
        "display_name": _joined(given, family, suffix),
    }


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _text(value: Value) -> str:
    return value.strip() if isinstance(value, str) else ""


def _roles(records: Sequence[Record], today: date) -> tuple[str, ...]:
    """Every role in use today, whichever source tells of it: a teacher in one may be a parent in another."""
    roles: set[str] = set()
    for record in records:
        if record.roles:
            roles.update(role.role for role in record.roles if _runs(role.begin, role.end, today))
        else:
            # A source without dated roles tells them as a plain list, or as one text.
            plain = record.fields.get("roles")
            roles.update(plain if isinstance(plain, tuple) else filter(None, [_text(plain)]))
    return tuple(sorted(roles))


@dataclass(frozen=True, slots=True)
class _Stay:
    """A person's being at one campus: since when (None where no source says), and whether it is flagged as the primary one."""

    campus: Campus
    arrival: date | None
    flagged: bool


def _campuses(records: Sequence[Record], today: date, wait: timedelta) -> tuple[list[_Stay], date | None]:
    """Every campus with a role or enrolment in use today, one per code, and when a newer one will have lasted long enough."""
    found: dict[str, Campus] = {}
    arrivals: dict[str, date] = {}
    flagged: set[str] = set()
    for record in records:
        flags = set()
        for campus, begin, flag in _attendances(record, today):
            code = campus.code
            if code not in found:
                found[code] = campus
            if begin is not None and (code not in arrivals or begin < arrivals[code]):
                # Arrival is the first day there, so that one more class at an old campus does not make it the newer one.
                arrivals[code] = begin
            if flag:
                flags.add(code)
        # The most authoritative source that flags any campus is the one that is believed.
        flagged = flagged or flags
    stays = [_Stay(campus, arrivals.get(code), code in flagged) for code, campus in found.items()]
    waits = (arrival + wait for arrival in arrivals.values()) if len(stays) > 1 else iter(())
    return stays, min((day for day in waits if day > today), default=None)


def _attendances(record: Record, today: date) -> Iterator[tuple[Campus, date | None, bool]]:
    by_key: dict[SourceKey, Campus] = {}
    for role in record.roles:
        by_key[role.campus.key] = role.campus
        if _runs(role.begin, role.end, today):
            yield role.campus, role.begin, role.primary
    for enrolment in record.enrolments:
        section = enrolment.section
        campus = by_key.get(section.campus)
        if campus is not None and _runs(enrolment.begin, enrolment.end, today) and _runs(section.begin, section.end, today):
            # Not `enrolment.primary`: in OneRoster that names a class's primary teacher, not anybody's campus.
            yield campus, enrolment.begin or section.begin, False


def _primary(stays: Sequence[_Stay], previous: str, today: date, wait: timedelta) -> Campus | None:
    """The source's own flag, else the only campus, else the newest that has lasted, else the one before, else the smallest key."""
    candidates = [stay for stay in stays if stay.flagged] or list(stays)
    if len(candidates) > 1:
        lasting = [stay for stay in candidates if stay.arrival is None or stay.arrival + wait <= today]
        if lasting:
            newest = max(stay.arrival or date.min for stay in lasting)
            candidates = [stay for stay in lasting if (stay.arrival or date.min) == newest]
    for stay in candidates:
        if stay.campus.code == previous:
            return stay.campus
    return min((stay.campus for stay in candidates), key=lambda campus: (campus.key, campus.code), default=None)


def _homeroom(classes: Sequence[tuple[Section, bool]], campus: Campus | None) -> Section | None:
    """The running class of kind homeroom: a primary enrolment first, then the primary campus, then the newest."""
    here = campus.key if campus is not None else None

    def rank(choice: tuple[Section, bool]) -> tuple[bool, bool, int, SourceKey]:
        section, primary = choice
        return not primary, section.campus != here, -(section.begin or date.min).toordinal(), section.key

    homerooms = [choice for choice in classes if choice[0].kind == "homeroom" and choice[0].active]
    return min(homerooms, key=rank)[0] if homerooms else None


# --- accounts to persons ----------------------------------------------------------------------------------------------


class SituationKind(StrEnum):
    """How a person and a target stand to each other."""

    LINKED = "linked"
    UNLINKED = "unlinked"  # an account is theirs by a find key; the link is to be written
    UNMATCHED = "unmatched"  # no account: one may be created
    DISPUTED = "disputed"
    DELETED = "deleted"  # linked, but others deleted the account: not recreated unasked (R8)


@dataclass(frozen=True, slots=True)
class Situation:
    """How a person and a target stand to each other, with the account it is about and why."""

    kind: SituationKind
    native_id: NativeId | None
    why: str
    candidates: tuple[NativeId, ...] = ()


def situate(
    person: Person,
    wanted_find: Sequence[tuple[str, str]],
    hits: Mapping[tuple[str, str], Sequence[Observed]],
    linked: Mapping[NativeId, PersonId],
    name_hits: Sequence[Observed],
    *,
    own: NativeId | None = None,
    gone: bool = False,
) -> Situation:
    """Which account on a target is this person's, if any.

    `wanted_find` are the find keys in order, `hits` the accounts that answer each, `linked` the owners of those accounts,
    `name_hits` the accounts that already hold a candidate name. `own` is the account linked to the person; `gone`: the target,
    asked for it, has it no longer. The first find key that finds anything decides; a name alone never does (R35).
    """
    if own is not None:
        kind, why = (
            (SituationKind.DELETED, "the linked account was deleted by others") if gone else (SituationKind.LINKED, "linked")
        )
        return Situation(kind, own, why)
    privileged: Situation | None = None
    for attribute, value in wanted_find:
        found = {hit.native_id: hit for hit in hits.get((attribute, value), ())} if value else {}
        candidates = [native_id for native_id, hit in found.items() if not hit.privileged]
        if candidates:
            return _found(person, attribute, sorted(candidates), linked)
        if found and privileged is None:
            why = f"{attribute} belongs to a privileged account, which is never adopted (R40)"
            privileged = Situation(SituationKind.DISPUTED, None, why, tuple(sorted(found)))
    if privileged is not None:
        return privileged
    # A name whose account belongs to somebody else is an ordinary namesake: naming goes on to the next candidate.
    named = sorted({hit.native_id for hit in name_hits if hit.native_id not in linked})
    if named:
        why = "an account nobody is linked to has this person's name; a name alone never decides"
        return Situation(SituationKind.DISPUTED, None, why, tuple(named))
    return Situation(SituationKind.UNMATCHED, None, "no find key and no candidate name is in use on the target")


def confirmed(native_id: NativeId, by: str, observed: Observed | None, linked: Mapping[NativeId, PersonId]) -> Situation:
    """Which account is somebody's, where a human said so: that one, if it is there, free, and nobody's privileges (R40)."""
    if observed is None:
        return Situation(SituationKind.DISPUTED, None, f"{by} said that account {native_id} is theirs, but there is none in scope")
    if observed.privileged:
        return Situation(SituationKind.DISPUTED, None, f"{by} said a privileged account is theirs, which is never adopted (R40)")
    if native_id in linked:
        why = f"{by} said an account is theirs that is linked to {linked[native_id]}"
        return Situation(SituationKind.DISPUTED, None, why, (native_id,))
    return Situation(SituationKind.UNLINKED, native_id, f"confirmed by {by}", (native_id,))


def _found(person: Person, attribute: str, candidates: Sequence[NativeId], linked: Mapping[NativeId, PersonId]) -> Situation:
    if len(candidates) > 1:
        why = f"{attribute} finds {len(candidates)} accounts"
        return Situation(SituationKind.DISPUTED, None, why, tuple(candidates))
    (native_id,) = candidates
    owner = linked.get(native_id)
    if owner is None:
        return Situation(SituationKind.UNLINKED, native_id, f"matched by {attribute}", (native_id,))
    if owner == person.id:
        return Situation(SituationKind.LINKED, native_id, "linked")
    why = f"{attribute} finds an account linked to {owner}"
    return Situation(SituationKind.DISPUTED, None, why, (native_id,))
