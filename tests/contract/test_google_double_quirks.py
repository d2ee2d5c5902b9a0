"""The double's bad days: lag, limits, faults and time, each switched on and seen by Google's own client."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from googleapiclient.errors import HttpError

from tests.contract.google_client import client, pages, refused, user
from tests.doubles.google import SCOPES, GoogleDouble, Quirks, Refusal, SimulatedClock, SystemClock

ME = "my_customer"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clock() -> SimulatedClock:
    """Time that the test drives."""
    return SimulatedClock()


@pytest.fixture
def google(clock: SimulatedClock) -> Iterator[GoogleDouble]:
    """A customer with two org units and nobody in them."""
    with GoogleDouble(clock=clock) as double:
        double.plant("/Students/Oak", "/Staff")
        yield double


@pytest.fixture
def directory(google: GoogleDouble) -> Iterator[Any]:
    """Google's client, acting for the administrator of the sync."""
    with client(google) as made:
        yield made


def answers(call: Callable[[], Any], times: int = 40) -> set[int | str]:
    """Which statuses a call has, and `nameless` where it succeeds without a name."""
    found: set[int | str] = set()
    for _ in range(times):
        try:
            told = call().execute()
        except HttpError as error:
            found.add(error.status_code)
        else:
            found.add(200 if told and "name" in told else "nameless")
    return found


# --- lag ---


def test_a_new_user_is_not_there_yet_in_every_way_google_has(google: GoogleDouble, directory: Any, clock: SimulatedClock) -> None:
    """404, 403 and 412 to reads and writes, or a read without names; the address is taken from the first moment on."""
    google.quirks.change(user_lag=(60, 60))
    made = directory.users().insert(body=user()).execute()
    directory.groups().insert(body={"email": "chess@district.example"}).execute()
    assert answers(lambda: directory.users().get(userKey=made["id"])) == {404, 403, 412, "nameless"}
    assert answers(lambda: directory.users().update(userKey=made["id"], body={"suspended": True})) == {404, 403, 412}
    assert answers(lambda: directory.users().aliases().insert(userKey=made["id"], body={"alias": "x@district.example"})) == {
        404,
        403,
        412,
    }
    joining = directory.members().insert(groupKey="chess@district.example", body={"email": "ada.byron@district.example"})
    assert refused(joining)[2] == "Resource Not Found: memberKey"
    assert refused(directory.users().insert(body=user()))[0] == 409
    assert google.user(made["id"])["suspended"] is False
    clock.advance(61)
    assert answers(lambda: directory.users().get(userKey=made["id"]), 5) == {200}
    joining.execute()


def test_new_groups_and_units_are_not_there_yet(google: GoogleDouble, directory: Any, clock: SimulatedClock) -> None:
    """Members of a new group get 404 groupKey, users of a new unit INVALID_OU_ID."""
    google.quirks.change(group_lag=(30, 30), unit_lag=(30, 30))
    google.add_user("ada@district.example")
    directory.groups().insert(body={"email": "chess@district.example"}).execute()
    directory.orgunits().insert(customerId=ME, body={"name": "Elm", "parentOrgUnitPath": "/Students"}).execute()
    joining = directory.members().insert(groupKey="chess@district.example", body={"email": "ada@district.example"})
    moving = directory.users().update(userKey="ada@district.example", body={"orgUnitPath": "/Students/Elm"})
    assert refused(joining)[2] == "Resource Not Found: groupKey"
    assert refused(moving)[2] == "Invalid Input: INVALID_OU_ID"
    clock.advance(31)
    joining.execute()
    moving.execute()


def test_reads_may_be_stale_and_a_new_address_may_not_be_known(google: GoogleDouble, directory: Any, clock: SimulatedClock) -> None:
    """After an update the old version is read for a while; after a rename the old address leads there, not the new one."""
    google.quirks.change(update_lag=(20, 20), rename_lag=(600, 600))
    google.add_user("ada@district.example")
    directory.users().update(userKey="ada@district.example", body={"suspended": True}).execute()
    assert directory.users().get(userKey="ada@district.example").execute()["suspended"] is False
    clock.advance(21)
    assert directory.users().get(userKey="ada@district.example").execute()["suspended"] is True
    directory.users().update(userKey="ada@district.example", body={"primaryEmail": "a.king@district.example"}).execute()
    assert refused(directory.users().get(userKey="a.king@district.example"))[0] == 404
    clock.advance(601)
    assert directory.users().get(userKey="a.king@district.example").execute()["aliases"] == ["ada@district.example"]


