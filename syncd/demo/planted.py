"""The awkward people every district has, planted in the sample so that tests and the demo can name them.

Each kind is one trap somebody fell into. A kind is planted whole or, in a district too small for it, not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from syncd.demo.roster import Student

NOT_YET_DUE = date(2027, 1, 19)
"""First day of the planted students who are enrolled long ahead."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """A student to be: what matters for the trap; the generator fills in the rest."""

    given: str
    family: str
    grade: str = ""
    birth: date | None = None
    sex: str = "female"
    changes: tuple[tuple[str, object], ...] = ()
    second_school: bool = False

    def applied_to(self, student: Student) -> Student:
        """The student with this sketch's particulars."""
        changes: Any = dict(self.changes)  # names fields of Student, of their types: the tests build every sketch
        return replace(student, **changes)


def students() -> Iterator[tuple[str, tuple[Sketch, ...]]]:
    """The planted kinds and their students, most instructive first."""
    yield (
        "twins",
        (
            Sketch("Ana", "Quintanilla Ríos", "04", date(2016, 3, 14)),
            Sketch("Luis", "Quintanilla Ríos", "04", date(2016, 3, 14), "male"),
        ),
    )
    yield (
        "renumbered",
        (
            Sketch("Marisol", "Benavides", "06", date(2014, 11, 2), changes=(("state_id", "9000000007"),)),
            Sketch("Marisol", "Benavides", "06", date(2014, 11, 2), changes=(("state_id", "9000000007"),)),
        ),
    )
    yield (
        "twins_alike",
        (
            Sketch("Ana", "Montemayor", "02", date(2018, 6, 30)),
            Sketch("Anabel", "Montemayor", "02", date(2018, 6, 30)),
        ),
    )
    yield (
        "same_name",
        (
            Sketch("José", "García", "08", date(2012, 10, 9), "male"),
            Sketch("José", "García", "08", date(2013, 4, 21), "male"),
        ),
    )
    yield "two_surnames", (Sketch("Camila", "Garza Treviño", "05"), Sketch("Mateo", "de la Cruz Ibarra", "09", sex="male"))
    yield "hyphen", (Sketch("Anne-Marie", "Washington-Lee", "03"), Sketch("Xavier", "O'Neil-García", "07", sex="male"))
    yield "apostrophe", (Sketch("D'Andre", "O'Connor", "10", sex="male"), Sketch("Siobhán", "O’Brien", "11"))
    yield "accent", (Sketch("Íñigo", "Núñez Peña", "06", sex="male"), Sketch("Zoë", "Müller", "12"))
    yield "suffix", (Sketch("Marcus", "Williams III", "09", sex="male"), Sketch("Raúl", "Cantú Jr", "KG", sex="male"))
    yield (
        "preferred_name",
        (
            Sketch("Guadalupe", "Hinojosa", "10", changes=(("preferred_given", "Lupita"),)),
            Sketch("William", "Patterson", "08", sex="male", changes=(("preferred_given", "Liam"),)),
        ),
    )
    yield (
        "no_ssn",
        (
            Sketch("Fatima", "Zavala", "01", changes=(("ssn4", ""), ("s_number4", "4471"))),
            Sketch("Bao", "Phan", "05", sex="male", changes=(("ssn4", ""), ("s_number4", "0938"))),
        ),
    )
    yield (
        "not_yet_due",
        (
            Sketch("Noemí", "Villarreal", "03", changes=(("start", NOT_YET_DUE),)),
            Sketch("Tyrese", "Coleman", "11", sex="male", changes=(("start", NOT_YET_DUE),)),
        ),
    )
    yield (
        "dual_enrolment",
        (
            Sketch("Savannah", "Brooks", "11", second_school=True),
            Sketch("Emiliano", "Farías", "12", sex="male", second_school=True),
        ),
    )
    yield "empty_email", (Sketch("Itzel", "Robles", "07", changes=(("email", ""),)),)
    yield "leading_zero", (Sketch("Trevon", "Hayes", "04", sex="male", changes=(("number", "004217"),)),)
    yield (
        "long_name",
        (
            Sketch(
                "Maximiliano Alejandro Fernando Guadalupe",
                "Montemayor-Villarreal de los Santos y Castañeda-Quintanilla Hinojosa",
                "06",
                sex="male",
            ),
        ),
    )
    yield "chinese", (Sketch("小龙", "李", "02", sex="male"),)
    yield "arabic", (Sketch("محمد", "العلي", "05", sex="male"),)
    yield "vietnamese", (Sketch("Thị Hồng Ánh", "Nguyễn", "09"),)
    yield "prek", (Sketch("Luz", "Tamez", "PK"),)
    yield "early_grades", (Sketch("Abel", "Saenz", "KG", sex="male"), Sketch("Ruby", "Ochoa", "01"), Sketch("Levi", "Ward", "02"))
    yield "confidential", (Sketch("Elena", "Marroquín", "07", changes=(("confidential", True), ("optout", True))),)
    yield "optout", (Sketch("Grace", "Bennett", "08", changes=(("optout", True),)),)


@dataclass(frozen=True, slots=True)
class StaffSketch:
    """An employee to be."""

    given: str
    family: str
    second_school: bool = False
    is_parent: bool = False  # their own row says so
    parent_row: bool = False  # a second row, as a parent, says so


def staff() -> Iterator[tuple[str, tuple[StaffSketch, ...]]]:
    """The planted kinds and their employees."""
    yield "staff_two_campuses", (StaffSketch("Yolanda", "Escobedo", second_school=True),)
    yield "teacher_parent_one_row", (StaffSketch("Patricia", "Cavazos", is_parent=True),)
    yield "teacher_parent_two_rows", (StaffSketch("Héctor", "Longoria", parent_row=True),)
    yield (
        "same_username",
        (
            StaffSketch("María", "Guajardo"),
            StaffSketch("Miguel", "Guajardo"),
            StaffSketch("Mariana", "Guajardo"),
            StaffSketch("Maricela", "Guajardo"),
        ),
    )
    yield "staff_long_name", (StaffSketch("Bartholomew", "Featherstonehaugh-Villarreal"),)
    yield "staff_accent", (StaffSketch("Begoña", "Ávila-Núñez"),)
