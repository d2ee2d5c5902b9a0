"""`syncd explain` as a person reads it: who it is, where it comes from, what each part of each account rests on, what happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from syncd.core.facts import FactKind
from syncd.core.model import RowRef
from syncd.core.rendering import MASK, Line, where
from syncd.engine.explain import AccountStory, Because, Explanation


def lines(story: Explanation) -> Iterator[Line]:
    """One person's explanation. Of a confidential one everything but ids, rules and dates is masked (R37)."""
    hidden = story.confidential
    name = MASK if hidden else str(story.fields.get("display_name") or "")
    yield Line(f"{story.person}  {name}".rstrip(), "bold")
    if story.state is not None:
        state = story.state
        since = f" since {state.since}" if state.since else ""
        due = f"; next date {state.due}" if state.due else ""
        campus = f", campus {state.campus}" if state.campus and not hidden else ""
        yield Line(f"  {state.population or 'no population'}{campus}: {state.state}{since}{due}")
    yield from _sources(story)
    yield from _names(story)
    for account in story.accounts:
        yield from _account(account, hidden=hidden)
    yield from _decisions(story)
    yield from _open_questions(story)
    yield from _history(story)


def _sources(story: Explanation) -> Iterator[Line]:
    yield Line("comes from", "bold")
    if not story.records:
        yield Line("  no record: no source speaks of this person any more")
    for record in story.records:
        rows = _rows(record.rows)
        yield Line(f"  {record.source} {MASK if story.confidential else record.key}" + (f"  ({rows})" if rows else ""))


def _names(story: Explanation) -> Iterator[Line]:
    """What they are called and what that is made of, and what they were called before, which nobody else ever is."""
    for one in story.names:
        made = f"; {one.made_of}" if one.made_of and not story.confidential else ""
        rule = f"   {one.rule}{made}" if one.rule else ""
        yield Line(f"  {one.issued.kind}: {MASK if story.confidential else one.issued.value}  (theirs for ever){rule}")
    for row in story.former_names:
        yield Line(f"  also theirs for ever: {MASK if story.confidential else row.name}  ({row.state} {row.since:%Y-%m-%d})")


def _rows(rows: Iterable[RowRef]) -> str:
    """The rows by file, lines that follow each other as one span: `enrollments.csv:750-757`."""
    spans: list[list[RowRef]] = []
    for row in sorted(rows):
        if spans and spans[-1][-1].file == row.file and spans[-1][-1].line + 1 == row.line:
            spans[-1].append(row)
        else:
            spans.append([row])
    return ", ".join(f"{span[0]}" + (f"-{span[-1].line}" if len(span) > 1 else "") for span in spans)


def _account(account: AccountStory, *, hidden: bool) -> Iterator[Line]:
    known = account.known
    failure = MASK if hidden and account.failure else account.failure  # it may quote the value that could not be mapped
    yield Line(f"account on {account.target}", "bold")
    if known is None:
        yield Line(f"  none{f': {failure}' if failure else ' yet'}")
    else:
        state = "enabled" if known.account.enabled else "disabled by syncd" if known.disabled_by_us else "disabled by somebody else"
        yield Line(f"  {known.native_id}, {state}; theirs because: {known.why}")
        if failure:
            yield Line(f"  not mapped now: {failure}", "yellow")
    # the attribute that names the account is told as its rdn
    parts = [part for part in account.parts if part.now or known is None or _folded(part.wanted) != [known.account.rdn.casefold()]]
    width = max((len(part.part) for part in parts), default=0)
    for part in parts:
        yield from _part(part, width, hidden=hidden)
    for old in account.aliases:
        value = MASK if hidden else old.value
        yield Line(f"  still receives mail: {value}  ({old.of} until {old.replaced}; in {old.attribute} until {old.until})")


def _part(part: Because, width: int, *, hidden: bool) -> Iterator[Line]:
    now, wanted = (MASK if hidden and values else ", ".join(values) for values in (part.now, part.wanted))
    same = _folded(part.now) == _folded(part.wanted)
    value = wanted if same else f"{now or 'nothing'}, where a new account would have {wanted or 'nothing'}"
    yield Line(f"  {part.part:<{width}}  {value}" + (f"   {part.rule}" if part.rule else ""), "" if same else "yellow")


def _folded(values: Iterable[str]) -> list[str]:
    """As directories compare: without regard to case."""
    return sorted(value.casefold() for value in values)


def _decisions(story: Explanation) -> Iterator[Line]:
    """What was decided here, over or not; of somebody masked without values and reasons."""
    if story.facts:
        yield Line("decided here", "bold")
    for fact in story.facts:
        if fact.kind is FactKind.SEAL:
            yield Line(f"  {fact.since:%Y-%m-%d} sealed a name they had, by {fact.actor}")
            continue
        value = f" = {fact.values['value']!r}" if "value" in fact.values and not story.confidential else ""
        over = f"; ended {fact.ended:%Y-%m-%d} by {fact.ended_by}" if fact.ended else ""
        told = f"{fact.kind} by {fact.actor} on {fact.since:%Y-%m-%d}" if story.confidential else fact.told
        yield Line(f"  {told}{value}{over}")
    if story.decisions:
        yield Line("decided by people", "bold")
    for one in story.decisions:
        what = MASK if story.confidential else f"{one.subject} {one.verb} {one.candidate}"
        because = MASK if story.confidential else one.because
        yield Line(f"  {one.at:%Y-%m-%d %H:%M} {what}, by {one.actor}: {because}" + (" (taken back)" if one.withdrawn else ""))


def _open_questions(story: Explanation) -> Iterator[Line]:
    if story.findings or story.refused:
        yield Line("open", "bold")
    for one in story.refused:
        words = MASK if story.confidential else f"{one.target} said: {one.words}"
        when = f"since {one.first:%Y-%m-%d %H:%M}, {one.count} times, next try after {one.next:%Y-%m-%d %H:%M}"
        yield Line(f"  in quarantine: {one.kind} {one.group}".rstrip() + f", {when}; {words}", "yellow")
    for finding in story.findings:
        yield Line(f"  {finding.kind}: {MASK if story.confidential else finding.why}", "yellow")


def _history(story: Explanation) -> Iterator[Line]:
    yield Line("what happened", "bold")
    if not story.history:
        yield Line("  nothing was ever written for this person")
    for row in story.history:
        place = MASK if story.confidential else where(row.change)
        why = f": {row.why}" if row.why and not story.confidential else ""
        reason = f"  ({row.change.reason})" if row.change.reason and not story.confidential else ""
        yield Line(f"  {row.at:%Y-%m-%d %H:%M} {row.run} {row.change.kind} {row.result or 'not known yet'}  {place}{why}{reason}")
