"""What `adopt` tells of a directory that others kept, as lines and as a file. Nothing is decided here."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from syncd.cli.cells import neutral
from syncd.core.model import Observed, PersonId
from syncd.core.rendering import MASK, Line, Masked, place
from syncd.engine.adopting import Found, Row, Survey
from syncd.engine.planned import Planned

COLUMNS = ("target", "found", "person", "keys", "name", "account", "place", "enabled", "why", "candidates", "last used")
_ORDER = tuple(Found)
_SAID = {
    Found.MATCHED: "matched: their account is found by a key",
    Found.DISPUTED: "disputed: it cannot be told which account is theirs; a human decides",
    Found.WITHOUT: "without an account: nothing is found, one would be made",
    Found.SET_ASIDE: "set aside: it cannot be told what their account should be",
    Found.ORPHANED: "orphaned: accounts that look like people's, and are nobody's of the roster",
    Found.DUPLICATE: "duplicates: accounts beside another one of the same person or key",
    Found.STALE: "stale: enabled accounts that are long unused",
}
_STYLE = {Found.MATCHED: "green", Found.DISPUTED: "yellow"}


def lines(survey: Survey, planned: Planned, masked: Masked, most: int) -> Iterator[Line]:
    """One target's report: numbers first, then some of each kind."""
    yield Line(
        f"target {survey.target}: {survey.accounts:,} accounts; {survey.people:,} people of the roster should have one, "
        f"and {survey.linked:,} accounts are linked already",
        "bold",
    )
    for found in _ORDER:
        number = len(survey.of(found))
        by = "; ".join(f"{count:,} {why}" for why, count in survey.by.items()) if found is Found.MATCHED else ""
        if found is Found.STALE and not survey.tells_use:
            yield Line(f"  {'?':>7}  stale: this kind of target does not tell when an account was last used")
        else:
            yield Line(f"  {number:>7,}  {_SAID[found]}" + (f" ({by})" if by else ""), _STYLE.get(found, "") if number else "")
    yield Line(f"  {survey.left_alone:>7,}  left alone: accounts with neither a key nor a person's name, such as those of services")
    yield Line(f"  {survey.privileged:>7,}  privileged: never touched, and candidates for nobody")
    for found in _ORDER:
        rows = survey.of(found)
        shown = rows[: most or None]
        if shown:
            yield Line(f"{found}:", "bold")
        for row in shown:
            yield from _told(row, planned, masked)
        if len(rows) > len(shown):
            yield Line(f"    … and {len(rows) - len(shown):,} more (--most 0 shows all, --csv FILE writes them)", "dim")


def _told(row: Row, planned: Planned, masked: Masked) -> Iterator[Line]:
    hidden = any(map(masked, row.persons))
    if hidden:
        yield Line(f"    {' '.join(sorted(row.persons))} (confidential)")
        return
    who = f"{row.person} {_called(planned, row.person)}".strip() if row.person else ""
    yield Line("    " + ", ".join(part for part in (who, _place(row.account), row.why) if part))
    for candidate, evidence in row.candidates.items():
        yield Line(f"        {candidate}  {evidence}", "dim")


def last_lines(planned: Planned, surveys: Iterable[Survey]) -> Iterator[Line]:
    """What else there is to know, and what comes next."""
    records = sum(finding.kind == "disputed" and finding.person is None for finding in planned.findings)
    if records:
        yield Line(f"{records:,} records of the roster are nobody's yet, since they resemble somebody: see `syncd disputes`")
    for finding in planned.verdict.findings:
        yield Line(f"to be known first: {finding}", "yellow")
    yield Line("nothing was written, and nobody linked")
    if any(survey.of(Found.MATCHED) for survey in surveys):
        yield Line("Link those that are matched, and keep the disputes to be decided, with: syncd adopt --apply --because '…'")


def linked_lines(done: Sequence[Planned]) -> Iterator[Line]:
    """What an adoption has linked, in one run or more."""
    for name, one in sorted(done[-1].matched.items()):
        linked = sum(len(each.matched[name].owners.adopted) for each in done if name in each.matched)
        disputed = len(one.owners.disputed)
        yield Line(f"{name}: {linked:,} accounts are linked to their owners, {disputed:,} people are disputed", "green")
    yield Line("no target was written. Decide: syncd disputes; look at what runs would do: syncd plan; let them: syncd go-live")


def write(surveys: Iterable[Survey], planned: Planned, masked: Masked, path: Path) -> int:
    """Write a new file, readable by its owner only; how many rows. Raises FileExistsError where it is there already."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    count = 0
    with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:  # the mark tells spreadsheets that it is UTF-8
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for survey in surveys:
            for row in sorted(survey.rows, key=lambda row: _ORDER.index(row.found)):
                count += 1
                writer.writerow([neutral(cell) for cell in _cells(survey.target, row, planned, masked)])
        file.flush()
        os.fsync(file.fileno())
    return count


def _cells(target: str, row: Row, planned: Planned, masked: Masked) -> Sequence[str]:
    person = row.person or ""
    if any(map(masked, row.persons)):
        return (target, row.found, person, MASK, MASK, MASK, MASK, "", MASK, MASK, "")
    keys = " ".join(f"{key.source}/{key.key}" for key in planned.people.keys.get(row.person, ())) if row.person else ""
    enabled = "" if row.account is None else "yes" if row.account.account.enabled else "no"
    candidates = "; ".join(f"{candidate} ({evidence})" for candidate, evidence in row.candidates.items())
    return (
        target,
        row.found,
        person,
        keys,
        _called(planned, row.person),
        row.account.native_id if row.account else "",
        _place(row.account),
        enabled,
        row.why,
        candidates,
        f"{row.last:%Y-%m-%d}" if row.last else "",
    )


def _called(planned: Planned, person: PersonId | None) -> str:
    one = planned.decided.get(person) if person is not None else None
    return str(one.person.fields.get("display_name") or "") if one is not None and one.person is not None else ""


def _place(observed: Observed | None) -> str:
    return place(observed.account) if observed is not None else ""
