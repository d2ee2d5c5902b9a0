"""What Google does to whoever writes to it: it forgets to answer, does not know yet, has it already, or says no."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from syncd.core.model import Account, Change, Failure, Kind, NativeId, Outcome, PersonId, Result, TargetName
from syncd.errors import EndpointError
from syncd.targets import ById, Chosen, OneTime, Scope, Seats
from syncd.targets.google import Google
from syncd.targets.google_config import Licence
from syncd.targets.google_hash import crypted
from tests.doubles.google import Quirks, SimulatedClock, refusals
from tests.integration.google_customer import ALL_SCOPES, DOMAIN, Customer, customer

NAMES = {"name.givenName": ("Ana",), "name.familyName": ("Ruiz",)}
SCOPE = Scope(frozenset({*NAMES, "externalIds.organization", "aliases", "phones.work", "includeInGlobalAddressList"}))
INSERT, UPDATE, GET = "directory.users.insert", "directory.users.update", "directory.users.get"


@pytest.fixture
def there() -> Iterator[Customer]:
    """A customer of which everything works; tests turn the knobs."""
    with customer(domains=(DOMAIN, f"groups.{DOMAIN}")) as one:
        yield one


@pytest.fixture
def google(there: Customer) -> Iterator[Google]:
    """A connector for it."""
    connector = there.connector(licences={"full": Licence(product="101031", sku="1010310008", seats=2)}, archive_parked=True)
    yield connector
    connector.close()


def account(name: str = "ana", /, container: str = "/students", **attributes: tuple[str, ...]) -> Account:
    """An account as a mapping would desire it; `a__b` is the field a.b."""
    told = {key.replace("__", "."): values for key, values in attributes.items()}
    return Account(f"{name}@{DOMAIN}", container, enabled=True, attributes={**NAMES, **told})


def change(kind: Kind, person: str = "p1", **told: object) -> Change:
    """A change of one person's account."""
    return Change(TargetName("t"), kind, "test", person=PersonId(person), **told)  # type: ignore[arg-type]  # spelled out by the callers


def place(of: Account, **attributes: tuple[str, ...]) -> Account:
    """Where the account is, with only these attributes."""
    return replace(of, attributes={key.replace("__", "."): values for key, values in attributes.items()})


def done(google: Google, *changes: Change, password: str | None = None) -> list[Outcome]:
    """What came of the changes, in their order."""
    told = {id(outcome.change): outcome for outcome in google.apply(changes, lambda _: password)}
    return [told[id(one)] for one in changes]


def made(google: Google, wanted: Account, person: str = "p1") -> NativeId:
    """The id of an account made just now."""
    (outcome,) = done(google, change(Kind.CREATE, person, after=google.canonical(wanted)))
    assert (outcome.result, outcome.why) == (Result.DONE, "")
    assert outcome.native_id is not None
    return outcome.native_id


def users_calls(there: Customer, since: int = 0) -> int:
    """How many requests were about users."""
    return there.google.journal.count("directory.users.", since=since)


# --- made once -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [None, refusals.unavailable(None)], ids=["no answer", "503"])
@pytest.mark.parametrize("after", [True, False], ids=["done", "not done"])
def test_a_create_without_an_answer_makes_one_account(
    there: Customer, google: Google, refusal: refusals.Refusal | None, *, after: bool
) -> None:
    """R17: whether it was carried out or not, it is looked for before it is asked for again."""
    there.google.next_call(INSERT, refusal, after=after)
    native_id = made(google, account())
    assert {user["id"] for user in there.google.users().values()} == {native_id}
    assert there.google.journal.count(GET) == 1


def test_a_create_whose_lost_account_is_not_seen_yet_waits_for_it(there: Customer, google: Google) -> None:
    """409 to what nobody can see: it is the one we made, and is waited for."""
    there.google.quirks.change(user_lag=(60.0, 60.0), lag_answers=("404",))
    there.google.next_call(INSERT, None, after=True)
    native_id = made(google, account())
    assert {user["id"] for user in there.google.users().values()} == {native_id}


