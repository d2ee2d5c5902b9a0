"""Whose the accounts are that nobody is linked to: what a find key says, and everything that may contradict it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from syncd.core.adoption import Adoption, Seeker, is_managed
from syncd.core.correlate import Situation, SituationKind, situate
from syncd.core.likeness import NameAttributes
from syncd.core.model import Account, NativeId, Observed, Person, PersonId

NAMES = NameAttributes(given=("givenName",), family=("sn",))
HOME = "ou=grade 07,ou=012,ou=students"


def account(native_id: str, given: str = "", family: str = "", container: str = "ou=012,ou=students", **told: str) -> Observed:
    """An account; `number` and `mail` are its keys."""
    named = {"givenName": given, "sn": family, "employeeNumber": told.get("number", ""), "mail": told.get("mail", "")}
    attributes = {name: (value,) for name, value in named.items() if value}
    return Observed(NativeId(native_id), Account(native_id, container, enabled=told.get("enabled") != "no", attributes=attributes))


class Domain:
    """Accounts nobody is linked to, and persons who seek theirs."""

    def __init__(self, *accounts: Observed) -> None:
        self.accounts = accounts
        self.seekers: list[Seeker] = []

    @classmethod
    def of(cls, accounts: Sequence[Observed], seekers: Sequence[Seeker]) -> Domain:
        """These accounts and persons."""
        made = cls(*accounts)
        made.seekers += seekers
        return made

    def person(
        self, name: str, number: str = "", mail: str = "", *, bases: tuple[str, ...] = (), by_name: tuple[str, ...] = ()
    ) -> None:
        """Somebody of the roster, called like `Ana Ruiz`; the id is the given name in small letters."""
        given, _, family = name.partition(" ")
        human = Person(PersonId(given.lower()), {"given": given, "family": family})
        keys = [pair for pair in (("employeeNumber", number), ("mail", mail)) if pair[1]]
        inside: dict[tuple[str, str], list[Observed]] = {}
        outside: list[Observed] = []
        for key in keys:
            hits = [one for one in self.accounts if one.account.attributes.get(key[0]) == (key[1],)]
            inside[key] = [one for one in hits if not bases or one.account.container.endswith(bases)]
            outside += [one for one in hits if one not in inside[key]]
        named = [one for one in self.accounts if one.native_id in by_name]
        situation = situate(human, keys, inside, {}, named)
        self.seekers.append(Seeker(human.id, human, NAMES, situation, inside, outside, HOME, bases))

    def decided(self) -> Mapping[PersonId, Situation]:
        """What everybody's situation is."""
        return Adoption(self.seekers, self.accounts).decided()


def linked(domain: Domain) -> dict[str, str | None]:
    """Whose account is whose, of those that are linked."""
    return {str(who): one.native_id for who, one in domain.decided().items() if one.kind is SituationKind.UNLINKED}


def disputed(domain: Domain, who: str) -> tuple[str, set[str]]:
    """Why somebody is disputed, and the candidates."""
    one = domain.decided()[PersonId(who)]
    assert one.kind is SituationKind.DISPUTED, one
    return one.why, set(one.candidates)


# --- what a key finds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "family"), [("Ana", "Ruiz"), ("Anna", "Ruiz"), ("Ana", "Riuz"), ("Ana", "Lopez"), ("", ""), ("Ana", "Ruiz Lopez")]
)
def test_the_number_finds_an_account_whatever_hands_did_to_its_name(given: str, family: str) -> None:
    """Mistyped, renamed, without a name: the account at the campus that has the number is theirs."""
    domain = Domain(account("a", given, family, number="7"))
    domain.person("Ana Ruiz", "7")
    assert linked(domain) == {"ana": "a"}


def test_an_account_that_bears_another_name_is_not_theirs_by_its_number() -> None:
    """A number that was mistyped, copied, or given out again; a sibling's family name is no evidence."""
    for given, family in (("Ben", "Diaz"), ("Ben", "Ruiz")):
        domain = Domain(account("a", given, family, number="7"))
        domain.person("Ana Ruiz", "7")
        assert disputed(domain, "ana") == ("employeeNumber finds an account that bears another name", {"a"})


def test_another_family_name_elsewhere_takes_a_second_witness() -> None:
    """At the campus, or with the address: a marriage. With another address, or at another campus: perhaps a number given again."""
    for told, found in (({"mail": "ana@x"}, True), ({"mail": "other@x"}, False), ({}, False)):
        domain = Domain(account("a", "Ana", "Lopez", "ou=003,ou=students", number="7", **told))
        domain.person("Ana Ruiz", "7", "ana@x")
        assert bool(linked(domain)) is found


