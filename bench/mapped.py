"""mapping_100k: a hundred thousand persons through a compiled mapping of twenty attributes, against the same written by hand.

From a built person to the account it should be, with each attribute's policy. No source, store or server takes part, nor a target's
own spelling. Told beside it: the same together with the comparison with the account as it was, under those policies; one person in
ten had another middle name then.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import by_hand
from bench.clock import uncollected
from bench.figures import Figure, Part
from syncd.core import correlate, plan
from syncd.core.mapping import People, TargetMapping, compile_people, compile_target
from syncd.core.model import (
    Account,
    Campus,
    Kind,
    NativeId,
    Person,
    PersonId,
    PopulationName,
    Record,
    Role,
    SourceKey,
    SourceName,
    TargetName,
    Value,
)
from syncd.core.plan import Desired, Holding
from syncd.demo.names import BOYS, FAMILIES, GIRLS, MIDDLES
from syncd.errors import EndpointError
from syncd.settings import extra_fields, load, write_starting_set

PERSONS = 100_000
_DAY = date(2026, 9, 1)
_STUDENTS, _TARGET, _SOURCE = PopulationName("students"), TargetName("ldap"), SourceName("sis")
_CHANGED_EVERY = 10
_GIVEN = (*GIRLS, *BOYS)
_GRADES = ("PK", "KG", *(f"{grade:02}" for grade in range(1, 13)))


@dataclass(frozen=True, slots=True)
class Case:
    """One person, their name, and the account they had."""

    person: Person
    username: str
    had: Account


def measure(scale: float, rounds: int) -> Figure:
    """mapping_100k: medians of interleaved rounds in one process, both sides checked against each other first.

    Processor time: nothing here waits, and what else the machine does is no matter.
    """
    people, mapping = _compiled()
    domains = {grade: str(domain) for grade, domain in people.spec.tables["student_domain"].items()}
    cases = list(_cases(max(100, round(PERSONS * scale)), domains))
    writes = _must_agree(cases, mapping, domains)
    sides: tuple[Callable[[Case], object], ...] = (
        lambda case: _desired(case, mapping),
        lambda case: _by_hand(case, domains),
        lambda case: _updates(case, mapping),
        lambda case: _differs(case, domains),
    )
    with uncollected():
        timed = [[_timed(side, cases) for side in sides] for _ in range(rounds)]
    ours, theirs, ours_compared, theirs_compared = (median(each) for each in zip(*timed, strict=True))
    parts = (
        Part("and compared", ours_compared, "s"),
        Part("and compared, by hand", theirs_compared, "s"),
        Part("persons", len(cases), ""),
        Part("of them with something to write", writes, ""),
    )
    return Figure("mapping_100k", ours, "s", theirs, "by hand", parts=parts)


def _timed(side: Callable[[Case], object], cases: Sequence[Case]) -> float:
    started = time.process_time()
    for case in cases:
        side(case)
    return time.process_time() - started


def _compiled() -> tuple[People, TargetMapping]:
    """The shipped people.yaml and the bench's own mapping, compiled as the engine does it."""
    with TemporaryDirectory(prefix="syncd-bench-") as folder:
        write_starting_set(Path(folder))
        shutil.copy(Path(__file__).with_name("mappings") / "twenty.yaml", Path(folder) / "mappings" / "ldap.yaml")
        config = load(Path(folder))
    people = compile_people(config.people, extra_fields(config.sources))
    return people, compile_target(config.mappings[_TARGET], people)


def _cases(persons: int, domains: Mapping[str, str]) -> Iterator[Case]:
    campuses = [Campus(SourceKey(f"c{code:03}"), f"Campus {code:03}", f"{code:03}") for code in range(40)]
    for n in range(persons):
        number = f"{n + 10_000_000}"
        fields: dict[str, Value] = {
            "given": _GIVEN[n % len(_GIVEN)], "family": FAMILIES[n * 7 % len(FAMILIES)], "middle": MIDDLES[n % len(MIDDLES)],
            "student_number": number, "grade": _GRADES[n % len(_GRADES)], "directory_optout": n % 50 == 0,
            "sms": "" if n % 3 else "+1 956 555 0100", "phone": "",
        }  # fmt: skip
        roles = (Role(campuses[n % len(campuses)], "student", primary=True),)
        record = Record(_SOURCE, SourceKey(number), fields, roles)
        person, _ = correlate.build(PersonId(f"p{n}"), [record], {}, _DAY)
        username = f"s{number}"
        had = by_hand.account(person, username, domains, _DAY)
        if n % _CHANGED_EVERY == 0:
            had = replace(had, attributes={**had.attributes, "initials": ("Before",)})
        yield Case(person, username, had)


def _desired(case: Case, mapping: TargetMapping) -> Desired:
    """What the engine makes of one mapped person, but for the target's own spelling."""
    wanted = mapping.desire(case.person, _STUDENTS, {"username": case.username}, {}, _DAY)
    if wanted is None:
        raise EndpointError("bench", "a person got no account", "this is a bug")
    groups = frozenset(group.name for group in wanted.groups)
    account = Account(wanted.rdn, wanted.container, enabled=True, attributes=wanted.attributes, groups=groups)
    return Desired(case.person.id, account, wanted.policies)


def _updates(case: Case, mapping: TargetMapping) -> bool:
    changes = plan.steps(_TARGET, _desired(case, mapping), Holding(NativeId("n"), case.had))
    return any(change.kind is Kind.UPDATE for change in changes)


def _by_hand(case: Case, domains: Mapping[str, str]) -> Account:
    return by_hand.account(case.person, case.username, domains, _DAY)


def _differs(case: Case, domains: Mapping[str, str]) -> bool:
    return bool(by_hand.difference(_by_hand(case, domains).attributes, case.had.attributes))


def _must_agree(cases: Sequence[Case], mapping: TargetMapping, domains: Mapping[str, str]) -> int:
    """How many persons have something to write; raises EndpointError where the two sides differ about anybody."""
    writes = 0
    for case in cases:
        ours, theirs = _desired(case, mapping).account, _by_hand(case, domains)
        if ours != theirs or _updates(case, mapping) != _differs(case, domains):
            raise EndpointError("bench", f"the mapping makes {ours}, the hand-written one {theirs}", "this is a bug")
        writes += _differs(case, domains)
    return writes