def test_a_create_over_somebody_elses_account_changes_nothing(there: Customer, google: Google) -> None:
    """It is told whose it is, and left alone."""
    before = there.google.add_user(f"ana@{DOMAIN}", "Other", "Ana").resource
    (outcome,) = done(google, change(Kind.CREATE, after=google.canonical(account())))
    assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NAME_TAKEN)
    assert before["id"] in outcome.why
    assert there.google.user(f"ana@{DOMAIN}") == before


def test_an_account_of_a_run_that_was_killed_is_taken_over_while_nobody_used_it(there: Customer, google: Google) -> None:
    """It says whose it is; it gets what the mapping says today, and the password that is printed today."""
    native_id = made(google, account())
    wanted = google.canonical(account(externalIds__organization=("7",)))
    (outcome,) = done(google, change(Kind.CREATE, after=wanted), password="correct horse")
    assert (outcome.result, outcome.native_id) == (Result.DONE, native_id)
    assert there.google.account(native_id).password == "correct horse"
    assert {one["value"] for one in there.google.user(native_id)["externalIds"]} == {"7", "p1"}


def test_an_account_in_use_is_not_taken_over(there: Customer, google: Google) -> None:
    """Whoever signs in to it would lose their password."""
    native_id = made(google, account())
    there.google.account(native_id).resource["lastLoginTime"] = "2026-11-01T07:00:00.000Z"
    (outcome,) = done(google, change(Kind.CREATE, after=google.canonical(account())))
    assert (outcome.result, outcome.failure) == (Result.FAILED, Failure.NAME_TAKEN)
    assert "syncd resolve" in outcome.why


def test_a_deleted_account_of_the_same_person_comes_back_with_its_mailbox(there: Customer, google: Google) -> None:
    """Within twenty days it is undeleted: the same id, the same address, where it belongs today."""
    native_id = made(google, account())
    done(google, change(Kind.DELETE, native_id=native_id, before=place(account())))
    assert there.google.users() == {}
    assert made(google, account(container="/staff")) == native_id
    assert there.google.user(native_id)["orgUnitPath"] == "/Staff"


def test_a_deleted_account_of_somebody_else_keeps_its_address(google: Google) -> None:
    """For twenty days nobody gets it, and nobody gets the mailbox."""
    native_id = made(google, account())
    done(google, change(Kind.DELETE, native_id=native_id, before=place(account())))
    (outcome,) = done(google, change(Kind.CREATE, "p2", after=google.canonical(account())))
    assert (outcome.failure, "deleted account" in outcome.why) == (Failure.NAME_TAKEN, True)


def test_everybody_is_made_once_whatever_goes_wrong(there: Customer, google: Google) -> None:
    """Faults, lost requests, lost answers and errors after the fact, all at once, and lag besides."""
    there.google.quirks.change(
        seed=7, faults=0.05, lost_requests=0.03, lost_responses=0.03, late_errors=0.03, user_lag=(0.0, 30.0), retry_after=None
    )
    wanted = [google.canonical(account(f"u{number}")) for number in range(60)]
    outcomes = done(google, *(change(Kind.CREATE, f"p{number}", after=one) for number, one in enumerate(wanted)))
    assert {(outcome.result, outcome.why) for outcome in outcomes} == {(Result.DONE, "")}
    users = there.google.users()
    assert {one.rdn: outcome.native_id for one, outcome in zip(wanted, outcomes, strict=True)} == {
        address: user["id"] for address, user in users.items()
    }


