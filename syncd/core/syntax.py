"""Texts of the mapping language as Jinja2's own parser reads them, and where in a text a complaint points.

Nothing here knows fields or types. Whatever a text holds, the answer is nodes or `Refused`, never another exception.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from jinja2 import Environment, nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.parser import Parser

from syncd.core.mapping_spec import Mark, Text

JINJA = Environment(keep_trailing_newline=True)  # noqa: S701  only its parser is used; nothing is rendered by it
LONGEST_SOURCE = 4_000
REFUSED: Mapping[type[nodes.Node], str] = {
    nodes.Call: "nothing can be called; use a filter: {{ given | lower }}",
    nodes.Mul: "no multiplication here",
    nodes.Pow: "no powers here",
    nodes.Div: "no division here",
    nodes.FloorDiv: "no division here",
    nodes.Mod: "no % here; join texts with ~",
    nodes.Test: "no 'is' tests here; compare with == or use default(...)",
    nodes.Dict: "no {…} values here; use a table and lookup",
    nodes.For: "no loops here; a group rule has `each`",
    nodes.If: "no {% if %} here; write {{ a if condition else b }}",
}


class Refused(Exception):  # noqa: N818  never leaves the compiler: it becomes a Problem
    """A text this language has no place for: what is wrong, and the word to point at."""

    def __init__(self, what: str, word: str = "") -> None:
        self.what = what
        self.word = word
        super().__init__(what)


def check_source(source: str) -> None:
    """Refuses what no parser should be shown: an empty, a huge or a broken text."""
    if len(source) > LONGEST_SOURCE:
        raise Refused(f"this is longer than {LONGEST_SOURCE} characters")
    if not source.strip():
        raise Refused("this is empty; leave the key out, or write '' for an empty text")
    try:
        source.encode()
    except UnicodeEncodeError:
        raise Refused("this contains half a character (a lone surrogate)") from None


def parse_expression(source: str) -> nodes.Expr:
    """The text as one expression, or Refused."""
    try:
        parser = Parser(JINJA, source, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            raise Refused(f"unexpected {str(parser.stream.current.value)!r}", str(parser.stream.current.value))
    except TemplateSyntaxError as error:
        raise Refused(f"not an expression: {error.message}") from None
    except (ValueError, OverflowError):
        raise Refused("a number here is too large") from None
    return expression


def parse_template(source: str) -> Iterator[nodes.Expr]:
    """The text as its plain pieces (TemplateData) and what stands in each `{{ }}`, in order, or Refused."""
    try:
        template = JINJA.parse(source)
    except TemplateSyntaxError as error:
        raise Refused(f"not a template: {error.message}") from None
    except (ValueError, OverflowError):
        raise Refused("a number here is too large") from None
    for statement in template.body:
        if not isinstance(statement, nodes.Output):
            raise Refused(REFUSED.get(type(statement), "{% %} has no place here; only {{ }} has"))
        yield from statement.nodes


def position(text: Text, word: str) -> Mark:
    """Where in the file the word stands, looked for outside of quotes first; else where the text begins."""
    mark = text.mark
    if not word or "\n" in text.text:
        return mark
    either = re.compile(rf"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|(?<!\w)({re.escape(word)})(?!\w)")
    for found in either.finditer(text.text):
        if found[1]:
            return Mark(mark.file, mark.line, mark.col + found.start(1))
    return Mark(mark.file, mark.line, mark.col + max(text.text.find(word), 0))


def label(node: nodes.Node) -> str:
    """The node as a person would call it: `campus.code`, else its word."""
    if isinstance(node, nodes.Getattr):
        return f"{label(node.node)}.{node.attr}"
    if isinstance(node, nodes.Filter) and node.node is not None:
        return label(node.node)
    return word_of(node)


def word_of(node: nodes.Node) -> str:
    """A word of the node to point at in the text."""
    for name in ("name", "attr"):
        told = getattr(node, name, None)
        if isinstance(told, str):
            return told
    if isinstance(node, nodes.Const):
        return node.value if isinstance(node.value, str) else ""
    return next((word for child in node.iter_child_nodes() if (word := word_of(child))), "")


def suggestion(word: str, known: Collection[str]) -> str:
    """`; did you mean 'x'?`, or nothing where nothing is alike."""
    close = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def check_text(text: str) -> None:
    """Refuses a constant no directory could hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("a text contains half a character (a lone surrogate)") from None
