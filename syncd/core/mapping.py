"""A target's mapping compiled: what a person's account there should be, and what that depends on.

Two rules. Everything that can be wrong with a mapping is found when it is compiled, all of it at once, with file, line and
column. And what can only fail for one person (a key missing in a table) is a MappingFailure, which sets that person aside and
nobody else. Nothing here knows a protocol; values of the roster are escaped where they become part of a DN.
The chapters before this one, as a text travels: mapping_spec, syntax, paths, filters, expression, codegen, rules, people.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

from syncd.core.addresses import AliasRule
from syncd.core.codegen import Code, Place, Vocabulary
from syncd.core.expression import Function
from syncd.core.fields import FieldType
from syncd.core.filters import Unmappable
from syncd.core.likeness import FAMILY, FULL, GIVEN, NameAttributes
from syncd.core.mapping_spec import (
    ATTRIBUTE,
    AccountSpec,
    AliasesSpec,
    AttributeForm,
    AttributeSpec,
    GroupForm,
    GroupSpec,
    Mark,
    PasswordSpec,
    PeopleSpec,
    Policy,
    ReferenceSpec,
    TargetSpec,
    Text,
)
from syncd.core.model import Person, PopulationName, TargetName
from syncd.core.people import People, compile_people
from syncd.core.rules import MappingFailure, Rules, fingerprint_of, finished, first_mark, raise_problems, used
from syncd.core.spelling import ESCAPES, escape_dn, escaping
from syncd.core.syntax import suggestion
from syncd.errors import Problem

REFERENCES = ("manager", "homeroom.teacher")
PASSWORDS = frozenset({"userpassword", "unicodepwd", "authpassword"})
_SHARED = 4_096  # values remembered as they are escaped: the same campuses, grades and classes come with everybody
EACH = {"classes": FieldType.CLASS, "campuses": FieldType.CAMPUS}


@dataclass(frozen=True, slots=True)
class WantedGroup:
    """A group the account should be a member of; `rule` is its key in `explain()`."""

    name: str
    create: bool
    rule: str


class Wanted(NamedTuple):
    """What a person's account on one target should be, before lifecycle and the connector's own spelling.

    `attributes` has a key for every attribute the mapping owns, with () for no value. `find` are the keys to adopt an account by,
    in order. `person_attributes` maps an attribute to the relation whose account it names. `carriers` are the attributes whose
    rule reads a name of the person (R7). `aliases` are the attributes that hold addresses the account had before.
    """

    rdn: str
    container: str
    attributes: Mapping[str, tuple[str, ...]]
    policies: Mapping[str, Policy]
    find: tuple[tuple[str, str], ...]
    person_attributes: Mapping[str, str]
    groups: tuple[WantedGroup, ...]
    password: PasswordSpec | None
    carriers: frozenset[str] = frozenset()
    aliases: Mapping[str, AliasRule] = MappingProxyType({})


Found = tuple[tuple[str, str], ...]
Made = tuple[str, str, Mapping[str, tuple[str, ...]], Found, tuple[WantedGroup, ...]]
"""What a compiled account gives: rdn, container, attributes, find keys, groups."""


@dataclass(frozen=True, slots=True)
class AccountRules:
    """The compiled account of one population on one target."""

    rules: Rules[Made | None]
    policies: Mapping[str, Policy]
    person_attributes: Mapping[str, str]
    password: PasswordSpec | None
    carriers: frozenset[str]
    rdn_carries: bool
    aliases: Mapping[str, AliasRule]
    find_in: tuple[str, ...]
    called: NameAttributes


@dataclass(frozen=True, slots=True)
class TargetMapping:
    """One target's mapping compiled: Person → Wanted, and what that depends on.

    `carriers` are the attributes that hold people's names here: those whose rule reads one, and those people.yaml lists under
    `unique_in`. `rdn_carries` tells whether an account's own name does (R9).
    """

    spec: TargetSpec
    target: TargetName
    fingerprint: str
    attributes: frozenset[str]
    relations: frozenset[str]
    relation_attributes: frozenset[str]
    populations: frozenset[PopulationName]
    accounts: Mapping[PopulationName, AccountRules]
    carriers: frozenset[str]
    rdn_carries: bool

    def desire(
        self,
        person: Person,
        population: PopulationName,
        names: Mapping[str, str],
        related: Mapping[str, Person],
        today: date,
    ) -> Wanted | None:
        """What the person's account should be; None where this population, or this person (`when`), has none here.

        `related` holds the person behind each relation that exists. Raises MappingFailure.
        """
        account = self.accounts.get(population)
        if account is None:
            return None
        made = account.rules.run(person, names, related, today)
        if made is None:
            return None
        rdn, container, attributes, find, groups = made
        return Wanted(
            rdn,
            container,
            attributes,
            account.policies,
            find,
            account.person_attributes,
            groups,
            account.password,
            account.carriers,
            account.aliases,
        )

    def explain(self, population: PopulationName) -> Mapping[str, Mark]:
        """Where each rule of this population's account stands: `rdn`, `container`, each attribute, `find[0]`, `groups[0]`."""
        account = self.accounts.get(population)
        return {} if account is None else account.rules.marks