def test_whoever_was_made_just_now_can_be_changed_at_once(there: Customer, google: Google) -> None:
    """404, 403, 412 and an answer without a name mean: not yet."""
    there.google.quirks.change(user_lag=(40.0, 40.0))
    native_id = made(google, account(aliases=(f"a.ruiz@{DOMAIN}",)))
    old, new = place(account(), name__givenName=("Ana",)), place(account(), name__givenName=("Anna",))
    (outcome,) = done(google, change(Kind.UPDATE, native_id=native_id, before=old, after=new))
    assert (outcome.result, outcome.why) == (Result.DONE, "")
    assert there.google.user(native_id)["name"]["givenName"] == "Anna"
    assert there.google.user(native_id)["aliases"] == [f"a.ruiz@{DOMAIN}"]


def test_whoever_was_made_just_now_is_listed_though_google_does_not(there: Customer, google: Google) -> None:
    """Nobody is called lost, or made again, because of a lag."""
    there.google.quirks.change(list_lag=(3600.0, 3600.0), user_lag=(60.0, 60.0), lag_answers=("404",))
    native_id = made(google, account())
    assert native_id in {one.native_id for one in google.read(SCOPE)}
    assert [one.native_id for _, one in google.lookup([ById(native_id)], SCOPE)] == [native_id]


def test_a_read_that_shows_what_was_before_our_write_is_not_believed(there: Customer, google: Google) -> None:
    """For a while Google tells the state before; a second run must not write again."""
    native_id = made(google, account())
    list(google.read(SCOPE))
    there.google.quirks.change(update_lag=(600.0, 600.0), list_lag=(600.0, 600.0))
    old, new = place(account(), name__givenName=("Ana",)), place(account(), name__givenName=("Anna",))
    done(google, change(Kind.UPDATE, native_id=native_id, before=old, after=new))
    told = {one.native_id: one.account for one in google.read(SCOPE)}
    assert told[native_id].attributes["name.givenName"] == ("Anna",)


# --- what is others' ------------------------------------------------------------------------------------------------------


def test_entries_of_others_in_a_list_stay(there: Customer, google: Google) -> None:
    """An update replaces a list as a whole, so it carries everybody's entries."""
    native_id = made(google, account(phones__work=("1",)))
    body = {"phones": [{"type": "home", "value": "2"}, {"type": "work", "value": "1"}]}
    google.people.update(native_id, body)
    old, new = place(account(), phones__work=("1",)), place(account(), phones__work=("3",))
    (outcome,) = done(google, change(Kind.UPDATE, native_id=native_id, before=old, after=new))
    assert outcome.result is Result.DONE
    assert {(one["type"], one["value"]) for one in there.google.user(native_id)["phones"]} == {("home", "2"), ("work", "3")}
    assert any(one["value"] == "p1" for one in there.google.user(native_id)["externalIds"])


def test_administrators_are_never_written(there: Customer, google: Google) -> None:
    """R40: whatever the plan says, and even if they became one after it was made."""
    native_id = made(google, account())
    list(google.read(SCOPE))
    there.google.make_super_admin(f"ana@{DOMAIN}")
    there.google.tenant.publish(there.google.account(native_id), Quirks(), there.google.clock.time())
    off = replace(place(account()), enabled=False)
    (outcome,) = done(google, change(Kind.DISABLE, native_id=native_id, before=place(account()), after=off))
    assert outcome.failure in (Failure.OUT_OF_SCOPE, Failure.REFUSED)
    assert there.google.user(native_id)["suspended"] is False
    told = {one.account.rdn: one.privileged for one in google.read(SCOPE)}
    assert told == {f"ana@{DOMAIN}": True, there.google.admin: True, there.google.super_admin: True}


