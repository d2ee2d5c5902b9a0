"""Expressions and templates of the mapping language, compiled to Python source with every name and type checked.

Jinja2's own parser reads the text; this module walks a whitelist of node types and refuses the rest. No text a user wrote ever
becomes code: names resolve to fields known here, constants pass through `repr()`. What it refuses to know: YAML, and what a
rule is for. Absent text reads as `''`, an absent list as empty; an absent number, date or flag is None and prints as nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from jinja2 import nodes

from syncd.core import filters
from syncd.core.codegen import HERE, LARGEST_NUMBER, NOTHING, OPTIONAL, Code, Frame, Place, literal
from syncd.core.fields import MEMBERS, FieldType
from syncd.core.filters import FILTERS
from syncd.core.mapping_spec import Text
from syncd.core.paths import Path
from syncd.core.syntax import (
    REFUSED,
    Refused,
    check_source,
    check_text,
    label,
    parse_expression,
    parse_template,
    position,
    suggestion,
    word_of,
)
from syncd.errors import Problem

R = TypeVar("R")
DEEPEST = 40
MANY_PARTS = 6
"""From here on `join` is faster than `+`, and does not nest."""
TEXT, FLAG, NUMBER, DATE, LIST = FieldType.TEXT, FieldType.FLAG, FieldType.NUMBER, FieldType.DATE, FieldType.LIST
SCALAR = frozenset({TEXT, NUMBER, DATE})
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">=", "in": "in", "notin": "not in"}
ORDERED = frozenset({"lt", "lteq", "gt", "gteq"})


class Function(Frame):
    """A function in the making that takes texts of the mapping language."""

    # --- the two forms of text -------------------------------------------------------------------------------------

    def expression(self, text: Text, place: Place = HERE) -> Code | None:
        """The text as an expression (as a template if it contains `{{`), or None with a problem noted."""
        if "{{" in text.text or "{%" in text.text:
            return self.template(text, place)
        return self._checked(text, lambda: _Walker(self, place).value(parse_expression(text.text)))

    def condition(self, text: Text, place: Place = HERE) -> str | None:
        """The text as Python source that is true or false, or None with a problem noted."""

        def compiled() -> Code:
            walker = _Walker(self, place)
            return Code(walker.truth(parse_expression(text.text)), FLAG)

        code = self._checked(text, compiled)
        return None if code is None else code.source

    def template(self, text: Text, place: Place = HERE, *, escape: str = "") -> Code | None:
        """The text with its `{{ }}` filled in, or None with a problem noted.

        `escape` names a function of the namespace that every value from the roster passes through; it may refuse an empty one.
        """

        def compiled() -> Code:
            walker = _Walker(self, place)
            parts = [walker.part(node, escape) for node in parse_template(text.text)]
            if not parts:
                return Code("''", TEXT, ours=True)
            ours = all(part.ours for part in parts)
            return Code(_concatenated([part.source for part in parts]), TEXT, ours=ours)

        return self._checked(text, compiled)

    def around(self, text: Text, name: str) -> tuple[Code, Code] | None:
        """What stands before and behind the one `{{ name }}` of a template, or None with a problem noted."""

        def compiled() -> tuple[Code, Code]:
            walker = _Walker(self, HERE)
            content = list(parse_template(text.text))
            places = [at for at, node in enumerate(content) if isinstance(node, nodes.Name) and node.name == name]
            if len(places) != 1:
                raise Refused(f"this must contain {{{{ {name} }}}} exactly once: it is the counter 2, 3, …", name)
            before, behind = content[: places[0]], content[places[0] + 1 :]
            sides = [[walker.part(node, "").source for node in side] for side in (before, behind)]
            return Code(_concatenated(sides[0]), TEXT), Code(_concatenated(sides[1]), TEXT)

        return self._checked(text, compiled)

    def _checked(self, text: Text, compiled: Callable[[], R]) -> R | None:
        try:
            check_source(text.text)
            return compiled()
        except Refused as refused:
            self.problems.append(Problem(str(position(text, refused.word)), refused.what))
        except RecursionError:
            self.problems.append(Problem(str(text.mark), "this is nested too deeply"))
        return None


def _concatenated(sources: Sequence[str]) -> str:
    if not sources:
        return "''"
    if len(sources) > MANY_PARTS:
        return f"''.join(({', '.join(sources)}))"
    return sources[0] if len(sources) == 1 else f"({' + '.join(sources)})"


def _truthy(code: Code, node: nodes.Node) -> str:
    if code.type is NUMBER:
        raise Refused("a number is not a condition: compare it, as in grade_index >= 0", word_of(node))
    return code.source


@dataclass(slots=True)
class _Walker:
    """Walks one text's nodes, giving checked code for each."""

    function: Function
    place: Place
    depth: int = 0

    # --- values ----------------------------------------------------------------------------------------------------

    def value(self, node: nodes.Node) -> Code:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Refused(f"this is nested more than {DEEPEST} deep")
        visit = VISITORS.get(type(node))
        if visit is None:
            what = REFUSED.get(type(node), f"{type(node).__name__} has no place in a mapping")
            raise Refused(what, word_of(node))
        code = visit(self, node)
        self.depth -= 1
        return code

    def truth(self, node: nodes.Node) -> str:
        """Python source for the node as a condition."""
        return _truthy(self.value(node), node)

    def text_of(self, node: nodes.Node, code: Code | None = None) -> Code:
        """The node as text: what `~` and `{{ }}` make of it. `str()` is added only where needed."""
        code = code or self.value(node)
        if code.type is TEXT:
            return code
        if code.type not in SCALAR:
            raise Refused(_not_text(code.type), word_of(node))
        source = f"to_text({code.source})" if code.optional else f"str({code.source})"
        self.function.namespace["to_text"] = to_text
        return Code(source, TEXT, ours=code.ours)

    def part(self, node: nodes.Expr, escape: str) -> Code:
        """One piece of a template: the text between `{{ }}`, or what a `{{ }}` gives, escaped where it comes from the roster."""
        if isinstance(node, nodes.TemplateData):
            return Code(repr(node.data), TEXT, ours=True)
        code = self.text_of(node)
        if not escape or code.ours:
            return code
        return Code(f"{escape}({code.source}, {label(node)!r})", TEXT)

    def constant(self, node: nodes.Const) -> Code:
        return literal(node.value)

    def negative(self, node: nodes.Neg) -> Code:
        if not (isinstance(node.node, nodes.Const) and type(node.node.value) is int):
            raise Refused("only a number can be negative", word_of(node))
        code = self.constant(node.node)
        return Code(f"(-{code.source})", NUMBER, ours=True)

    def listed(self, node: nodes.List | nodes.Tuple) -> Code:
        elements = [self.value(element) for element in node.items]
        for element, code in zip(node.items, elements, strict=True):
            if code.type is not TEXT:
                raise Refused("a list holds texts only", word_of(element))
        return Code(_tuple([code.source for code in elements]), LIST, ours=all(code.ours for code in elements))

    def concatenated(self, node: nodes.Concat) -> Code:
        parts = [self.text_of(part) for part in node.nodes]
        return Code(_concatenated([part.source for part in parts]), TEXT, ours=all(part.ours for part in parts))

    def added(self, node: nodes.Add | nodes.Sub) -> Code:
        left, right = self.value(node.left), self.value(node.right)
        sign = "+" if isinstance(node, nodes.Add) else "-"
        allowed = {TEXT, NUMBER, LIST} if sign == "+" else {NUMBER}
        if left.type is not right.type or left.type not in allowed:
            raise Refused(f"cannot write {left.type} {sign} {right.type}; texts are joined with ~", word_of(node.right))
        return Code(f"({left.source} {sign} {right.source})", left.type, ours=left.ours and right.ours)

    def conditional(self, node: nodes.CondExpr) -> Code:
        test = self.truth(node.test)
        yes = self.value(node.expr1)
        if node.expr2 is None:
            if yes.type not in NOTHING:
                raise Refused(f"a {yes.type} needs an else here", word_of(node.expr1))
            return Code(f"({yes.source} if {test} else {NOTHING[yes.type]})", yes.type, yes.type in OPTIONAL, yes.ours)
        no = self.value(node.expr2)
        if yes.type is not no.type:
            raise Refused(f"one side gives {yes.type}, the other {no.type}; both must be alike", word_of(node.expr2))
        source = f"({yes.source} if {test} else {no.source})"
        return Code(source, yes.type, yes.optional or no.optional, yes.ours and no.ours)

    # --- conditions ------------------------------------------------------------------------------------------------

    def both(self, node: nodes.And | nodes.Or) -> Code:
        left, right = self.value(node.left), self.value(node.right)
        sources = _truthy(left, node.left), _truthy(right, node.right)
        word = "and" if isinstance(node, nodes.And) else "or"
        if left.type is right.type:  # as in Jinja and Python the value is one of the two: preferred_given or given
            optional = left.optional or right.optional
            return Code(f"({sources[0]} {word} {sources[1]})", left.type, optional, left.ours and right.ours)
        return Code(f"(bool({sources[0]}) {word} bool({sources[1]}))", FLAG, ours=left.ours and right.ours)

    def negated(self, node: nodes.Not) -> Code:
        return Code(f"(not {self.truth(node.node)})", FLAG)

    def compared(self, node: nodes.Compare) -> Code:
        left_node, left = node.expr, self.value(node.expr)
        pieces: list[str] = [left.source]
        for operand in node.ops:
            if operand.op in ("in", "notin") and isinstance(operand.expr, nodes.List | nodes.Tuple):
                right = self._choices(left, left_node, operand.expr)
            else:
                right = self.value(operand.expr)
                _check_comparison(operand.op, left, left_node, right, operand.expr)
            pieces += [COMPARISONS[operand.op], right.source]
            left_node, left = operand.expr, right
        return Code(f"({' '.join(pieces)})", FLAG)

    def _choices(self, left: Code, left_node: nodes.Node, node: nodes.List | nodes.Tuple) -> Code:
        """The list right of `in`: of the left side's type, whatever that is."""
        elements = [self.value(element) for element in node.items]
        for element, code in zip(node.items, elements, strict=True):
            if code.type is not left.type or code.type not in {*SCALAR, FLAG}:
                raise Refused(f"cannot look for {left.type} '{word_of(left_node)}' in a list of {code.type}", word_of(element))
        return Code(_tuple([code.source for code in elements]), LIST)

    # --- parts and filters -----------------------------------------------------------------------------------------

    def path(self, node: nodes.Name | nodes.Getattr | nodes.Getitem) -> Code:
        steps: list[str] = []
        step: nodes.Node = node
        while not isinstance(step, nodes.Name):
            if isinstance(step, nodes.Getattr):
                steps.insert(0, step.attr)
                step = step.node
            elif isinstance(step, nodes.Getitem) and _constant(step.arg, str) is not None:
                steps.insert(0, str(_constant(step.arg, str)))
                step = step.node
            else:
                raise Refused("only a field has parts", word_of(node))
        return Path(self.function, self.place, step.name, tuple(steps)).code()

    def item(self, node: nodes.Getitem) -> Code:
        if _constant(node.arg, str) is not None:
            return self.path(node)
        code = self.value(node.node)
        if code.type not in (TEXT, LIST):
            raise Refused(f"only a text or list can be cut, not a {code.type}", word_of(node.node))
        if isinstance(node.arg, nodes.Slice):
            if node.arg.step is not None:
                raise Refused("no steps in a slice: [from:to]", word_of(node.node))
            start, stop = (_slice_end(end) for end in (node.arg.start, node.arg.stop))
            return Code(f"{code.source}[{start}:{stop}]", code.type, ours=code.ours)
        at = _constant(node.arg, int)
        if not isinstance(at, int) or abs(at) > LARGEST_NUMBER:
            raise Refused("in [ ] stands a plain number, as in [0] or [:2]", word_of(node.node))
        self.function.namespace["element"] = element
        return Code(f"element({code.source}, {at!r})", TEXT, ours=code.ours)

    def filtered(self, node: nodes.Filter) -> Code:
        known = FILTERS.get(node.name)
        if known is None:
            raise Refused(f"no filter '{node.name}'{suggestion(node.name, FILTERS)}", node.name)
        if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
            raise Refused(f"{node.name} takes plain arguments", node.name)
        code = self.value(node.node)
        if code.type not in known.takes:
            takes = " or ".join(known.takes)
            raise Refused(f"{node.name} takes {takes}, not {code.type} ('{word_of(node.node)}')", node.name)
        if node.name == "lookup":
            return self._looked_up(node, code)
        if node.kwargs:
            raise Refused(f"{node.name} has no argument '{node.kwargs[0].key}'", str(node.kwargs[0].key))
        wanted = known.arguments
        if not len(wanted) - known.optional <= len(node.args) <= len(wanted):
            count = str(len(wanted)) if not known.optional else f"{len(wanted) - known.optional} or {len(wanted)}"
            raise Refused(f"{node.name} takes {count} argument(s), not {len(node.args)}", node.name)
        if node.name == "default":
            return self._defaulted(node, code)
        arguments = [_argument(node.name, kind, argument) for kind, argument in zip(wanted, node.args, strict=False)]
        arguments += ["''"] * (len(wanted) - len(arguments))
        if known.inline:
            source = known.inline.format(code.source, *arguments)
        else:
            self.function.namespace[f"f_{node.name}"] = known.call
            source = f"f_{node.name}({', '.join([code.source, *arguments])})"
        return Code(source, known.takes[code.type], ours=code.ours)

    def _defaulted(self, node: nodes.Filter, code: Code) -> Code:
        fallback = self.value(node.args[0])
        if fallback.type is not code.type:
            raise Refused(f"the default of a {code.type} must be a {code.type}, not a {fallback.type}", node.name)
        ours = code.ours and fallback.ours
        if code.type in (TEXT, LIST):
            return Code(f"({code.source} or {fallback.source})", code.type, ours=ours)
        self.function.namespace["default_of"] = filters.default_of
        return Code(f"default_of({code.source}, {fallback.source})", code.type, fallback.optional, ours)

    def _looked_up(self, node: nodes.Filter, code: Code) -> Code:
        if not 1 <= len(node.args) <= 2:  # noqa: PLR2004  the table, and a second key where it has two
            raise Refused("lookup takes a table's name, then a second key where the table has two", "lookup")
        name = _constant(node.args[0], str)
        table = self.function.vocabulary.tables.get(str(name))
        if not isinstance(name, str) or table is None:
            known = suggestion(str(name), self.function.vocabulary.tables)
            raise Refused(f"no table '{name}' in people.yaml{known}", str(name))
        two = any(isinstance(row, Mapping) for row in table.values())
        if two != (len(node.args) == 2):  # noqa: PLR2004  as above
            raise Refused(f"table '{name}' has {'two keys' if two else 'one key'}", str(name))
        given = [code, *(self.value(key) for key in node.args[1:])]
        fallback = None
        for keyword in node.kwargs:
            if keyword.key != "default":
                raise Refused(f"lookup has no argument '{keyword.key}', only default=", str(keyword.key))
            fallback = self.value(keyword.value)
        if any(part.type is not TEXT for part in (*given, *([fallback] if fallback else []))):
            raise Refused("the keys and the default of a lookup are texts", "lookup")
        self.function.tables.add(name)
        local = f"T{sorted(self.function.vocabulary.tables).index(name)}"
        self.function.namespace |= {local: table, "look_up": filters.look_up, "look_up_both": filters.look_up_both}
        arguments = [local, repr(name), *(part.source for part in (*given, *([fallback] if fallback else [])))]
        call = "look_up_both" if two else "look_up"
        return Code(f"{call}({', '.join(arguments)})", TEXT, ours=fallback is None or fallback.ours)


