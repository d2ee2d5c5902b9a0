"""The guard: what it holds, in which words, and that it never lets through more for less evidence."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.guard import Limit, Limits, Shape, judge, judge_source
from syncd.core.model import Change, Kind, PersonId, SourceName, TargetName
from syncd.core.rendering import kinds_named

LDAP, SIS = TargetName("ldap"), SourceName("sis")


def changes(kind: Kind, count: int) -> list[Change]:
    return [Change(LDAP, kind, "", person=PersonId(f"p{n}")) for n in range(count)]


def verdict(kind: Kind, count: int, accounts: int, limits: Limits | None = None, *, history: bool = True):  # noqa: ANN201 — Verdict
    return judge({LDAP: changes(kind, count)}, {LDAP: accounts}, {LDAP: limits or Limits()}, {LDAP: history})


def test_a_wave_of_disables_is_held_in_words_an_operator_can_act_on() -> None:
    """What, how many, of how many, which limit, how to look."""
    held = verdict(Kind.DISABLE, 200, 1000)
    assert not held.clear
    assert str(held.findings[0]) == (
        "target ldap: 200 accounts would be disabled, but targets.ldap.limits.disable allows at most 3 % of 1,000 accounts in one "
        "run. Nothing was written. See them with: syncd plan --kind disable"
    )


def test_a_limit_on_the_number_says_of_how_many_as_well() -> None:
    """600 of 28,000 and 600 of 700 are two different mornings."""
    held = verdict(Kind.DISABLE, 600, 28_000)
    assert str(held.findings[0]) == (
        "target ldap: 600 accounts would be disabled, but targets.ldap.limits.disable allows at most 500 in one run, whatever "
        "their share of 28,000 accounts. Nothing was written. See them with: syncd plan --kind disable"
    )


@pytest.mark.parametrize("operation", [one.name for one in fields(Limits)])
def test_how_to_look_is_something_that_can_be_typed(operation: str) -> None:
    """Whatever limit is broken, the kind that the finding names is one `syncd plan --kind` understands."""
    kinds = kinds_named([operation])
    for kind in kinds:
        changes = {LDAP: [Change(LDAP, kind, "", person=PersonId("p1"))]}
        none = Limits(**{operation: Limit(absolute=0)})
        (finding,) = judge(changes, {LDAP: 1}, {LDAP: none}, {LDAP: True}).findings
        assert str(finding).endswith(f"syncd plan --kind {operation}")


def test_a_handful_of_leavers_at_a_small_school_is_not_held() -> None:
    """The floor keeps percentages of small numbers from crying wolf."""
    assert verdict(Kind.DISABLE, 5, 40).clear


def test_a_target_never_applied_to_is_never_clear_and_its_creates_have_no_share() -> None:
    """R14: the first apply is explicit, and that is all that stands in its way."""
    first = verdict(Kind.CREATE, 1000, 0, history=False)
    assert (first.clear, first.findings, first.first) == (False, (), (LDAP,))


def test_the_first_apply_is_not_unlimited() -> None:
    """R14: adopted accounts are not disabled by the hundred because it is the first time."""
    assert verdict(Kind.DISABLE, 200, 1000, history=False).findings


def test_a_roster_below_its_floor_or_suddenly_smaller_is_refused() -> None:
    """A partial export looks like a leaver wave."""
    assert judge_source(SIS, 0, None, Shape())
    assert judge_source(SIS, 900, 1000, Shape())
    assert not judge_source(SIS, 960, 1000, Shape())
    assert not judge_source(SIS, 10, None, Shape())


@given(
    st.integers(0, 500),
    st.integers(0, 500),
    st.integers(0, 2000),
    st.builds(Limit, st.floats(0, 100), st.integers(0, 400), st.integers(0, 20)),
)
def test_more_of_the_same_is_never_judged_milder(count: int, more: int, accounts: int, limit: Limit) -> None:
    """Monotone: adding changes never turns held into clear."""
    if limit.excess(count, accounts):
        assert limit.excess(count + more, accounts)
