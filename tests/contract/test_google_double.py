"""The double of Google, asked by Google's own client: routes, bodies, tokens and users."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request

from tests.contract.google_client import Body, client, credentials, pages, refused, user
from tests.doubles.google import SCOPES, GoogleDouble, Quirks, SimulatedClock
from tests.doubles.google.documents import BOUND, DIRECTORY, document, routes
from tests.doubles.google.fields import DISPLAY_NAME, NAME
from tests.doubles.google.service import METHODS

DAY = 86400.0
USERS = "/admin/directory/v1/users"


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


@pytest.fixture
def wire(google: GoogleDouble) -> Iterator[httpx2.Client]:
    """A plain HTTP client with a token, to say what Google's client would not."""
    granted = credentials(google)
    session = Request()
    granted.refresh(session)
    session.session.close()
    with httpx2.Client(base_url=google.url, headers={"Authorization": f"Bearer {granted.token}"}, trust_env=False) as made:
        yield made


def reason(response: httpx2.Response) -> tuple[int, str]:
    """Status and reason of a refusal."""
    return response.status_code, response.json()["error"]["errors"][0]["reason"]


# --- what the documents say ---


def test_every_method_of_the_documents_is_found_by_its_path() -> None:
    """The table of routes is Google's: each method is found by its own verb and path, with what stands in it."""
    table = routes()
    for method in table.methods.values():
        path = method.template
        for number, name in enumerate(part.partition("}")[0] for part in path.split("{")[1:]):
            path = path.replace("{" + name + "}", f"v{number}")
        found = table.find(method.verb, "/" + path)
        assert found is not None, method.id
        if "{+" not in method.template and not method.id.startswith("directory.users.watch"):
            assert found[0].id == method.id


def test_the_double_does_only_what_the_documents_know() -> None:
    """Every method implemented is one of Google's; how many there are is printed by the list itself."""
    assert set(METHODS) <= set(routes().methods)
    assert len(METHODS) >= 70


def test_a_documented_method_that_the_double_does_not_do_says_so(directory: Any) -> None:
    """Nothing is pretended: 501, not an empty success."""
    assert refused(directory.asps().list(userKey="root@district.example"))[0] == 403  # this one takes a super-administrator first


def test_the_super_administrator_learns_what_is_not_done(google: GoogleDouble) -> None:
    """With all rights, the answer to a method that is not implemented is 501."""
    scopes = [*SCOPES, "https://www.googleapis.com/auth/admin.directory.user.security"]
    google.delegate(scopes)
    with client(google, subject=google.super_admin, scopes=scopes) as directory:
        assert refused(directory.asps().list(userKey="root@district.example"))[:2] == (501, "notImplemented")


def test_the_lengths_we_enforce_are_those_the_document_tells() -> None:
    """When Google changes a limit, the double follows or this fails."""
    schemas = document(DIRECTORY)["schemas"]
    assert f"in the `familyName` values is {NAME}." in schemas["User"]["properties"]["name"]["description"]
    assert f"Limit: {DISPLAY_NAME} characters" in schemas["UserName"]["properties"]["displayName"]["description"]
    anything = {name for name, rule in schemas["User"]["properties"].items() if rule.get("type") == "any"}
    assert anything == set(BOUND)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/admin/directory/v2/users", (404, "notFound")),
        (f"{USERS}?customer=my_customer&surprise=1", (400, "invalidParameter")),
        (f"{USERS}?customer=my_customer&maxResults=501", (400, "invalidParameter")),
        (f"{USERS}?customer=my_customer&maxResults=0", (400, "invalidParameter")),
        (f"{USERS}?customer=my_customer&orderBy=age", (400, "invalidParameter")),
        (f"{USERS}?customer=my_customer&customer=my_customer", (400, "invalidParameter")),
        (f"{USERS}?customer=C0somebody", (404, "notFound")),
        (f"{USERS}?customer=my_customer&fields=users(id", (400, "invalidParameter")),
        (f"{USERS}?customer=my_customer&query=colour:red", (400, "invalid")),
        (USERS, (400, "required")),
        ("/apps/licensing/v1/product/P/users", (400, "required")),
    ],
)
def test_a_question_the_document_does_not_allow_is_refused(wire: httpx2.Client, path: str, answer: tuple[int, str]) -> None:
    """Paths, query parameters, their ranges and their words are those of the document."""
    assert reason(wire.get(path)) == answer