def test_what_is_outside_of_the_configured_units_and_groups_is_refused(there: Customer) -> None:
    """Nothing is even asked of Google."""
    connector = there.connector(accounts_in=("/Students",), groups_in=(f"*@groups.{DOMAIN}",), privileged=(f"boss@{DOMAIN}",))
    outside, boss = account(container="/staff"), account("boss")
    assert "accounts_in" in connector.refuses(change(Kind.CREATE, after=outside))
    assert "privileged" in connector.refuses(change(Kind.UPDATE, before=place(boss), after=place(boss)))
    assert "groups_in" in connector.refuses(change(Kind.ADD_MEMBER, before=place(account()), group=f"all@{DOMAIN}"))
    assert "accounts_in" in connector.refuses(change(Kind.CREATE_CONTAINER, group="/Staff/New"))
    assert connector.refuses(change(Kind.CREATE_CONTAINER, group="/Students/New")) == ""
    assert connector.refuses(change(Kind.CREATE, after=account())) == ""


# --- calls ----------------------------------------------------------------------------------------------------------------


def test_a_create_and_an_update_take_one_request_each_and_nothing_takes_none(there: Customer, google: Google) -> None:
    """What was seen in this process is believed, so a change needs no question."""
    people = [made(google, account(f"u{number}"), f"p{number}") for number in range(5)]
    assert users_calls(there) == 5
    since = len(there.google.calls)
    changes = [
        change(
            Kind.UPDATE,
            native_id=native_id,
            before=place(account(f"u{number}"), name__givenName=("Ana",)),
            after=place(account(f"u{number}"), name__givenName=("Anna",)),
        )
        for number, native_id in enumerate(people)
    ]
    assert {outcome.result for outcome in done(google, *changes)} == {Result.DONE}
    assert users_calls(there, since) == 5


# --- names ----------------------------------------------------------------------------------------------------------------


def renamed(google: Google, native_id: NativeId, old: str, new: str) -> Outcome:
    """What came of another address."""
    (outcome,) = done(google, change(Kind.MOVE, native_id=native_id, before=place(account(old)), after=place(account(new))))
    return outcome


def test_a_new_address_leaves_the_old_one_as_an_alias_until_it_is_taken_away(there: Customer, google: Google) -> None:
    """Google keeps it by itself; the plan's update before it finds it is still the address; a later update takes it away."""
    native_id = made(google, account())
    alias = f"ana@{DOMAIN}"
    keep = change(Kind.UPDATE, native_id=native_id, before=place(account(), aliases=()), after=place(account(), aliases=(alias,)))
    assert done(google, keep)[0].result is Result.ALREADY
    assert renamed(google, native_id, "ana", "anna").result is Result.DONE
    assert there.google.user(native_id)["aliases"] == [alias]
    end = change(
        Kind.UPDATE, native_id=native_id, before=place(account("anna"), aliases=(alias,)), after=place(account("anna"), aliases=())
    )
    assert done(google, end)[0].result is Result.DONE
    assert "aliases" not in there.google.user(native_id)


def test_a_name_can_be_given_back(there: Customer, google: Google) -> None:
    """Its own alias is no reason to refuse it."""
    native_id = made(google, account())
    assert renamed(google, native_id, "ana", "anna").result is Result.DONE
    there.google.next_call(UPDATE, refusals.duplicate())
    assert renamed(google, native_id, "anna", "ana").result is Result.DONE
    assert there.google.user(native_id)["primaryEmail"] == f"ana@{DOMAIN}"


# --- leaving --------------------------------------------------------------------------------------------------------------


def test_a_leaver_is_suspended_then_archived_and_comes_back_the_same(there: Customer, google: Google) -> None:
    """Nobody loses a mailbox: no delete is ever sent."""
    native_id = made(google, account())
    here = place(account())
    off = replace(here, enabled=False)
    parked = replace(off, container="/disabled")
    steps = [
        change(Kind.DISABLE, native_id=native_id, before=here, after=off),
        change(Kind.PARK, native_id=native_id, before=off, after=parked),
    ]
    for step in steps:
        assert done(google, step)[0].result is Result.DONE
    user = there.google.user(native_id)
    assert (user["suspended"], user["archived"], user["orgUnitPath"]) == (True, True, "/Disabled")
    back = change(Kind.ENABLE, native_id=native_id, before=parked, after=replace(parked, enabled=True))
    assert done(google, back, password=OneTime("correct horse"))[0].result is Result.DONE
    user = there.google.user(native_id)
    assert (user["suspended"], user["archived"], user["changePasswordAtNextLogin"]) == (False, False, True)
    assert there.google.account(native_id).password == "correct horse"
    assert not there.google.journal.ever_sent("directory.users.delete")