VISITORS: Mapping[type[nodes.Node], Callable[..., Code]] = {
    nodes.Const: _Walker.constant,
    nodes.Neg: _Walker.negative,
    nodes.List: _Walker.listed,
    nodes.Tuple: _Walker.listed,
    nodes.Concat: _Walker.concatenated,
    nodes.Add: _Walker.added,
    nodes.Sub: _Walker.added,
    nodes.CondExpr: _Walker.conditional,
    nodes.And: _Walker.both,
    nodes.Or: _Walker.both,
    nodes.Not: _Walker.negated,
    nodes.Compare: _Walker.compared,
    nodes.Name: _Walker.path,
    nodes.Getattr: _Walker.path,
    nodes.Getitem: _Walker.item,
    nodes.Filter: _Walker.filtered,
}


# --- what compiled code calls ----------------------------------------------------------------------------------------


def to_text(value: object) -> str:
    """The value as text, nothing for None."""
    return "" if value is None else str(value)


def element(parts: Sequence[str], at: int) -> str:
    """The element or character at this place, or nothing beyond the end."""
    return parts[at] if -len(parts) <= at < len(parts) else ""


# --- small checks ----------------------------------------------------------------------------------------------------


def _tuple(sources: Sequence[str]) -> str:
    return f"({', '.join(sources)}{',' if len(sources) == 1 else ''})"


