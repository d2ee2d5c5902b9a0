"""Bugs to be planted in syncd one by one: real, subtle mistakes, each with a history in which the machine must see it.

A bug is a place or two in the text of syncd's own functions, said wrongly. The function stays the same object and only runs other
code, so that everybody who imported it meets the bug. Where syncd is guarded twice, the bug is in both guards. Text that has moved
on is an error: a bug that is not there proves nothing.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import CodeType, FunctionType

import pytest

from tests.properties.machine_life import Night
from tests.properties.machine_model import (
    EDITS,
    Edit,
    campus_renamed,
    enrols,
    enrols_later,
    exits,
    is_locked_out,
    is_promoted,
    moves,
    returns,
    row_breaks,
    vanishes,
)
from tests.properties.machine_world import Weather


@dataclass(frozen=True)
class Place:
    """One place in the text of a function, told as `module:name`: as it is, and as it is with the bug."""

    function: str
    right: str
    wrong: str


@dataclass(frozen=True)
class Bug:
    """A mistake, the rule it breaks, a short history in which it shows, and what the machine then complains of.

    `after` is how many random histories it took the machine to catch it when it was last sought.
    """

    mistake: str
    rule: str
    places: tuple[Place, ...]
    history: tuple[Night, ...]
    complaint: str
    after: int


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """While this lasts, the bug is in syncd."""
    functions = [_function(place.function) for place in bug.places]
    assert len({id(function) for function in functions}) == len(functions), "one place in each function"
    with pytest.MonkeyPatch.context() as patch:
        for function, place in zip(functions, bug.places, strict=True):
            patch.setattr(function, "__code__", _code(function, place))
        yield


def _function(path: str) -> FunctionType:
    module, _, name = path.partition(":")
    found: object = importlib.import_module(module)
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    assert isinstance(found, FunctionType), path
    return found


def _code(function: FunctionType, place: Place) -> CodeType:
    """The function's code with one place of its text changed; a traceback shows the lines of the file."""
    text = textwrap.dedent(inspect.getsource(function))
    assert text.count(place.right) == 1, f"{place.function} does not say {place.right!r} exactly once: plant this bug anew"
    tree = ast.parse(text.replace(place.right, place.wrong))
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
    module = compile(tree, function.__code__.co_filename, "exec")
    (code,) = (constant for constant in module.co_consts if isinstance(constant, CodeType))
    return code


def _night(*edits: tuple[Edit, int], weather: Weather | None = None, **told: int | bool | tuple[int, ...]) -> Night:
    """A night on which these things happen, each with its seed."""
    night = Night(edits=tuple((EDITS.index(edit), seed) for edit, seed in edits), **told)  # type: ignore[arg-type]  # the callers spell the fields
    return night if weather is None else replace(night, weather=weather)


CALM = _night()
"""Nothing happens. As the first night of a history: everybody's account is made, and the evidence begins."""

GATHER, DESIRE, MATCHING = "syncd.engine.gather", "syncd.engine.desire", "syncd.engine.matching"
CHOOSING, OWNERS = "syncd.engine.choosing", "syncd.engine.owners"
PLANNED, RESOLVE = "syncd.engine.planned", "syncd.engine.resolve"
LIFECYCLE, PLAN, ORDER = "syncd.core.lifecycle", "syncd.core.plan", "syncd.core.order"
JOURNAL = "syncd.store.journal"

