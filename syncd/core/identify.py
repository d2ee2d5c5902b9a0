"""Whose the records are that nobody is known by: a known person's, a new person's, or a question for a human.

Nobody is matched by name: a name or a likeness only ever raises a dispute, which a human resolves (R35). What humans decided holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from syncd.core.lifecycle import PersonState
from syncd.core.model import PersonId, Record, SourceName, Value
from syncd.core.naming import fold
from syncd.core.resolution import NOTHING_DECIDED, Decisions, RecordKey, spelled


@dataclass(frozen=True, slots=True)
class Dispute:
    """Who somebody is could not be decided: about which record or person, why, and who it might be. A human resolves it."""

    subject: RecordKey | PersonId
    why: str
    candidates: tuple[str, ...] = ()  # persons, and records as `source/key`
    evidence: Mapping[str, str] = field(default_factory=dict)  # what speaks for a candidate


@dataclass(frozen=True, slots=True)
class Identified:
    """What unknown records turned out to be.

    `mint`: new persons, in the order given. `attach`: one more key of a known person. `together`: one more key of the person that
    is minted for the key on the right. `disputed`: nobody, until a human says.
    """

    mint: tuple[RecordKey, ...] = ()
    attach: Mapping[RecordKey, PersonId] = field(default_factory=dict)
    together: Mapping[RecordKey, RecordKey] = field(default_factory=dict)
    disputed: tuple[Dispute, ...] = ()


def likeness(record: Record) -> tuple[str, str] | None:
    """What a record can be recognised by (R35): birth date token with folded family name, and folded given name.

    None where the source tells no birth date or no family name: such a record resembles nobody.
    """
    token = record.facts.get("birth_date", "")
    family = fold(_text(record.fields.get("family")))
    if not token or not family:
        return None
    return f"{token}|{family}", fold(_text(record.fields.get("given")))


def resembles(given: str, other: str) -> bool:
    """True where two folded given names may be one person's: equal, or one the beginning of the other."""
    return given.startswith(other) or other.startswith(given)


def identify(
    unknown: Sequence[Record],
    match_on: Mapping[SourceName, tuple[str, ...]],
    index: Callable[[str, str], Collection[PersonId]],
    alike: Callable[[str], Sequence[PersonState]],
    *,
    is_held: Callable[[PersonId, SourceName], bool] = lambda _person, _source: False,
    akin: Callable[[Record], Mapping[PersonId, str]] = lambda _record: {},
    decided: Decisions = NOTHING_DECIDED,
) -> Identified:
    """Whose the unknown records are: attached to a known person, minted, or disputed.

    `match_on` names, per source, the fields that identify a person there, the surest first; `index` tells which known persons have
    a value in a field, `alike` which have a likeness, `akin` who a record may be for another reason, `is_held` whether a person is
    in that source now under another key. The first field that finds anybody decides. Two keys of one source never become one person
    unasked. What humans `decided` holds, and is not asked again.
    """
    merged = {key: _end_of(key, decided) for key in map(_key, unknown) if key in decided.merged}
    joining = {key: person for key, person in merged.items() if isinstance(person, str)}
    groups = _matched(
        [record for record in unknown if _key(record) not in merged], match_on, _with(index, unknown, joining), decided
    )
    for group in groups:
        group.why = _contradiction(group, is_held)
    _dispute_lookalikes(groups, alike, akin, decided)
    minted = [group for group in groups if not group.why and not group.owners]
    attach = {_key(record): group.owners[0] for group in groups if group.owners and not group.why for record in group.records}
    attach |= joining
    together = {_key(record): _key(group.records[0]) for group in minted for record in group.records[1:]}
    heads = {_key(record): _key(group.records[0]) for group in minted for record in group.records}
    disputed = [
        Dispute(_key(record), group.why, _candidates(group, record), group.evidence)
        for group in groups
        if group.why
        for record in group.records
    ]
    for key, end in merged.items():
        if isinstance(end, str):
            continue
        if end in heads:
            together[key] = heads[end]
        elif end in attach:
            attach[key] = attach[end]
        else:
            disputed.append(Dispute(key, f"was said to be one with {spelled(end)}, of whom nothing is known", (spelled(end),)))
    return Identified(tuple(_key(group.records[0]) for group in minted), attach, together, tuple(disputed))


def _end_of(key: RecordKey, decided: Decisions) -> PersonId | RecordKey:
    """Whose a record is, as humans decided: what was said of each record on the way is followed, but never in a ring."""
    seen: set[RecordKey] = {key}
    end: PersonId | RecordKey = decided.merged[key]
    while not isinstance(end, str) and end in decided.merged and end not in seen:
        seen.add(end)
        end = decided.merged[end]
    return end


def _with(
    index: Callable[[str, str], Collection[PersonId]], unknown: Sequence[Record], joining: Mapping[RecordKey, PersonId]
) -> Callable[[str, str], Collection[PersonId]]:
    """The index, with what the records say that were just given to somebody."""
    told: dict[tuple[str, str], set[PersonId]] = {}
    for record in unknown:
        if person := joining.get(_key(record)):
            for name in record.fields:
                if value := _matchable(record, name):
                    told.setdefault((name, value), set()).add(person)
    return (lambda name, value: {*index(name, value), *told.get((name, value), ())}) if told else index


@dataclass(slots=True)
class _Group:
    """Unknown records that matching fields say are one person, and the known persons those fields name."""

    records: list[Record] = field(default_factory=list)
    owners: list[PersonId] = field(default_factory=list)
    lookalikes: list[str] = field(default_factory=list)
    evidence: dict[str, str] = field(default_factory=dict)  # by lookalike
    why: str = ""  # why it is disputed; "" while it is not

    @property
    def spelled(self) -> list[str]:
        """Who this is, for whoever resolves a dispute."""
        return [*self.owners] or self.keys

    @property
    def keys(self) -> list[str]:
        """Its records."""
        return [spelled(_key(record)) for record in self.records]


