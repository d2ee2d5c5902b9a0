"""The Google connector satisfies the target contract on the double, over HTTP.

The contract speaks as directories do. Here each name is said as Google says it, and back: `OU=a,OU=b` is `/b/a`, `CN=All Students`
is `all-students@district.example`, `uid` is the address, and the attributes are fields of Google's. What can be no name at Google
is tried with names that can.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

import pytest

from syncd.core.model import Account, Change, Failure, Kind, NativeId, Observed, ObservedGroup, Outcome, PersonId, Result
from syncd.core.spelling import escape_address
from syncd.targets import ByAttribute, ByLocation, PasswordOf, Question, Scope
from syncd.targets.google import Google
from syncd.targets.ldap_dn import canonical, escape, parse
from tests.contract.target_contract import SCOPE, Everything, TargetContract, account, place
from tests.integration.google_customer import DOMAIN, customer

FIELDS = {
    "cn": "name.displayName",
    "sn": "name.familyName",
    "givenname": "name.givenName",
    "mail": "emails.home",
    "employeenumber": "externalIds.organization",
    "description": "notes",
    "manager": "relations.manager",
    "uid": "primaryEmail",
}
BACK = {"cn": "cn", "sn": "sn", "givenName": "givenName", "mail": "mail", "employeeNumber": "employeeNumber"}
BACK |= {"description": "description", "manager": "manager"}


class Spelled:
    """The connector, spoken to as a directory is."""

    def __init__(self, google: Google) -> None:
        self.google = google

    # --- there ---

    def unit(self, name: str) -> str:
        if name and "=" not in name:
            return name  # no name at all: the connector must say so
        return "".join(f"/{step[0][1]}" for step in reversed(parse(name)))

    def group(self, name: str) -> str:
        return f"{escape_address(parse(name)[0][0][1])}@groups.{DOMAIN}" if name.lower().startswith("cn=") else name

    def rdn(self, told: str) -> str:
        return told if "@" in told else f"{told.replace(', ', '_comma_')}@{DOMAIN}"

    def there(self, told: Account) -> Account:
        attributes = {FIELDS.get(name.lower(), name): values for name, values in told.attributes.items() if name != "objectClass"}
        if told.attributes.get("sn"):
            attributes.setdefault("name.givenName", ("-",))  # Google makes no account without, and directories do
        return Account(
            self.rdn(told.rdn), self.unit(told.container), told.enabled, attributes, frozenset(map(self.group, told.groups))
        )

    def changed(self, change: Change) -> Change:
        group = change.group
        if group is not None:
            group = self.unit(group) if change.kind is Kind.CREATE_CONTAINER else self.group(group)
        before, after = (self.there(one) if one is not None else None for one in (change.before, change.after))
        return replace(change, group=group, before=before, after=after)

    def question(self, question: Question) -> Question:
        match question:
            case ByLocation(container, rdn):
                return ByLocation(self.unit(container), self.rdn(rdn))
            case ByAttribute(attribute, value):
                return ByAttribute(FIELDS.get(attribute.lower(), attribute), value)
            case _:
                return question

    # --- and back ---

    def back(self, told: Account) -> Account:
        attributes = {name: told.attributes[field] for name in BACK if (field := FIELDS[name.lower()]) in told.attributes}
        if attributes.get("givenName") == ("-",):
            del attributes["givenName"]
        steps = reversed(told.container.split("/")[1:])
        container = ",".join(f"ou={escape(step)}" for step in steps)
        rdn = told.rdn.removesuffix(f"@{DOMAIN}").replace("_comma_", ", ")
        return Account(rdn, container, told.enabled, attributes, told.groups)

    # --- the protocol ---

    def scope(self, scope: Scope) -> Scope:
        return Scope(frozenset(FIELDS.get(name.lower(), name) for name in scope.attributes))

    def read(self, scope: Scope) -> Iterator[Observed]:
        for one in self.google.read(self.scope(scope)):
            yield replace(one, account=self.back(one.account))

    def lookup(self, questions: Collection[Question], scope: Scope) -> Iterator[tuple[Question, Observed]]:
        asked = {self.question(question): question for question in questions}
        for question, one in self.google.lookup(asked, self.scope(scope)):
            yield asked[question], replace(one, account=self.back(one.account))

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        sent: dict[int, Change] = {}
        kept: list[Change] = []

        def told() -> Iterator[Change]:
            for change in changes:
                spelled = self.changed(change)
                kept.append(spelled)  # so that its id stays its own
                sent[id(spelled)] = change
                yield spelled

        for outcome in self.google.apply(told(), lambda change: password(sent[id(change)])):
            yield replace(outcome, change=sent[id(outcome.change)])

    def canonical(self, account: Account) -> Account:
        return self.back(self.google.canonical(self.there(account)))

    def canonical_group(self, name: str) -> str:
        return self.google.canonical_group(self.group(name))

    def reference(self, account: Account) -> str:
        return self.google.reference(self.there(account))

    def missing_containers(self, names: Collection[str]) -> set[str]:
        missing = self.google.missing_containers({self.unit(name) for name in names})
        return {self.back(Account("x", name, enabled=True, attributes={})).container for name in missing}

    def missing_groups(self, names: Collection[str]) -> set[str]:
        asked = {self.group(name): canonical(name) for name in names}
        return {asked[name] for name in self.google.missing_groups(asked)}

    def read_groups(self, names: Collection[str]) -> Iterator[ObservedGroup]:
        return self.google.read_groups([self.group(name) for name in names])

    def refuses(self, change: Change) -> str:
        return self.google.refuses(self.changed(change))

    def close(self) -> None:
        self.google.close()


class TestGoogle(TargetContract):
    """Without quirks: what they do has tests of its own."""

    @pytest.fixture
    def connector(self) -> Iterator[Everything]:
        with customer(domains=(DOMAIN, f"groups.{DOMAIN}")) as one:
            google = one.connector()
            yield Spelled(google)  # type: ignore[misc]  # structural: it has every capability
            google.close()

    def all(self, connector: Everything) -> dict[NativeId, Account]:
        """Everybody but the administrators, whom no customer is without."""
        told = {one.native_id: one for one in super_all(connector)}
        return {native_id: one.account for native_id, one in told.items() if not one.privileged}

    @pytest.mark.parametrize("rdn", ["o'neil", "a.b-c_d", "1234567", "josealvarez", "x" * 64])
    def test_any_name_survives_create_rename_and_lookup(self, connector: Everything, rdn: str) -> None:
        """Whatever Google takes as the local part of an address: letters, digits, dots, hyphens, underscores and apostrophes."""
        super().test_any_name_survives_create_rename_and_lookup(connector, rdn)

    @pytest.mark.parametrize("rdn", ["two@signs", "a/b", "王小明", "*)(uid=*"])
    def test_what_can_be_no_address_is_refused(self, connector: Everything, rdn: str) -> None:
        """One person is set aside, with the reason."""
        outcome = self.one(connector, self.change(Kind.CREATE, after=connector.canonical(account(rdn))))
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.INVALID)

    def test_a_rename_that_only_changes_case_is_done(self, connector: Everything) -> None:
        """Google keeps addresses in small letters: it is so already."""
        native_id, told = self.made(connector, account("jsmith"))
        change = self.change(Kind.MOVE, native_id=native_id, before=place(told), after=replace(place(told), rdn="JSmith"))
        assert self.one(connector, change).result is Result.ALREADY
        assert self.found(connector, native_id).rdn == "jsmith"

    def test_create_where_somebody_stands_is_name_taken(self, connector: Everything) -> None:
        """A second account is never made over the first. What is ours already is another matter: see test_google_create.py."""
        self.made(connector, account("jsmith"))
        create = self.change(Kind.CREATE, after=connector.canonical(account("JSmith")))
        outcome = self.one(connector, replace(create, person=PersonId("p2")))
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NAME_TAKEN)
        assert len(self.all(connector)) == 1

    def test_update_of_another_account_under_the_same_name_never_happens(self, connector: Everything) -> None:
        """R18: identity is the permanent id. And here nobody else even gets the name: Google keeps it for the deleted account."""
        native_id, told = self.made(connector, account("a", givenName="x"))
        self.one(connector, self.change(Kind.DELETE, native_id=native_id, before=place(told)))
        again = replace(self.change(Kind.CREATE, after=told), person=PersonId("p2"))
        assert self.one(connector, again).failure is Failure.NAME_TAKEN
        change = self.change(
            Kind.UPDATE, native_id=native_id, before=place(told, givenName=("x",)), after=place(told, givenName=("y",))
        )
        outcome = self.one(connector, change)
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NO_SUCH_OBJECT)


def super_all(connector: Everything) -> Iterator[Observed]:
    """Everybody, administrators too."""
    return connector.read(SCOPE)
