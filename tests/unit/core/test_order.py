"""The order of changes: dependencies hold, waves are independent, rings of renames are broken."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from syncd.core.model import Account, Change, Kind, PersonId, TargetName
from syncd.core.order import waves

LDAP = TargetName("ldap")


def at(rdn: str, container: str = "ou=a") -> Account:
    return Account(rdn, container, enabled=True, attributes={})


def change(
    kind: Kind, person: str | None = None, before: Account | None = None, after: Account | None = None, group: str | None = None
) -> Change:
    return Change(LDAP, kind, "", person=PersonId(person) if person else None, before=before, after=after, group=group)


def wave_of(changes: list[Change]) -> dict[int, int]:
    """Which wave each change landed in, by identity."""
    return {id(one): number for number, wave in enumerate(waves(changes)) for one in wave}


def test_containers_come_before_what_stands_in_them_parents_first() -> None:
    """R20."""
    child = change(Kind.CREATE_CONTAINER, group="ou=b,ou=a")
    top = change(Kind.CREATE_CONTAINER, group="ou=a")
    create = change(Kind.CREATE, "p1", after=at("x", "ou=b,ou=a"))
    place = wave_of([create, child, top])
    assert place[id(top)] < place[id(child)] < place[id(create)]


def test_ordinary_disables_come_behind_everything_that_opens_a_door() -> None:
    """R20: a run that dies half way has given, not taken."""
    disable = change(Kind.DISABLE, "p1", at("x"), at("x"))
    create = change(Kind.CREATE, "p2", after=at("y"))
    place = wave_of([disable, create])
    assert place[id(create)] < place[id(disable)]


def test_a_create_waits_for_the_move_that_frees_its_name() -> None:
    """R10, though creates otherwise come before moves."""
    move = change(Kind.MOVE, "p1", at("smith"), at("jones"))
    create = change(Kind.CREATE, "p2", after=at("Smith"))
    member = change(Kind.ADD_MEMBER, "p2", before=at("Smith"), group="cn=g")
    place = wave_of([create, move, member])
    assert place[id(move)] < place[id(create)] < place[id(member)]


def test_two_people_swapping_names_go_by_way_of_a_temporary_one() -> None:
    """R10: a ring has no first member, so one is made."""
    one = change(Kind.MOVE, "p1", at("a"), at("b"))
    two = change(Kind.MOVE, "p2", at("b"), at("a"))
    taken = {"a": "p1", "b": "p2"}
    for wave in waves([one, two]):
        for step in wave:
            assert step.before is not None
            assert step.after is not None
            assert taken.pop(step.before.rdn) == step.person
            assert step.after.rdn not in taken
            taken[step.after.rdn] = str(step.person)
    assert taken == {"b": "p1", "a": "p2"}


def test_a_change_of_case_only_is_no_ring() -> None:
    """A place and its folded self are one."""
    step = change(Kind.MOVE, "p1", at("smith"), at("Smith"))
    assert waves([step]) == [[step]]


@given(st.permutations([f"r{n}" for n in range(6)]), st.integers(0, 5))
def test_any_permutation_of_names_is_carried_out_without_two_on_one_name(order: list[str], extra: int) -> None:
    """R10 for every arrangement: rings, chains and both at once."""
    start = [f"r{n}" for n in range(6)]
    moves = [change(Kind.MOVE, f"p{n}", at(start[n]), at(order[n])) for n in range(6) if start[n] != order[n]]
    moves = [move for move in moves if move.person != f"p{extra}"] if extra < 3 and start[extra] == order[extra] else moves
    taken = {name: f"p{n}" for n, name in enumerate(start)}
    for wave in waves(moves):
        for step in wave:
            assert step.before is not None
            assert step.after is not None
            assert taken.pop(step.before.rdn) == step.person
        for step in wave:
            assert step.after is not None
            assert step.after.rdn not in taken
            taken[step.after.rdn] = str(step.person)
    assert taken == {order[n]: f"p{n}" for n in range(6)}


@given(st.lists(st.tuples(st.sampled_from(sorted(Kind)), st.integers(0, 4), st.sampled_from("abc")), max_size=30))
@example([(Kind.PARK, 1, "a"), (Kind.MOVE, 2, "c"), (Kind.PARK, 1, "c"), (Kind.PARK, 2, "a")])  # each waits for the next
def test_no_wave_holds_two_changes_of_one_account_and_nothing_is_lost(drawn: list[tuple[Kind, int, str]]) -> None:
    """Pipelining keeps no order (slapd): what shares a wave must not depend on each other."""
    changes = []
    for kind, person, name in drawn:
        if kind in (Kind.CREATE_CONTAINER, Kind.CREATE_GROUP, Kind.SET_GROUP):
            changes.append(change(kind, group=f"ou={name}"))
        elif kind in (Kind.ADD_MEMBER, Kind.REMOVE_MEMBER):
            changes.append(change(kind, f"p{person}", before=at(name), group=f"cn={name}"))
        else:
            changes.append(change(kind, f"p{person}", before=at(name), after=at(name)))
    laid = waves(changes)
    assert sorted(map(id, changes)) == sorted(id(one) for wave in laid for one in wave)
    for wave in laid:
        people = [one.person for one in wave if one.person is not None and one.kind not in (Kind.ADD_MEMBER, Kind.REMOVE_MEMBER)]
        assert len(people) == len(set(people))