def compile_target(spec: TargetSpec, people: People, escape: Callable[[str], str] | None = None) -> TargetMapping:
    """A target's mapping compiled, or ConfigError with every problem.

    `escape` makes a value of the roster safe inside this target's container and group names; without it: as they are written.
    """
    parts = {name: lru_cache(_SHARED)(partial(_part, escape or escaped)) for name, escaped in ESCAPES.items()}
    vocabulary = Vocabulary(people.vocabulary.extra, people.vocabulary.config, people.vocabulary.tables)
    start = next((account.rdn.mark for account in spec.accounts.values()), Mark(spec.target, 1, 1))
    problems: list[Problem] = []
    functions: list[Function] = []
    compiled: dict[PopulationName, tuple[Function, _Account]] = {}
    if not spec.accounts:
        problems.append(Problem(str(start), "no accounts: say which populations have an account here"))
    for name, account in spec.accounts.items():
        population = PopulationName(name)
        if name not in people.spec.populations:
            told = suggestion(name, people.spec.populations)
            problems.append(Problem(str(account.rdn.mark), f"accounts: people.yaml has no population '{name}'{told}"))
        kinds = frozenset(rule.kind for rule in people.names.get(population, ()))
        function = Function(vocabulary, kinds, namespace={**parts, "WantedGroup": WantedGroup, **RUNTIME})
        compiled[population] = function, _Account(function, account)
        compiled[population][1].compile()
        functions.append(function)
        problems += function.problems
    problems += _spelt_twice(spec)
    raise_problems(problems)

    accounts: dict[PopulationName, AccountRules] = {}
    for population, (function, account_code) in compiled.items():
        rules: Rules[Made | None] = finished(function, "account", "person, names, related, today", account_code.marks, start.file)
        accounts[population] = AccountRules(
            rules,
            MappingProxyType(account_code.policies),
            MappingProxyType(account_code.person_attributes),
            account_code.spec.password,
            frozenset(account_code.carriers),
            account_code.rdn_carries,
            MappingProxyType(account_code.aliases),
            tuple(text.text for text in account_code.spec.find_in),
            account_code.called(),
        )
    codes = [code for _, code in compiled.values()]
    references = frozenset(attribute for code in codes for attribute in code.person_attributes)
    listed = [attribute for name_spec in people.spec.names.values() for attribute in name_spec.unique_in]
    read = [attribute for code in codes for attribute in (*code.policies, *code.person_attributes)]
    read += [attribute for code in codes for attribute in (*code.found, *code.aliases)]
    # One attribute is asked for once, spelled as it is written: what a target tells of it is compared under that name.
    spelt = {attribute.lower(): attribute for attribute in reversed([*read, *listed])}
    unique = frozenset(spelt[attribute.lower()] for attribute in listed)
    return TargetMapping(
        spec=spec,
        target=TargetName(spec.target),
        fingerprint=fingerprint_of(spec.target, spec.accounts, *used(functions, vocabulary)),
        attributes=frozenset(spelt.values()),
        relations=frozenset(relation for function in functions for relation in function.relations),
        relation_attributes=references,
        populations=frozenset(accounts),
        accounts=MappingProxyType(accounts),
        carriers=unique.union(*(account.carriers | _aliases_of_names(account) for account in accounts.values())),
        rdn_carries=any(account.rdn_carries for account in accounts.values()),
    )


def _aliases_of_names(account: AccountRules) -> frozenset[str]:
    """Attributes in which a name of somebody may stand as it was before."""
    return frozenset(attribute for attribute, rule in account.aliases.items() if rule.of in account.carriers)


def _spelt_twice(spec: TargetSpec) -> Iterator[Problem]:
    """Attributes that two populations spell differently: a target tells each under one name only."""
    first: dict[str, str] = {}
    for account in spec.accounts.values():
        for attribute, form in account.attributes.items():
            known = first.setdefault(attribute.lower(), attribute)
            if known != attribute and known not in account.attributes:
                mark = first_mark(form) or account.rdn.mark
                yield Problem(str(mark), f"'{attribute}' is spelled '{known}' further up; spell it alike")


