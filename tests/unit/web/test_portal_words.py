"""The table of what the pages say, and which language somebody wants."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.chosen import Rules
from syncd.web.portal import words
from syncd.web.portal.pages import HERE
from syncd.web.portal.words import Language, coded, counted, has, keys, said, wanted


def told(language: Language, key: str) -> str:
    """A line with a number for every name in braces."""
    return said(language, key, **dict.fromkeys(("n", "of", "title"), 7))


def test_every_line_is_there_in_both_languages_and_tells_the_same_things() -> None:
    """None is empty, none is the other's, and what is told by name stands in both."""
    formats = {key: [words._WORDS[key][0], words._WORDS[key][1]] for key in keys()}
    names = {
        key: [{name for _, name, _, _ in string.Formatter().parse(one)} - {None} for one in both] for key, both in formats.items()
    }
    assert [key for key, (en, es) in names.items() if en != es] == []
    same = {"error.title"}
    assert [key for key in keys() if key not in same and (not told("en", key) or told("en", key) == told("es", key))] == []


def test_no_page_says_what_is_not_in_the_table() -> None:
    """Neither a line that is missing, nor a word of its own."""
    pages = [path.read_text(encoding="utf-8") for path in (HERE / "templates").glob("*.html")]
    said_there = {key for text in pages for key in re.findall(r'say\("([a-z0-9_.]+)"[,)]', text)}
    assert said_there
    assert [key for key in said_there if not has(key)] == []
    bare = [re.sub(r"\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", text, flags=re.DOTALL) for text in pages]
    assert [word for text in bare for word in re.findall(r"[^\W\d_]{2,}", text)] == []


def test_every_line_is_said_somewhere() -> None:
    """What no page says any more goes."""
    texts = [
        path.read_text(encoding="utf-8") for path in (Path(words.__file__).parent).rglob("*") if path.suffix in {".py", ".html"}
    ]
    everything = "\n".join(texts)
    by_code = ("demand.", "reason.", "wrong.")
    unsaid = [key for key in keys() if not key.startswith(by_code) and everything.count(f'"{key.removesuffix(".one")}"') < 2]
    assert [key for key in unsaid if not re.fullmatch(r"claim\.(ssn4|s_number4|either4)", key)] == []


def test_every_demand_that_the_daemon_has_is_put_into_words() -> None:
    """Beforehand and afterwards."""
    codes = {one.code for one in Rules(12, kinds=True).told}
    assert [key for code in codes for key in (f"demand.{code}", f"reason.{code}") if not has(key)] == []


def test_a_code_that_nobody_knows_is_a_refusal_all_the_same() -> None:
    """A daemon may be newer than its pages."""

    def say(key: str, **named: object) -> str:
        return said("en", key, **named)

    assert coded(say, "reason", "unheard of", 3) == said("en", "reason.directory")
    assert counted(say, "claim.locked", 1) == "Too many tries. Wait one minute, then try again."
    assert counted(say, "claim.locked", 2) == "Too many tries. Wait 2 minutes, then try again."


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("es", "es"),
        ("ES-mx,en;q=0.5", "es"),
        ("en;q=0.5, es;q=0.6", "es"),
        ("fr, de;q=0.9", "en"),
        ("es;q=0, fr", "en"),
        ("es;q=nan", "en"),
        ("es;q=7", "en"),
        ("es;level=1", "en"),
        (",;,es;q=0.1", "es"),
    ],
)
def test_a_browser_gets_the_language_it_likes_best(accepted: str, language: Language) -> None:
    """As RFC 9110 weighs them; what cannot be read says nothing."""
    assert wanted(accepted, ("en", "es")) == language


@given(st.text("ens;q=0.15,-*", max_size=40) | st.text(max_size=40))
def test_whatever_a_browser_says_it_gets_one_of_the_languages_offered(accepted: str) -> None:
    """And no error."""
    assert wanted(accepted, ("es", "en")) in {"es", "en"}
    assert wanted(accepted, ("en",)) == "en"
