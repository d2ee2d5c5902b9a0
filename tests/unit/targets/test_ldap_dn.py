"""Names: parsing and rendering are inverse, comparison is by value, and no value can become structure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.targets.ldap_dn import NotADn, Places, Tree, canonical, escape, fold, parse, render

VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
KINDS = st.sampled_from(["cn", "ou", "uid", "dc"])
NAMES = st.lists(st.tuples(KINDS, VALUES).map(lambda pair: (pair,)), max_size=5).map(tuple)


@given(NAMES)
def test_what_is_rendered_is_parsed_back(name: tuple[tuple[tuple[str, str], ...], ...]) -> None:
    """parse(render(x)) == x for every name whatever its values hold."""
    assert parse(render(name)) == name


@given(VALUES)
def test_a_value_is_never_structure(value: str) -> None:
    """However a value looks, it makes exactly one step."""
    assert parse(f"ou={escape(value)},dc=test") == ((("ou", value),), (("dc", "test"),))


@given(NAMES)
def test_canonical_is_idempotent(name: tuple[tuple[tuple[str, str], ...], ...]) -> None:
    """Spelling a name canonically twice changes nothing."""
    once = canonical(render(name))
    assert canonical(once) == once


@given(st.text(max_size=30))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    """Nothing but NotADn ever comes out of parsing."""
    try:
        assert fold(parse(render(parse(text)))) == fold(parse(text))
    except NotADn:
        return


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("OU=A\\, B,DC=Test", "ou=a\\2c b , dc=TEST"),
        ('ou="a, b",dc=test', "ou=a\\2Cb".replace("Cb", "C b") + ",dc=test"),
        ("ou=a\\3Bb", "OU=A\\;B"),
        ("ou=Jos\\C3\\A9", "ou=josé"),
        ("ou=a;dc=b", "ou=a,dc=b"),
        ("userid=x+cn=y", "cn=Y+uid=X"),
        ("ou=a  b", "ou= A B "),
        ("ou=\\20a", "ou=a"),
    ],
)
def test_two_spellings_of_one_name_are_equal(one: str, other: str) -> None:
    """Names are compared parsed."""
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize("text", ["Grade 07", "ou=a,b", "=a", "ou=a\\", "1x=a", "ou=\\ff"])
def test_what_is_no_name_is_refused_with_the_text(text: str) -> None:
    """The message shows what was written."""
    with pytest.raises(NotADn, match="is not a distinguished name"):
        parse(text)


class TestTree:
    """Names relative to a base."""

    tree = Tree.of("dc=district,dc=test", "UID")

    @given(VALUES.filter(lambda text: text.strip() and not text.startswith("\\")))
    def test_place_and_account_are_inverse(self, rdn: str) -> None:
        """Where an account stands, and what stands there."""
        assert self.tree.place(parse(self.tree.account("ou=students", rdn))) == ("ou=students", rdn)

    def test_what_lies_outside_has_no_place(self) -> None:
        """Another suffix, and the base itself."""
        assert self.tree.place(parse("uid=a,dc=test")) is None
        assert self.tree.place(parse("DC=District,DC=Test")) is None

    def test_an_account_named_otherwise_keeps_its_type(self) -> None:
        r"""It is told as `\type=value`, and addressed again by that."""
        assert self.tree.place(parse("cn=Ann\\, Lee,ou=Staff,dc=district,dc=test")) == ("ou=staff", "\\cn=Ann\\, Lee")
        assert self.tree.account("ou=staff", "\\cn=Ann\\, Lee") == "cn=Ann\\, Lee,ou=staff,dc=district,dc=test"

    def test_an_empty_name_is_refused(self) -> None:
        """An account needs a name."""
        with pytest.raises(NotADn, match="empty"):
            self.tree.account("ou=staff", " ")


NEAR = st.text(st.sampled_from('aZ=,;+"\\ #é\x00\n1'), max_size=12)


@given(st.one_of(NAMES.map(render), st.text(max_size=20), NEAR, st.builds("{}{}".format, st.just("uid="), NEAR)), st.booleans())
def test_a_place_told_from_text_is_the_place_told_from_the_parsed_name(text: str, inside: bool) -> None:
    """The short cut for plain names is nothing but quicker: same place, same canonical name, same refusal."""
    below = (f"{text},OU=a\\2c b;dc=Test" if inside else text, Tree.of("ou=A\\, B,dc=test", "uid"))
    for told, tree in (below, (text, Tree((), "uid"))):
        try:
            expected = (tree.place(parse(told)), canonical(told))
        except NotADn:
            with pytest.raises(NotADn):
                Places(tree).of(told)
            continue
        spot = Places(tree).of(told)
        assert (None if spot is None else (spot.container, spot.rdn)) == expected[0]
        assert spot is None or spot.name == expected[1]
