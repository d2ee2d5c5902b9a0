"""Bad rosters: what an export can get wrong, and what looks like it and is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from random import Random

from bench import calamities
from bench.calamities import Scene
from bench.disasters import Disaster
from bench.exports import Export, slim
from bench.ground import HIT, Ground
from bench.truth import Seen
from syncd.demo.district import District
from syncd.demo.slapd import SUFFIX


class _Source(Disaster):
    group = "source"


def _scene(ground: Ground, share: float = 1.0, turn: int = 0) -> Scene:
    return Scene(HIT, share, ground.clock.now.date(), ground.random, turn)


def _rename_column(export: Export, old: str, new: str) -> None:
    users = export["users"]
    users.columns = tuple(new if name == old else name for name in users.columns)


def _leave(ground: Ground, number: int) -> None:
    """So many children of the campus have really left: the roster says so, and is right."""
    there = list(ground.good.students_at(HIT))
    ground.good.without(set(there[-number:]))
    ground.deliver(ground.good)


class HeaderTypo(_Source):
    """Somebody misspells a column in the export's template: a reader that takes it for absent empties a field for everybody."""

    said, whole = r"source sis: .*famlyName|famlyName", True

    def strike(self, ground: Ground) -> None:
        """The family name's column is called otherwise."""
        ground.spoil(lambda bad: _rename_column(bad, "familyName", "famlyName"))

    def benign(self, ground: Ground) -> None:
        """The roster system was updated: there is a column more."""
        users = ground.good["users"]
        users.columns = (*users.columns, "metadata.locker")
        users.rows = {key: (*row, "17") for key, row in users.rows.items()}
        ground.deliver(ground.good)