def test_searches_and_lists_lag_each_by_its_own(google: GoogleDouble, directory: Any, clock: SimulatedClock) -> None:
    """Who searches does not find who is there, and finds who is gone; a read by key knows better at once."""
    google.quirks.change(search_lag=(1000, 1000), list_lag=(100, 100))
    directory.users().insert(body=user("ada")).execute()

    def seen() -> tuple[bool, bool]:
        lists = [directory.users().list(customer=ME, **query).execute() for query in ({"query": "email:ada*"}, {})]
        found = [any(each["primaryEmail"] == "ada@district.example" for each in page.get("users", [])) for page in lists]
        return found[0], found[1]

    assert directory.users().get(userKey="ada@district.example").execute()
    assert seen() == (False, False)
    clock.advance(101)
    assert seen() == (False, True)
    clock.advance(900)
    assert seen() == (True, True)
    directory.users().delete(userKey="ada@district.example").execute()
    assert seen() == (True, True)
    clock.advance(1001)
    assert seen() == (False, False)


# --- limits ---


def test_the_limits_are_those_of_the_limits_page(google: GoogleDouble, directory: Any, clock: SimulatedClock) -> None:
    """Ten creations in any second, one org unit in any second; each refusal says quotaExceeded, and nothing was created."""
    google.quirks.change(creations_per_second=10, units_per_second=1)
    for number in range(10):
        directory.users().insert(body=user(f"p{number}")).execute()
    assert refused(directory.users().insert(body=user("p10")))[:2] == (403, "quotaExceeded")
    assert len(google.users()) == 10
    clock.advance(1)
    directory.users().insert(body=user("p10")).execute()
    insert = directory.orgunits().insert
    insert(customerId=ME, body={"name": "A", "parentOrgUnitPath": "/"}).execute()
    assert refused(insert(customerId=ME, body={"name": "B", "parentOrgUnitPath": "/"}))[:2] == (403, "quotaExceeded")
    clock.advance(1)
    insert(customerId=ME, body={"name": "B", "parentOrgUnitPath": "/"}).execute()


def test_queries_are_counted_per_minute_user_and_project(google: GoogleDouble, directory: Any, clock: SimulatedClock) -> None:
    """Another administrator has a minute of its own; parts of a batch count one by one; devices' batches count once."""
    google.quirks.change(queries_per_minute=5)
    device = google.add_device("SN-1")["deviceId"]
    for _ in range(3):
        directory.users().get(userKey=google.admin).execute()
    statuses: list[int] = []
    batch = directory.new_batch_http_request(callback=lambda _, __, error: statuses.append(error.status_code if error else 200))
    for _ in range(4):
        batch.add(directory.users().get(userKey=google.admin))
    batch.execute()
    assert statuses == [200, 200, 403, 403]
    assert refused(directory.users().get(userKey=google.admin))[:2] == (403, "userRateLimitExceeded")
    with client(google, subject=google.super_admin) as other:
        other.users().get(userKey=google.admin).execute()
    clock.advance(60)
    statuses.clear()
    batch = directory.new_batch_http_request(callback=lambda _, __, error: statuses.append(error.status_code if error else 200))
    for _ in range(50):
        batch.add(directory.chromeosdevices().get(customerId=ME, deviceId=device))
    batch.execute()
    assert statuses == [200] * 50
    for _ in range(4):
        directory.users().get(userKey=google.admin).execute()
    assert refused(directory.users().get(userKey=google.admin))[0] == 403


def test_the_quota_may_be_gone_for_an_hour(google: GoogleDouble, directory: Any, clock: SimulatedClock) -> None:
    """Every call is refused until it is over."""
    google.close_quota(1800)
    assert refused(directory.users().get(userKey=google.admin))[:2] == (403, "userRateLimitExceeded")
    clock.advance(1801)
    directory.users().get(userKey=google.admin).execute()