class _Account:
    """Compiles one account into its function: one line per rule, so that a failure names its rule."""

    def __init__(self, function: Function, spec: AccountSpec) -> None:
        self.function = function
        self.spec = spec
        self.marks: dict[str, Mark] = {}
        self.policies: dict[str, Policy] = {}
        self.person_attributes: dict[str, str] = {}
        self.aliases: dict[str, AliasRule] = {}
        self.found: list[str] = []
        self.carriers: set[str] = set()
        self.rdn_carries = False

    def compile(self) -> None:
        spec, function = self.spec, self.function
        if spec.when is not None:
            self.marks["when"] = spec.when.mark
            function.add(f"if not {function.condition(spec.when)}: return None", "when")
        for rule, text, escape in (("rdn", spec.rdn, ""), ("container", spec.container, escaping(spec.container.text))):
            self.marks[rule] = text.mark
            function.named.clear()
            code = function.template(text, escape=escape)
            self.rdn_carries |= rule == "rdn" and bool(function.named)
            function.add(f"{rule} = {code.source if code else ''}", rule)
        function.add("if not rdn.strip(): raise Unmappable('it is empty for this person')", "rdn")
        # Told so, an account is one that others named by another attribute (`\cn=Ana`): no roster may choose that.
        function.add("if rdn[0] == '\\\\': raise Unmappable('it begins with a backslash for this person')", "rdn")
        for at, key in enumerate(spec.find):
            self._find(at, key)
        lower: dict[str, str] = {}
        locals_: list[str] = []
        for attribute, form in spec.attributes.items():
            mark = first_mark(form) or spec.rdn.mark
            if not ATTRIBUTE.fullmatch(attribute):
                self._problem(mark, f"'{attribute}' is not the name of an attribute")
            if attribute.lower() in PASSWORDS:
                self._problem(mark, f"'{attribute}' is a password, which no mapping computes: say `password:` beside `attributes:`")
            if lower.setdefault(attribute.lower(), attribute) != attribute:
                self._problem(mark, f"'{attribute}' is given twice, as '{lower[attribute.lower()]}' too")
            self.marks[attribute] = mark
            if isinstance(form, ReferenceSpec):
                self._reference(attribute, form, mark)
                continue
            if isinstance(form, AliasesSpec):
                self._aliases(attribute, form, mark)
                continue
            local = f"a{len(locals_)}"
            locals_.append(f"{attribute!r}: {local}")
            function.add(f"{local} = {self._values(attribute, form)}", attribute)
        if spec.groups:
            function.add("groups = []")
        for at, group in enumerate(spec.groups):
            self._group(at, group)
        found = " + ".join(f"f{at}" for at in range(len(spec.find))) or "()"
        groups = "distinct(groups)" if spec.groups else "()"
        function.add(f"return rdn, container, {{{', '.join(locals_)}}}, {found}, {groups}")

    def _problem(self, mark: Mark, what: str) -> None:
        self.function.problems.append(Problem(str(mark), what))

    def called(self) -> NameAttributes:
        """The attributes that hold a person's names and nothing else: those whose rule is the name of such a field."""

        def holding(fields: Collection[str]) -> tuple[str, ...]:
            return tuple(attribute for attribute, form in self.spec.attributes.items() if _field_of(form) in fields)

        return NameAttributes(holding(GIVEN), holding(FAMILY), holding(FULL))

    def _find(self, at: int, key: Mapping[str, Text]) -> None:
        if len(key) != 1:
            mark = next((text.mark for text in key.values()), self.spec.rdn.mark)
            self._problem(mark, "each entry of find is one `attribute: expression`; write several entries")
        for attribute, text in key.items():
            self.marks[f"find[{at}]"] = text.mark
            self.found.append(attribute)
            code = self.function.expression(text)
            if code is not None and code.type is not FieldType.TEXT:
                self._problem(text.mark, f"an account is found by a text, not by a {code.type}")
            self.function.add(f"f{at} = (({attribute!r}, t),) if (t := {code.source if code else ''}) else ()", f"find[{at}]")

    def _reference(self, attribute: str, form: ReferenceSpec, mark: Mark) -> None:
        relation = form.person.text
        if relation not in REFERENCES:
            self._problem(mark, f"{attribute}: no relation '{relation}'{suggestion(relation, REFERENCES)}")
        self.function.relations.add(relation)
        self.person_attributes[attribute] = relation

    def _aliases(self, attribute: str, form: AliasesSpec, mark: Mark) -> None:
        plain = [name for name, other in self.spec.attributes.items() if not isinstance(other, AliasesSpec | ReferenceSpec)]
        of = form.aliases_of.text
        if of not in plain:
            told = suggestion(of, plain)
            self._problem(mark, f"{attribute}: '{of}' is no attribute of this account with a rule of its own{told}")
        self.aliases[attribute] = AliasRule(of, form.keep)

    def _values(self, attribute: str, form: Text | AttributeSpec | tuple[Text, ...]) -> str:
        """Python source for the attribute's values: a tuple, () for no value."""
        spec = form if isinstance(form, AttributeSpec) else AttributeSpec(form)
        self.policies[attribute] = spec.policy
        place = Place(today=spec.policy == "initial")
        self.function.named.clear()
        if isinstance(spec.value, Text):
            code = self.function.expression(spec.value, place)
            source = "" if code is None else self._value(code, spec.value.mark)
        else:
            parts = [self.function.expression(text, place) for text in spec.value]
            source = "several("
            for text, code in zip(spec.value, parts, strict=True):
                source += "" if code is None else f"{self._value(code, text.mark)}, "
            source += ")"
        if self.function.named:
            self.carriers.add(attribute)
        if spec.when is None:
            return source
        return f"({source}) if {self.function.condition(spec.when)} else ()"

    def _value(self, code: Code, mark: Mark) -> str:
        match code.type:
            case FieldType.TEXT:
                return _text(code.source)
            case FieldType.LIST:
                return f"several({code.source})"
            case FieldType.FLAG:
                return f"flag({code.source})"
            case FieldType.NUMBER | FieldType.DATE:
                return f"() if (t := {code.source}) is None else (str(t),)"
            case _:
                self._problem(mark, f"a {code.type} is not a value: name one of its fields, as in campus.code")
                return ""

    def _group(self, at: int, form: GroupForm) -> None:
        spec = form if isinstance(form, GroupSpec) else GroupSpec(form)
        rule = f"groups[{at}]"
        self.marks[rule] = spec.name.mark
        place = Place(each=EACH.get(spec.each) if spec.each else None)
        code = self.function.template(spec.name, place, escape=escaping(spec.name.text))
        condition = self.function.condition(spec.when, place) if spec.when else None
        line = f"groups.append(WantedGroup({code.source if code else ''}, {spec.create!r}, {rule!r}))"
        if condition:
            line = f"if {condition}: {line}"
        if spec.each is None:
            self.function.add(line, rule)
            return
        self.function.add(f"for each in person.{spec.each}:", rule)
        self.function.add(f"    {line}", rule)