def test_keys_that_find_different_accounts_decide_nothing() -> None:
    """The number says one, the address another: both are shown."""
    domain = Domain(account("a", "Ana", "Ruiz", number="7"), account("b", "Ana", "Ruiz", mail="ana@x"))
    domain.person("Ana Ruiz", "7", "ana@x")
    assert disputed(domain, "ana") == ("employeeNumber and mail find different accounts", {"a", "b"})


def test_an_address_on_an_account_with_another_number_decides_nothing() -> None:
    """The surer key says that it is somebody else's."""
    domain = Domain(account("a", "Ana", "Ruiz", number="8", mail="ana@x"))
    domain.person("Ana Ruiz", "7", "ana@x")
    assert disputed(domain, "ana") == ("mail finds an account whose employeeNumber is another one", {"a"})


def test_an_account_found_by_the_keys_of_two_is_nobodys() -> None:
    """One's number and the other's address: neither is believed."""
    domain = Domain(account("a", "Ana", "Ruiz", number="7", mail="anabel@x"))
    domain.person("Ana Ruiz", "7")
    domain.person("Anabel Ruiz", "", "anabel@x")
    assert disputed(domain, "ana")[0] == "employeeNumber finds an account that is found by the mail of anabel as well"
    assert disputed(domain, "anabel")[1] == {"a"}


@pytest.mark.parametrize(("twin", "other"), [("Jayden", "Kayden"), ("Adrian", "Adriana")])
def test_a_number_that_is_a_siblings_by_mistake_is_seen_by_whose_name_it_is(twin: str, other: str) -> None:
    """One twin has no account; the other's has that one's number. Its name is nearly the one's, and exactly the other's."""
    domain = Domain(account("a", other, "Ruiz", number="7"))
    domain.person(f"{twin} Ruiz", "7")
    domain.person(f"{other} Ruiz", "8")
    why = f"employeeNumber finds an account whose name is as much that of {other.lower()}, for whom no key finds any"
    assert disputed(domain, twin.lower()) == (why, {"a"})
    assert disputed(domain, other.lower())[1] == {"a"}


def test_of_two_namesakes_nobody_gets_an_account_by_a_number_alone() -> None:
    """It may have been mistyped: the other one finds none, and this may be it; unless it stands at the campus of one of them."""
    domain = Domain(account("a", "Ana", "Ruiz", number="7"))
    domain.person("Ana Ruiz", "7")
    namesake = Person(PersonId("other"), {"given": "Ana", "family": "Ruiz"})
    key = ("employeeNumber", "8")
    none = Situation(SituationKind.UNMATCHED, None, "")
    for container, found in ((HOME, {}), ("ou=grade 07,ou=003,ou=students", {"ana": "a"})):
        other = Seeker(namesake.id, namesake, NAMES, none, {key: []}, (), container)
        assert linked(Domain.of(domain.accounts, [domain.seekers[0], other])) == found


def test_two_keys_that_agree_need_no_name() -> None:
    """Whoever has number and address is not doubted because a namesake of the old name seeks an account."""
    domain = Domain(account("a", "Ana", "Lopez", number="7", mail="ana@x"))
    domain.person("Ana Ruiz", "7", "ana@x")
    domain.person("Anais Other", "9")
    assert linked(domain) == {"ana": "a"}


def test_a_disabled_twin_that_kept_the_number_is_not_the_account_in_use() -> None:
    """The account in use lost its number, and the old one has it: a human says which."""
    domain = Domain(account("old", "Ana", "Ruiz", number="7", enabled="no"), account("new", "Ana", "Ruiz"))
    domain.person("Ana Ruiz", "7")
    assert disputed(domain, "ana")[1] == {"old", "new"}


def test_a_disabled_twin_that_lost_the_number_is_no_rival() -> None:
    """The enabled account has the number: it is theirs."""
    domain = Domain(account("old", "Ana", "Ruiz", enabled="no"), account("new", "Ana", "Ruiz", number="7"))
    domain.person("Ana Ruiz", "7")
    assert linked(domain) == {"ana": "new"}


def test_two_accounts_with_the_number_are_shown() -> None:
    """R7: nothing is guessed between them."""
    domain = Domain(account("a", "Ana", "Ruiz", number="7"), account("b", "Ana", "Ruiz", number="7", enabled="no"))
    domain.person("Ana Ruiz", "7")
    assert disputed(domain, "ana") == ("employeeNumber finds 2 accounts", {"a", "b"})


def test_what_a_human_said_is_not_theirs_is_no_rival_any_more() -> None:
    """A decision is asked for once: neither the other account nor the other person is brought up again."""
    domain = Domain(account("old", "Ana", "Ruiz", number="7", enabled="no"), account("new", "Ana", "Ruiz"))
    domain.person("Ana Ruiz", "7")
    domain.seekers = [replace(domain.seekers[0], ignored={NativeId("new")})]
    assert linked(domain) == {"ana": "old"}
    domain = Domain(account("a", "Anna", "Ruiz", number="7"))
    domain.person("Ana Ruiz", "7")
    domain.person("Anna Ruiz", "8")
    domain.seekers[1] = replace(domain.seekers[1], ignored={NativeId("a")})
    assert linked(domain) == {"ana": "a"}