BUGS = (
    # --- reading ---
    Bug(
        "a roster that cannot be read counts as an empty one",
        "R1",
        (
            Place(
                f"{GATHER}:read",
                "fresh=False, as_of=min(seen, today), rejects=rejects, failed=error)",
                "fresh=True, as_of=min(seen, today), persons=99, gone=set(store.digests(access.name)))",
            ),
        ),
        (CALM, _night(truncated=True), _night(truncated=True, days=11), _night(truncated=True)),
        "k04 enabled: should be True, is False",
        after=0,
    ),
    Bug(
        "a row that cannot be used counts as a row that is not there",
        "R3",
        (
            Place(f"{GATHER}:compare", "key not in digests and key not in shielded", "key not in digests or key in shielded"),
            Place(f"{DESIRE}:Desire._presence", "shielded = person_id in people.unreadable", "shielded = False"),
        ),
        (CALM, _night((row_breaks, 15)), _night((enrols, 1), days=11), _night((enrols, 2)), _night((enrols, 3))),
        "k04 is unreadable and was touched",
        after=0,
    ),
    # --- what is dirty ---
    Bug(
        "another code of a campus is not followed to the people there",
        "R4",
        (
            Place(
                f"{GATHER}:_follow_references",
                "[*reading.changed, *reading.gone]",
                "[key for key in reading.changed if key.subject is Subject.PERSON]",
            ),
        ),
        (CALM, _night((campus_renamed, 1))),
        "k04 container: should be ou=grade 12,ou=104,ou=students, is ou=grade 12,ou=001,ou=students",
        after=37,
    ),
    Bug(
        "who is dirty for another reason than their own row drags nobody along",
        "R4",
        (Place(f"{GATHER}:_follow_references", "new = set(dirty)", "new: set[PersonId] = set()"),),
        (CALM, _night((campus_renamed, 7))),
        "k02 manager: should be uid=al.oneil,ou=104,ou=staff, is uid=al.oneil,ou=012,ou=staff",
        after=0,
    ),
    Bug(
        "a delta run does not look at those whose day has come",
        "R4",
        (Place(f"{GATHER}:people", " | store.due(today)", ""),),
        (CALM, _night((enrols_later, 8)), _night(days=31)),
        r"k10 \(1010\) should have an account and has none",
        after=0,
    ),
    Bug(
        "the mark is taken away though a change was refused",
        "R5",
        (Place("syncd.engine:Engine._settle", ", *(report.unsettled for report in reports.values()))", ")"),),
        (CALM, _night((moves, 3), (moves, 2), (is_promoted, 1), weather=Weather(refused=60, seed=1))),
        "k04 container: should be ou=grade 12,ou=012,ou=students, is ou=grade 12,ou=001,ou=students",
        after=0,
    ),
    Bug(
        "a state is remembered before the change that makes it true has landed",
        "R5",
        (
            Place(
                f"{PLANNED}:Planned.acceptance",
                "_not_yet(one.state, people.states.get(person)) if person in moving else one.state",
                "one.state",
            ),
        ),
        (CALM, _night((exits, 15), weather=Weather(refused=60), fair=False), _night((vanishes, 5))),
        "k05 enabled: should be True, is False",
        after=0,
    ),
    # --- who is who ---
    Bug(
        "two who are new on the same night are given the same name",
        "R9",
        (
            Place(
                f"{CHOOSING}:Choosing._holder", "if key in self.reserved:", "if key in self.reserved and key not in self._holders:"
            ),
        ),
        (CALM, _night((enrols, 1), (enrols, 1))),
        "a clean run failed: .*name taken",
        after=0,
    ),
    Bug(
        "the ledger forgets the names of those who leave",
        "R9",
        (
            Place(
                f"{JOURNAL}:_take_effect",
                "                for one, person in same:\n",
                "                for one, person in same:\n"
                "                    if kind is Kind.DISABLE:\n"
                "                        connection.execute(delete(tables.ledger).where(tables.ledger.c.holder == str(person)))\n",
            ),
        ),
        (CALM, _night((exits, 15)), _night((enrols, 8))),
        "the name jgarcianunez was 1005's and is now 1010's",
        after=0,
    ),
    # --- limits and holds ---
    Bug(
        "grace counts days and no rosters",
        "R13",
        (Place(f"{LIFECYCLE}:_vanished", " and presence.absences >= spec.grace_snapshots:", ":"),),
        (CALM, _night((vanishes, 5)), _night((enrols, 1), days=31)),
        "k05 enabled: should be True, is False",
        after=0,
    ),
    Bug(
        "grace goes on while the roster only ages",
        "R13",
        (Place(f"{LIFECYCLE}:_vanished", "min(presence.as_of, today)", "today"),),
        (CALM, _night((vanishes, 5)), _night((enrols, 1)), _night((enrols, 2)), _night(days=11)),
        "k05 enabled: should be True, is False",
        after=0,
    ),
    # --- writing ---
    Bug(
        "a create without an answer is sent again, and nobody looks",
        "R17",
        (
            Place(f"{RESOLVE}:_create", "if hit is None or change.after is None:", "if hit is None or change.after:"),
            Place(
                f"{OWNERS}:Owning.settle",
                "hits = self._answers(everything) if listing is None",
                "hits = (lambda _: ()) if True",
            ),
        ),
        (_night(weather=Weather(lost=40, seed=1)),),
        "a clean run failed: .*name taken",
        after=7,
    ),
    Bug(
        "a create without an answer counts as not carried out",
        "R17",
        (Place(f"{RESOLVE}:_create", "if hit is None or change.after is None:", "if hit is None or change.after:"),),
        (_night(weather=Weather(lost=40, seed=1)),),
        r"k06 groups: should be .*, is set\(\)",
        after=7,
    ),
    Bug(
        "a removal from a group that was lost on its way counts as carried out",
        "R17",
        (Place(f"{RESOLVE}:resolve", "member == (change.kind is Kind.ADD_MEMBER)", "member"),),
        (CALM, _night((moves, 3), (moves, 2), weather=Weather(dropped=40, seed=1))),
        "k01 groups: should be .*, is .*cn=012 staff,ou=groups",
        after=9,
    ),
    Bug(
        "nobody asks what became of what an earlier run had sent",
        "R17",
        (Place("syncd.engine:Engine._resume", "self._store.open_intentions()", "[]"),),
        # In one of the three nights the target goes down between the sending of the newcomer's account and the look for it.
        (_night((enrols, 1)), *(_night((enrols, 1), weather=Weather(lost=100, down_after=calls)) for calls in (3, 4, 5))),
        r"k12 groups: should be .*, is set\(\)",
        after=0,
    ),
    Bug(
        "accounts are moved before they have left their groups",
        "R20",
        (
            Place(
                f"{ORDER}:_settle",
                "KIND_ORDER[steps[index].kind]",
                "KIND_ORDER[Kind.ADD_MEMBER if steps[index].kind is Kind.REMOVE_MEMBER else steps[index].kind]",
            ),
            Place(f"{ORDER}:_needs", "mine.update(removals.pop(step.person, ()))", "removals.pop(step.person, ())"),
        ),
        (CALM, _night((moves, 3))),
        "k04 groups: should be .*, is .*cn=class 001-a,ou=classes,ou=groups",
        after=0,
    ),
    Bug(
        "a manager is referred to where they stood before the run",
        "R20",
        (Place(f"{MATCHING}:Matching._place_of", "want = desired.get(person)", "want = None"),),
        (CALM,),
        "k02 manager: should be uid=al.oneil,ou=012,ou=staff, is ",
        after=0,
    ),
    # --- people ---
    Bug(
        "an account that somebody else disabled is enabled by a reconcile",
        "R33",
        (
            Place(
                f"{MATCHING}:Matching._holdings",
                "Holding(one.native_id, account, account.enabled or ours)",
                "Holding(one.native_id, account)",
            ),
        ),
        (_night(closed=True),),
        "k04 enabled: should be False, is True",
        after=0,
    ),
    Bug(
        "what syncd disabled is remembered as somebody else's doing",
        "R33",
        (Place(f"{JOURNAL}:_changed", "enabled=False), disabled_by_us=True)", "enabled=False))"),),
        (CALM, _night((is_locked_out, 5)), _night((returns, 1))),
        "k05 enabled: should be True, is False",
        after=0,
    ),
    Bug(
        "an announced exit waits for grace",
        "R36",
        (Place(f"{LIFECYCLE}:_decided", "presence.exit < today", "presence.exit + timedelta(days=case.spec.grace_days) < today"),),
        (CALM, _night((exits, 15))),
        "k05 enabled: should be False, is True",
        after=0,
    ),
    Bug(
        "access ends on the last day instead of after it",
        "R36",
        (Place(f"{LIFECYCLE}:_decided", "presence.exit < today", "presence.exit <= today"),),
        (CALM, _night((exits, 4))),
        "k05 enabled: should be True, is False",
        after=0,
    ),
    Bug(
        "a leaver is parked on the day of leaving",
        "R36",
        (Place(f"{LIFECYCLE}:_left", "parked = parks is not None and parks <= case.today", "parked = parks is not None"),),
        (CALM, _night((exits, 15))),
        "k05 container: should be ou=grade kg,ou=012,ou=students, is ou=disabled",
        after=0,
    ),
    # --- what an account holds ---
    Bug(
        "an initial value is written again by updates",
        "attribute policies",
        (Place(f"{PLAN}:_difference", ' and policy != "initial"', ""),),
        (CALM, _night((moves, 3))),
        "the initial description of 1004 was written again",
        after=0,
    ),
    Bug(
        "nobody leaves a group but by leaving the district",
        "owned members",
        (
            Place(
                f"{PLAN}:_Steps.adjustment",
                "yield from self.memberships(place, kept, have.account.groups)",
                "pass",
            ),
        ),
        (CALM, _night((moves, 3))),
        "k04 groups: should be .*, is .*cn=class 001-a,ou=classes,ou=groups",
        after=0,
    ),
)
