"""What a compiled target mapping makes of a person, and what is found wrong with a mapping before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pytest

from syncd.core.mapping import MappingFailure, TargetMapping, Wanted, WantedGroup, compile_people, compile_target, escape_dn
from syncd.core.mapping_spec import (
    AccountSpec,
    AliasesSpec,
    AttributeForm,
    AttributeSpec,
    GroupSpec,
    Mark,
    NameSpec,
    PasswordSpec,
    PeopleSpec,
    PopulationSpec,
    ReferenceSpec,
    TargetSpec,
    Text,
)
from syncd.core.model import Campus, Person, PersonId, PopulationName, Section, SourceKey
from syncd.errors import ConfigError

STUDENTS = PopulationName("students")
TODAY = date(2026, 8, 3)
CAMPUS = Campus(SourceKey("o1"), "North Middle", "012")
MATHS = Section(SourceKey("c1"), "M-7, A", "Maths", SourceKey("o1"))
OLD_CLASS = Section(SourceKey("c2"), "ART", "Art", SourceKey("o1"), active=False)
ANA = Person(
    PersonId("p1"),
    {
        "given": "Ana",
        "family": "Ruiz",
        "student_number": "0123",
        "grade": "07",
        "grade_index": 7,
        "roles": ("student", "aide"),
        "display_name": "Ana Ruiz",
    },
    campus=CAMPUS,
    campuses=(CAMPUS,),
    classes=(MATHS, OLD_CLASS),
)


def text(source: str, line: int = 1) -> Text:
    """A text as it stands in mappings/ad.yaml."""
    return Text(source, Mark("mappings/ad.yaml", line, 5))


PEOPLE = PeopleSpec(
    populations={"students": PopulationSpec(text("'student' in roles"))},
    names={},
    tables={"licence": {"012": "A1"}, "ou": {"012": "OU=North,OU=Schools"}},
    config={"domain": "example.org"},
)
ACCOUNT = AccountSpec(container=text("OU=Students", 2), rdn=text("{{ display_name }}", 3))


def compiled(account: AccountSpec, people: PeopleSpec = PEOPLE) -> TargetMapping:
    """A mapping with this one account for students."""
    return compile_target(TargetSpec("ad", {"students": account}), compile_people(people, ["shirt"]))


def wanted(account: AccountSpec, person: Person = ANA, related: Mapping[str, Person] | None = None) -> Wanted:
    """What the account should be for this person."""
    made = compiled(account).desire(person, STUDENTS, {}, related or {}, TODAY)
    assert made is not None
    return made


def attribute(form: AttributeForm, person: Person = ANA) -> tuple[str, ...]:
    """The values one attribute gets."""
    return wanted(replace(ACCOUNT, attributes={"x": form}), person).attributes["x"]


def problems(account: AccountSpec, people: PeopleSpec = PEOPLE) -> list[str]:
    """What is said of an account that does not compile."""
    with pytest.raises(ConfigError) as caught:
        compiled(account, people)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (text("family"), ("Ruiz",)),
        (text("{{ given }}@{{ config.domain }}"), ("Ana@example.org",)),
        (text("middle"), ()),
        (text("''"), ()),
        (text("roles"), ("student", "aide")),
        (text("grade_index"), ("7",)),
        (text("start_date"), ()),
        (text("'student' in roles"), ("TRUE",)),
        (text("directory_optout"), ()),
        ((text("given"), text("middle"), text("{{ family }}"), text("given"), text("roles")), ("Ana", "Ruiz", "student", "aide")),
        (AttributeSpec(text("given"), when=text("grade_index > 2")), ("Ana",)),
        (AttributeSpec(text("given"), when=text("grade_index < 2")), ()),
        (AttributeSpec((text("given"), text("family"))), ("Ana", "Ruiz")),
        (AttributeSpec(text("'made ' ~ today"), "initial"), ("made 2026-08-03",)),
    ],
)
def test_an_attribute_form_gives_values(form: AttributeForm, expected: tuple[str, ...]) -> None:
    """Each attribute form gives its values as text; nothing, the empty text and a false condition give no value."""
    assert attribute(form) == expected


def test_policies_are_told_for_every_attribute() -> None:
    """An attribute is enforced unless it says otherwise."""
    made = wanted(
        replace(ACCOUNT, attributes={"a": text("given"), "b": AttributeSpec(text("given"), "if_empty")}),
    )
    assert made.policies == {"a": "enforce", "b": "if_empty"}


def test_a_reference_names_the_relation_and_has_no_value() -> None:
    """`manager: {person: manager}` is resolved by the engine, and counts as an attribute and a relation of the mapping."""
    mapping = compiled(replace(ACCOUNT, attributes={"manager": ReferenceSpec(text("manager"))}))
    made = mapping.desire(ANA, STUDENTS, {}, {}, TODAY)
    assert made is not None
    assert (made.person_attributes, made.attributes) == ({"manager": "manager"}, {})
    assert (mapping.relations, mapping.relation_attributes, mapping.attributes) == ({"manager"}, {"manager"}, {"manager"})


def test_find_keys_keep_their_order_and_leave_out_what_is_empty() -> None:
    """Accounts are looked for by the keys the person has, in the order of the file."""
    find = ({"uid": text("sis_username")}, {"employeeID": text("student_number")}, {"mail": text("{{ given }}@x.org")})
    assert wanted(replace(ACCOUNT, find=find)).find == (("employeeID", "0123"), ("mail", "Ana@x.org"))


def test_attributes_found_by_are_part_of_the_scope() -> None:
    """The attributes a read must ask for are those written and those found by."""
    mapping = compiled(replace(ACCOUNT, find=({"employeeID": text("student_number")},), attributes={"sn": text("family")}))
    assert mapping.attributes == {"employeeID", "sn"}


NAMED = replace(
    PEOPLE,
    names={
        "username": NameSpec({"students": text("{{ given }}")}, unique_in=("uid", "mailNickname")),
        "alias": NameSpec({"students": text("{{ given }}.{{ family }}")}),
    },
)


@pytest.mark.parametrize(
    ("form", "carries"),
    [
        (text("names.username"), True),
        (text("{{ names.username }}@{{ config.domain }}"), True),
        ((text("given"), text("smtp:{{ names.alias }}@x.org")), True),
        (AttributeSpec(text("names.alias | upper"), "if_empty"), True),
        (AttributeSpec(text("given"), when=text("names.username != ''")), False),
        (text("display_name"), False),
        (ReferenceSpec(text("manager")), False),
    ],
)
def test_an_attribute_carries_a_name_where_its_rule_reads_one(form: AttributeForm, carries: bool) -> None:
    """R9: what holds people's names is told by the rules, not by values that look alike; a condition gives no value."""
    mapping = compiled(replace(ACCOUNT, attributes={"x": form, "sn": text("family")}), NAMED)
    made = mapping.desire(ANA, STUDENTS, {"username": "ana", "alias": "ana.ruiz"}, {}, TODAY)
    assert made is not None
    assert made.carriers == ({"x"} if carries else set())
    assert mapping.carriers == {"uid", "mailNickname"} | made.carriers


