"""What the directory must hold, worked out naively from the files alone (R29). Shares no code with syncd and imports none of it.

An Oracle is told each day's OneRoster zip and supplement folder, in order, and answers with what must then stand in the
directory, and whom nobody may find there. It knows one mapping, the shipped one (people.yaml and ldap.yaml), as plain Python
below; whoever changes the shipped mapping changes it here too, by hand. It believes that every day's plan was applied whole.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import chain
from pathlib import Path

from anyascii import anyascii

Table = dict[str, dict[str, str]]  # rows by sourcedId

STAFF_ROLES = {"teacher", "aide", "counselor", "administrator", "principal", "siteAdministrator", "districtAdministrator"}
GUARDIAN_ROLES = {"parent", "guardian", "relative"}
GRADES = {"PK": -1, "KG": 0} | {f"{n:02}": n for n in range(1, 13)}
RESERVED = frozenset(
    re.findall(
        r"\w+",
        """abuse hostmaster info marketing news noc postmaster sales security support usenet uucp webmaster admin administrator
        backup daemon dns ftp guest help mailerdaemon nobody noreply operator root server service sysadmin mail system test
        user www helpdesk""",
    )
)
SUPPLEMENTS = ("claim_facts.csv", "ferpa.csv", "exits.csv", "staff.csv")


@dataclass(frozen=True)
class Expected:
    """One account as it must stand: `container` below the base, attributes as sets of values, groups by name."""

    uid: str
    container: str
    enabled: bool
    attributes: Mapping[str, str]
    groups: frozenset[str] = frozenset()
    manager: str = ""  # the manager's source key; `Answer.place` tells where that account stands


@dataclass
class Human:
    """What the oracle remembers of one source key that was once accepted as a person."""

    key: str
    row: Row
    state: str = "pending"
    since: date = date.min
    missing_since: date | None = None
    absences: int = 0
    uid: str = ""
    population: str = ""
    account: Expected | None = None


@dataclass(frozen=True)
class Answer:
    """What must be true after one day's run."""

    accounts: Mapping[str, Expected]  # by source key
    disputed: frozenset[str]
    not_yet_due: frozenset[str]
    rejected: frozenset[str]
    held: frozenset[str] = frozenset()  # would rise to staff: a human looks first

    def place(self, key: str) -> str:
        """Where the account of this source key stands below the base; "" where it has none."""
        one = self.accounts.get(key)
        return f"uid={one.uid},{one.container}" if one else ""


@dataclass
class Row:
    """One user of one day's files, joined."""

    given: str
    family: str
    number: str
    grade: str
    population: str  # students, staff, guardians or ""
    campus: str  # code of the primary campus
    campuses: list[str]  # codes
    classes: list[str] = field(default_factory=list)  # codes of the classes whose term runs today
    birth: str = ""
    start: date | None = None
    exit: date | None = None
    optout: bool = False
    enabled: bool = True
    manager: str = ""  # source key

    @property
    def likeness(self) -> tuple[str, str]:
        return self.birth, fold(self.family)

    @property
    def told(self) -> tuple[str, ...]:
        """What somebody can be recognised by."""
        return (*self.likeness, fold(self.given))

    def is_like(self, other: Row) -> bool:
        """Of the same birth date and family name, the given name of one the beginning of the other's."""
        one, two = fold(self.given), fold(other.given)
        return self.likeness == other.likeness and (one.startswith(two) or two.startswith(one))


def fold(text: str, keep: str = "") -> str:
    """Small ASCII letters and digits only."""
    return re.sub(f"[^a-z0-9{keep}]", "", anyascii(text).lower())


def day_of(text: str) -> date | None:
    """The date of a cell in either spelling, None for an empty one."""
    if not text:
        return None
    return datetime.strptime(text, "%m/%d/%Y").date() if "/" in text else date.fromisoformat(text[:10])  # noqa: DTZ007 — a birth date has no time


def runs(begin: date | None, end: date | None, today: date) -> bool:
    """From begin on, until the day before end."""
    return (begin is None or begin <= today) and (end is None or today < end)


# --- the shipped mapping, by hand -------------------------------------------------------------------------------------

KEEP = "."  # what folding a user name keeps besides letters and digits
LONGEST = 20
INTERNAL, STUDENTS, STAFF = "internal.lonestar.example.org", "students.lonestar.example.org", "lonestar.example.org"
WAITS = {"students": (14, 3), "staff": (30, 7)}  # days before the start: account made, account enabled
GRACE_DAYS, GRACE_SNAPSHOTS, PARK_AFTER, PARKED, STALE_AFTER = 10, 3, 30, "ou=Disabled", 3