def test_google_is_told_a_salted_hash_of_a_password_that_its_owner_chose(there: Customer, google: Google) -> None:
    """Which is that of this password and of no other, and is nobody's to change at the first sign-in."""
    native_id = made(google, replace(account(), enabled=False))
    here = replace(place(account()), enabled=False)
    opened = change(Kind.ENABLE, native_id=native_id, before=here, after=replace(here, enabled=True))
    assert done(google, opened, password=Chosen("ñandú y 47 colibríes"))[0].result is Result.DONE
    kept = there.google.account(native_id)
    _, kind, salt, _ = kept.password.split("$")
    assert (kind, kept.hash_function) == ("6", "crypt")
    assert (crypted("ñandú y 47 colibríes", salt) == kept.password, crypted("ñandu y 47 colibríes", salt) == kept.password) == (
        True,
        False,
    )
    user = there.google.user(native_id)
    assert (user["suspended"], user["changePasswordAtNextLogin"]) == (False, False)


# --- licences -------------------------------------------------------------------------------------------------------------


def edges(kind: Kind, group: str, people: Sequence[NativeId]) -> list[Change]:
    """One change for each member."""
    return [
        change(kind, native_id=native_id, before=place(account(f"u{number}")), group=group)
        for number, native_id in enumerate(people)
    ]


def test_licences_are_given_counted_and_taken_back(there: Customer, google: Google) -> None:
    """Two seats for three people: the third hears why; what is taken back can be given again."""
    there.google.sell("101031", "1010310008", 2)
    people = [made(google, account(f"u{number}"), f"p{number}") for number in range(3)]
    assert google.seats_left(["licence:full"]) == {"licence:full": Seats(2)}
    outcomes = [done(google, one)[0] for one in edges(Kind.ADD_MEMBER, "licence:full", people)]
    assert [outcome.result for outcome in outcomes] == [Result.DONE, Result.DONE, Result.FAILED]
    assert outcomes[2].failure is Failure.NO_SEAT
    assert "no licence:full is left" in outcomes[2].why
    assert google.seats_left(["licence:full"]) == {"licence:full": Seats(0)}
    (held,) = google.read_groups(["licence:full"])
    assert held.members == set(people[:2])
    back = edges(Kind.REMOVE_MEMBER, "licence:full", people)
    assert [done(google, one)[0].result for one in (back[0], back[0])] == [Result.DONE, Result.ALREADY]
    assert done(google, edges(Kind.ADD_MEMBER, "licence:full", people)[2])[0].result is Result.DONE
    assert there.google.licensed("101031", "1010310008") == {f"u1@{DOMAIN}", f"u2@{DOMAIN}"}


# --- groups and units -----------------------------------------------------------------------------------------------------


def test_a_group_gets_its_settings_and_members_though_it_is_not_known_yet(there: Customer) -> None:
    """Settings only of groups that we make; both wait for Google to know the group."""
    connector = there.connector(group_settings={"whoCanPostMessage": "ALL_MANAGERS_CAN_POST"})
    there.google.quirks.change(group_lag=(30.0, 30.0), user_lag=(30.0, 30.0))
    name = f"all-students@groups.{DOMAIN}"
    assert done(connector, change(Kind.CREATE_GROUP, group=name))[0].result is Result.DONE
    native_id = made(connector, account())
    joined = change(Kind.ADD_MEMBER, native_id=native_id, before=place(account()), group=name)
    assert done(connector, joined)[0].result is Result.DONE
    assert there.google.members(name) == {f"ana@{DOMAIN}"}
    assert there.google.group(name).settings["whoCanPostMessage"] == "ALL_MANAGERS_CAN_POST"
    connector.close()