@pytest.mark.parametrize(
    "told",
    [
        {"primary_email": "x@district.example"},
        {"suspended": "true"},
        {"name": "Ada Byron"},
        {"organizations": [{"titel": "Teacher"}]},
        {"organizations": {"title": "Teacher"}},
        {"externalIds": [{"value": 17, "type": "organization"}]},
        {"customSchemas": {"sis": "x"}},
        {"notes": ["a note"]},
        {"posixAccounts": [{"uid": "seventeen"}]},
    ],
)
def test_a_body_that_does_not_fit_its_schema_is_refused(wire: httpx2.Client, google: GoogleDouble, told: Body) -> None:
    """Names, types and the schemas behind the fields called `any`: nothing else gets in."""
    assert reason(wire.post(USERS, json={**user(), **told})) == (400, "invalid")
    assert google.users() == {}


@pytest.mark.parametrize("missing", ["primaryEmail", "password", "name", "name.givenName", "name.familyName"])
def test_what_the_document_requires_of_a_new_user_must_be_there(wire: httpx2.Client, missing: str) -> None:
    """The annotations `required` of the document, one by one."""
    body = user()
    outer, _, inner = missing.partition(".")
    if inner:
        del body[outer][inner]
    else:
        del body[outer]
    assert reason(wire.post(USERS, json=body)) == (400, "required")


def test_a_body_must_be_json(wire: httpx2.Client) -> None:
    """Another type, and what is no JSON, are refused; so is a body where none belongs."""
    assert reason(wire.post(USERS, content=b"{", headers={"Content-Type": "application/json"})) == (400, "parseError")
    assert reason(wire.post(USERS, content=b"{}", headers={"Content-Type": "text/plain"})) == (400, "invalid")
    assert reason(wire.request("DELETE", f"{USERS}/1", json={})) == (400, "invalid")


# --- tokens ---


def denied(google: GoogleDouble, **how: Any) -> str:
    """The error of the token endpoint."""
    session = Request()
    try:
        with pytest.raises(RefreshError) as caught:
            credentials(google, **how).refresh(session)
    finally:
        session.session.close()
    return str(caught.value.args[1]["error"])


def test_a_scope_that_is_not_delegated_is_unauthorized_client(google: GoogleDouble) -> None:
    """One scope too many spoils the whole request, as at Google."""
    assert denied(google, scopes=[*SCOPES, "https://www.googleapis.com/auth/drive"]) == "unauthorized_client"
    google.delegate(None)
    assert denied(google) == "unauthorized_client"


def test_a_revoked_key_is_an_invalid_grant(google: GoogleDouble) -> None:
    """After revocation neither a new assertion nor an old token is good; another key still is."""
    google.add_key("key-2")
    file = credentials(google)
    google.revoke_key()
    session = Request()
    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        file.refresh(session)
    credentials(google, key="key-2").refresh(session)
    session.session.close()


def test_an_unknown_or_suspended_administrator_is_an_invalid_grant(google: GoogleDouble) -> None:
    """Nobody acts for whom Google does not know, or does not let in."""
    assert denied(google, subject="nobody@district.example") == "invalid_grant"
    google.change_user(google.admin, suspended=True)
    assert denied(google) == "invalid_grant"


def test_a_clock_that_is_an_hour_off_is_an_invalid_grant(google: GoogleDouble) -> None:
    """Google judges by its own clock; a few minutes are forgiven."""
    google.quirks.change(clock_skew=120.0)
    session = Request()
    credentials(google).refresh(session)
    session.session.close()
    google.quirks.change(clock_skew=-3700.0)
    assert denied(google) == "invalid_grant"
    google.quirks.change(clock_skew=2 * 3700.0)
    assert denied(google) == "invalid_grant"


def test_a_blocked_client_is_denied_access(google: GoogleDouble) -> None:
    """An administrator may block the client itself."""
    google.robot.blocked = True
    assert denied(google) == "access_denied"


def test_calls_take_a_token_that_is_good(google: GoogleDouble, wire: httpx2.Client, clock: SimulatedClock) -> None:
    """Without one, with a wrong one and with one older than an hour: 401."""
    assert reason(httpx2.get(f"{google.url}{USERS}/1", trust_env=False)) == (401, "required")
    assert reason(wire.get(f"{USERS}/1", headers={"Authorization": "Bearer guessed"})) == (401, "authError")
    assert reason(wire.get(f"{USERS}/1")) == (404, "notFound")
    clock.advance(3601)
    assert reason(wire.get(f"{USERS}/1")) == (401, "authError")


