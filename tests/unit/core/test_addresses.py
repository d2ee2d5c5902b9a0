"""Which addresses an attribute holds: the one that is, those that were for a while, and whatever others put there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.addresses import Aliases, AliasRule, bare, held
from syncd.core.naming import ledger_key

TODAY = date(2027, 1, 10)
RULE = AliasRule("mail", 30)


def proxy(
    now: Sequence[str],
    before: str = "",
    after: str = "",
    replaced: Mapping[str, date] | None = None,
    *,
    policy: str = "enforce",
    attribute: str = "proxyAddresses",
) -> tuple[tuple[str, ...], date | None]:
    """What the attribute is to hold, and when the next of it ends, where the account has these values and addresses."""
    aliases = (Aliases(attribute, RULE, replaced or {}, TODAY),)
    account = {attribute: tuple(now), **({"mail": (before,)} if before else {})}
    told = held(aliases, {"mail": (after,) if after else ()}, {"mail": policy}, account)
    return told.attributes[attribute], told.due


def test_the_address_of_an_account_is_its_primary_one() -> None:
    """And of an account that is made there is no other."""
    assert proxy([], "a@x", "a@x") == (("SMTP:a@x",), None)
    made = held((Aliases("proxyAddresses", RULE, {}, TODAY),), {"mail": ("a@x",)}, {"mail": "initial"}, None)
    assert made.attributes == {"mail": ("a@x",), "proxyAddresses": ("SMTP:a@x",)}


def test_an_address_that_is_replaced_goes_on_as_an_alias() -> None:
    """In small letters from the moment on, and until so many days later."""
    assert proxy(["SMTP:a@x"], "a@x", "b@x") == (("SMTP:b@x", "smtp:a@x"), TODAY + timedelta(days=30))


@pytest.mark.parametrize(("days", "kept"), [(1, True), (29, True), (30, False), (400, False)])
def test_an_alias_ends_so_many_days_after_it_was_replaced(days: int, kept: bool) -> None:
    """On that day it is gone, and nothing is due any more."""
    ended = TODAY - timedelta(days=days)
    values, due = proxy(["SMTP:b@x", "smtp:a@x"], "b@x", "b@x", {"a@x": ended})
    assert values == (("SMTP:b@x", "smtp:a@x") if kept else ("SMTP:b@x",))
    assert due == (ended + timedelta(days=30) if kept else None)


def test_what_others_put_there_stays() -> None:
    """Addresses of other protocols, and other addresses; but there is one primary address only."""
    theirs = ["X500:/o=ex/cn=a", "sip:a@x", "smtp:sales@x", "SMTP:old-primary@x"]
    values, _ = proxy(theirs, "a@x", "a@x", {"gone@x": TODAY - timedelta(days=99)})
    assert values == ("SMTP:a@x", "X500:/o=ex/cn=a", "sip:a@x", "smtp:old-primary@x", "smtp:sales@x")


def test_an_address_taken_back_is_no_alias_of_itself() -> None:
    """Whatever its case: a directory compares without."""
    assert proxy(["SMTP:b@x", "smtp:A@x"], "b@x", "a@x", {"A@x": TODAY}) == (
        ("SMTP:a@x", "smtp:b@x"),
        TODAY + timedelta(days=30),
    )


def test_whoever_has_no_address_any_more_keeps_the_old_one_for_a_while() -> None:
    """And no primary one."""
    assert proxy(["SMTP:a@x"], "a@x", "") == (("smtp:a@x",), TODAY + timedelta(days=30))


@pytest.mark.parametrize("policy", ["initial", "if_empty"])
def test_an_address_that_is_not_replaced_stays_the_primary_one(policy: str) -> None:
    """Where the mapping sets it once, what the account has counts and not what would be set today."""
    assert proxy(["SMTP:a@x"], "a@x", "b@x", policy=policy) == (("SMTP:a@x",), None)


def test_another_attribute_holds_the_former_ones_only() -> None:
    """Without what Exchange writes in front."""
    assert proxy(["other@x"], "a@x", "b@x", attribute="mailAlternateAddress") == (("a@x", "other@x"), TODAY + timedelta(days=30))


ADDRESS = st.sampled_from(["a@x", "b@x", "c@x", "A@x"])


@given(
    now=st.lists(st.sampled_from(["SMTP:a@x", "smtp:b@x", "X500:/o=e", "smtp:z@x", "SMTP:z@x"]), unique_by=str.lower),
    before=ADDRESS,
    after=ADDRESS,
    days=st.dictionaries(ADDRESS, st.integers(0, 60)),
)
def test_writing_what_is_wanted_leaves_nothing_to_be_written(now: list[str], before: str, after: str, days: dict[str, int]) -> None:
    """Once the account is as it should be, it should be so; one primary address, no address twice, nothing of others lost."""
    replaced = {address: TODAY - timedelta(days=number) for address, number in days.items()}
    values, _ = proxy(now, before, after, replaced)
    again, _ = proxy(values, after, after, {**replaced, **({before: TODAY} if before != after else {})})
    assert again == values
    assert [value for value in values if value.startswith("SMTP:")] == [f"SMTP:{after}"]
    assert len({value.casefold() for value in values}) == len(values)
    assert {value for value in now if "z@x" in value or "X500" in value} <= {
        *values,
        *(value.replace("smtp:", "SMTP:") for value in values),
    }


@pytest.mark.parametrize(
    ("value", "address"), [("smtp:a@x", "a@x"), ("SMTP:a@x", "a@x"), ("a@x", "a@x"), ("X500:/o=a", ""), ("sip:a@x", "")]
)
def test_the_address_in_a_value(value: str, address: str) -> None:
    """Only mail's."""
    assert bare(value) == address


def test_the_ledger_knows_an_alias_for_the_name_it_is() -> None:
    """R9: what stands in front of it makes no other name of it."""
    assert ledger_key("smtp:a.garcia@x") == ledger_key("AGarcia@y") == "agarcia"
