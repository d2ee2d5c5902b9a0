"""When a refused change is tried again, what waits with it, and what is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from syncd.core import quarantine
from syncd.core.model import Account, Change, Failure, Kind, PersonId, TargetName
from syncd.core.quarantine import BACK_OFF, Refused, next_try, sort_out

LDAP, P1, P2 = TargetName("ldap"), PersonId("p1"), PersonId("p2")
NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
PLACE = Account("ana", "ou=a", enabled=True, attributes={})
ELSEWHERE = replace(PLACE, container="ou=b")


def change(
    kind: Kind, person: PersonId = P1, before: Account | None = PLACE, after: Account | None = None, group: str | None = None
) -> Change:
    return Change(LDAP, kind, "", person, None, before, after, group)


def update(person: PersonId = P1, **attributes: str) -> Change:
    return change(Kind.UPDATE, person, after=replace(PLACE, attributes={name: (value,) for name, value in attributes.items()}))


def refused(one: Change, count: int = 1, at: datetime = NOW) -> Refused:
    assert one.person is not None
    when = (NOW, at, next_try(count, at))
    return Refused(LDAP, one.person, one.kind, one.group or "", quarantine.wanted(one), "", "no", count, *when)


MAIL, PHONE = update(mail="x"), update(phone="1")
MOVE = change(Kind.MOVE, after=ELSEWHERE)
JOIN = change(Kind.ADD_MEMBER, group="cn=g")


def test_a_change_is_tried_again_ever_more_seldom() -> None:
    """After an hour, four, a day, three days, and then every week, counted from the last refusal."""
    assert [next_try(count, NOW) - NOW for count in range(1, 8)] == [*BACK_OFF, BACK_OFF[-1], BACK_OFF[-1]]
    assert {next_try(count, NOW, Failure.NO_SEAT) - NOW for count in range(1, 8)} == {BACK_OFF[0]}


def test_what_was_refused_waits_until_its_time_comes() -> None:
    """Not in every run between; and the one it belongs to is told of as tried again when it is."""
    before = sort_out([MAIL], [refused(MAIL)], {P1}, NOW + timedelta(minutes=59))
    assert (before.sent, before.aside, before.retried) == ((), (MAIL,), frozenset())
    after = sort_out([MAIL], [refused(MAIL)], {P1}, NOW + timedelta(hours=1))
    assert (after.sent, after.aside, after.retried) == ((MAIL,), (), {P1})


def test_something_else_wanted_in_its_place_is_sent_at_once() -> None:
    """The roster was mended: that is another question, and nobody who fails for sure."""
    other = update(mail="y")
    found = sort_out([other], [refused(MAIL)], {P1}, NOW)
    assert (found.sent, found.aside, found.retried, found.obsolete) == ((other,), (), frozenset(), ())


def test_another_change_of_the_same_person_is_a_reason_to_try_again() -> None:
    """What the target says of an account may depend on the rest of it."""
    found = sort_out([JOIN, PHONE], [refused(JOIN)], {P1}, NOW)
    assert (found.sent, found.retried) == ((JOIN, PHONE), {P1})


def test_two_refused_ones_do_not_wake_each_other() -> None:
    """Else two would be sent whenever one is due, for ever."""
    late = refused(JOIN, count=5)
    found = sort_out([PHONE, JOIN], [refused(PHONE), late], {P1}, NOW + timedelta(hours=2))
    assert (found.sent, found.aside, found.retried) == ((PHONE,), (JOIN,), {P1})


def test_an_edited_mapping_has_everything_tried_again() -> None:
    """Whoever edited it wants to see whether that helps."""
    assert sort_out([MAIL], [refused(MAIL)], {P1}, NOW, edited=True).sent == (MAIL,)


def test_others_go_on() -> None:
    """One person's refusal is nobody else's."""
    theirs = update(P2, mail="x")
    found = sort_out([MAIL, theirs], [refused(MAIL)], {P1, P2}, NOW)
    assert (found.sent, found.aside, found.retried) == ((theirs,), (MAIL,), frozenset())


def test_what_depends_on_a_refused_change_waits_with_it() -> None:
    """A membership of an account that does not exist is no reason to ask for the account again."""
    create = change(Kind.CREATE, before=None, after=PLACE)
    assert sort_out([create, JOIN], [refused(create)], {P1}, NOW).aside == (create, JOIN)


def test_what_is_not_wanted_any_more_is_forgotten() -> None:
    """But only of those whose wants this run knows."""
    old = refused(MAIL)
    assert sort_out([], [old], {P1}, NOW).obsolete == (old.slot,)
    assert sort_out([], [old], set(), NOW).obsolete == ()


@pytest.mark.parametrize(
    ("later", "missing", "waits"),
    [
        (JOIN, change(Kind.CREATE, before=None, after=PLACE), True),
        (MOVE, MAIL, False),
        (JOIN, MAIL, False),
        (change(Kind.DISABLE, after=replace(PLACE, enabled=False)), change(Kind.REMOVE_MEMBER, group="cn=g"), False),
        (change(Kind.DISABLE, after=replace(PLACE, enabled=False)), MOVE, False),
        (change(Kind.PARK, after=ELSEWHERE), change(Kind.DISABLE, after=replace(PLACE, enabled=False)), True),
        (change(Kind.DELETE), change(Kind.DISABLE, after=replace(PLACE, enabled=False)), True),
        (change(Kind.ADD_MEMBER, before=ELSEWHERE, group="cn=g"), MOVE, True),
        (change(Kind.ADD_MEMBER, before=ELSEWHERE, group="cn=g"), change(Kind.ADD_MEMBER, group="cn=h"), False),
        (change(Kind.ADD_MEMBER, group="cn=g"), change(Kind.REMOVE_MEMBER, group="cn=g"), True),
        (update(P2, mail="x"), change(Kind.CREATE, before=None, after=PLACE), False),
    ],
)
def test_only_what_makes_no_sense_without_it_waits(later: Change, missing: Change, waits: bool) -> None:
    """Access ends though a group will not let go; nobody is parked who is still let in."""
    assert quarantine.depends(later, missing) is waits


@pytest.mark.parametrize(
    ("attributes", "words", "named"),
    [
        ({"mail": "x", "sn": "y"}, "mail: value #0 invalid per syntax", "mail"),
        ({"mail": "x", "mailHost": "y"}, "mailHost: no equality rule", "mailHost"),
        ({"mail": "x"}, "constraint violation (19)", "mail"),
        ({"mail": "x", "sn": "y"}, "constraint violation (19)", ""),
        ({"mail": "x", "sn": "y"}, "sn and mail are not allowed", ""),
    ],
)
def test_the_attribute_is_the_one_the_words_name(attributes: dict[str, str], words: str, named: str) -> None:
    """Told where it is sure, else left to the words."""
    assert quarantine.attribute_named(update(**attributes), words) == named
