"""What is answered to whoever only looks: runs, show, explain, rejects, ledger."""

from __future__ import annotations

from syncd.cli.asking import Answered, masker, no_run, nobody_lines, run_named, whom, without_person
from syncd.cli.console import counted
from syncd.cli.exits import Exit
from syncd.cli.story import lines as story_lines
from syncd.control import Answer, listed, said
from syncd.control.visit import Visit
from syncd.core.model import PersonId
from syncd.core.rendering import Line, where
from syncd.store import RunRow, Store
from syncd.store.tombstones import FORGOTTEN

_HIDDEN = "(confidential)"


def runs(visit: Visit, *, most: int = 20) -> Answer:
    """The last runs."""
    header = ("run", "pipeline", "kind", "trigger", "status", "started (UTC)", "took", "what")
    rows = [
        (
            row.id,
            row.pipeline,
            row.kind,
            row.trigger,
            row.status,
            f"{row.started:%Y-%m-%d %H:%M:%S}",
            f"{(row.ended - row.started).total_seconds():.1f} s" if row.ended else "",
            counted(row.summary),
        )
        for row in visit.district.store.runs(most)
    ]
    return Answer(table=(header, *rows))


def show(visit: Visit, *, run: str = "last") -> Answer:
    """One run: what it planned, and what came of every change it sent."""
    store = visit.district.store
    row = _run(store, run)
    journal = store.journal(run=row.id)
    masked = masker(store, [entry.change.person for entry in journal if entry.change.person])
    head = (
        Line(f"run {row.id}: {row.kind} run of {row.pipeline}, {row.status}"),
        Line(f"started {row.started:%Y-%m-%d %H:%M:%S} UTC by {row.trigger}"),
        Line(counted(row.summary)),
    )
    rows = [
        (
            str(entry.seq),
            entry.change.target,
            entry.change.kind,
            entry.change.person or "",
            _HIDDEN if masked(entry.change.person) else where(entry.change),
            entry.result or "not known yet: syncd resume",
            "" if masked(entry.change.person) else entry.why,
        )
        for entry in journal
    ]
    return Answer(head=head, table=(("seq", "target", "kind", "person", "where", "result", "why"), *rows))


def _run(store: Store, text: str) -> RunRow:
    newest = store.runs(1) if text == "last" else []
    named = run_named(text)
    if text != "last" and named is None:
        raise Answered(said(no_run(text), Exit.NO_INPUT))
    row = newest[0] if newest else store.run(named) if named is not None else None
    if row is None:
        why = "there was no run yet" if text == "last" else f"there is no run {text}; `syncd runs` lists them"
        raise Answered(said(why, Exit.NO_INPUT))
    return row


def explain(visit: Visit, *, key: str) -> Answer:
    """Why an account is as it is."""
    store = visit.district.store
    found = visit.district.engine.explain(key)
    others = [] if found else list(without_person(store, key))
    if not found and not others:
        return Answer(Exit.NO_PERSON, tuple(nobody_lines(store, key)))
    return Answer(lines=(*others, *(line for explanation in found for line in story_lines(explanation))))


def rejects(visit: Visit, *, json: bool = False) -> Answer:
    """The rows that could not be used."""
    store = visit.district.store
    found = store.findings("reject")
    masked = masker(store, [finding.person for finding in found if finding.person])
    rows = [
        {
            "subject": finding.subject,
            "person": finding.person or "",
            "source": finding.source or "",
            "target": finding.target or "",
            "why": _HIDDEN if masked(finding.person) else finding.why,
        }
        for finding in found
    ]
    return listed(rows, "no row was rejected by the last accepted reading", json=json)


def ledger(visit: Visit, *, like: str = "", person: str = "", json: bool = False) -> Answer:
    """Every name ever issued or found, and whose it is."""
    store = visit.district.store
    holder = whom(store, person) if person else None
    rows = store.ledger(holder=holder, like=like or None)
    masked = masker(store, [PersonId(row.holder) for row in rows if ":" not in row.holder and row.holder != FORGOTTEN])
    told = [
        {
            "name": "•••" if masked(PersonId(row.holder)) else row.name,
            "holder": row.holder,
            "state": row.state,
            "since": f"{row.since:%Y-%m-%d}",
        }
        for row in rows
    ]
    if json or told:
        return listed(told, "", json=json)
    return Answer(table=(("name", "holder", "state", "since"),))
