"""Twelve kinds of bad roster, each from one student of a campus up to all of them, and the people each would harm.

A calamity takes the export of a good day and spoils it in place. It returns the keys of those about whom the spoiled file says
something untrue: none of them may be touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from types import MappingProxyType

from bench.exports import OWNERS, Export
from syncd.demo.oneroster_writer import Row
from syncd.demo.roster import GRADES

SMALLEST = 0.08
"""The share of a campus from which on nothing may be missed."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where and when: one campus, the share of its students that is hit, and what was delivered on an earlier day.

    A kind that has several forms takes them in turn.
    """

    campus: str
    share: float
    today: date
    random: Random
    turn: int = 0
    earlier: Export | None = None

    def chosen(self, export: Export) -> list[str]:
        """The students that are hit: that share of the campus, drawn by chance, one at least."""
        there = list(export.students_at(self.campus))
        return self.random.sample(there, max(1, min(len(there), round(len(there) * self.share))))


Spoil = Callable[[Export, Scene], set[str]]


def campus_vanishes(export: Export, scene: Scene) -> set[str]:
    """The campus was not ticked when the export was set up: its students and its staff are missing."""
    gone = set(export.everybody_at(scene.campus))
    export.without(gone)
    return gone


def some_vanish(export: Export, scene: Scene) -> set[str]:
    """A filter of the export loses a part of one campus."""
    gone = set(scene.chosen(export))
    export.without(gone)
    return gone


def grade_vanishes(export: Export, scene: Scene) -> set[str]:
    """A grade is missing at one campus, with the next one until the share is reached."""
    users = export["users"]
    there = list(export.students_at(scene.campus))
    gone: set[str] = set()
    first = scene.random.randrange(len(GRADES))
    for grade in (*GRADES[first:], *GRADES[:first]):
        gone |= {key for key in there if users.cell(key, "grades") == grade}
        if len(gone) >= scene.share * len(there):
            break
    export.without(gone)
    return gone


def exits_today(export: Export, scene: Scene) -> set[str]:
    """Somebody fills a column: these students have had their last day."""
    hit = scene.chosen(export)
    for key in hit:
        export["users"].put(key, "metadata.exitDate", (scene.today - timedelta(days=1)).isoformat())
    return set(hit)


def disabled(export: Export, scene: Scene) -> set[str]:
    """The roster system marks its users as disabled, say because their licence ran out."""
    hit = scene.chosen(export)
    for key in hit:
        export["users"].put(key, "enabledUser", "false")
    return set(hit)


def moved(export: Export, scene: Scene) -> set[str]:
    """Two campuses are mixed up: students of the one are listed at the other."""
    hit, roles = set(scene.chosen(export)), export["roles"]
    other = scene.random.choice([key for key, row in export["orgs"].rows.items() if row[4] == "school" and key != scene.campus])
    user, org, role = (roles.at(name) for name in ("userSourcedId", "orgSourcedId", "role"))
    for key, row in list(roles.rows.items()):
        if row[user] in hit and row[org] == scene.campus and row[role] == "student":
            roles.put(key, "orgSourcedId", other)
    for key in hit:
        export["users"].put(key, "primaryOrgSourcedId", other)
    return hit


def blanked(export: Export, scene: Scene) -> set[str]:
    """A column is empty: the query that fills it failed for these students."""
    column = ("grades", "identifier", "givenName")[scene.turn % 3]
    hit = scene.chosen(export)
    for key in hit:
        export["users"].put(key, column, "")
    return set(hit)


def garbled(export: Export, scene: Scene) -> set[str]:
    """Names are wrong: family and given name swapped, or every vowel the victim of a code page."""
    hit, users, swap = scene.chosen(export), export["users"], scene.turn % 2 == 0
    for key in hit:
        given, family = users.cell(key, "givenName"), users.cell(key, "familyName")
        told = (family, given) if swap else (_garble(given), _garble(family))
        users.put(key, "givenName", told[0])
        users.put(key, "familyName", told[1])
    return set(hit)


def _garble(name: str) -> str:
    """As a text looks that was read with the wrong code page; a name without accents gets one first."""
    accented = name.translate(str.maketrans("aeiounAEIOU", "áéíóúñÁÉÍÓÚ"))
    return accented.encode().decode("latin-1")


def renumbered(export: Export, scene: Scene) -> set[str]:
    """The same students under new keys and new numbers: a part of the roster was loaded into the roster system once more."""
    hit, users = set(scene.chosen(export)), export["users"]
    for name, column in OWNERS.items():
        file = export[name]
        file.rows = dict(_under_new_keys(file.rows.values(), file.at(column), hit))
    for key in hit:
        for column in ("identifier", "username"):
            users.put(f"re-{key}", column, f"8{users.cell(f're-{key}', column)}")
    return hit


def _under_new_keys(rows: Iterable[Row], place: int, hit: Collection[str]) -> Iterator[tuple[str, Row]]:
    for row in rows:
        told = row
        if row[place] in hit:
            told = (*row[:place], f"re-{row[place]}", *row[place + 1 :])
            told = told if place == 0 else (f"re-{row[0]}", *told[1:])
        yield told[0], told


def duplicated(export: Export, scene: Scene) -> set[str]:
    """A join went wrong: these students are listed twice, with another grade, or once more under another key."""
    hit, users, roles = scene.chosen(export), export["users"], export["roles"]
    grade, user = users.at("grades"), roles.at("userSourcedId")
    twice = set(hit) if scene.turn % 2 else set()
    for key in hit:
        row = users.rows[key]
        if key in twice:
            users.more.append((f"dup-{key}", *row[1:]))
        else:
            users.more.append((*row[:grade], _next_grade(row[grade]), *row[grade + 1 :]))
    for row in roles.rows.values():
        if row[user] in twice:
            roles.more.append((f"dup-{row[0]}", *row[1:user], f"dup-{row[user]}", *row[user + 1 :]))
    demographics = export["demographics"]
    demographics.more += [(f"dup-{key}", *demographics.rows[key][1:]) for key in twice]
    return set(hit)


def old_file(export: Export, scene: Scene) -> set[str]:
    """The transfer failed and an earlier delivery is still there, or there again."""
    if scene.earlier is None:
        return set()
    before, now = scene.earlier["users"].rows, export["users"].rows
    hit = {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}
    roles = (scene.earlier["roles"], export["roles"])
    user = roles[0].at("userSourcedId")
    changed = set(roles[0].rows.items()) ^ set(roles[1].rows.items())
    export.files = scene.earlier.copy().files
    return hit | {row[user] for _, row in changed}


def grades_shifted(export: Export, scene: Scene) -> set[str]:
    """The year was closed in the middle of it: everybody is one grade further."""
    hit, users = scene.chosen(export), export["users"]
    for key in hit:
        users.put(key, "grades", _next_grade(users.cell(key, "grades")))
    return set(hit)


def turned_staff(export: Export, scene: Scene) -> set[str]:
    """A role was mapped wrongly: students are teachers."""
    hit, roles = set(scene.chosen(export)), export["roles"]
    user, role = roles.at("userSourcedId"), roles.at("role")
    for key, row in list(roles.rows.items()):
        if row[user] in hit and row[role] == "student":
            roles.put(key, "role", "teacher")
    return hit


def promoted_or_staff(export: Export, scene: Scene) -> set[str]:
    """Students are teachers, or everybody is one grade further."""
    return (turned_staff if scene.turn % 2 else grades_shifted)(export, scene)


def _next_grade(grade: str) -> str:
    return GRADES[(GRADES.index(grade) + 1) % len(GRADES)] if grade in GRADES else grade


KINDS: Mapping[str, Spoil] = MappingProxyType(
    {
        "campus vanishes": campus_vanishes,
        "part of a campus vanishes": some_vanish,
        "grade vanishes": grade_vanishes,
        "exit dates en masse": exits_today,
        "disabled en masse": disabled,
        "moved to another campus": moved,
        "column blanked": blanked,
        "names swapped or garbled": garbled,
        "keys renumbered": renumbered,
        "rows duplicated": duplicated,
        "old file again": old_file,
        "promoted, or turned staff": promoted_or_staff,
    }
)
"""The twelve kinds, in the order in which they are told."""
WHOLE = frozenset({"campus vanishes", "old file again"})
"""Kinds that have no share: all of the campus, or all of the file."""