def test_a_token_is_good_for_its_scopes_only(google: GoogleDouble) -> None:
    """A method takes one of the scopes the document lists for it."""
    with client(google, scopes=["https://www.googleapis.com/auth/admin.directory.orgunit"]) as directory:
        assert refused(directory.users().get(userKey=google.admin))[:2] == (403, "insufficientPermissions")
        assert directory.orgunits().list(customerId="my_customer").execute()["organizationUnits"]


def test_an_administrator_without_the_privilege_is_forbidden(google: GoogleDouble, directory: Any) -> None:
    """Scopes say what the client may, roles what the administrator may: both are needed."""
    assert refused(directory.users().makeAdmin(userKey=google.admin, body={"status": True}))[:2] == (403, "forbidden")
    google.add_user("teacher@district.example")
    with client(google, subject="teacher@district.example") as powerless:
        assert refused(powerless.users().list(customer="my_customer"))[:2] == (403, "forbidden")


def test_a_delegated_administrator_cannot_touch_a_super_administrator(google: GoogleDouble, directory: Any) -> None:
    """It reads them, and sees that they are one."""
    assert directory.users().get(userKey=google.super_admin).execute()["isAdmin"] is True
    assert refused(directory.users().update(userKey=google.super_admin, body={"suspended": True}))[:2] == (403, "forbidden")
    assert directory.users().get(userKey=google.admin).execute()["isDelegatedAdmin"] is True


# --- users ---


def test_a_new_user_is_as_told_with_what_google_adds(google: GoogleDouble, directory: Any) -> None:
    """The answer, a read and a list agree; the password is nowhere in them."""
    body = user(orgUnitPath="/students/OAK", externalIds=[{"type": "organization", "value": "1001"}], suspended=True)
    made = directory.users().insert(body=body).execute()
    read = directory.users().get(userKey=made["id"], projection="full").execute()
    (listed,) = directory.users().list(customer="my_customer", query="externalId=1001", projection="full").execute()["users"]
    assert made == read == listed == google.user("ada.byron@district.example")
    assert read["orgUnitPath"] == "/Students/Oak"
    assert read["name"]["fullName"] == "Ada Byron"
    assert read["suspensionReason"] == "ADMIN"
    assert {"address": "ada.byron@district.example", "primary": True} in read["emails"]
    assert "correct horse" not in json.dumps(read)
    assert google.account(made["id"]).password == "correct horse"


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"primaryEmail": "ada byron@district.example"}, 400),
        ({"primaryEmail": "ada..byron@district.example"}, 400),
        ({"primaryEmail": ".ada@district.example"}, 400),
        ({"primaryEmail": "ada+byron@district.example"}, 400),
        ({"primaryEmail": "ädä@district.example"}, 400),
        ({"primaryEmail": f"{'a' * 65}@district.example"}, 400),
        ({"primaryEmail": "ada@elsewhere.example"}, 404),
        ({"password": "1234567"}, 400),
        ({"password": "x" * 101}, 400),
        ({"password": "pässwörter"}, 400),
        ({"password": "no hex at all", "hashFunction": "SHA-1"}, 400),
        ({"password": "correct horse", "hashFunction": "SHA-256"}, 400),
        ({"password": f"$6$rounds=10001$salt${'x' * 86}", "hashFunction": "crypt"}, 400),
        ({"name": {"givenName": "A" * 61, "familyName": "Byron"}}, 400),
        ({"orgUnitPath": "/Nowhere"}, 400),
        ({"orgUnitPath": "Staff"}, 400),
        ({"recoveryPhone": "555 1234"}, 400),
        ({"externalIds": [{"type": "student", "value": "1"}]}, 400),
        ({"externalIds": [{"type": "custom", "value": "1"}]}, 400),
        ({"externalIds": [{"type": "organization", "value": "1" * 2048}]}, 400),
        ({"organizations": [{"primary": True}, {"primary": True}]}, 400),
        ({"customSchemas": {"sis": {"grade": "5"}}}, 400),
    ],
)
def test_a_value_google_would_not_take_is_refused(google: GoogleDouble, directory: Any, told: Body, status: int) -> None:
    """Addresses, passwords, names, places, sizes: each with its own words, and nothing is created."""
    assert refused(directory.users().insert(body={**user(), **told}))[0] == status
    assert google.users() == {}


