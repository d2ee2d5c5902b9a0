"""What every target connector must do, whatever it speaks. A subclass gives `connector`; the tests are the specification."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from syncd.core.model import Account, Change, Failure, Kind, NativeId, Observed, Outcome, PersonId, Result, TargetName
from syncd.errors import ChangeError
from syncd.targets import (
    ByAttribute,
    ById,
    ByLocation,
    Connector,
    LimitsWrites,
    ManagesContainers,
    ManagesGroups,
    Question,
    RefersToAccounts,
    Scope,
)

SCOPE = Scope(frozenset({"objectClass", "cn", "sn", "givenName", "mail", "employeeNumber", "description", "manager"}))
AWKWARD = (
    "comma, name",
    "plus+sign",
    'quote"d',
    "back\\slash",
    "semi;colon",
    "less<more>",
    "#sharp",
    "equals=sign",
    " leading",
    "trailing ",
    "josé-álvarez",
    "王小明",
    "محمد",
    "*)(uid=*",
    "it's",
    "a/b",
    "\\2c",
)


class Everything(Connector, ManagesContainers, ManagesGroups, RefersToAccounts, LimitsWrites):
    """The type of a connector with every capability."""


def account(rdn: str, container: str = "OU=Students", *, enabled: bool = True, **attributes: str) -> Account:
    """An account as a mapping would desire it."""
    told = {"objectClass": ("inetOrgPerson",), "cn": ("Some One",), "sn": ("One",)}
    return Account(rdn, container, enabled, {**told, **{name: (value,) for name, value in attributes.items()}})


def place(of: Account, **attributes: tuple[str, ...]) -> Account:
    """Where the account is, with only these attributes."""
    return Account(of.rdn, of.container, of.enabled, attributes)


def no_password(_: Change) -> str | None:
    """For changes that set none."""
    return None


class TargetContract:
    """Inherit, and give a `connector` on a target with the containers Students, Staff, Groups and Disabled, otherwise empty."""

    naming = "uid"
    """The attribute that names an account here."""

    @pytest.fixture
    def connector(self) -> Iterator[Everything]:
        raise NotImplementedError

    # --- saying things shortly ------------------------------------------------------------------------------------------

    def change(self, kind: Kind, **told: object) -> Change:
        return Change(TargetName("t"), kind, "test", person=PersonId("p1"), **told)  # type: ignore[arg-type]  # spelled out by the callers

    def one(self, connector: Everything, change: Change, password: str | None = None) -> Outcome:
        (outcome,) = connector.apply([change], lambda _: password)
        assert outcome.change == change
        return outcome

    def made(self, connector: Everything, wanted: Account, password: str | None = None) -> tuple[NativeId, Account]:
        wanted = connector.canonical(wanted)
        outcome = self.one(connector, self.change(Kind.CREATE, after=wanted), password)
        assert (outcome.result, outcome.why) == (Result.DONE, "")
        assert outcome.native_id
        return outcome.native_id, wanted

    def found(self, connector: Everything, native_id: NativeId) -> Account:
        ((_, observed),) = connector.lookup([ById(native_id)], SCOPE)
        return observed.account

    def all(self, connector: Everything) -> dict[NativeId, Account]:
        return {observed.native_id: observed.account for observed in connector.read(SCOPE)}

    # --- creating -------------------------------------------------------------------------------------------------------

    def test_create_is_read_back_as_canonical_told_it(self, connector: Everything) -> None:
        """What canonical() says of a desired account is what read() reports once it exists, or the diff never becomes empty."""
        wanted = account("jsmith", "OU=Students", givenName="José", mail="a@b.test", description="")
        native_id, told = self.made(connector, wanted)
        assert self.all(connector) == {native_id: told}
        assert told == connector.canonical(told)
        assert "description" not in told.attributes

    def test_canonical_folds_containers_and_sorts_values(self, connector: Everything) -> None:
        """Two spellings of one account are one account."""
        one = Account(
            "a",
            "OU=Grade 07, ou=STUDENTS",
            enabled=True,
            attributes={"mail": ("b", "a"), "sn": ()},
            groups=frozenset({"CN=X,OU=Groups"}),
        )
        other = Account(
            "a", "ou=grade 07,ou=Students", enabled=True, attributes={"mail": ("a", "b")}, groups=frozenset({"cn=x,ou=groups"})
        )
        assert connector.canonical(one) == connector.canonical(other)

    def test_canonical_drops_the_naming_attribute(self, connector: Everything) -> None:
        """The rdn carries the name; it must not stand among the attributes as well."""
        assert self.naming not in connector.canonical(account("a", **{self.naming: "a"})).attributes

    def test_a_container_that_is_no_name_is_refused_by_name(self, connector: Everything) -> None:
        """A mapping's mistake quarantines one person, with the text that is wrong."""
        with pytest.raises(ChangeError, match="Grade 07"):
            connector.canonical(account("a", "Grade 07"))

    def test_create_disabled_is_disabled_at_once(self, connector: Everything) -> None:
        """An account due later exists disabled: there is no moment at which it is usable."""
        native_id, _ = self.made(connector, account("early", enabled=False))
        assert self.found(connector, native_id).enabled is False

    def test_create_where_somebody_stands_is_name_taken(self, connector: Everything) -> None:
        """A second account is never made over the first; case does not make a name free."""
        self.made(connector, account("jsmith"))
        outcome = self.one(connector, self.change(Kind.CREATE, after=connector.canonical(account("JSmith"))))
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NAME_TAKEN)
        assert len(self.all(connector)) == 1

    def test_create_in_a_missing_container_says_so(self, connector: Everything) -> None:
        """The outcome names the container as the reason."""
        outcome = self.one(connector, self.change(Kind.CREATE, after=connector.canonical(account("a", "OU=Nowhere"))))
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NO_CONTAINER)

    @pytest.mark.parametrize("rdn", AWKWARD)
    def test_any_name_survives_create_rename_and_lookup(self, connector: Everything, rdn: str) -> None:
        """Characters that mean something in names and filters are only characters."""
        native_id, told = self.made(connector, account(rdn))
        assert self.found(connector, native_id) == told
        assert [observed.native_id for _, observed in connector.lookup([ByLocation("OU=Students", rdn)], SCOPE)] == [native_id]
        plain = replace(place(told), rdn="plain")
        assert (
            self.one(connector, self.change(Kind.MOVE, native_id=native_id, before=place(told), after=plain)).result is Result.DONE
        )
        outcome = self.one(connector, self.change(Kind.MOVE, native_id=native_id, before=plain, after=place(told)))
        assert (outcome.result, outcome.why) == (Result.DONE, "")
        assert self.found(connector, native_id) == told

    def test_many_creates_each_get_their_own_outcome(self, connector: Everything) -> None:
        """Pipelined or not: one outcome per change, each with its own id."""
        wanted = [connector.canonical(account(f"u{number:03d}", enabled=False)) for number in range(220)]
        changes = [self.change(Kind.CREATE, after=told) for told in wanted]
        outcomes = list(connector.apply(iter(changes), no_password))
        assert {outcome.result for outcome in outcomes} == {Result.DONE}
        assert {outcome.native_id: outcome.change.after.rdn for outcome in outcomes if outcome.change.after} == {
            native_id: found.rdn for native_id, found in self.all(connector).items()
        }
        assert len(outcomes) == 220

    def test_a_refused_change_does_not_stop_the_others(self, connector: Everything) -> None:
        """One bad change among many is its own matter."""
        wanted = [account("good1"), account("bad", "OU=Nowhere"), account("good2")]
        changes = [self.change(Kind.CREATE, after=connector.canonical(told)) for told in wanted]
        results = {
            outcome.change.after.rdn: outcome.result for outcome in connector.apply(changes, no_password) if outcome.change.after
        }
        assert results == {"good1": Result.DONE, "bad": Result.FAILED, "good2": Result.DONE}

    # --- updating -------------------------------------------------------------------------------------------------------

    def test_update_sets_replaces_and_removes(self, connector: Everything) -> None:
        """An attribute with no values afterwards is gone; those not named stay."""
        native_id, told = self.made(connector, account("a", mail="old@b.test", givenName="Old"))
        before = place(told, mail=("old@b.test",), givenName=("Old",), description=())
        after = place(told, mail=(), givenName=("New",), description=("now",))
        assert self.one(connector, self.change(Kind.UPDATE, native_id=native_id, before=before, after=after)).result is Result.DONE
        expected = {**told.attributes, "givenName": ("New",), "description": ("now",)}
        del expected["mail"]
        assert self.found(connector, native_id).attributes == expected

    def test_update_that_is_already_so_is_already(self, connector: Everything) -> None:
        """Already so is success."""
        native_id, told = self.made(connector, account("a", givenName="New"))
        change = self.change(
            Kind.UPDATE, native_id=native_id, before=place(told, givenName=("Old",)), after=place(told, givenName=("New",))
        )
        assert self.one(connector, change).result is Result.ALREADY

    @pytest.mark.parametrize("old", [(), ("Other",)])
    def test_update_over_a_value_somebody_else_wrote_is_stale(self, connector: Everything, old: tuple[str, ...]) -> None:
        """R18: the old value is part of the change; another one, or one where none was, stops it."""
        native_id, told = self.made(connector, account("a", givenName="Theirs"))
        change = self.change(
            Kind.UPDATE, native_id=native_id, before=place(told, givenName=old), after=place(told, givenName=("Ours",))
        )
        outcome = self.one(connector, change)
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.STALE)
        assert self.found(connector, native_id).attributes["givenName"] == ("Theirs",)

    def test_update_of_another_account_under_the_same_name_never_happens(self, connector: Everything) -> None:
        """R18: identity is the permanent id, not the name."""
        native_id, told = self.made(connector, account("a", givenName="x"))
        self.one(connector, self.change(Kind.DELETE, native_id=native_id, before=place(told)))
        second, _ = self.made(connector, account("a", givenName="x"))
        change = self.change(
            Kind.UPDATE, native_id=native_id, before=place(told, givenName=("x",)), after=place(told, givenName=("y",))
        )
        outcome = self.one(connector, change)
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NO_SUCH_OBJECT)
        assert self.found(connector, second).attributes["givenName"] == ("x",)

    def test_a_step_behind_a_create_that_failed_waits(self, connector: Everything) -> None:
        """Without an id there is nobody to change."""
        told = connector.canonical(account("a"))
        outcome = self.one(connector, self.change(Kind.ENABLE, before=place(told), after=place(told)))
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.WAITS)

    def test_refer_holds_what_reference_says(self, connector: Everything) -> None:
        """An attribute that names another account is read back as reference() spells it."""
        _, boss = self.made(connector, account("boss, the", "OU=Staff"))
        native_id, told = self.made(connector, account("a"))
        value = (connector.reference(boss),)
        change = self.change(Kind.REFER, native_id=native_id, before=place(told, manager=()), after=place(told, manager=value))
        assert self.one(connector, change).result is Result.DONE
        assert self.found(connector, native_id).attributes["manager"] == value
        assert connector.canonical(replace(told, attributes={"manager": value})).attributes["manager"] == value

    # --- enabling, moving, deleting -----------------------------------------------------------------------------------------

    def test_disable_and_enable_are_done_once_and_then_already(self, connector: Everything) -> None:
        """Both ways, and both idempotent."""
        native_id, told = self.made(connector, account("a"))
        off = replace(place(told), enabled=False)
        disable = self.change(Kind.DISABLE, native_id=native_id, before=place(told), after=off)
        enable = self.change(Kind.ENABLE, native_id=native_id, before=off, after=place(told))
        assert [self.one(connector, change).result for change in (disable, disable, enable, enable)] == [
            Result.DONE,
            Result.ALREADY,
            Result.DONE,
            Result.ALREADY,
        ]
        assert self.found(connector, native_id) == told

    @pytest.mark.parametrize(("rdn", "container"), [("b", "OU=Students"), ("a", "OU=Staff"), ("b", "OU=Staff")])
    def test_move_renames_moves_or_both(self, connector: Everything, rdn: str, container: str) -> None:
        """The id stays, the place changes, and doing it again is already so."""
        native_id, told = self.made(connector, account("a"))
        after = connector.canonical(replace(told, rdn=rdn, container=container))
        change = self.change(Kind.MOVE, native_id=native_id, before=place(told), after=place(after))
        outcome = self.one(connector, change)
        assert (outcome.result, outcome.why) == (Result.DONE, "")
        assert self.found(connector, native_id) == after
        assert self.one(connector, change).result is Result.ALREADY

    def test_a_rename_that_only_changes_case_is_done(self, connector: Everything) -> None:
        """The account's own old name does not stand in its way."""
        native_id, told = self.made(connector, account("jsmith"))
        after = replace(place(told), rdn="JSmith")
        assert (
            self.one(connector, self.change(Kind.MOVE, native_id=native_id, before=place(told), after=after)).result is Result.DONE
        )
        assert self.found(connector, native_id).rdn == "JSmith"

    def test_move_onto_somebody_is_name_taken(self, connector: Everything) -> None:
        """Nobody is displaced."""
        native_id, told = self.made(connector, account("a"))
        self.made(connector, account("b"))
        outcome = self.one(
            connector, self.change(Kind.MOVE, native_id=native_id, before=place(told), after=replace(place(told), rdn="b"))
        )
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NAME_TAKEN)

    def test_move_to_a_missing_container_says_so(self, connector: Everything) -> None:
        """The account stays where it is."""
        native_id, told = self.made(connector, account("a"))
        after = connector.canonical(replace(told, container="OU=Nowhere"))
        outcome = self.one(connector, self.change(Kind.PARK, native_id=native_id, before=place(told), after=place(after)))
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NO_CONTAINER)
        assert self.found(connector, native_id) == told

    def test_move_of_an_account_that_went_elsewhere_is_stale(self, connector: Everything) -> None:
        """The plan was made for another state of things."""
        native_id, told = self.made(connector, account("a"))
        away = replace(place(told), rdn="elsewhere")
        self.one(connector, self.change(Kind.MOVE, native_id=native_id, before=place(told), after=away))
        outcome = self.one(
            connector, self.change(Kind.MOVE, native_id=native_id, before=place(told), after=replace(place(told), rdn="b"))
        )
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.STALE)

    def test_delete_is_done_once_and_then_already(self, connector: Everything) -> None:
        """Gone is gone."""
        native_id, told = self.made(connector, account("a"))
        change = self.change(Kind.DELETE, native_id=native_id, before=told)
        assert [self.one(connector, change).result for _ in range(2)] == [Result.DONE, Result.ALREADY]
        assert self.all(connector) == {}

    def test_delete_of_an_account_somebody_enabled_again_is_stale(self, connector: Everything) -> None:
        """R18: what was to be deleted was disabled."""
        native_id, told = self.made(connector, account("a"))
        outcome = self.one(connector, self.change(Kind.DELETE, native_id=native_id, before=replace(told, enabled=False)))
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.STALE)

    # --- asking ---------------------------------------------------------------------------------------------------------

    def test_lookup_by_id_attribute_and_location(self, connector: Everything) -> None:
        """Every question gets exactly its own answers, and no pair means that there is none."""
        one, _ = self.made(connector, account("one", mail="One@b.test", employeeNumber="1"))
        two, _ = self.made(connector, account("two", employeeNumber="2"))
        questions: list[Question] = [
            ById(one),
            ById(NativeId("00000000-0000-0000-0000-000000000000")),
            ByAttribute("mail", "one@B.test"),
            ByAttribute("EmployeeNumber", "2"),
            ByAttribute("employeeNumber", "3"),
            ByAttribute(self.naming, "TWO"),
            ByLocation("ou=students", "one"),
            ByLocation("ou=staff", "one"),
        ]
        answers = {question: observed.native_id for question, observed in connector.lookup(questions, SCOPE)}
        assert answers == {
            questions[0]: one,
            questions[2]: one,
            questions[3]: two,
            questions[5]: two,
            questions[6]: one,
        }

    def test_two_accounts_with_one_value_are_both_told(self, connector: Everything) -> None:
        """Two hits are disputed by the engine, so both must be seen."""
        ids = {self.made(connector, account(rdn, employeeNumber="7"))[0] for rdn in ("a", "b")}
        assert {observed.native_id for _, observed in connector.lookup([ByAttribute("employeeNumber", "7")], SCOPE)} == ids

    @pytest.mark.parametrize("value", ["*", "*)(objectClass=*", "a)(|(uid=*", "\\2a", "\x00", ")", "Zoë*"])
    def test_lookup_values_are_values_not_filters(self, connector: Everything, value: str) -> None:
        """A value with filter characters finds nobody but its bearer."""
        self.made(connector, account("bystander", employeeNumber="1"))
        assert list(connector.lookup([ByAttribute("employeeNumber", value)], SCOPE)) == []

    def test_three_hundred_questions_are_answered(self, connector: Everything) -> None:
        """Batches have no seams."""
        changes = [
            self.change(Kind.CREATE, after=connector.canonical(account(f"u{n}", enabled=False, employeeNumber=f"{n}")))
            for n in range(120)
        ]
        list(connector.apply(changes, no_password))
        questions = [ByAttribute("employeeNumber", f"{n}") for n in range(300)]
        answered = {question for question, _ in connector.lookup(questions, SCOPE)}
        assert answered == set(questions[:120])

    # --- containers -----------------------------------------------------------------------------------------------------

    def test_missing_containers_are_named_with_their_ancestors_and_created_in_order(self, connector: Everything) -> None:
        """Grade 07 in campus 012 needs both; what is there already is already so."""
        wanted = "OU=Grade 07,OU=Campus\\, North,OU=Students"
        missing = connector.missing_containers({wanted})
        assert missing == {"ou=campus\\, north,ou=students", "ou=grade 07,ou=campus\\, north,ou=students"}
        for name in sorted(missing, key=len):
            assert self.one(connector, self.change(Kind.CREATE_CONTAINER, group=name)).result is Result.DONE
            assert self.one(connector, self.change(Kind.CREATE_CONTAINER, group=name)).result is Result.ALREADY
        assert connector.missing_containers({wanted}) == set()
        native_id, told = self.made(connector, account("a", wanted))
        assert self.all(connector) == {native_id: told}

    def test_a_container_without_its_parent_is_refused(self, connector: Everything) -> None:
        """Parents come first; the outcome says so."""
        outcome = self.one(connector, self.change(Kind.CREATE_CONTAINER, group="ou=a,ou=nowhere"))
        assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NO_CONTAINER)

    # --- groups ---------------------------------------------------------------------------------------------------------

    def test_members_are_added_and_removed_once(self, connector: Everything) -> None:
        """Each edge is its own change; doing it again is already so; an emptied group stays."""
        group = connector.canonical_group("CN=All Students,OU=Groups")
        assert self.one(connector, self.change(Kind.CREATE_GROUP, group=group)).result is Result.DONE
        assert self.one(connector, self.change(Kind.CREATE_GROUP, group=group)).result is Result.ALREADY
        people = [self.made(connector, account(rdn)) for rdn in ("a", "b", "c, d")]
        add = [self.change(Kind.ADD_MEMBER, native_id=native_id, before=place(told), group=group) for native_id, told in people]
        remove = [replace(change, kind=Kind.REMOVE_MEMBER) for change in add]
        assert [self.one(connector, add[0]).result for _ in range(2)] == [Result.DONE, Result.ALREADY]
        results = {outcome.change.native_id: outcome.result for outcome in connector.apply(add, no_password)}
        assert results == {people[0][0]: Result.ALREADY, people[1][0]: Result.DONE, people[2][0]: Result.DONE}
        (read,) = connector.read_groups(["cn=all students, OU=groups", "cn=nobody,ou=groups"])
        assert (read.name, read.members) == (group, {native_id for native_id, _ in people})
        assert {outcome.result for outcome in connector.apply(remove, no_password)} == {Result.DONE}
        assert {outcome.result for outcome in connector.apply(remove, no_password)} == {Result.ALREADY}
        (read,) = connector.read_groups([group])
        assert read.members == frozenset()

    def test_missing_groups_are_those_that_do_not_exist(self, connector: Everything) -> None:
        """However they are spelt; the answer is canonical."""
        self.one(connector, self.change(Kind.CREATE_GROUP, group="cn=there,ou=groups"))
        assert connector.missing_groups({"CN=There,OU=Groups", "CN=Not There,OU=Groups"}) == {"cn=not there,ou=groups"}

    def test_members_of_a_group_that_does_not_exist_fail_each(self, connector: Everything) -> None:
        """One outcome per edge, with the reason."""
        people = [self.made(connector, account(rdn)) for rdn in ("a", "b")]
        add = [
            self.change(Kind.ADD_MEMBER, native_id=native_id, before=place(told), group="cn=none,ou=groups")
            for native_id, told in people
        ]
        outcomes = list(connector.apply(add, no_password))
        assert [(outcome.result, outcome.failure) for outcome in outcomes] == [(Result.FAILED, Failure.NO_SUCH_OBJECT)] * 2

    def test_six_hundred_members_with_some_there_already(self, connector: Everything) -> None:
        """R19: a batch that is refused for one edge is not lost for the others."""
        group = connector.canonical_group("cn=many,ou=groups")
        self.one(connector, self.change(Kind.CREATE_GROUP, group=group))
        wanted = [connector.canonical(account(f"u{number}", enabled=False)) for number in range(600)]
        creates = [self.change(Kind.CREATE, after=told) for told in wanted]
        made = [(outcome.native_id, outcome.change.after) for outcome in connector.apply(creates, no_password)]
        add = [
            self.change(Kind.ADD_MEMBER, native_id=native_id, before=place(told), group=group) for native_id, told in made if told
        ]
        already = set(range(0, 600, 40))
        list(connector.apply([add[index] for index in already], no_password))
        outcomes = {outcome.change.native_id: outcome.result for outcome in connector.apply(add, no_password)}
        assert [outcomes[change.native_id] for change in add] == [
            Result.ALREADY if index in already else Result.DONE for index in range(600)
        ]
        (read,) = connector.read_groups([group])
        assert len(read.members) == 600

    def test_membership_survives_a_rename(self, connector: Everything) -> None:
        """Members are remembered by their id, not by their name."""
        group = connector.canonical_group("cn=g,ou=groups")
        self.one(connector, self.change(Kind.CREATE_GROUP, group=group))
        native_id, told = self.made(connector, account("a"))
        self.one(connector, self.change(Kind.ADD_MEMBER, native_id=native_id, before=place(told), group=group))
        after = connector.canonical(replace(told, rdn="b", container="OU=Staff"))
        self.one(connector, self.change(Kind.MOVE, native_id=native_id, before=place(told), after=place(after)))
        (read,) = connector.read_groups([group])
        assert read.members == {native_id}

    def test_close_may_be_called_twice(self, connector: Everything) -> None:
        """Closing is idempotent."""
        connector.close()
        connector.close()


def everyone(observed: Iterator[Observed]) -> dict[str, Account]:
    """Accounts by naming value."""
    return {one.account.rdn: one.account for one in observed}