def names_for(row: Row) -> tuple[list[str], str]:
    """The user names to try, and what stands before a counter."""
    short = row.given.strip()[:1] + row.family
    tried = [short] if row.population == "students" else [f"{row.given}.{row.family}", short]
    return [fold(name, KEEP)[:LONGEST] for name in tried], fold(short, KEEP)


def account_of(row: Row, uid: str, enabled: bool, created: str) -> Expected:
    """The account of somebody who is here."""
    grade = GRADES.get(row.grade)
    student = row.population == "students"
    if student:
        mail = "" if grade is None or grade < 0 else f"{uid}@{INTERNAL if grade <= 2 else STUDENTS}"
        container = f"ou=Grade {row.grade or 'none'},ou={row.campus},ou=Students"
        groups = {"cn=All Students,ou=Groups", f"cn={row.campus} Grade {row.grade or 'none'},ou=Groups"}
        groups |= {f"cn=Class {code},ou=Classes,ou=Groups" for code in row.classes}
    else:
        mail = f"{uid}@{STAFF}"
        container = f"ou={row.campus or 'district'},ou=Staff"
        groups = {"cn=All Staff,ou=Groups"} | {f"cn={code} Staff,ou=Groups" for code in row.campuses}
        groups |= {f"cn=Class {code} Teachers,ou=Classes,ou=Groups" for code in row.classes}
    shown = " ".join(filter(None, (row.given, row.family)))
    attributes = {
        "uid": uid,
        "cn": shown,
        "sn": row.family,
        "givenName": row.given,
        "displayName": "" if student and row.optout else shown,
        "employeeNumber": row.number,
        "employeeType": "student" if student else "staff",
        "departmentNumber": row.campus,
        "mail": mail,
        "description": created,
    }
    told = {name: value for name, value in attributes.items() if value}
    return Expected(uid, container, enabled, told, frozenset(groups), "" if student else row.manager)


# --- the files --------------------------------------------------------------------------------------------------------


def table(raw: bytes) -> list[dict[str, str]]:
    """The rows of a CSV file, cells trimmed."""
    rows = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
    return [{name: (cell or "").strip() for name, cell in row.items() if name} for row in rows]