@pytest.mark.parametrize(
    ("password", "function"),
    [
        ("0" * 40, "SHA-1"),
        ("a" * 32, "MD5"),
        (f"$6$rounds=10000$salt${'x' * 86}", "crypt"),
        (f"$5$salt${'x' * 43}", "crypt"),
        ("12345678", None),
        ("x" * 100, None),
    ],
)
def test_passwords_and_hashes_that_google_takes(google: GoogleDouble, directory: Any, password: str, function: str | None) -> None:
    """The bounds themselves are inside."""
    hashed = {"hashFunction": function} if function else {}
    directory.users().insert(body=user(password=password, **hashed)).execute()
    assert google.account("ada.byron@district.example").password == password


def test_an_address_that_is_anybodys_is_a_duplicate(directory: Any, clock: SimulatedClock) -> None:
    """A user's, an alias, a group's, and for twenty days a deleted user's; whatever its case."""
    made = directory.users().insert(body=user("ada")).execute()
    directory.users().aliases().insert(userKey="ada@district.example", body={"alias": "countess@district.example"}).execute()
    directory.groups().insert(body={"email": "club@district.example"}).execute()
    for local in ("ada", "ADA", "countess", "club"):
        assert refused(directory.users().insert(body=user(local))) == (409, "duplicate", "Entity already exists.")
    directory.users().delete(userKey=made["id"]).execute()
    assert refused(directory.users().insert(body=user("countess")))[0] == 409
    clock.advance(20 * DAY + 1)
    assert directory.users().insert(body=user("countess")).execute()["id"] != made["id"]


def test_an_update_keeps_what_it_does_not_name_clears_null_and_replaces_lists(google: GoogleDouble, directory: Any) -> None:
    """PUT has the semantics of PATCH: the document says so, and so do both verbs here."""
    ids = [{"type": "organization", "value": "1"}, {"type": "login_id", "value": "2"}]
    made = directory.users().insert(body=user(externalIds=ids, recoveryEmail="ada@elsewhere.example")).execute()
    for change in (directory.users().update, directory.users().patch):
        change(userKey=made["id"], body={"externalIds": ids[:1]}).execute()
        assert google.user(made["id"])["externalIds"] == ids[:1]
        change(userKey=made["id"], body={"name": {"familyName": "Lovelace"}}).execute()
        assert google.user(made["id"])["name"] == {"givenName": "Ada", "familyName": "Lovelace", "fullName": "Ada Lovelace"}
        assert google.user(made["id"])["recoveryEmail"] == "ada@elsewhere.example"
        change(userKey=made["id"], body={"externalIds": ids, "name": {"familyName": "Byron"}}).execute()
    directory.users().update(userKey=made["id"], body={"externalIds": None, "recoveryEmail": None}).execute()
    assert google.user(made["id"]).keys() & {"externalIds", "recoveryEmail"} == set()
    # what is read may be sent back: what only Google writes is ignored
    directory.users().update(userKey=made["id"], body={**google.user(made["id"]), "suspended": True}).execute()
    assert google.user(made["id"])["suspended"] is True


def test_a_rename_keeps_the_old_address_as_an_alias_and_may_take_it_back(google: GoogleDouble, directory: Any) -> None:
    """Both addresses lead to the same user, and to nobody else."""
    made = directory.users().insert(body=user("ada")).execute()
    directory.users().update(userKey="ada@district.example", body={"primaryEmail": "a.king@district.example"}).execute()
    for key in ("ada@district.example", "a.king@district.example"):
        assert directory.users().get(userKey=key).execute()["id"] == made["id"]
    assert google.user(made["id"])["aliases"] == ["ada@district.example"]
    assert refused(directory.users().insert(body=user("ada")))[0] == 409
    directory.users().update(userKey=made["id"], body={"primaryEmail": "ada@district.example"}).execute()
    assert google.user(made["id"])["aliases"] == ["a.king@district.example"]
    directory.users().aliases().delete(userKey=made["id"], alias="a.king@district.example").execute()
    assert "aliases" not in google.user(made["id"])
    assert [each["address"] for each in google.user(made["id"])["emails"]] == [
        "ada@district.example",
        "ada@district.example.test-google-a.com",
    ]