def test_a_unit_is_made_as_the_mapping_spells_it_and_used_before_google_knows_it(there: Customer, google: Google) -> None:
    """Compared whatever its case; INVALID_OU_ID of a unit that is a moment old means: not yet."""
    there.google.quirks.change(unit_lag=(20.0, 20.0))
    wanted = google.canonical(account(container="/Students/Campus, North/Grade 07"))
    missing = google.missing_containers([wanted.container])
    assert missing == {"/students/campus, north", "/students/campus, north/grade 07"}
    for name in sorted(missing, key=len):
        assert done(google, change(Kind.CREATE_CONTAINER, group=name))[0].result is Result.DONE
    assert there.google.units() >= {"/Students/Campus, North/Grade 07"}
    assert done(google, change(Kind.CREATE, after=wanted))[0].result is Result.DONE


def test_a_group_and_a_unit_whose_answer_was_lost_are_ours_and_used_before_google_knows_them(there: Customer) -> None:
    """The second request finds the address or the name taken: by the first. They are as new as if it had been answered."""
    connector = there.connector(group_settings={"whoCanPostMessage": "ALL_MANAGERS_CAN_POST"})
    there.google.quirks.change(group_lag=(20.0, 20.0), unit_lag=(20.0, 20.0))
    name, wanted = f"all-students@groups.{DOMAIN}", connector.canonical(account(container="/Students/Oak"))
    for method in ("directory.groups.insert", "directory.orgunits.insert"):
        there.google.next_call(method, None, after=True)
    assert done(connector, change(Kind.CREATE_GROUP, group=name))[0].result is Result.DONE
    assert there.google.group(name).settings["whoCanPostMessage"] == "ALL_MANAGERS_CAN_POST"
    assert done(connector, change(Kind.CREATE_CONTAINER, group=wanted.container))[0].landed
    (outcome,) = done(connector, change(Kind.CREATE, after=wanted))
    assert (outcome.result, outcome.why) == (Result.DONE, "")
    connector.close()


@pytest.mark.parametrize("name", [f"all-students@groups.{DOMAIN}", "licence:full"])
def test_a_membership_whose_answer_was_lost_is_ours_and_so_is_its_end(there: Customer, google: Google, name: str) -> None:
    """Told as already so, it would count as somebody else's, and would never be taken back."""
    there.google.sell("101031", "1010310008", 2)
    if "@" in name:
        assert done(google, change(Kind.CREATE_GROUP, group=name))[0].result is Result.DONE
    native_id = made(google, account())
    method = "directory.members." if "@" in name else "licensing.licenseAssignments."
    for kind, verb in ((Kind.ADD_MEMBER, "insert"), (Kind.REMOVE_MEMBER, "delete")):
        there.google.next_call(f"{method}{verb}", None, after=True)
        (outcome,) = done(google, change(kind, native_id=native_id, before=place(account()), group=name))
        assert (outcome.result, outcome.why) == (Result.DONE, "")
        (outcome,) = done(google, change(kind, native_id=native_id, before=place(account()), group=name))
        assert outcome.result is Result.ALREADY


def test_what_was_written_just_now_is_written_again_without_the_etag_google_may_not_know_yet(
    there: Customer, google: Google
) -> None:
    """Where an update lags, If-Match with the new etag is refused until everybody knows it: two changes are two requests."""
    native_id = made(google, account())
    there.google.clock.sleep(600)
    there.google.quirks.change(update_lag=(20.0, 20.0))
    since = len(there.google.calls)
    for was, wanted in (("Ana", "Bea"), ("Bea", "Cleo")):
        told = {"before": place(account(), name__givenName=(was,)), "after": place(account(), name__givenName=(wanted,))}
        (outcome,) = done(google, change(Kind.UPDATE, native_id=native_id, **told))
        assert (outcome.result, outcome.why) == (Result.DONE, "")
    assert users_calls(there, since) == 2
    assert there.google.user(native_id)["name"]["givenName"] == "Cleo"