def _field_of(form: AttributeForm) -> str:
    """The field whose value an attribute takes as it is; empty where its rule is anything else."""
    value = form.value if isinstance(form, AttributeSpec) else form
    text = value.text.strip() if isinstance(value, Text) else ""
    return text.removeprefix("{{").removesuffix("}}").strip() if text.startswith("{{") == text.endswith("}}") else ""


def _text(source: str) -> str:
    if source[0] in "'\"":  # a constant
        return f"({source},)" if len(source) > len("''") else "()"
    if source.isidentifier():
        return f"({source},) if {source} else ()"
    return f"(t,) if (t := {source}) else ()"


# --- what compiled mappings call --------------------------------------------------------------------------------------


def several(*values: Sequence[str]) -> tuple[str, ...]:
    """All values of the parts, each once, empty ones left out, in order."""
    found = dict.fromkeys(chain.from_iterable(values))
    found.pop("", None)
    return tuple(found)


def flag(value: bool | None) -> tuple[str, ...]:
    """A flag as directories spell it (RFC 4517), nothing where it is absent."""
    return () if value is None else ("TRUE",) if value else ("FALSE",)


def distinct(groups: Sequence[WantedGroup]) -> tuple[WantedGroup, ...]:
    """The groups, each name once: the first rule that names it."""
    named: dict[str, WantedGroup] = {}
    for group in groups:
        named.setdefault(group.name, group)
    return tuple(named.values())


RUNTIME: Mapping[str, object] = MappingProxyType({"several": several, "flag": flag, "distinct": distinct, "Unmappable": Unmappable})


def _part(escape: Callable[[str], str], value: str, word: str) -> str:
    # An empty value would name another place than the one meant: OU=,OU=Students.
    if not value.strip():
        raise Unmappable(f"'{word}' is empty for this person; give it a default(…)")
    return escape(value)


__all__ = [
    "MappingFailure",
    "Mark",
    "PasswordSpec",
    "People",
    "PeopleSpec",
    "Policy",
    "TargetMapping",
    "TargetSpec",
    "Text",
    "Wanted",
    "WantedGroup",
    "compile_people",
    "compile_target",
    "escape_dn",
]