def test_a_deleted_user_is_listed_apart_and_comes_back_by_id_for_twenty_days(
    google: GoogleDouble, directory: Any, clock: SimulatedClock
) -> None:
    """It is found under no address; undelete wants the id and puts it where told."""
    made = directory.users().insert(body=user()).execute()
    directory.users().delete(userKey="ada.byron@district.example").execute()
    assert refused(directory.users().get(userKey=made["id"]))[:2] == (404, "notFound")
    (gone,) = directory.users().list(customer="my_customer", showDeleted="true").execute()["users"]
    assert (gone["id"], "deletionTime" in gone) == (made["id"], True)
    assert refused(directory.users().undelete(userKey="ada.byron@district.example", body={}))[0] == 404
    clock.advance(19 * DAY)
    with client(google) as later:  # the old token is long gone
        later.users().undelete(userKey=made["id"], body={"orgUnitPath": "/Staff"}).execute()
        assert later.users().get(userKey="ada.byron@district.example").execute()["orgUnitPath"] == "/Staff"
        later.users().delete(userKey=made["id"]).execute()
        clock.advance(20 * DAY + 1)
    with client(google) as too_late:
        assert refused(too_late.users().undelete(userKey=made["id"], body={}))[0] == 404
        assert "users" not in too_late.users().list(customer="my_customer", showDeleted="true").execute()


def test_lists_come_in_pages_in_order_and_without_a_key_when_empty(directory: Any) -> None:
    """Pages hold what was asked for; the last has no token; a search that finds nothing has no `users`."""
    for number in range(7):
        directory.users().insert(body=user(f"pupil{number}")).execute()
    found = pages(directory.users().list, "users", customer="my_customer", maxResults=4)
    assert [len(page) for page in found] == [4, 4, 1]
    addresses = [each["primaryEmail"] for page in found for each in page]
    assert addresses == sorted(addresses)
    assert "users" not in directory.users().list(customer="my_customer", query="email=ghost@district.example").execute()


def test_searches_understand_googles_language(google: GoogleDouble, directory: Any) -> None:
    """Equal, prefix, words, units with what is below them, custom fields; a space means *and*."""
    fields = [{"fieldName": "grade", "fieldType": "STRING"}]
    directory.schemas().insert(
        customerId="my_customer", body={"schemaName": "sis", "displayName": "SIS", "fields": fields}
    ).execute()
    google.add_user("ada@district.example", "Ada", "Byron", orgUnitPath="/Students/Oak", customSchemas={"sis": {"grade": "5"}})
    google.add_user("adam@district.example", "Adam", "Smith Jones", suspended=True)

    def found(query: str) -> list[str]:
        told = directory.users().list(customer="my_customer", query=query).execute()
        return [each["primaryEmail"].partition("@")[0] for each in told.get("users", [])]

    assert found("email:ada*") == ["ada", "adam"]
    assert found("email:{ada}*") == ["ada", "adam"]
    assert found("email=ada@district.example") == ["ada"]
    assert found("givenName:Ada familyName=byron") == ["ada"]
    assert found("familyName:'Smith Jones'") == ["adam"]
    assert found("isSuspended=true") == ["adam"]
    assert found("orgUnitPath=/Students") == ["ada"]
    assert found("sis.grade=5") == ["ada"]


def test_projections_show_custom_schemas_or_hide_them(google: GoogleDouble, directory: Any) -> None:
    """`basic` hides them, `full` shows all, `custom` those that the mask names."""
    for name in ("sis", "bus"):
        fields = [{"fieldName": "number", "fieldType": "STRING"}]
        directory.schemas().insert(
            customerId="my_customer", body={"schemaName": name, "displayName": name, "fields": fields}
        ).execute()
    google.add_user("ada@district.example", customSchemas={"sis": {"number": "1"}, "bus": {"number": "2"}})
    get = directory.users().get
    assert "customSchemas" not in get(userKey="ada@district.example").execute()
    assert set(get(userKey="ada@district.example", projection="full").execute()["customSchemas"]) == {"sis", "bus"}
    masked = get(userKey="ada@district.example", projection="custom", customFieldMask="bus").execute()
    assert masked["customSchemas"] == {"bus": {"number": "2"}}
    assert refused(get(userKey="ada@district.example", projection="custom"))[:2] == (400, "required")