def test_of_many_who_are_made_in_a_new_unit_one_finds_out_whether_google_knows_it() -> None:
    """The others wait for that one: each attempt of theirs would be taken off the ten accounts a second."""
    several = 12
    clock = SimulatedClock(workers=several, patience=0.05)  # nobody's waiting may take the time of who finds out
    with customer(clock=clock) as there:
        google = there.connector(connections=several)
        wanted = [google.canonical(account(f"p{n}", container="/Students/Oak")) for n in range(several)]
        there.google.quirks.change(unit_lag=(20.0, 20.0))
        assert done(google, change(Kind.CREATE_CONTAINER, group=wanted[0].container))[0].result is Result.DONE
        since = len(there.google.calls)
        outcomes = done(google, *(change(Kind.CREATE, f"p{n}", after=one) for n, one in enumerate(wanted)))
        assert {(one.result, one.why) for one in outcomes} == {(Result.DONE, "")}
        assert there.google.journal.count(INSERT, status=200, since=since) == several
        assert 1 <= there.google.journal.count(INSERT, status=400, since=since) <= 6  # of one, with its pauses; of all, sixty
        google.close()


def test_two_targets_of_one_project_share_its_quota_and_the_lower_numbers_count() -> None:
    """Each in a pipeline of its own, at the same time: together they ask no faster than Google lets one project ask."""
    limit, each = 60, 40
    clock = SimulatedClock(workers=2, patience=0.5)  # time stands still while a request is under way
    with customer(Quirks(queries_per_minute=limit), clock) as there:
        googles = [there.connector(connections=1, queries_per_minute=limit), there.connector(connections=1)]
        begun = clock.monotonic()

        def makes(google: Google, place: int) -> list[Outcome]:
            wanted = [google.canonical(account(f"p{place}x{n}")) for n in range(each)]
            outcomes = done(google, *(change(Kind.CREATE, f"p{place}{n:03}", after=one) for n, one in enumerate(wanted)))
            clock.employ(1)  # the other one has the clock for itself
            return outcomes

        with ThreadPoolExecutor(2) as pool:
            outcomes = [one for told in pool.map(makes, googles, (1, 2)) for one in told]
        assert {(one.result, one.why) for one in outcomes} == {(Result.DONE, "")}
        assert there.google.journal.count(status=403) == 0
        assert there.google.journal.count(INSERT) == 2 * each
        assert clock.monotonic() - begun >= 60  # eighty where sixty a minute are let through
        for google in googles:
            google.close()


def test_a_change_whose_answer_was_lost_is_asked_for_once_more_and_nothing_else(there: Customer, google: Google) -> None:
    """It was done, so the etag is another: by our own doing, which is nothing to read the account for."""
    native_id = made(google, account())
    there.google.clock.sleep(600)
    assert len(list(google.read(SCOPE))) == 3  # with the two administrators: now there is an etag
    since = len(there.google.calls)
    there.google.next_call(UPDATE, None, after=True)
    told = {"before": place(account(), name__givenName=("Ana",)), "after": place(account(), name__givenName=("Bea",))}
    (outcome,) = done(google, change(Kind.UPDATE, native_id=native_id, **told))
    assert (outcome.result, outcome.why) == (Result.DONE, "")
    assert users_calls(there, since) == 2


# --- custom schemas -------------------------------------------------------------------------------------------------------