def _constant(node: nodes.Node, kind: type) -> object:
    """The constant's value where the node is one of this kind (a negative number included), else None."""
    if isinstance(node, nodes.Neg):
        value = _constant(node.node, int)
        return -value if isinstance(value, int) and kind is int else None
    return node.value if isinstance(node, nodes.Const) and type(node.value) is kind else None


def _slice_end(node: nodes.Expr | None) -> str:
    if node is None:
        return ""
    at = _constant(node, int)
    if not isinstance(at, int) or abs(at) > LARGEST_NUMBER:
        raise Refused("a slice has plain numbers, as in [:2]", word_of(node))
    return repr(at)


def _argument(name: str, kind: str, node: nodes.Expr) -> str:
    if kind == "length":
        length = _constant(node, int)
        if not isinstance(length, int) or not 0 < length <= LARGEST_NUMBER:
            raise Refused(f"{name} takes a plain number above 0", name)
        return repr(length)
    constant = _constant(node, str)
    if not isinstance(constant, str):
        raise Refused(f"{name} takes quoted texts", name)
    check_text(constant)
    if kind == "needle" and not constant:
        raise Refused(f"{name} needs something to look for", name)
    if name == "date" and not filters.DATE_FORMAT.fullmatch(constant):
        raise Refused(f"date knows no format {constant!r}: %Y %m %d %j %y %B %b %A %a %G %V %u", name)
    return repr(constant)