def test_attributes_that_shall_be_unique_are_read() -> None:
    """R7: what people.yaml lists under `unique_in` is part of what a read asks for, written or not."""
    mapping = compiled(replace(ACCOUNT, attributes={"uid": text("names.username")}), NAMED)
    assert mapping.attributes == {"uid", "mailNickname"}
    assert mapping.accounts[STUDENTS].carriers == {"uid"}


@pytest.mark.parametrize(
    ("rdn", "carries"), [("{{ names.username }}", True), ("{{ given }} ({{ names.alias }})", True), ("{{ display_name }}", False)]
)
def test_an_accounts_own_name_carries_one_where_its_rule_reads_one(rdn: str, carries: bool) -> None:
    """R9: an account called after the person holds no issued name, whatever its attributes and groups read."""
    account = replace(ACCOUNT, rdn=text(rdn), container=text("OU={{ names.username }}"), attributes={"uid": text("names.username")})
    assert compiled(account, NAMED).rdn_carries is carries


def test_an_attribute_is_read_under_the_spelling_it_is_written_with() -> None:
    """`find` and `unique_in` may spell it otherwise: asked for under two names, a value written would never be seen again."""
    account = replace(ACCOUNT, attributes={"MailNickname": text("names.username")}, find=({"mailnickname": text("given")},))
    mapping = compiled(account, NAMED)
    assert mapping.attributes == {"MailNickname", "uid"}
    assert mapping.carriers == {"MailNickname", "uid"}


def test_two_populations_spell_an_attribute_alike() -> None:
    """A target tells each attribute under one name; the second spelling is told where it stands."""
    people = replace(PEOPLE, populations={**PEOPLE.populations, "staff": PopulationSpec(text("'teacher' in roles"))})
    accounts = {
        "students": replace(ACCOUNT, attributes={"sn": text("family", 4)}),
        "staff": replace(ACCOUNT, attributes={"SN": text("family", 9)}),
    }
    with pytest.raises(ConfigError, match=r"mappings/ad\.yaml:9:5: 'SN' is spelled 'sn' further up"):
        compile_target(TargetSpec("ad", accounts), compile_people(people))