def test_requests_at_once_are_limited(google: GoogleDouble, clock: SimulatedClock) -> None:
    """With two allowed and answers that take a second, a third at the same time is refused with 429 and told when to come back."""
    statuses: list[tuple[int, str]] = []

    def ask() -> None:
        with client(google) as directory:
            directory.users().get(userKey=google.admin).execute()  # with the token, while time passes for each alone
            tokens.wait(60)
            try:
                directory.users().get(userKey=google.admin).execute()
            except HttpError as error:
                statuses.append((error.status_code, error.resp["retry-after"]))
            else:
                statuses.append((200, ""))

    def all_wait() -> None:
        clock.workers = 3
        clock.patience = 60
        google.quirks.change(concurrency=2, latency=(1.0, 1.0))

    tokens = threading.Barrier(3, action=all_wait)
    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert sorted(statuses) == [(200, ""), (200, ""), (429, "2")]


# --- faults ---


def test_faults_come_as_often_as_told_and_the_same_every_time(google: GoogleDouble, directory: Any) -> None:
    """A seed draws the same faults again; all kinds occur; 429 and 503 say when to come back."""

    def drawn(seed: int) -> list[str]:
        google.quirks.change(faults=0.3, seed=seed)
        told: list[tuple[bool, bool]] = []
        start = len(google.calls)
        for _ in range(60):
            try:
                directory.users().get(userKey=google.admin).execute()
            except HttpError as error:
                told.append(("retry-after" in error.resp, error.status_code in (429, 503)))
        assert all(said == meant for said, meant in told)
        return [f"{call.status} {call.reason}".strip() for call in google.calls[start:]]

    first = drawn(7)
    assert first == drawn(7)
    assert first != drawn(8)
    assert set(first) == {"200", *google.quirks.fault_kinds}
    assert 8 <= sum(told != "200" for told in first) <= 30


def test_googles_client_rides_out_the_faults_it_knows(google: GoogleDouble, directory: Any) -> None:
    """`num_retries` helps against 5xx, 429 and the rate limits; not against quotaExceeded."""
    google.quirks.change(retry_after=None)
    for kind in ("503 backendError", "429 rateLimitExceeded", "403 userRateLimitExceeded"):
        google.next_call("directory.users.get", google.quirks.named(kind))
        request = directory.users().get(userKey=google.admin)
        request._sleep = lambda _: None
        assert request.execute(num_retries=1)["primaryEmail"] == google.admin
    google.next_call("directory.users.get", google.quirks.named("403 quotaExceeded"))
    with pytest.raises(HttpError):
        directory.users().get(userKey=google.admin).execute(num_retries=1)


def test_an_answer_may_be_lost_with_the_work_done_or_not(google: GoogleDouble, directory: Any) -> None:
    """The connection is cut before or after the work; Google's client asks again by itself, which only 409 makes harmless."""
    google.next_call("directory.users.insert", None)
    directory.users().insert(body=user("ada")).execute()
    google.next_call("directory.users.insert", None, after=True)
    assert refused(directory.users().insert(body=user("bob")))[:2] == (409, "duplicate")
    tried = [(call.cut, call.done) for call in google.journal.matching("directory.users.insert")]
    assert tried == [(True, False), (False, True), (True, True), (False, False)]
    assert set(google.users()) == {"ada@district.example", "bob@district.example"}
    google.next_call("directory.users.update", google.quirks.named("503 backendError"), after=True)
    assert refused(directory.users().update(userKey="bob@district.example", body={"suspended": True}))[0] == 503
    assert google.user("bob@district.example")["suspended"] is True