def _check_comparison(op: str, left: Code, left_node: nodes.Node, right: Code, right_node: nodes.Node) -> None:
    if op in ("in", "notin"):
        if left.type is not TEXT or right.type not in (LIST, TEXT):
            raise Refused(f"cannot look for {left.type} in {right.type}", word_of(right_node))
        return
    if left.type is not right.type or left.type not in {*SCALAR, FLAG, LIST}:
        hint = "; quote it to compare texts" if {left.type, right.type} == {TEXT, NUMBER} else ""
        raise Refused(f"cannot compare {left.type} '{word_of(left_node)}' with {right.type}{hint}", word_of(left_node))
    if op in ORDERED:
        if left.type not in SCALAR:
            raise Refused(f"a {left.type} has no order", word_of(left_node))
        for node in (left_node, right_node):
            if isinstance(node, nodes.Name) and node.name == "grade":
                raise Refused("'grade' is text and 'KG' sorts behind '12': compare grade_index", "grade")


def _not_text(kind: FieldType) -> str:
    if kind is LIST:
        return "a list is not a text: use join(', ') or first"
    if kind is FLAG:
        return "true or false is not a text: write 'yes' if … else 'no'"
    if kind in MEMBERS:
        return f"a {kind} is not a text: name one of its fields, {', '.join(sorted(MEMBERS[kind])[:6])} …"
    return f"a {kind} is not a text"


__all__ = ["Function"]