def test_groups_follow_each_class_and_condition() -> None:
    """One group per class whose condition holds, each name once; roster values cannot begin another RDN."""
    groups = (
        text("CN=All,OU=Groups"),
        GroupSpec(text("CN={{ campus.code }} {{ grade }}"), create=True),
        GroupSpec(text("CN=Class {{ class.code }},OU=Groups"), create=True, each="classes", when=text("class.active")),
        GroupSpec(text("CN=Campus {{ campus.name }}"), each="campuses"),
        GroupSpec(text("CN=Teachers"), when=text("'teacher' in roles")),
        text("CN=All,OU=Groups"),
    )
    assert wanted(replace(ACCOUNT, groups=groups)).groups == (
        WantedGroup("CN=All,OU=Groups", create=False, rule="groups[0]"),
        WantedGroup("CN=012 07", create=True, rule="groups[1]"),
        WantedGroup("CN=Class M-7\\, A,OU=Groups", create=True, rule="groups[2]"),
        WantedGroup("CN=Campus North Middle", create=False, rule="groups[3]"),
    )


def test_a_comma_in_a_name_stays_inside_its_rdn() -> None:
    """Roster values are escaped in a container; tables and constants of the district are DNs as written; the rdn is bare."""
    ana = replace(ANA, fields={**ANA.fields, "family": "Ruiz,OU=Admins", "display_name": "Ruiz, Ana"})
    made = wanted(
        replace(ACCOUNT, container=text("OU={{ family }},{{ campus.code | lookup('ou') }}"), rdn=text("{{ display_name }}")), ana
    )
    assert made.container == "OU=Ruiz\\,OU\\=Admins,OU=North,OU=Schools"
    assert made.rdn == "Ruiz, Ana"


@pytest.mark.parametrize(
    ("value", "escaped"),
    [(" a ", "\\ a\\ "), ("#a", "\\#a"), ('a+b"c\\d<e>f;g', 'a\\+b\\"c\\\\d\\<e\\>f\\;g'), ("a\x00\n", "a\\00\\0A"), ("é", "é")],
)
def test_values_are_escaped_as_rfc_4514_says(value: str, escaped: str) -> None:
    """Every character that means something in a DN is escaped."""
    assert escape_dn(value) == escaped


@pytest.mark.parametrize(
    ("change", "rule", "attribute", "why"),
    [
        ({"container": text("OU={{ campus.code }}", 7)}, "mappings/ad.yaml:7:5", "container", "'campus.code' is empty"),
        ({"rdn": text("{{ middle }} ", 8)}, "mappings/ad.yaml:8:5", "rdn", "it is empty"),
        ({"rdn": text("\\\\{{ given }}", 8)}, "mappings/ad.yaml:8:5", "rdn", "it begins with a backslash"),
        ({"groups": (text("CN={{ campus.name }}", 9),)}, "mappings/ad.yaml:9:5", "groups[0]", "'campus.name' is empty"),
        (
            {"attributes": {"a": text("given"), "lic": text("campus.code | lookup('licence')", 11)}},
            "mappings/ad.yaml:11:5",
            "lic",
            "table 'licence' has no ''",
        ),
        ({"attributes": {"a": text("start_date > start_date", 12)}}, "mappings/ad.yaml:12:5", "a", "is absent"),
        ({"when": text("start_date > start_date", 13)}, "mappings/ad.yaml:13:5", "when", "is absent"),
        (
            {"groups": (GroupSpec(text("CN={{ class.course }}", 14), each="classes"),)},
            "mappings/ad.yaml:14:5",
            "groups[0]",
            "'class.course' is empty",
        ),
    ],
)
def test_a_failure_names_rule_attribute_and_reason(change: Mapping[str, object], rule: str, attribute: str, why: str) -> None:
    """What cannot be computed for one person is a MappingFailure naming file and line, and holds no value of theirs."""
    nowhere = replace(ANA, campus=None)
    with pytest.raises(MappingFailure) as caught:
        wanted(replace(ACCOUNT, **change), nowhere)  # type: ignore[arg-type]  # one field of the account each
    assert (caught.value.rule, caught.value.attribute) == (rule, attribute)
    assert why in caught.value.why


def test_no_account_where_when_is_false_or_the_population_has_none() -> None:
    """`accounts.<population>.when` decides person by person; other populations have no account."""
    mapping = compiled(replace(ACCOUNT, when=text("grade_index >= 8")))
    assert mapping.desire(ANA, STUDENTS, {}, {}, TODAY) is None
    assert mapping.desire(ANA, PopulationName("staff"), {}, {}, TODAY) is None


