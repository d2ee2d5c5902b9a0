"""Whether the names on an account are a person's: told from a sibling's, a namesake's and nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.likeness import Alike, Bearers, NameAttributes, alike, names_of, names_on, near
from syncd.core.model import Account, NativeId, Observed, Person, PersonId

ATTRIBUTES = NameAttributes(given=("givenName",), family=("sn",), full=("cn",))


def person(given: str, family: str, **fields: str) -> Person:
    return Person(PersonId("p1"), {"given": given, "family": family, **fields})


def account(**attributes: str) -> Account:
    return Account("x", "ou=Students", enabled=True, attributes={name: (value,) for name, value in attributes.items()})


@pytest.mark.parametrize(
    ("given", "family", "borne", "expected"),
    [
        ("Ana", "Ruiz", {"givenName": "Ana", "sn": "Ruiz"}, Alike.SAME),
        ("José", "García", {"givenName": "jose", "sn": "GARCIA"}, Alike.SAME),
        ("Ana", "García López", {"givenName": "Ana", "sn": "Garcia"}, Alike.SAME),
        ("Maria Elena", "Ruiz", {"givenName": "Maria", "sn": "Ruiz"}, Alike.SHORTENED),
        ("Adrian", "Ruiz", {"givenName": "Adriana", "sn": "Ruiz"}, Alike.SHORTENED),
        ("Ana", "Ruiz", {"cn": "Ruiz, Ana"}, Alike.SAME),
        ("John", "Smith", {"givenName": "Jhon", "sn": "Smith"}, Alike.MISTYPED),
        ("John", "Smith", {"givenName": "John", "sn": "Smiht"}, Alike.MISTYPED),
        ("Ada", "Abara", {"givenName": "Ada", "sn": "Ab."}, Alike.MISTYPED),
        ("Gus", "Gray", {"sn": "Gray"}, Alike.MISTYPED),
        ("Ana", "Ruiz", {"givenName": "Ana", "sn": "Lopez"}, Alike.RENAMED),
        ("Ana", "Ruiz", {"cn": "Ana Lopez"}, Alike.RENAMED),
        ("Ana", "Ruiz", {}, Alike.UNKNOWN),
        ("Ana", "Ruiz", {"givenName": "Ben", "sn": "Ruiz"}, Alike.OTHER),
        ("Ana", "Ruiz", {"sn": "Ruiz", "cn": "Ben Ruiz"}, Alike.OTHER),
        ("Ana", "Ruiz", {"cn": "Ben Ruiz"}, Alike.OTHER),
        ("Ana", "Ruiz", {"givenName": "A", "sn": "Ruiz"}, Alike.OTHER),
        ("Robert", "Ruiz", {"givenName": "Bob", "sn": "Ruiz"}, Alike.OTHER),
    ],
)
def test_a_person_is_told_from_siblings_and_strangers(given: str, family: str, borne: dict[str, str], expected: Alike) -> None:
    """R35: names are compared folded; a given name may be cut short, a family name may be one of two, an initial is nobody's."""
    assert alike(names_of(person(given, family)), names_on(account(**borne), ATTRIBUTES)) is expected


def test_a_name_that_is_no_whole_name_of_this_family_speaks_against_nobody() -> None:
    """`cn: Somebody Else` beside `sn: Gray` is no given name; but where it holds theirs, it speaks for them."""
    assert alike(names_of(person("Gus", "Gray")), names_on(account(sn="Gray", cn="Somebody Else"), ATTRIBUTES)) is Alike.MISTYPED
    assert alike(names_of(person("Gus", "Other")), names_on(account(sn="Gray", cn="Gus"), ATTRIBUTES)) is Alike.RENAMED


def test_a_preferred_name_is_a_name() -> None:
    """Whichever of their names the account bears."""
    told = names_of(person("Robert", "Ruiz", preferred_given="Bob"))
    assert alike(told, names_on(account(givenName="Bob", sn="Ruiz"), ATTRIBUTES)) is Alike.SAME


@pytest.mark.parametrize(("one", "other"), [("ana", "eva"), ("abcd", "axxd"), ("garcia", "graica"), ("ab", "abc"), ("", "abcd")])
def test_two_slips_or_a_short_name_make_another_name(one: str, other: str) -> None:
    """One letter of three is not a slip of the hand."""
    assert not near(one, other)


@given(st.text("abcde", min_size=4, max_size=9), st.data())
def test_one_slip_is_seen_from_both_sides(name: str, data: st.DataObject) -> None:
    """One letter wrong, missing, too many, or two that changed places."""
    at = data.draw(st.integers(0, len(name) - 2))
    slips = (name[:at] + "z" + name[at + 1 :], name[:at] + name[at + 1 :], name[:at] + "z" + name[at:])
    slips += (name[:at] + name[at + 1] + name[at] + name[at + 2 :],)
    for slip in slips:
        assert near(name, slip)
        assert near(slip, name)


def test_bearers_find_whoever_is_alike_and_nobody_else() -> None:
    """Asked by a person's names, as by comparing everybody with everybody."""
    bearers = Bearers(ATTRIBUTES)
    told = [("n1", "Ana", "Ruiz"), ("n2", "Ana", "Lopez"), ("n3", "Ben", "Ruiz"), ("n4", "Anna", "Ruiz"), ("n5", "Eva", "Diaz")]
    for native_id, first, last in told:
        bearers.add(Observed(NativeId(native_id), account(givenName=first, sn=last)))
    bearers.add(Observed(NativeId("n6"), account(mail="backup@example.org")))
    found = {native_id: likeness for native_id, (_, likeness) in bearers.like(names_of(person("Ana", "Ruiz"))).items()}
    assert found == {"n1": Alike.SAME, "n2": Alike.RENAMED, "n4": Alike.MISTYPED}
