"""Logging, set up once: one line per event, stable names and keys, and no personal data by construction.

A key that is not on the list below is not written, whatever its value: a forgotten name cannot leak a child's. What a value on
the list may carry is an id of ours, a count, a kind, or a file and line.

structlog is loaded with the first line that somebody hears: a run that nobody listens to does not wait for it.
"""

# ruff: noqa: PLC0415 — see above

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from functools import cache
from pathlib import PurePath
from types import TracebackType
from typing import Any, TextIO

ALLOWED = frozenset(
    {
        "event", "level", "timestamp", "logger", "exception",
        "run", "pipeline", "trigger", "status", "phase", "seconds",
        "source", "target", "endpoint", "file", "line", "spool",
        "person", "native_id", "kind", "result", "failure", "subject",
        "count", "planned", "landed", "failed", "held", "rejects", "disputed", "touched", "persons", "findings", "changes",
        "head", "host", "port", "attempt", "wait", "version", "breaker",
    }
)  # fmt: skip
"""The keys a log line may have. `why` is not among them: a target's words may quote a value."""

REDACTED = "[redacted]"
_LOOKS_PERSONAL = re.compile(
    r"\b\d{3}-\d{2}-\d{4}\b"  # a social security number
    r"|\b\d{1,2}/\d{1,2}/\d{4}\b"  # a birth date as a form has it
    r"|[\w.+'-]+@[\w-]+(?:\.[\w-]+)+"  # an address
    r"|(?i:\b(?:uid|cn|sn|givenname|displayname|mail)=(?:\\.|[^,\\\n])+)"  # a name inside a distinguished name, to its comma
)


def _places(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """Where an exception came from and what kind it and its causes are; not its words, which may quote anybody's name."""
    told: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None:
        told.append("".join(traceback.format_tb(error.__traceback__)) + type(error).__qualname__)
        error = error.__cause__ or error.__context__
    return "\ncaused by:\n".join(told)


def _template(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What a library said without the values it said it of, and which library (a structlog processor)."""
    record: logging.LogRecord = event["_record"]
    event["event"], event["logger"] = str(record.msg), record.name
    return event


@cache
def _shared() -> list[Any]:
    """The processors every line passes, ours and the libraries'. Ours go to the standard library's loggers from here on."""
    import structlog

    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_places),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return shared


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The event with unknown keys dropped and anything that looks personal masked (a structlog processor).

    A value is a number, a word or a path. Whatever has parts is dropped: nobody sees from its key what stands in them.
    """
    told: dict[str, Any] = {}
    for key, value in event.items():
        if key in ALLOWED and (value is None or isinstance(value, bool | int | float)):
            told[key] = value
        elif key in ALLOWED and isinstance(value, str | PurePath):
            told[key] = masked(str(value))
        else:
            told.setdefault("redacted", []).append(key)
    return told


def masked(text: str) -> str:
    """Words that monitors and logs may show: whatever looks personal in them is masked."""
    return _LOOKS_PERSONAL.sub(REDACTED, text)


def configure(stream: TextIO | None = None, *, json: bool | None = None, level: int = logging.INFO) -> None:
    """Send every log line, ours and the libraries', through one chain to `stream` (default: standard error). Idempotent.

    JSON unless the stream is a terminal, or as `json` says. Library loggers are held to warnings and redacted like ours.
    """
    import structlog

    out = stream or sys.stderr
    as_json = not out.isatty() if json is None else json
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False) if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_shared(), _template],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("syncd").setLevel(level)


logging.getLogger("syncd").addHandler(logging.NullHandler())  # a library says nothing until somebody configures it


class Logger:
    """Tells the events of one part of syncd, each with what is bound to it; quiet until something configures it."""

    def __init__(self, name: str, **bound: object) -> None:
        self._plain = logging.getLogger(name)
        self._bound = bound

    def bind(self, **told: object) -> Logger:
        """The same logger, which tells this with every event."""
        return Logger(self._plain.name, **{**self._bound, **told})

    def info(self, event: str, **told: object) -> None:
        """Something went as it should."""
        self._tell(logging.INFO, event, told)

    def warning(self, event: str, **told: object) -> None:
        """Something somebody should look at."""
        self._tell(logging.WARNING, event, told)

    def exception(self, event: str, **told: object) -> None:
        """Something failed; where, is told with it. To be called where an exception is handled."""
        self._tell(logging.ERROR, event, {**told, "exc_info": True})

    def _tell(self, level: int, event: str, told: dict[str, object]) -> None:
        if self._plain.isEnabledFor(level):
            import structlog

            _shared()
            structlog.stdlib.get_logger(self._plain.name).log(level, event, **self._bound, **told)


def logger(name: str) -> Logger:
    """A logger below `syncd`, before or after `configure`."""
    return Logger(f"syncd.{name}")