def test_shares_of_lost_requests_and_answers_are_drawn(google: GoogleDouble, directory: Any) -> None:
    """All lost before: nothing is done; all lost after: all is done, and reads are spared."""
    google.quirks.change(lost_requests=1.0)
    with pytest.raises(OSError, match=r"^"):
        directory.users().insert(body=user()).execute()
    assert google.users() == {}
    google.quirks.change(lost_requests=0.0, lost_responses=1.0)
    assert refused(directory.users().insert(body=user()))[0] == 409
    assert directory.users().get(userKey="ada.byron@district.example").execute()
    google.quirks.change(lost_responses=0.0, late_errors=1.0)
    assert refused(directory.users().update(userKey="ada.byron@district.example", body={"suspended": True}))[0] == 503
    assert google.user("ada.byron@district.example")["suspended"] is True


def test_page_tokens_expire_and_pages_may_be_short_or_overlap(google: GoogleDouble, directory: Any, clock: SimulatedClock) -> None:
    """A token is good for three days and for the question it came with; fewer than asked is no end; an entry may come twice."""
    for number in range(8):
        google.add_user(f"p{number}@district.example")
    first = directory.users().list(customer=ME, maxResults=4).execute()
    token = first["nextPageToken"]
    assert refused(directory.users().list(customer=ME, orderBy="familyName", pageToken=token))[0] == 400
    google.quirks.change(page_size=3)
    assert [len(page) for page in pages(directory.users().list, "users", customer=ME, maxResults=500)] == [3, 3, 3, 1]
    google.quirks.change(repeats=1.0)
    twice = [each["primaryEmail"] for page in pages(directory.users().list, "users", customer=ME) for each in page]
    assert (len(set(twice)), len(twice) > 10) == (10, True)
    clock.advance(3 * 86400 + 1)
    google.quirks.change(page_size=None, repeats=0.0)
    with client(google) as later:
        assert refused(later.users().list(customer=ME, maxResults=4, pageToken=token))[:2] == (400, "invalid")


# --- the record ---


def test_the_record_counts_calls_by_method_outcome_and_account(google: GoogleDouble, directory: Any) -> None:
    """Calls about one account are found whatever name it was called by; what was never sent is provably absent."""
    made = directory.users().insert(body=user()).execute()
    directory.users().update(userKey="ada.byron@district.example", body={"suspended": True}).execute()
    directory.users().update(userKey=made["id"], body={"suspended": False}).execute()
    refused(directory.users().get(userKey="ghost@district.example"))
    assert google.journal.per_subject("directory.users.")[made["id"]] == 3
    assert google.journal.outcomes()["directory.users.get", 404, "notFound"] == 1
    assert google.journal.count("directory.users.update", status=200) == 2
    assert google.journal.count("directory.users.") == 4
    assert not google.journal.ever_sent("directory.users.delete")
    refused(directory.users().delete(userKey="ghost@district.example"))
    assert google.journal.ever_sent("directory.users.delete")


# --- time ---


def test_a_sleeping_client_loses_no_real_time(google: GoogleDouble, directory: Any, clock: SimulatedClock) -> None:
    """At ten creations a second, 200 users take twenty simulated seconds, and the client that waits for each loses none."""
    google.quirks.change(creations_per_second=10, latency=(0.01, 0.02))
    begun, real = clock.time(), time.monotonic()
    slept = 0.0
    for number in range(200):
        directory.users().insert(body=user(f"p{number}")).execute()
        clock.sleep(0.1)
        slept += 0.1
    assert slept <= clock.time() - begun <= slept + 200 * 0.02 + 1
    assert google.journal.count(status=403) == 0
    assert time.monotonic() - real < 60