class HalfExport(_Source):
    """The transfer broke off in the middle: the second half of the alphabet is missing, and would be disabled."""

    said, whole = r"persons are gone since the last accepted roster|source sis", True

    def strike(self, ground: Ground) -> None:
        """Half of users.csv, cut in a line."""

        def cut(bad: Export) -> None:
            whole = bad["users"].bytes()
            bad["users"].raw = whole[: len(whole) // 2]

        ground.spoil(cut)

    def benign(self, ground: Ground) -> None:
        """Three children left."""
        _leave(ground, 3)


class EmptyFile(_Source):
    """The export ran before the roster system was up: a header and no rows, which is no district without people."""

    said, whole = r"source sis", True

    def strike(self, ground: Ground) -> None:
        """users.csv has a header only."""
        ground.spoil(lambda bad: bad["users"].rows.clear())

    def benign(self, ground: Ground) -> None:
        """A child left, and the file is a row shorter."""
        _leave(ground, 1)


class CampusMissing(_Source):
    """A campus was not ticked when the export was set up after an update: its people are not gone."""

    said = r"campus 002.*vanished"

    def strike(self, ground: Ground) -> None:
        """Students and staff of one campus are in no file."""
        ground.spoil(lambda bad: calamities.campus_vanishes(bad, _scene(ground)))

    def benign(self, ground: Ground) -> None:
        """Three children of the campus left."""
        _leave(ground, 3)


class CampusColumnBlank(_Source):
    """The join that fills the campus failed for one school: roles without a place, so that its people belong nowhere."""

    said = r"rows cannot be used"

    def strike(self, ground: Ground) -> None:
        """The roles of one campus name no organisation."""

        def blank(bad: Export) -> None:
            roles = bad["roles"]
            place = roles.at("orgSourcedId")
            for key, row in list(roles.rows.items()):
                if row[place] == HIT:
                    roles.put(key, "orgSourcedId", "")

        ground.spoil(blank)

    def benign(self, ground: Ground) -> None:
        """One child left."""
        _leave(ground, 1)


class MojibakeEncoding(_Source):
    """The export was read with the wrong code page and written again: every accent is two wrong letters, in every account."""

    said = r"source sis|encoding|garbled|letters"
    whole = True

    def strike(self, ground: Ground) -> None:
        """users.csv as UTF-8, read as Latin-1, written as UTF-8."""

        def garble(bad: Export) -> None:
            bad["users"].raw = bad["users"].bytes().decode("latin-1").encode()

        ground.spoil(garble)

    def benign(self, ground: Ground) -> None:
        """Five families have found their accents: the names are truly spelled otherwise."""
        users = ground.good["users"]
        for key in list(ground.good.students_at(HIT))[-5:]:
            users.put(key, "familyName", "Peña")
        ground.deliver(ground.good)


class OldFile(_Source):
    """The nightly copy failed and last week's file was taken again: leavers return, names and campuses go back."""

    said, whole = r"source sis", True

    def strike(self, ground: Ground) -> None:
        """A week of ordinary changes, then the file of its first day."""
        old = ground.good.copy()
        ground.sync()
        for _ in range(3):
            ground.live()
            ground.sync()
        ground.clock.now += timedelta(days=1)
        ground.deliver(old)

    def benign(self, ground: Ground) -> None:
        """The very same file as yesterday, which is no news; then a new one."""
        ground.sync()
        ground.clock.now += timedelta(days=1)
        ground.sync()
        ground.live()


class DuplicatedKeys(_Source):
    """A join multiplied rows: who is listed twice with two grades has neither."""

    said = r"source sis|reject|campus 002"
    whole = True

    def strike(self, ground: Ground) -> None:
        """A quarter of a campus twice, the second time a grade higher."""
        ground.spoil(lambda bad: calamities.duplicated(bad, _scene(ground, 0.25)))

    def benign(self, ground: Ground) -> None:
        """Two children with one name and two keys: they are two."""
        child = next(one for one in ground.district.roster.students.values() if one.schools == (HIT,))
        other = replace(child, key="stu-other", number="990001", birth=child.birth - timedelta(days=400), state_id="")
        ground.district = replace(ground.district, roster=ground.district.roster.with_students(other))
        ground.good = Export.of(ground.district)
        ground.deliver(ground.good)


class DisabledEnMasse(_Source):
    """The roster system's own licences ran out and it marked its users as disabled: nobody has left."""

    said = r"(campus 002|target ldap).*disabled"

    def strike(self, ground: Ground) -> None:
        """A third of a campus has enabledUser false."""
        ground.spoil(lambda bad: calamities.disabled(bad, _scene(ground, 0.33)))

    def benign(self, ground: Ground) -> None:
        """Three children are suspended."""
        for key in list(ground.good.students_at(HIT))[-3:]:
            ground.good["users"].put(key, "enabledUser", "false")
        ground.deliver(ground.good)


class CutOverUnannounced(_Source):
    """A new roster system went live over the weekend: everybody under another key and number is nobody syncd knows."""

    said, whole = r"vanished|source sis|gone", True

    def strike(self, ground: Ground) -> None:
        """All keys and numbers are new."""
        ground.spoil(_renumber_all)

    def benign(self, ground: Ground) -> None:
        """Two children have another telephone number."""
        for key in list(ground.good.students_at(HIT))[-2:]:
            ground.good["users"].put(key, "sms", "+1 956 555 0100")
        ground.deliver(ground.good)


def _renumber_all(bad: Export) -> None:
    for campus in [key for key, row in bad["orgs"].rows.items() if row[4] == "school"]:
        calamities.renumbered(bad, Scene(campus, 1.0, date.max, Random(3)))  # noqa: S311 — to be drawn again


class SwappedColumns(_Source):
    """Two columns changed places in the export: everybody's family name is their given name."""

    said, whole = r"source sis|campus|updated", True

    def strike(self, ground: Ground) -> None:
        """The cells of givenName and familyName are swapped in every row."""

        def swap(bad: Export) -> None:
            users = bad["users"]
            for key in users.rows:
                given, family = users.cell(key, "givenName"), users.cell(key, "familyName")
                users.put(key, "givenName", family)
                users.put(key, "familyName", given)

        ground.spoil(swap)

    def benign(self, ground: Ground) -> None:
        """The columns stand in another order, header and cells alike."""
        users = ground.good["users"]
        places = [*range(3), *reversed(range(3, len(users.columns)))]
        users.columns = tuple(users.columns[place] for place in places)
        users.rows = {key: tuple(row[place] for place in places) for key, row in users.rows.items()}
        ground.deliver(ground.good)


class OptOutsEmptied(_Source):
    """The column of the families' opt-outs is not filled any more: a flag without a value is no, and everybody would be shown."""

    said, whole = r"column metadata.optOut of users.csv", True

    def strike(self, ground: Ground) -> None:
        """The column is there, and empty in every row."""

        def blank(bad: Export) -> None:
            users = bad["users"]
            for key in users.rows:
                users.put(key, "metadata.optOut", "")

        ground.spoil(blank)

    def benign(self, ground: Ground) -> None:
        """Three families of the campus opt out, and of two others the cell is empty."""
        for number, key in enumerate(list(ground.good.students_at(HIT))[-5:]):
            ground.good["users"].put(key, "metadata.optOut", "true" if number > 1 else "")
        ground.deliver(ground.good)

    def wrong(self, before: Mapping[str, Seen], after: Mapping[str, Seen], ground: Ground) -> Iterator[str]:
        """Nobody is shown whose family opted out."""
        del before, after
        users = ground.good["users"]
        hidden = [row[users.at("identifier")] for key, row in users.rows.items() if users.cell(key, "metadata.optOut") == "true"]
        numbers = "".join(f"(employeeNumber={number})" for number in hidden)
        shown = ground.as_admin("ldapsearch", "-LLL", "-b", SUFFIX, f"(&(displayName=*)(|{numbers}))", "uid").count("uid:")
        if shown or not hidden:
            yield f"{shown} of {len(hidden)} who opted out are shown"


class AllExitsToday(_Source):
    """Somebody fills a column by drawing it down: a whole campus had its last day yesterday."""

    said = r"(campus 002|target ldap).*disabled"

    def strike(self, ground: Ground) -> None:
        """Every student of the campus has an exit date."""
        ground.spoil(lambda bad: calamities.exits_today(bad, _scene(ground)))

    def benign(self, ground: Ground) -> None:
        """Three children had their last day."""
        calamities.exits_today(ground.good, _scene(ground, 3 / max(1, len(list(ground.good.students_at(HIT))))))
        ground.deliver(ground.good)


class DeltaTakenForFull(_Source):
    """The vendor switched the export to changes only and the manifest still says bulk: whoever did not change is missing."""

    said, whole = r"source sis", True

    def strike(self, ground: Ground) -> None:
        """Only the people of one campus are in the files."""

        def few(bad: Export) -> None:
            kept = set(bad.everybody_at(HIT))
            bad.without(set(bad["users"].rows) - kept)

        ground.spoil(few)

    def benign(self, ground: Ground) -> None:
        """A child left."""
        _leave(ground, 1)


class GradesShifted(_Source):
    """The year was closed by mistake in October: everybody at a campus is promoted, and moves to other containers and groups."""

    said = r"campus 002|source sis"

    def strike(self, ground: Ground) -> None:
        """A campus is one grade further."""
        ground.spoil(lambda bad: calamities.grades_shifted(bad, _scene(ground)))

    def benign(self, ground: Ground) -> None:
        """Four children skip a grade."""
        users = ground.good["users"]
        for key in [key for key in ground.good.students_at(HIT) if users.cell(key, "grades") == "05"][:4]:
            users.put(key, "grades", "06")
        ground.deliver(ground.good)


class StudentsTurnedStaff(_Source):
    """A role was mapped wrongly: students become teachers, with what teachers may see."""

    said = r"disputed"

    def strike(self, ground: Ground) -> None:
        """The students of a campus have the role of a teacher."""
        ground.spoil(lambda bad: calamities.turned_staff(bad, _scene(ground)))

    def benign(self, ground: Ground) -> None:
        """An aide becomes a teacher."""
        roles = ground.good["roles"]
        place = roles.at("role")
        for key in [key for key, row in roles.rows.items() if row[place] == "aide"][:1]:
            roles.put(key, "role", "teacher")
        ground.deliver(ground.good)


class AnotherDistrictsExport(_Source):
    """The vendor put another customer's file into our folder: well formed, full of people, none of them ours."""

    said, whole = r"source sis|vanished", True

    def strike(self, ground: Ground) -> None:
        """A district of the same size under the same campus codes."""
        one = ground.site.extent
        made = District.generate(77, one.campuses, one.students, one.staff, guardians=0, first_day=ground.district.today)
        other = Export.of(slim(made))
        for name, column in (
            ("users", "sourcedId"),
            ("demographics", "sourcedId"),
            ("roles", "userSourcedId"),
            ("enrollments", "userSourcedId"),
        ):
            file = other[name]
            place = file.at(column)
            file.rows = {
                f"x{key}": tuple(f"x{cell}" if at in {0, place} else cell for at, cell in enumerate(row))
                for key, row in file.rows.items()
            }
        ground.deliver(other)

    def benign(self, ground: Ground) -> None:
        """The export comes from another system of the vendor: the same rows, another order."""
        users = ground.good["users"]
        users.rows = dict(sorted(users.rows.items(), reverse=True))
        ground.deliver(ground.good)