# --- own bases --------------------------------------------------------------------------------------------------------


def test_another_population_s_account_with_the_same_number_is_not_looked_at() -> None:
    """Students and staff are numbered apart: an account outside that bears another name is no candidate, and no dispute."""
    domain = Domain(account("a", "Ben", "Diaz", "ou=staff", number="7"))
    domain.person("Ana Ruiz", "7", bases=("ou=students",))
    assert domain.decided()[PersonId("ana")].kind is SituationKind.UNMATCHED


@pytest.mark.parametrize("told", [{"given": "Ana", "family": "Ruiz"}, {"given": "Ana", "family": "Lopez"}, {}])
def test_their_own_account_in_the_wrong_place_is_disputed(told: dict[str, str]) -> None:
    """R7: number and name are theirs, or no name contradicts: nobody gets a second account, and it is not taken either."""
    domain = Domain(account("a", container="ou=staff", number="7", **told))
    domain.person("Ana Ruiz", "7", bases=("ou=students",))
    assert disputed(domain, "ana")[1] == {"a"}


# --- what nothing finds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "family"), [("Ana", "Ruiz"), ("Anna", "Ruiz"), ("Ana", "Riuz"), ("Ana", "Lopez")])
def test_an_account_without_a_key_that_looks_like_theirs_is_disputed(given: str, family: str) -> None:
    """R35: by name, nearly by name, or by the given name at the campus: nothing is made before somebody has looked."""
    domain = Domain(account("a", given, family))
    domain.person("Ana Ruiz", "7")
    assert disputed(domain, "ana") == ("an account nobody is linked to looks like theirs; no find key says so", {"a"})


def test_a_namesake_who_was_found_is_no_look_alike() -> None:
    """What is another's by their key is nobody else's question."""
    domain = Domain(account("a", "Ana", "Ruiz", number="8"))
    domain.person("Ana Ruiz", "7")
    other = Person(PersonId("other"), {"given": "Ana", "family": "Ruiz"})
    key = ("employeeNumber", "8")
    found = Situation(SituationKind.UNLINKED, NativeId("a"), "matched by employeeNumber", (NativeId("a"),))
    elsewhere = Seeker(domain.seekers[0].person, domain.seekers[0].human, NAMES, domain.seekers[0].situation, {}, (), "ou=003")
    domain.seekers = [elsewhere, Seeker(other.id, other, NAMES, found, {key: [domain.accounts[0]]}, (), HOME)]
    assert linked(domain) == {"other": "a"}
    assert domain.decided()[PersonId("ana")].kind is SituationKind.UNMATCHED


@pytest.mark.parametrize("told", [{"given": "Ben", "family": "Ruiz"}, {"given": "Ana", "family": "Lopez", "number": "8"}, {}])
def test_a_sibling_a_stranger_with_a_number_and_a_nameless_account_look_like_nobody(told: dict[str, str]) -> None:
    """The given name alone is no likeness where the account has somebody's number."""
    domain = Domain(account("a", **told))
    domain.person("Ana Ruiz", "7")
    assert domain.decided()[PersonId("ana")].kind is SituationKind.UNMATCHED


def test_an_account_that_was_found_and_contradicted_is_shown_to_whom_it_looks_like() -> None:
    """Ana's account has Ben's number: Ben does not get it, and Ana no second one."""
    domain = Domain(account("a", "Ana", "Ruiz", number="9"))
    domain.person("Ben Diaz", "9")
    domain.person("Ana Ruiz", "7")
    assert disputed(domain, "ben")[1] == {"a"}
    assert disputed(domain, "ana")[1] == {"a"}


def test_a_name_that_goes_to_somebody_else_in_this_run_is_no_dispute() -> None:
    """Her user name is on an account that is Al's by his number: she chooses another one once he has it."""
    domain = Domain(account("aruiz", "Al", "Ruiz", number="9"))
    domain.person("Al Ruiz", "9")
    domain.person("Ana Ruiz", "7", by_name=("aruiz",))
    adoption = Adoption(domain.seekers, domain.accounts)
    adoption.decided()
    assert adoption.waiting == {"ana"}


def test_a_service_is_no_person() -> None:
    """Neither a key nor both parts of a name."""
    for told, managed in (({"family": "Backup"}, False), ({"given": "Ana", "family": "Ruiz"}, True), ({"number": "7"}, True)):
        assert is_managed(account("a", **told).account, ["employeeNumber"], NAMES) is managed
