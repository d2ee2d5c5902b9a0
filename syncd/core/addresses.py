"""Addresses an account had before: how long they go on as aliases, and what an attribute such as `proxyAddresses` then holds.

What others put into the attribute stays: only addresses that are the account's now, or that we know it had before, are ours to say
something about. In `proxyAddresses`, Exchange's attribute, every value says what it is: the one primary address `SMTP:` in capital
letters, an alias `smtp:`. Knows no target and reads no clock.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from syncd.core.model import PersonId, TargetName

EXCHANGES = "proxyaddresses"
_PRIMARY, _ALIAS = "SMTP:", "smtp:"
_PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9]{0,15}):")


@dataclass(frozen=True, slots=True)
class AliasRule:
    """Old values of the attribute `of` go on for `keep` days after they were replaced."""

    of: str
    keep: int


@dataclass(frozen=True, slots=True)
class FormerAddress:
    """An address an account had in this attribute before we replaced it, and on which day that was."""

    person: PersonId
    target: TargetName
    attribute: str
    value: str
    ended: date


@dataclass(frozen=True, slots=True)
class Aliases:
    """One attribute of one account that holds aliases: `replaced` are addresses it had before, with the day they were replaced.

    `by_name`: the address is the account's own name on this target, and none of its attributes (Google).
    """

    attribute: str
    rule: AliasRule
    replaced: Mapping[str, date]
    today: date
    by_name: bool = False


class Held(NamedTuple):
    """An account with its aliases: values and policies of all its attributes, and the day the next alias ends, if there is one."""

    attributes: Mapping[str, tuple[str, ...]]
    policies: Mapping[str, str]
    due: date | None


def bare(value: str) -> str:
    """The mail address of a value, without the `smtp:` of Exchange; nothing for a value of another protocol (`X500:`, `sip:`)."""
    prefix = _PREFIX.match(value)
    if prefix is None:
        return value
    return value[prefix.end() :] if prefix[1].lower() == "smtp" else ""


def spelled(attribute: str, address: str) -> str:
    """An address as an alias of this attribute."""
    return f"{_ALIAS}{address}" if attribute.lower() == EXCHANGES else address


def of_account(
    rules: Mapping[str, AliasRule], former: Iterable[FormerAddress], today: date, naming: Collection[str] = ()
) -> tuple[Aliases, ...]:
    """The attributes of one account that hold aliases, by their rules and by what the account had before.

    `naming` are the attributes that are accounts' own names on this target.
    """
    had = list(former)
    return tuple(
        Aliases(name, rule, {one.value: one.ended for one in had if one.attribute == rule.of}, today, rule.of in naming)
        for name, rule in rules.items()
    )


def held(
    aliases: Sequence[Aliases],
    wanted: Mapping[str, tuple[str, ...]],
    policies: Mapping[str, str],
    now: Mapping[str, tuple[str, ...]] | None,
    names: tuple[str, str] = ("", ""),
) -> Held:
    """The attributes that are wanted of an account and the aliases with them, where it is as it is `now` (None: not made yet).

    `names` are the account's own as it is wanted, and as it is.
    """
    attributes, all_policies, dues = dict(wanted), dict(policies), list[date]()
    there = now or {}
    for one in aliases:
        before, policy = there.get(one.rule.of, ()), policies.get(one.rule.of, "enforce")
        stays = now is not None and (policy == "initial" or (bool(before) and policy == "if_empty"))
        after = before if stays else wanted.get(one.rule.of, ())
        if one.by_name:
            after, before = ((name,) if name else () for name in names)
        values, due = _values(one, there.get(one.attribute, ()), before, after)
        attributes[one.attribute], all_policies[one.attribute] = values, "enforce"
        dues += [due] if due is not None else []
    return Held(attributes, all_policies, min(dues, default=None))


def _values(
    aliases: Aliases, now: Collection[str], before: Sequence[str], after: Sequence[str]
) -> tuple[tuple[str, ...], date | None]:
    """What the attribute should hold, and when the next of it ends; what is in `before` only is replaced today."""
    attribute, exchange = aliases.attribute, aliases.attribute.lower() == EXCHANGES
    wanted = {address.casefold() for address in after}
    leaving = [address for address in before if address.casefold() not in wanted]
    days = {**dict.fromkeys(before, aliases.today), **aliases.replaced, **dict.fromkeys(leaving, aliases.today)}
    ends = {one: day + timedelta(days=aliases.rule.keep) for one, day in days.items() if one.casefold() not in wanted}
    kept = {address: end for address, end in ends.items() if end > aliases.today}
    ours = wanted | {address.casefold() for address in days}
    told: dict[str, str] = {}
    for value in sorted(now):
        address = bare(value) if exchange else value
        if not address or address.casefold() not in ours:
            demoted = exchange and bool(after) and value.startswith(_PRIMARY)
            told[value.casefold()] = _ALIAS + address if demoted else value
    told |= {spelled(attribute, address).casefold(): spelled(attribute, address) for address in sorted(kept)}
    if exchange:
        told |= {f"{_ALIAS}{address}".casefold(): f"{_ALIAS}{address}" for address in after[1:]}
        told |= {f"{_PRIMARY}{address}".casefold(): f"{_PRIMARY}{address}" for address in after[:1]}
    return tuple(sorted(told.values())), min(kept.values(), default=None)