def test_the_clock_waits_for_all_who_work_before_it_jumps() -> None:
    """With two workers one cannot sleep the other's time away: both wake in the order of their moments."""
    clock = SimulatedClock(0.0, workers=2, patience=30)
    woken: list[tuple[float, str]] = []

    def work(name: str, naps: list[float]) -> None:
        for nap in naps:
            clock.sleep(nap)
            woken.append((clock.time(), name))
        clock.employ(clock.workers - 1)

    threads = [threading.Thread(target=work, args=("quick", [1, 1, 1, 1])), threading.Thread(target=work, args=("slow", [2.5, 1]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(woken) == woken
    assert [name for _, name in woken] == ["quick", "quick", "slow", "quick", "slow", "quick"]


def test_a_clock_that_nobody_moves_moves_by_itself() -> None:
    """Two workers are told and only one there is: after its patience the clock jumps, so nothing hangs."""
    clock = SimulatedClock(0.0, workers=2, patience=0.01)
    clock.sleep(100)
    assert clock.time() == 100


def test_the_machines_clock_is_the_default() -> None:
    """Without a clock the double lives in real time, and delays its answers in it."""
    with GoogleDouble(Quirks(latency=(0.2, 0.2))) as google, client(google) as directory:
        assert isinstance(google.clock, SystemClock)
        begun = time.monotonic()
        directory.users().get(userKey=google.admin).execute()
        assert time.monotonic() - begun >= 0.2


def test_a_refusal_of_the_tests_own_is_given_as_it_is(google: GoogleDouble, directory: Any) -> None:
    """Whatever Google may say one day can be said here."""
    google.next_call("directory.users.", Refusal(418, "teapot", "short and stout"), times=2)
    assert refused(directory.users().get(userKey=google.admin)) == (418, "teapot", "short and stout")
    assert refused(directory.users().insert(body=user())) == (418, "teapot", "short and stout")
    directory.users().get(userKey=google.admin).execute()


def test_answers_are_dated_by_googles_clock(google: GoogleDouble) -> None:
    """A client can tell from any answer how far its own clock is off."""
    google.quirks.change(clock_skew=600.0)
    answer = httpx2.get(google.url, trust_env=False)
    dated = parsedate_to_datetime(answer.headers["date"]).timestamp()
    assert 598 <= dated - google.clock.time() <= 601


def test_the_double_runs_as_a_process_of_its_own_and_is_told_over_its_control_path(tmp_path: Path) -> None:
    """What a demonstration needs that kills its own process: state, knobs, time and record are at hand from outside."""
    key = tmp_path / "robot.json"
    command = [sys.executable, "-m", "tests.doubles.google", str(key), "--simulated", "--domain", "school.example"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:
        assert running.stdout is not None
        told = json.loads(running.stdout.readline())
        with httpx2.Client(
            base_url=f"{told['url']}/_double/", headers={"x-double-control": told["control"]}, trust_env=False
        ) as control:
            assert key.stat().st_mode & 0o077 == 0
            planted = {"units": ["/Staff"], "users": [{"primaryEmail": "ada@school.example", "orgUnitPath": "/staff"}]}
            assert (
                control.post("plant", json={**planted, "devices": [{"serial": "SN-1"}], "seats": [["P", "S", 3]]}).status_code
                == 200
            )
            state = control.get("state").json()
            assert state["users"]["ada@school.example"]["orgUnitPath"] == "/Staff"
            assert (list(state["devices"]), state["licences"]) == (["SN-1"], [["P", "S", []]])
            assert control.post("clock", json={"advance": 60}).json() == pytest.approx(state["time"] + 60)
            assert control.post("quirks", json={"user_lag": [60, 60]}).status_code == 200
            assert control.post("quirks", json={"latancy": 1}).status_code == 400
            granted = service_account.Credentials.from_service_account_file(str(key), scopes=SCOPES, subject=told["admin"])  # type: ignore[no-untyped-call]  # google-auth tells half its types
            fetching = Request()
            granted.refresh(fetching)
            fetching.session.close()
            asked = {"Authorization": f"Bearer {granted.token}"}
            made = httpx2.post(
                f"{told['url']}/admin/directory/v1/users", json=user(domain="school.example"), headers=asked, trust_env=False
            )
            assert made.status_code == 200
            calls = control.get("calls?since=1").json()
            assert [(call["method"], call["status"], call["subject"]) for call in calls] == [
                ("directory.users.insert", 200, made.json()["id"])
            ]
            assert httpx2.get(f"{told['url']}/_double/state", trust_env=False).status_code == 404
            assert control.post("robot", json={"revoke": "key-1"}).status_code == 200
            assert httpx2.get(f"{told['url']}/admin/directory/v1/users/1", headers=asked, trust_env=False).status_code == 401
        running.communicate("", timeout=60)
    assert running.returncode == 0
