"""Whatever stands in the files, loading them ends in a Config or in problems with places; never in anything else."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.errors import ConfigError, Problem
from syncd.settings import load
from syncd.settings.starting import FILES, starting_text

SNIPPETS = (
    *("", "{{ given", "[", "]", "{", "}", ": ", "\t", "'", '"', "- ", "&a ", "*a", "!!x "),
    *("null", "012", "7", "true", "2026-08-12", "~", "ñ", "\x00", "given"),
)
PLACE = re.compile(r"(config|mappings)/[\w.]+:\d+:\d+")


EDIT = st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(SNIPPETS) | st.text(max_size=8))


@settings(max_examples=60, deadline=None)
@given(file=st.sampled_from(FILES), edits=st.lists(EDIT, min_size=1, max_size=3))
def test_damaged_files_load_or_are_problems_with_places(file: str, edits: list[tuple[float, int, str]]) -> None:
    """Cut and paste anything anywhere: the answer is a Config or file:line:col with a reason."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for each in FILES:
            text = starting_text(each)
            if each == file:
                for share, length, snippet in edits:
                    at = int(share * len(text))
                    text = text[:at] + snippet + text[at + length :]
            (folder / each).parent.mkdir(exist_ok=True)
            (folder / each).write_bytes(text.encode("utf-8", "surrogatepass"))
        problems = _problems(folder)
    assert problems is None or problems
    assert all(PLACE.fullmatch(problem.where) and problem.what for problem in problems or ()), problems


def _problems(folder: Path) -> tuple[Problem, ...] | None:
    try:
        load(folder)
    except ConfigError as error:
        return error.problems
    return None