def test_every_rule_can_be_explained() -> None:
    """For each rule of a population's account, where it stands."""
    account = replace(
        ACCOUNT,
        attributes={"sn": text("family", 9), "manager": ReferenceSpec(text("manager", 10))},
        groups=(text("CN=x", 11),),
        find=({"employeeID": text("student_number", 5)},),
    )
    lines = {rule: mark.line for rule, mark in compiled(account).explain(STUDENTS).items()}
    assert lines == {"container": 2, "rdn": 3, "find[0]": 5, "sn": 9, "manager": 10, "groups[0]": 11}


def test_the_password_rule_is_passed_on() -> None:
    """How the first password is made is the target's business."""
    assert wanted(replace(ACCOUNT, password=PasswordSpec("random"))).password == PasswordSpec("random")


def test_all_problems_are_told_at_once_in_file_order() -> None:
    """Every wrong text of a mapping is found on loading, with its place."""
    account = AccountSpec(
        container=text("OU={{ grad }}", 4),
        rdn=text("{{ given | lowr }}", 3),
        attributes={
            "SN": text("family", 6),
            "sn": text("family", 7),
            "bad name": text("given", 8),
            "c": text("campus", 9),
            "m": ReferenceSpec(text("mananger", 10)),
            "t": text("today", 11),
        },
        find=({"a": text("given", 12), "b": text("given", 13)}, {"c": text("roles", 14)}),
        groups=(GroupSpec(text("CN={{ class.cod }}", 15), each="classes"), text("CN={{ class.code }}", 16)),
    )
    said = problems(account)
    assert [line.split(":")[1] for line in said] == sorted((line.split(":")[1] for line in said), key=int)
    for expected in (
        "4:11: no field 'grad'; did you mean 'grade'?",
        "3:16: no filter 'lowr'; did you mean 'lower'?",
        "7:5: 'sn' is given twice, as 'SN' too",
        "8:5: 'bad name' is not the name of an attribute",
        "9:5: a campus is not a value: name one of its fields, as in campus.code",
        "10:5: m: no relation 'mananger'; did you mean 'manager'?",
        "11:5: 'today' may stand only",
        "12:5: each entry of find is one `attribute: expression`",
        "14:5: an account is found by a text, not by a list of text",
        "15:17: a class has no 'cod'; did you mean 'code'?",
        "16:11: no field 'class'",
    ):
        assert any(expected in line for line in said), expected


def test_a_population_people_do_not_know_is_a_problem() -> None:
    """Accounts belong to populations of people.yaml."""
    with pytest.raises(ConfigError, match=r"people\.yaml has no population 'studnets'; did you mean 'students'"):
        compile_target(TargetSpec("ad", {"studnets": ACCOUNT}), compile_people(PEOPLE))


def test_a_fingerprint_changes_with_meaning_only() -> None:
    """Rules, used tables and used config values change it; places, comments, tests and unused values do not."""
    account = replace(ACCOUNT, attributes={"lic": text("campus.code | lookup('licence')"), "d": text("config.domain")})
    base = compiled(account).fingerprint
    moved = replace(account, attributes={"lic": text("campus.code | lookup('licence')", 40), "d": text("config.domain", 41)})
    assert compiled(moved).fingerprint == base
    assert compiled(account, replace(PEOPLE, tables={**PEOPLE.tables, "ou": {}})).fingerprint == base
    assert compiled(account, replace(PEOPLE, tables={**PEOPLE.tables, "licence": {"012": "A3"}})).fingerprint != base
    assert compiled(account, replace(PEOPLE, config={"domain": "example.net"})).fingerprint != base
    assert compiled(replace(account, when=text("true"))).fingerprint != base
    assert compiled(replace(account, password=PasswordSpec())).fingerprint != base


def test_a_fingerprint_changes_with_what_an_alias_is_of_and_not_with_the_line_that_says_so() -> None:
    """`aliases_of` carries its place, to be explained by it: a comment above it must not map everybody again."""

    def of(attribute: str, line: int, keep: int = 365) -> str:
        aliases = AliasesSpec(text(attribute, line), keep)
        attributes: dict[str, AttributeForm] = {"mail": text("given"), "upn": text("given"), "proxyAddresses": aliases}
        return compiled(replace(ACCOUNT, attributes=attributes)).fingerprint

    assert of("mail", 12) == of("mail", 40)
    assert len({of("mail", 12), of("upn", 12), of("mail", 12, keep=30)}) == 3


def test_desiring_twice_gives_the_same() -> None:
    """The same person on the same day has the same desired account."""
    account = replace(ACCOUNT, attributes={"roles": text("roles")}, groups=(text("CN=x"),))
    mapping = compiled(account)
    assert mapping.desire(ANA, STUDENTS, {}, {}, TODAY) == mapping.desire(ANA, STUDENTS, {}, {}, TODAY)