def _matched(
    unknown: Sequence[Record],
    match_on: Mapping[SourceName, tuple[str, ...]],
    index: Callable[[str, str], Collection[PersonId]],
    decided: Decisions,
) -> list[_Group]:
    """The groups, in the order of their first records: joined by the first field of each record that finds anybody."""
    named = sorted({name for names in match_on.values() for name in names})
    holding: dict[tuple[str, str], list[RecordKey]] = defaultdict(list)
    for record in unknown:
        for name in named:
            if value := _matchable(record, name):
                holding[name, value].append(_key(record))
    # Who is joined to whom: a key, or a known person; followed upwards until it names itself.
    upwards: dict[RecordKey | PersonId, RecordKey | PersonId] = {}

    def top(node: RecordKey | PersonId) -> RecordKey | PersonId:
        while (above := upwards.setdefault(node, node)) != node:
            node = above
        return node

    owners: dict[RecordKey, set[PersonId]] = {}
    for record in unknown:
        key = _key(record)
        others, owners[key] = _named_by(record, match_on.get(record.source, ()), holding, index, decided)
        for other in others:
            upwards[top(key)] = top(other)
        for owner in owners[key]:
            upwards[top(key)] = top(owner)
    groups: dict[RecordKey | PersonId, _Group] = defaultdict(_Group)
    for record in unknown:
        group = groups[top(_key(record))]
        group.records.append(record)
        group.owners = sorted({*group.owners, *owners[_key(record)]})
    return list(groups.values())


def _named_by(
    record: Record,
    names: Sequence[str],
    holding: Mapping[tuple[str, str], Sequence[RecordKey]],
    index: Callable[[str, str], Collection[PersonId]],
    decided: Decisions,
) -> tuple[list[RecordKey], set[PersonId]]:
    """The new records of other sources and the known persons that the first telling field of a record names."""
    own = spelled(_key(record))
    for name in names:
        if value := _matchable(record, name):
            others = [key for key in holding[name, value] if key[0] != record.source and not decided.are_apart(own, spelled(key))]
            owners = {person for person in index(name, value) if not decided.are_apart(own, person)}
            if others or owners:
                return others, owners
    return [], set()


def _contradiction(group: _Group, is_held: Callable[[PersonId, SourceName], bool]) -> str:
    sources = [record.source for record in group.records]
    if len(group.owners) > 1:
        return "the matching fields name more than one known person"
    if len(set(sources)) < len(sources):
        return "the matching fields name more than one new record of one source"
    for owner in group.owners:
        for source in sources:
            if is_held(owner, source):
                return f"the matching fields name {owner}, who is in {source} under another key"
    return ""


_ALIKE = "same birth date and family name, given name equal or one the beginning of the other"


def _dispute_lookalikes(
    groups: Iterable[_Group],
    alike: Callable[[str], Sequence[PersonState]],
    akin: Callable[[Record], Mapping[PersonId, str]],
    decided: Decisions,
) -> None:
    """Dispute whoever would be minted but closely resembles a known person or another unknown one (R35)."""
    seen: dict[str, list[tuple[str, _Group]]] = defaultdict(list)
    for group in groups:
        for like, given in dict.fromkeys(filter(None, map(likeness, group.records))):
            known = [state.id for state in alike(like) if resembles(given, state.given)]
            known = [person for person in known if not _are_apart(group.keys, [person], decided)]
            if known:
                _dispute(group, "resembles a known person", dict.fromkeys(known, _ALIKE))
            for other_given, other in seen[like]:
                if other is not group and resembles(given, other_given) and not _are_apart(group.keys, other.spelled, decided):
                    _dispute(group, "resembles another new record", dict.fromkeys(other.spelled, _ALIKE))
                    _dispute(other, "resembles another new record", dict.fromkeys(group.spelled, _ALIKE))
            seen[like].append((given, group))
        for record in group.records:
            kin: dict[str, str] = {
                person: why for person, why in akin(record).items() if not _are_apart(group.keys, [person], decided)
            }
            if kin:
                _dispute(group, "may be a known person under a new number", kin)


def _are_apart(keys: Iterable[str], others: Collection[str], decided: Decisions) -> bool:
    """True where a human said so of any of them: one group is one human."""
    return bool(decided.apart) and any(decided.are_apart(key, other) for key in keys for other in others)


def _candidates(group: _Group, record: Record) -> tuple[str, ...]:
    fellows = (spelled(_key(other)) for other in group.records if other is not record)
    return tuple(dict.fromkeys((*group.owners, *fellows, *group.lookalikes)))


def _dispute(group: _Group, why: str, lookalikes: Mapping[str, str]) -> None:
    # A matching field that named one known person has decided; a likeness says nothing against it.
    if group.why or not group.owners:
        group.lookalikes.extend(lookalikes)
        for name, reason in lookalikes.items():
            known = group.evidence.get(name, "")
            group.evidence[name] = known if reason in known else f"{known} and {reason}" if known else reason
        group.why = group.why or f"{why}: {', '.join(dict.fromkeys(lookalikes.values()))}"


def _key(record: Record) -> RecordKey:
    return record.source, record.key


def _matchable(record: Record, name: str) -> str:
    value = record.fields.get(name)
    # A date, flag or list identifies nobody.
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _text(value: Value) -> str:
    return value.strip() if isinstance(value, str) else ""