class Oracle:
    """Fed with one day after the other; see `day`."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.supplements: dict[str, list[dict[str, str]]] = {}
        self.humans: dict[str, Human] = {}
        self.names: dict[str, str] = {}  # folded name -> source key, for ever
        self.content = ""
        self.accepted = date.min
        self.refused: set[str] = set()  # keys of rows that could not be used
        self.doubts: dict[str, dict[str, tuple[str, ...]]] = {}  # of who is disputed: who was called so, and is told how now

    def day(self, today: date, roster: Path, supplements: Path | None = None) -> Answer:
        """What must be true after a run on `today` that read these files."""
        fresh = self.read(roster, supplements)
        if fresh:
            self.accepted = today
        rows = self.join(today)
        unknown = {key: row for key, row in sorted(rows.items()) if key not in self.humans and key not in self.refused}
        disputed, held = self.disputes(unknown, rows), set[str]()
        for key in sorted(unknown.keys() - disputed):
            self.humans[key] = Human(key, rows[key])
        for key, human in sorted(self.humans.items()):
            if key in self.refused:
                continue  # unreadable: exactly as it was
            row = rows.get(key)
            if row is not None and row.population == "staff" and human.population not in ("", "staff"):
                held.add(key)
                continue
            if row is not None:
                human.population = row.population
                human.row, human.missing_since, human.absences = row, None, 0
            elif fresh:
                human.missing_since = human.missing_since or today
                human.absences += 1
            self.decide(human, row is not None, today, today if fresh else min(today, self.accepted + timedelta(STALE_AFTER)))
            self.write(human, row is not None, today)
        accounts = {key: human.account for key, human in sorted(self.humans.items()) if human.account}
        coming = {key for key, one in self.humans.items() if one.state == "pending" and (one.row.start or today) > today}
        return Answer(accounts, frozenset(disputed), frozenset(coming), frozenset(self.refused), frozenset(held))

    def read(self, roster: Path, supplements: Path | None) -> bool:
        """Take in the files; True where anything in them is different from the last time."""
        digest = hashlib.sha256(roster.read_bytes())
        for name in SUPPLEMENTS:
            path = supplements / name if supplements else None
            if path and path.exists():
                digest.update(path.read_bytes())
                self.supplements[name] = table(path.read_bytes())
        if digest.hexdigest() == self.content:
            return False
        self.content = digest.hexdigest()
        with zipfile.ZipFile(roster) as archive:
            manifest = {row["propertyName"]: row["value"] for row in table(archive.read("manifest.csv"))}
            for name in archive.namelist():
                if name == "manifest.csv":
                    continue
                rows = table(archive.read(name))
                kind = name.removesuffix(".csv")
                if manifest[f"file.{kind}"] == "bulk":
                    self.tables[kind] = {}
                kept = self.tables[kind]
                for row in rows:
                    kept.pop(row["sourcedId"], None)
                    # Of whoever is marked as deleted the row and the roles still tell who left, and when.
                    if row.get("status") != "tobedeleted" or (kind in ("users", "roles") and row["dateLastModified"]):
                        kept[row["sourcedId"]] = row
        return True

    def supplement(self, file: str, column: str) -> dict[str, dict[str, str]]:
        """A supplement's rows by the number that says whose they are."""
        return {row[column]: row for row in self.supplements.get(file, ()) if row.get(column)}

    def join(self, today: date) -> dict[str, Row]:
        """Everybody in the files, by source key."""
        self.refused = set()
        orgs = {key: row["identifier"] or key for key, row in self.tables["orgs"].items()}
        unread: dict[str, set[str]] = {}  # user -> roles at orgs nobody knows
        roles: dict[str, list[tuple[bool, str, str]]] = {}  # user -> (not primary, org, role)
        for row in self.tables.get("roles", {}).values():
            user = self.tables["users"].get(row["userSourcedId"], {})
            if row["orgSourcedId"] not in orgs:
                self.refused.add(row["userSourcedId"])
                unread.setdefault(row["userSourcedId"], set()).add(row["role"])
            elif (row["status"] == "tobedeleted") == (user.get("status") == "tobedeleted") and runs(
                day_of(row["beginDate"]), day_of(row["endDate"]), today
            ):
                home = user.get("primaryOrgSourcedId")
                secondary = row["orgSourcedId"] != home if home else row["roleType"] != "primary"
                roles.setdefault(row["userSourcedId"], []).append((secondary, row["orgSourcedId"], row["role"]))
        for key, user in self.tables["users"].items():
            for org in filter(None, user.get("orgSourcedIds", "").split(",")):
                roles.setdefault(key, []).append((False, org, user["role"]))
        facts, ferpa = self.supplement("claim_facts.csv", "student_number"), self.supplement("ferpa.csv", "student_number")
        exits, staff = self.supplement("exits.csv", "student_number"), self.supplement("staff.csv", "staff_number")
        rows: dict[str, Row] = {}
        keys: dict[str, str] = {}  # of staff, by number
        for key, user in self.tables["users"].items():
            grade = user["grades"].split(",")[0] if "student" in {role for _, _, role in roles.get(key, ())} else ""
            if not (user["givenName"] or user["familyName"]) or (grade and grade not in GRADES):
                self.refused.add(key)
            mine = sorted(roles.get(key, ()))
            held = {role for _, _, role in mine}
            student = "student" in held
            works = bool(held & STAFF_ROLES) and not student
            number = user["identifier"] if student or works else ""
            if works or (not student and unread.get(key, set()) & STAFF_ROLES):
                keys[user["identifier"]] = key  # also where something cannot be read: an unreadable manager is a manager still
            more = exits.get(number, {}) if student else staff.get(number, {}) if works else {}
            flags = ferpa.get(number, {}) if student else {}
            try:
                rows[key] = Row(
                    given=user["givenName"],
                    family=user["familyName"],
                    number=number,
                    grade=grade,
                    population="students" if student else "staff" if works else "guardians" if held & GUARDIAN_ROLES else "",
                    campus=orgs[mine[0][1]] if mine else "",
                    campuses=sorted({orgs[org] for _, org, _ in mine}),
                    start=day_of(more.get("start_date", "")),
                    exit=day_of(more.get("exit_date", "") or (user["dateLastModified"] if user["status"] == "tobedeleted" else "")),
                    optout=flags.get("directory_optout", "N").upper() not in ("N", "NO", "FALSE", "0", ""),
                    enabled=user["enabledUser"].lower() != "false",
                    birth=str(day_of(facts.get(number, {}).get("birth_date", "")) or "") if student else "",
                    manager=more.get("manager", ""),
                )
            except ValueError:  # a date nobody can read
                self.refused.add(key)
        for key, told in rows.items():
            told.manager = keys.get(told.manager, "")
            told.birth = told.birth or self.tables.get("demographics", {}).get(key, {}).get("birthDate", "")
        self.seat(rows, today)
        return {key: row for key, row in rows.items() if key not in self.refused}

    def seat(self, rows: Mapping[str, Row], today: date) -> None:
        """Put everybody into their classes."""
        sessions = self.tables["academicSessions"]
        running: dict[str, bool] = {}
        for key, lesson in self.tables["classes"].items():
            terms = [sessions[term] for term in filter(None, lesson["termSourcedIds"].split(","))]
            begin = min((day_of(term["startDate"]) or date.min for term in terms), default=None)
            end = max((day_of(term["endDate"]) or date.max for term in terms), default=None)
            running[key] = runs(begin, end, today)
        for seat in self.tables["enrollments"].values():
            if seat["classSourcedId"] not in running:
                self.refused.add(seat["userSourcedId"])
            elif (
                seat["userSourcedId"] in rows
                and running[seat["classSourcedId"]]
                and runs(day_of(seat["beginDate"]), day_of(seat["endDate"]), today)
            ):
                lesson = self.tables["classes"][seat["classSourcedId"]]
                rows[seat["userSourcedId"]].classes.append(lesson["classCode"] or seat["classSourcedId"])

    # --- the rules ---

    def disputes(self, unknown: Mapping[str, Row], rows: Mapping[str, Row]) -> set[str]:
        """New keys with the birth date and family name of somebody else whose given name equals or begins theirs (R35).

        Known people count as they are told today, or were last; and, for whoever is new today, as they were told until today, for
        as long as they are told just as they are today.
        """
        told = {key: rows.get(key, human.row) for key, human in self.humans.items()}
        until = {key: human.row for key, human in self.humans.items()}
        everybody = {**told, **unknown}
        now, before = self.likenesses(everybody), self.likenesses(until)
        doubts: dict[str, dict[str, tuple[str, ...]]] = {}
        for key, row in unknown.items():
            alike = {other for other in now.get(row.likeness, ()) if other != key and row.is_like(everybody[other])}
            if key in self.doubts:
                kept = {other: said for other, said in self.doubts[key].items() if told[other].told == said}
            else:
                kept = {other: told[other].told for other in before.get(row.likeness, ()) if row.is_like(until[other])}
            kept = {other: said for other, said in kept.items() if other not in alike}
            if alike or kept:
                doubts[key] = kept
        self.doubts = doubts
        return set(doubts)

    @staticmethod
    def likenesses(rows: Mapping[str, Row]) -> dict[tuple[str, str], set[str]]:
        """The keys by birth date and family name."""
        found: dict[tuple[str, str], set[str]] = {}
        for key, row in rows.items():
            if all(row.likeness):
                found.setdefault(row.likeness, set()).add(key)
        return found

    def decide(self, human: Human, present: bool, today: date, as_of: date) -> None:
        """Where one person stands today."""
        row, before = human.row, human.state
        made, opened = WAITS.get(row.population, (None, None))
        makes = row.start - timedelta(made) if row.start and made is not None else None
        opens = row.start - timedelta(opened) if row.start and opened is not None else None
        gone = before == "left"
        if not present:
            if before in ("active", "grace", "waiting"):
                missing = human.missing_since or today
                over = min(as_of, today) >= missing + timedelta(GRACE_DAYS) and human.absences >= GRACE_SNAPSHOTS
                after = "left" if over else "waiting" if before == "waiting" else "grace"
            else:
                after = before
        elif not row.enabled or (row.exit and row.exit < today):
            after = "pending" if before == "pending" else "left"
        elif before in ("active", "grace") or ((makes is None or makes <= today) and (opens is None or opens <= today)):
            after = "active"
        elif before == "waiting" or makes is None or makes <= today:
            after = "waiting"
        else:
            after = "left" if gone else "pending"
        if after != before:
            human.state, human.since = after, today

    def write(self, human: Human, present: bool, today: date) -> None:
        """Make the account what the state asks for; somebody in grace keeps it as it is."""
        have, row = human.account, human.row
        if human.state == "left":
            if have:
                parked = today >= human.since + timedelta(PARK_AFTER)
                human.account = replace(have, enabled=False, groups=frozenset(), container=PARKED if parked else have.container)
            return
        if not present or human.state == "pending":
            return
        if row.population not in WAITS:
            if have:
                human.account = replace(have, enabled=False, groups=frozenset())
            return
        if not human.uid:
            human.uid = self.name(human)
        enabled = human.state == "active" or bool(have and have.enabled)
        created = have.attributes["description"] if have else f"Created {today} from the roster"
        human.account = account_of(row, human.uid, enabled, created)

    def name(self, human: Human) -> str:
        """The first name nobody ever had: the candidates in order, then counters."""
        candidates, stem = names_for(human.row)
        counted = (stem[: LONGEST - len(str(n))] + str(n) for n in range(2, 10_000))
        for name in chain(candidates, counted):
            taken = fold(name)
            if taken and taken not in RESERVED and taken not in self.names:
                self.names[taken] = human.key
                return name
        raise AssertionError(f"no name left for {human.key}")