def test_values_of_custom_schemas_have_their_types_or_are_refused_by_name(there: Customer, google: Google) -> None:
    """A text where a number belongs would be told back otherwise, and be written again for ever."""
    there.google.tenant.schemas["District"] = {
        "schemaName": "District",
        "fields": [
            {"fieldName": "grade", "fieldType": "INT64"},
            {"fieldName": "bus", "fieldType": "STRING", "multiValued": True},
            {"fieldName": "lunch", "fieldType": "BOOL"},
        ],
    }
    told = {
        "customSchemas__District__grade": ("7",),
        "customSchemas__District__bus": ("12", "14"),
        "customSchemas__District__lunch": ("TRUE",),
    }
    native_id = made(google, account("ana", "/students", **told))
    held = there.google.user(native_id)["customSchemas"]["District"]
    assert held == {"grade": 7, "bus": [{"value": "12"}, {"value": "14"}], "lunch": True}
    asked = Scope(frozenset({name.replace("__", ".") for name in told}))
    ((_, found),) = google.lookup([ById(native_id)], asked)
    assert found.account.attributes == {name.replace("__", "."): values for name, values in told.items()}
    (outcome,) = done(
        google, change(Kind.CREATE, "p2", after=google.canonical(account("b", customSchemas__District__grade=("07",))))
    )
    assert (outcome.failure, "INT64" in outcome.why) == (Failure.INVALID, True)


# --- when nothing goes any more -------------------------------------------------------------------------------------------


def test_without_the_scope_for_custom_schemas_only_who_needs_one_waits(there: Customer, google: Google) -> None:
    """Nothing of that change is sent, its outcome names the part, and everybody else's changes go on."""
    people = [made(google, account(f"u{number}"), f"p{number}") for number in range(2)]
    there.google.delegate(one for one in ALL_SCOPES if "userschema" not in one)
    told = {"customSchemas.District.grade": ("7",)}, {"phones.work": ("1",)}
    befores = [place(account(f"u{number}")) for number in range(2)]
    changes = [
        change(
            Kind.UPDATE,
            f"p{n}",
            native_id=people[n],
            before=replace(befores[n], attributes={}),
            after=replace(befores[n], attributes=one),
        )
        for n, one in enumerate(told)
    ]
    waits, goes = done(google, *changes)
    assert (waits.failure, waits.beyond and waits.beyond.part) == (Failure.WAITS, "custom attributes")
    assert waits.beyond is not None
    assert waits.beyond.why.endswith("client 104857600000000000001, add this scope; it may take a day")
    assert goes.result is Result.DONE
    assert there.google.user(people[1])["phones"][0]["value"] == "1"


def test_a_quota_that_is_gone_for_long_ends_the_run_in_words(there: Customer, google: Google) -> None:
    """What was not sent says why, nothing is called refused, and the target sits the run out."""
    made(google, account())
    there.google.close_quota(3600.0)
    wanted = [change(Kind.CREATE, f"q{number}", after=google.canonical(account(f"v{number}"))) for number in range(30)]
    outcomes: list[Outcome] = []
    with pytest.raises(EndpointError, match="userRateLimitExceeded"):
        outcomes.extend(google.apply(wanted, lambda _: None))
    assert {outcome.failure for outcome in outcomes} == {Failure.WAITS}
    assert len(outcomes) == 30


def test_a_key_that_is_revoked_in_the_middle_ends_the_run_in_words(there: Customer, google: Google) -> None:
    """It says which credential, and what to click."""
    made(google, account())
    there.google.revoke_key()
    with pytest.raises(EndpointError, match=r"google_key.*Service accounts > Keys"):
        done(google, change(Kind.CREATE, "p2", after=google.canonical(account("b"))))


def test_a_page_token_that_expires_ends_the_read(there: Customer, google: Google) -> None:
    """Half a listing is none; `Target` begins it anew."""
    for number in range(8):
        there.google.add_user(f"w{number}@{DOMAIN}")
    there.google.quirks.change(page_size=3, page_token_lifetime=0.5, latency=(1.0, 1.0))
    with pytest.raises(Exception, match="page"):
        list(google.read(SCOPE))
    there.google.quirks.change(page_token_lifetime=3600.0, repeats=0.5)
    assert len({one.native_id for one in google.read(SCOPE)}) == 10