def test_custom_fields_are_typed_merged_and_cleared(google: GoogleDouble, directory: Any) -> None:
    """A field must exist and fit its type; an update touches the fields it names."""
    fields = [
        {"fieldName": "grade", "fieldType": "STRING"},
        {"fieldName": "born", "fieldType": "DATE"},
        {"fieldName": "clubs", "fieldType": "STRING", "multiValued": True},
    ]
    directory.schemas().insert(
        customerId="my_customer", body={"schemaName": "sis", "displayName": "SIS", "fields": fields}
    ).execute()
    google.add_user("ada@district.example")
    update = directory.users().update
    for wrong in ({"room": "1"}, {"born": "5 May"}, {"clubs": "chess"}, {"clubs": ["chess"]}):
        assert refused(update(userKey="ada@district.example", body={"customSchemas": {"sis": wrong}}))[0] == 400
    told = {"grade": "5", "born": "2015-12-10", "clubs": [{"value": "chess"}]}
    update(userKey="ada@district.example", body={"customSchemas": {"sis": told}}).execute()
    update(userKey="ada@district.example", body={"customSchemas": {"sis": {"grade": None, "born": "2015-12-11"}}}).execute()
    assert google.user("ada@district.example")["customSchemas"] == {"sis": {"born": "2015-12-11", "clubs": told["clubs"]}}
    update(userKey="ada@district.example", body={"customSchemas": {"sis": None}}).execute()
    assert "customSchemas" not in google.user("ada@district.example")


def test_partial_answers_hold_what_was_asked_for(directory: Any, google: GoogleDouble) -> None:
    """`fields=` cuts an answer to the names it gives, inside lists too."""
    google.add_user("ada@district.example")
    told = (
        directory.users().list(customer="my_customer", query="email:ada*", fields="users(primaryEmail,name/familyName)").execute()
    )
    assert told == {"users": [{"primaryEmail": "ada@district.example", "name": {"familyName": "Family"}}]}


def test_etags_guard_a_read_and_a_write(google: GoogleDouble, wire: httpx2.Client) -> None:
    """If-None-Match spares the body of what did not change, If-Match refuses what did."""
    google.add_user("ada@district.example")
    path = f"{USERS}/ada%40district.example"
    etag = wire.get(path).json()["etag"]
    assert wire.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert wire.put(path, json={"suspended": True}, headers={"If-Match": etag}).status_code == 200
    assert reason(wire.put(path, json={"suspended": False}, headers={"If-Match": etag})) == (412, "conditionNotMet")
    assert google.user("ada@district.example")["suspended"] is True


def test_archiving_takes_a_seat_and_users_may_run_out(google: GoogleDouble, directory: Any) -> None:
    """Both are refusals that stay until somebody buys something."""
    for local in ("ada", "bob"):
        google.add_user(f"{local}@district.example")
    google.tenant.archive_seats = 1
    directory.users().update(userKey="ada@district.example", body={"archived": True}).execute()
    assert refused(directory.users().update(userKey="bob@district.example", body={"archived": True}))[:2] == (
        412,
        "conditionNotMet",
    )
    google.tenant.user_limit = len(google.tenant.users)
    assert refused(directory.users().insert(body=user()))[:2] == (412, "conditionNotMet")


def test_an_address_somebody_uses_privately_is_a_conflict(google: GoogleDouble, directory: Any) -> None:
    """Refused, or with `resolveConflictAccount` answered with 202 and no user."""
    google.tenant.unmanaged.add("ada.byron@district.example")
    assert refused(directory.users().insert(body=user()))[0] == 409
    told = directory.users().insert(body=user(), resolveConflictAccount=True).execute()
    assert "id" not in told
    assert google.users() == {}


def test_a_long_question_sent_as_a_form_is_still_a_get(google: GoogleDouble, directory: Any) -> None:
    """Google's client turns an address over 2,048 characters into a POST that says it is a GET."""
    google.add_user("ada@district.example")
    query = "email=ada@district.example " + "isSuspended=false " * 150
    (found,) = directory.users().list(customer="my_customer", query=query).execute()["users"]
    assert found["primaryEmail"] == "ada@district.example"
    assert [call.method for call in google.calls if call.method.startswith("directory")] == ["directory.users.list"]


def test_knobs_have_names(google: GoogleDouble) -> None:
    """A knob that does not exist cannot be turned, so a misspelt test does not pass for nothing."""
    with pytest.raises(TypeError, match="no knob"):
        google.quirks.change(latancy=1.0)
    assert Quirks.as_google_is(faults=0.02).queries_per_minute == 2400
