"""Logs carry ids and counts, never people."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from syncd import telemetry

PERSONAL = ["123-45-6789", "01/05/2012", "ana.ruiz@example.org", "uid=ana,ou=people"]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Logging to memory, and as it was afterwards."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    out = io.StringIO()
    telemetry.configure(out, json=True)
    yield out
    root.handlers[:], root.level = before[0], before[1]


def test_a_key_nobody_allowed_is_not_written(stream: io.StringIO) -> None:
    """A forgotten name cannot leak: the list of keys is closed."""
    telemetry.logger("test").info("change.applied", person="p1", display_name="Ana Ruiz")
    line = json.loads(stream.getvalue())
    assert "Ana" not in stream.getvalue()
    assert (line["person"], line["redacted"]) == ("p1", ["display_name"])


@pytest.mark.parametrize("text", PERSONAL)
def test_what_looks_personal_is_masked_even_under_an_allowed_key(stream: io.StringIO, text: str) -> None:
    """Numbers, birth dates, addresses and names inside a distinguished name."""
    telemetry.logger("test").info("endpoint.failed", endpoint=f"ldap {text}")
    assert text not in stream.getvalue()


@pytest.mark.parametrize("text", PERSONAL)
def test_a_library_is_redacted_like_ourselves(stream: io.StringIO, text: str) -> None:
    """What ldap3 or SQLAlchemy say passes the same processor."""
    logging.getLogger("ldap3").warning("could not write %s", text)
    assert stream.getvalue()
    assert text not in stream.getvalue()


def test_a_traceback_is_masked_too(stream: io.StringIO) -> None:
    """An exception's words may quote a value."""
    try:
        int("ana.ruiz@example.org")
    except ValueError:
        telemetry.logger("test").exception("run.failed", run="r1")
    assert "ana.ruiz" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


@pytest.mark.parametrize(
    "value",
    [{"name": "Xiomara"}, ["Xiomara"], ("r1", "Xiomara"), ValueError("Xiomara"), frozenset({"Xiomara"}), b"Xiomara"],
    ids=repr,
)
def test_what_has_parts_is_dropped_even_under_an_allowed_key(stream: io.StringIO, value: object) -> None:
    """A list of persons, a row, an exception given as a value: what stands in them no key tells."""
    telemetry.logger("test").info("run.ended", run="r1", subject=value)
    line = json.loads(stream.getvalue())
    assert (line["run"], line["redacted"]) == ("r1", ["subject"])
    assert "Xiomara" not in stream.getvalue()


def test_neither_an_exception_nor_its_causes_and_notes_are_quoted(stream: io.StringIO) -> None:
    """A name has no pattern to be masked by: of an exception only its kind and its places are told, however deep."""
    given, family = "Xiomara", "Featherstone"
    try:
        try:
            raise ExceptionGroup(given, [KeyError(family)])  # noqa: TRY301 — what this test is about
        except ExceptionGroup as error:
            error.add_note(given)
            raise RuntimeError(family) from error
    except RuntimeError:
        telemetry.logger("test").exception("run.failed", run="r1")
    assert "RuntimeError" in stream.getvalue()
    assert "ExceptionGroup" in stream.getvalue()
    assert [word for word in (given, family) if word in stream.getvalue()] == []


def test_a_library_that_logs_an_exception_is_not_quoted_either(stream: io.StringIO) -> None:
    """ldap3, SQLAlchemy and APScheduler log what they caught; its words are a row's."""
    words = "Featherstone"
    try:
        raise LookupError(words)  # noqa: TRY301 — what this test is about
    except LookupError:
        logging.getLogger("sqlalchemy.engine").exception("statement failed for %s", {"family": words})
    assert "LookupError" in stream.getvalue()
    assert words not in stream.getvalue()
