"""The double of Google, asked by Google's own client: org units, groups, devices, roles, licences and batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from googleapiclient.errors import BatchError, HttpError

from tests.contract.google_client import Body, client, pages, refused, user
from tests.doubles.google import GoogleDouble
from tests.doubles.google.licences import EXHAUSTED, HELD

ME = "my_customer"
STUDENT = ("Google-Apps-For-Education", "1010310008")


@pytest.fixture
def google() -> Iterator[GoogleDouble]:
    """A customer with two org units and nobody in them."""
    with GoogleDouble(domains=("district.example", "students.district.example")) as double:
        double.plant("/Students/Oak", "/Staff")
        yield double


@pytest.fixture
def directory(google: GoogleDouble) -> Iterator[Any]:
    """Google's client, acting for the administrator of the sync."""
    with client(google) as made:
        yield made


# --- org units ---


def test_org_units_are_made_under_a_parent_and_found_by_path_or_id(google: GoogleDouble, directory: Any) -> None:
    """The path follows from name and parent; it is asked for without its leading slash, and in any case."""
    units = directory.orgunits()
    made = units.insert(customerId=ME, body={"name": "Grade 5", "parentOrgUnitPath": "/Students/Oak"}).execute()
    assert made["orgUnitPath"] == "/Students/Oak/Grade 5"
    for path in ("Students/Oak/Grade 5", "students/oak/grade 5", made["orgUnitId"]):
        assert units.get(customerId=ME, orgUnitPath=path).execute() == made
    inside = units.insert(customerId=ME, body={"name": "A", "parentOrgUnitId": made["orgUnitId"]}).execute()
    assert inside["parentOrgUnitPath"] == "/Students/Oak/Grade 5"

    def listed(**query: str) -> list[str]:
        return [each["orgUnitPath"] for each in units.list(customerId=ME, **query).execute().get("organizationUnits", [])]

    assert listed() == ["/Staff", "/Students"]
    assert listed(type="all", orgUnitPath="/Students/Oak") == ["/Students/Oak/Grade 5", "/Students/Oak/Grade 5/A"]
    assert listed(type="allIncludingParent", orgUnitPath="Students/Oak/Grade 5") == [made["orgUnitPath"], inside["orgUnitPath"]]
    assert listed(type="all", orgUnitPath="/Staff") == []
    assert google.units() == {"/Staff", "/Students", "/Students/Oak", made["orgUnitPath"], inside["orgUnitPath"]}


def test_org_units_that_cannot_be_are_refused(google: GoogleDouble, directory: Any) -> None:
    """A name that is taken in any case, an unknown parent, none at all, a slash in the name."""
    insert = directory.orgunits().insert
    oak: Body = {"name": "OAK", "parentOrgUnitPath": "/students"}
    assert refused(insert(customerId=ME, body=oak)) == (400, "invalid", "Invalid Ou Id")
    google.quirks.change(duplicate_unit_conflicts=True)
    assert refused(insert(customerId=ME, body=oak))[:2] == (409, "duplicate")
    assert refused(insert(customerId=ME, body={"name": "X", "parentOrgUnitPath": "/Nowhere"}))[2] == "Invalid Parent Orgunit Id"
    assert refused(insert(customerId=ME, body={"name": "X"}))[0] == 400
    assert refused(insert(customerId=ME, body={"name": "X/Y", "parentOrgUnitPath": "/"}))[0] == 400
    assert refused(directory.orgunits().get(customerId=ME, orgUnitPath="Nowhere"))[:2] == (404, "notFound")


def test_an_org_unit_moves_with_all_that_is_in_it_and_goes_only_when_empty(google: GoogleDouble, directory: Any) -> None:
    """Users, devices and units below keep their place in it; while one is there it cannot be deleted."""
    google.add_user("ada@district.example", orgUnitPath="/Students/Oak")
    google.add_device("SN-1", "/Students/Oak/Carts")
    units = directory.orgunits()
    for path in ("Students/Oak/Carts", "Students/Oak", "Students"):
        assert refused(units.delete(customerId=ME, orgUnitPath=path))[:2] == (412, "conditionNotMet")
    units.update(customerId=ME, orgUnitPath="Students/Oak", body={"name": "Elm", "parentOrgUnitPath": "/Staff"}).execute()
    assert google.units() == {"/Staff", "/Staff/Elm", "/Staff/Elm/Carts", "/Students"}
    assert google.user("ada@district.example")["orgUnitPath"] == "/Staff/Elm"
    assert google.devices()["SN-1"]["orgUnitPath"] == "/Staff/Elm/Carts"
    assert refused(units.update(customerId=ME, orgUnitPath="Staff", body={"parentOrgUnitPath": "/Staff/Elm"}))[0] == 400
    units.delete(customerId=ME, orgUnitPath="Students").execute()
    assert "/Students" not in google.units()


# --- groups ---


def test_groups_are_made_renamed_and_listed(google: GoogleDouble, directory: Any) -> None:
    """A rename keeps the old address; lists are by customer, domain or member; addresses are one space with users'."""
    groups = directory.groups()
    made = groups.insert(body={"email": "Chess@district.example", "name": "Chess"}).execute()
    assert (made["email"], made["directMembersCount"]) == ("chess@district.example", "0")
    groups.insert(body={"email": "choir@students.district.example"}).execute()
    google.add_user("ada@district.example")
    assert refused(groups.insert(body={"email": "ada@district.example"}))[:2] == (409, "duplicate")
    assert refused(groups.insert(body={"email": "x@elsewhere.example"}))[0] == 404
    assert refused(groups.insert(body={"email": "y@district.example", "description": "x" * 4097}))[0] == 400
    groups.update(groupKey=made["id"], body={"email": "chess-club@district.example"}).execute()
    assert groups.get(groupKey="chess@district.example").execute()["aliases"] == ["chess@district.example"]

    def listed(**query: str) -> list[str]:
        return [each["email"] for each in groups.list(**query).execute().get("groups", [])]

    assert listed(customer=ME) == ["chess-club@district.example", "choir@students.district.example"]
    assert listed(domain="students.district.example") == ["choir@students.district.example"]
    assert listed(customer=ME, query="email:chess*") == ["chess-club@district.example"]
    directory.members().insert(groupKey=made["id"], body={"email": "ada@district.example"}).execute()
    assert listed(userKey="ada@district.example") == ["chess-club@district.example"]
    groups.delete(groupKey="chess@district.example").execute()
    assert listed(userKey="ada@district.example") == []
    assert groups.insert(body={"email": "chess@district.example"}).execute()["id"] != made["id"]


def test_members_are_added_once_and_never_in_circles(google: GoogleDouble, directory: Any) -> None:
    """By address or id; unknown ones, strangers, doubles and cycles are refused, each in its own words."""
    members = directory.members()
    for name in ("outer", "inner"):
        directory.groups().insert(body={"email": f"{name}@district.example"}).execute()
    ada = google.add_user("ada@district.example")
    outer, inner = "outer@district.example", "inner@district.example"
    told = members.insert(groupKey=inner, body={"id": ada.id, "role": "OWNER", "delivery_settings": "DAILY"}).execute()
    assert (told["email"], told["role"], told["type"], told["status"]) == ("ada@district.example", "OWNER", "USER", "ACTIVE")
    members.insert(groupKey=outer, body={"email": inner}).execute()
    again = members.insert(groupKey=inner, body={"email": "ADA@district.example"})
    assert refused(again) == (409, "duplicate", "Member already exists.")
    assert refused(members.insert(groupKey=inner, body={"email": outer}))[:2] == (412, "conditionNotMet")
    assert refused(members.insert(groupKey=inner, body={"email": inner}))[0] == 412
    assert refused(members.insert(groupKey=inner, body={"email": "ghost@district.example"}))[2] == "Resource Not Found: memberKey"
    assert refused(members.insert(groupKey=inner, body={"email": "mum@elsewhere.example"}))[0] == 412
    assert refused(members.insert(groupKey=inner, body={"email": outer, "role": "KING"}))[0] == 400
    assert refused(members.insert(groupKey="none@district.example", body={"id": ada.id}))[2] == "Resource Not Found: groupKey"

    def has(key: str) -> bool:
        return bool(members.hasMember(groupKey=outer, memberKey=key).execute()["isMember"])

    assert (has(inner), has("ada@district.example"), has(google.admin)) == (True, True, False)
    derived = members.list(groupKey=outer, includeDerivedMembership=True).execute()["members"]
    assert [each["email"] for each in derived] == [inner, "ada@district.example"]
    google.change_user("ada@district.example", primaryEmail="a.king@district.example", suspended=True)
    (shown,) = members.list(groupKey=inner, roles="OWNER").execute()["members"]
    assert (shown["email"], shown["status"]) == ("a.king@district.example", "SUSPENDED")
    members.update(groupKey=inner, memberKey=ada.id, body={"role": "MEMBER"}).execute()
    assert members.get(groupKey=inner, memberKey="ada@district.example").execute()["delivery_settings"] == "DAILY"
    members.delete(groupKey=inner, memberKey="ada@district.example").execute()
    assert refused(members.delete(groupKey=inner, memberKey=ada.id))[:2] == (404, "notFound")
    assert "members" not in members.list(groupKey=inner).execute()


def test_a_group_of_five_thousand_is_listed_to_the_last(google: GoogleDouble, directory: Any) -> None:
    """Two hundred at a time; counted as strings; nobody twice and nobody missing."""
    directory.groups().insert(body={"email": "all@district.example"}).execute()
    group = google.group("all@district.example")
    for number in range(5000):
        account = google.add_user(f"p{number}@district.example")
        group.members[account.id] = {"kind": "admin#directory#member", "id": account.id, "type": "USER", "role": "MEMBER"}
    assert directory.groups().get(groupKey="all@district.example").execute()["directMembersCount"] == "5000"
    found = pages(directory.members().list, "members", groupKey="all@district.example", maxResults=200)
    assert [len(page) for page in found] == [200] * 25
    assert len({each["email"] for page in found for each in page}) == 5000
    with pytest.raises(HttpError, match="range"):
        directory.members().list(groupKey="all@district.example", maxResults=201).execute()


def test_settings_of_a_group_are_strings_of_known_words(google: GoogleDouble, directory: Any) -> None:
    """Booleans are the strings true and false; words are those of the reference; what is not named stays."""
    directory.groups().insert(body={"email": "chess@district.example", "name": "Chess"}).execute()
    with client(google, "groupssettings.v1") as settings:
        groups = settings.groups()
        before = groups.get(groupUniqueId="chess@district.example").execute()
        groups.patch(
            groupUniqueId="chess@district.example",
            body={"whoCanPostMessage": "ALL_MEMBERS_CAN_POST", "allowExternalMembers": "true"},
        ).execute()
        after = groups.get(groupUniqueId="chess@district.example").execute()
        assert after == {**before, "whoCanPostMessage": "ALL_MEMBERS_CAN_POST", "allowExternalMembers": "true"}
        for wrong in ({"whoCanPostMessage": "EVERYBODY"}, {"allowExternalMembers": "yes"}):
            with pytest.raises(HttpError):
                groups.update(groupUniqueId="chess@district.example", body=wrong).execute()
    directory.members().insert(groupKey="chess@district.example", body={"email": "mum@elsewhere.example"}).execute()
    assert google.members("chess@district.example") == {"mum@elsewhere.example"}


# --- devices ---


def test_devices_are_found_annotated_and_moved_by_fifties(google: GoogleDouble, directory: Any) -> None:
    """Fifty at once and no more; one that is unknown spoils the move; a device tells its unit by path and id."""
    for number in range(60):
        google.add_device(f"SN-{number:03d}", "/Students/Oak" if number % 2 else "/Staff", annotatedAssetId=f"A{number}")
    devices = directory.chromeosdevices()
    ids = [each["deviceId"] for each in google.devices().values()]
    found = pages(devices.list, "chromeosdevices", customerId=ME, maxResults=25)
    assert [len(page) for page in found] == [25, 25, 10]
    assert (
        len(
            devices.list(customerId=ME, orgUnitPath="Students", includeChildOrgunits=True, maxResults=100).execute()[
                "chromeosdevices"
            ]
        )
        == 30
    )
    (one,) = devices.list(customerId=ME, query="asset_id:A17").execute()["chromeosdevices"]
    assert one["serialNumber"] == "SN-017"
    move = devices.moveDevicesToOu
    move(customerId=ME, orgUnitPath="/Staff", body={"deviceIds": ids[:50]}).execute()
    assert refused(move(customerId=ME, orgUnitPath="/Staff", body={"deviceIds": ids[:51]}))[0] == 400
    assert refused(move(customerId=ME, orgUnitPath="/Students/Oak", body={"deviceIds": [*ids[:2], "ghost"]}))[0] == 404
    assert refused(move(customerId=ME, orgUnitPath="/Nowhere", body={"deviceIds": ids[:2]}))[0] == 400
    assert {each["orgUnitPath"] for each in list(google.devices().values())[:50]} == {"/Staff"}
    told = {"annotatedUser": "ada@district.example", "notes": "x" * 500, "orgUnitPath": "/Students/Oak"}
    devices.update(customerId=ME, deviceId=ids[0], body=told).execute()
    assert {**google.devices()["SN-000"], **told} == google.devices()["SN-000"]
    assert refused(devices.patch(customerId=ME, deviceId=ids[0], body={"annotatedUser": "x" * 101}))[0] == 400
    counted = (
        directory.customer()
        .devices()
        .chromeos()
        .countChromeOsDevices(customerId=ME, orgUnitPath="/Students", includeChildOrgunits=True)
    )
    assert counted.execute() == {"count": "6"}


def test_devices_are_disabled_and_given_back_one_by_one_or_together(google: GoogleDouble, directory: Any) -> None:
    """A batch answers for each device; a state that does not lead there is refused; deprovisioning wants a reason."""
    ids = [google.add_device(f"SN-{number}")["deviceId"] for number in range(3)]
    devices, many = directory.chromeosdevices(), directory.customer().devices().chromeos()
    devices.action(customerId=ME, resourceId=ids[0], body={"action": "disable"}).execute()
    assert refused(devices.action(customerId=ME, resourceId=ids[0], body={"action": "disable"}))[:2] == (412, "conditionNotMet")
    body = {"deviceIds": [*ids, "ghost"], "changeChromeOsDeviceStatusAction": "CHANGE_CHROME_OS_DEVICE_STATUS_ACTION_DISABLE"}
    results = many.batchChangeStatus(customerId=ME, body=body).execute()["changeChromeOsDeviceStatusResults"]
    assert ["error" in each for each in results] == [True, False, False, True]
    assert [each["status"] for each in google.devices().values()] == ["DISABLED"] * 3
    devices.action(customerId=ME, resourceId=ids[1], body={"action": "reenable"}).execute()
    assert refused(devices.action(customerId=ME, resourceId=ids[1], body={"action": "deprovision"}))[:2] == (400, "required")
    devices.action(
        customerId=ME, resourceId=ids[1], body={"action": "deprovision", "deprovisionReason": "retiring_device"}
    ).execute()
    assert refused(many.issueCommand(customerId=ME, deviceId=ids[1], body={"commandType": "REBOOT"}))[0] == 412
    devices.action(customerId=ME, resourceId=ids[0], body={"action": "reenable"}).execute()
    command = many.issueCommand(customerId=ME, deviceId=ids[0], body={"commandType": "REMOTE_POWERWASH"}).execute()["commandId"]
    shown = many.commands().get(customerId=ME, deviceId=ids[0], commandId=command).execute()
    assert (shown["type"], shown["state"]) == ("REMOTE_POWERWASH", "PENDING")


# --- administrators and the customer ---


def test_roles_tell_what_an_administrator_may(google: GoogleDouble, directory: Any) -> None:
    """A super-administrator is told by its role and by `isAdmin`; roles come directly or through a group."""
    roles = {each["roleId"]: each for each in directory.roles().list(customer=ME).execute()["items"]}
    assignments = directory.roleAssignments().list(customer=ME).execute()["items"]
    kinds = {each["assignedTo"]: roles[each["roleId"]]["isSuperAdminRole"] for each in assignments}
    assert kinds == {google.account(google.super_admin).id: True, google.account(google.admin).id: False}
    (own,) = directory.roleAssignments().list(customer=ME, userKey=google.admin).execute()["items"]
    held = {each["privilegeName"] for each in roles[own["roleId"]]["rolePrivileges"]}
    known = {each["privilegeName"] for each in directory.privileges().list(customer=ME).execute()["items"]}
    assert held <= known
    assert "USERS_ALL" in held
    google.make_super_admin(google.admin)
    assert directory.users().get(userKey=google.admin).execute()["isAdmin"] is True


def test_domains_and_the_customer_are_told(google: GoogleDouble, directory: Any) -> None:
    """Which domain is the primary one, and which are not verified: those take no users."""
    google.tenant.domains["new.example"] = False
    told = {
        each["domainName"]: (each["isPrimary"], each["verified"])
        for each in directory.domains().list(customer=ME).execute()["domains"]
    }
    assert told == {"district.example": (True, True), "students.district.example": (False, True), "new.example": (False, False)}
    assert directory.customers().get(customerKey=ME).execute()["customerDomain"] == "district.example"
    assert refused(directory.users().insert(body=user(domain="new.example")))[0] == 404
    directory.users().insert(body=user(domain="students.district.example")).execute()


def test_schemas_change_but_not_under_the_values_of_users(google: GoogleDouble, directory: Any) -> None:
    """Fields come and go; a type stays, and so does a field that somebody has a value in."""
    schemas = directory.schemas()
    fields = [{"fieldName": "grade", "fieldType": "STRING"}, {"fieldName": "bus", "fieldType": "STRING"}]
    body = {"schemaName": "sis", "displayName": "SIS", "fields": fields}
    made = schemas.insert(customerId=ME, body=body).execute()
    assert refused(schemas.insert(customerId=ME, body=body))[0] == 409
    google.add_user("ada@district.example", customSchemas={"sis": {"grade": "5"}})
    retyped = [{**fields[0], "fieldType": "INT64"}]
    full = {"displayName": "grade", **fields[0]}
    assert refused(schemas.update(customerId=ME, schemaKey="sis", body={"fields": retyped}))[0] == 400
    assert refused(schemas.patch(customerId=ME, schemaKey="sis", body={"fields": fields[1:]}))[0] == 412
    schemas.update(customerId=ME, schemaKey=made["schemaId"], body={"fields": [full]}).execute()
    assert [each["fieldName"] for each in schemas.get(customerId=ME, schemaKey="sis").execute()["fields"]] == ["grade"]
    assert refused(schemas.delete(customerId=ME, schemaKey="sis"))[0] == 412
    google.change_user("ada@district.example", customSchemas={"sis": None})
    schemas.delete(customerId=ME, schemaKey="sis").execute()
    assert "schemas" not in schemas.list(customerId=ME).execute()


# --- licences ---


def test_seats_are_assigned_until_there_are_none(google: GoogleDouble) -> None:
    """A seat per user and SKU; the words of both refusals; a deleted user frees its seat; lists come in pages."""
    google.sell(*STUDENT, 2)
    google.sell(STUDENT[0], "staff", 1)
    for local in ("ada", "bob", "cai"):
        google.add_user(f"{local}@district.example")
    product, sku = STUDENT
    where = {"productId": product, "skuId": sku}
    with client(google, "licensing.v1") as licensing, client(google) as directory:
        seats = licensing.licenseAssignments()
        for local in ("ada", "bob"):
            seats.insert(**where, body={"userId": f"{local}@district.example"}).execute()
        assert refused(seats.insert(**where, body={"userId": "ada@district.example"})) == (412, "conditionNotMet", HELD)
        assert refused(seats.insert(**where, body={"userId": "cai@district.example"})) == (412, "conditionNotMet", EXHAUSTED)
        assert refused(seats.insert(**where, body={"userId": "ghost@district.example"}))[0] == 404
        assert refused(seats.insert(productId=product, skuId="none", body={"userId": "cai@district.example"}))[0] == 404
        listed = pages(seats.listForProduct, "items", productId=product, customerId="C0double1", maxResults=1)
        assert [[each["userId"] for each in page] for page in listed] == [["ada@district.example"], ["bob@district.example"]]
        seats.patch(**where, userId="ada@district.example", body={"skuId": "staff"}).execute()
        assert google.licensed(product, "staff") == {"ada@district.example"}
        assert refused(seats.patch(**where, userId="bob@district.example", body={"skuId": "staff"}))[2] == EXHAUSTED
        seats.delete(productId=product, skuId="staff", userId="ada@district.example").execute()
        assert refused(seats.get(productId=product, skuId="staff", userId="ada@district.example"))[0] == 404
        google.change_user("bob@district.example", primaryEmail="rob@district.example")
        assert seats.get(**where, userId="bob@district.example").execute()["userId"] == "rob@district.example"
        directory.users().delete(userKey="rob@district.example").execute()
        assert google.licensed(*STUDENT) == set()


# --- batches ---


def test_a_batch_answers_each_of_its_calls_by_itself(google: GoogleDouble, directory: Any) -> None:
    """Refusals stand beside successes, each with its call; each counts, and each is recorded."""
    google.add_user("taken@district.example")
    answers: dict[str, Body | HttpError] = {}
    batch = directory.new_batch_http_request(callback=lambda id_, told, error: answers.update({id_: error or told}))
    for local in ("ada", "taken", "bob"):
        batch.add(directory.users().insert(body=user(local)), request_id=local)
    batch.add(directory.orgunits().delete(customerId=ME, orgUnitPath="Staff"), request_id="unit")
    batch.execute()
    assert isinstance(answers["taken"], HttpError)
    assert answers["taken"].status_code == 409
    assert {each["id"] for each in google.users().values()} > {answers["ada"]["id"], answers["bob"]["id"]}
    assert google.units() == {"/Students", "/Students/Oak"}
    parts = [call for call in google.calls if call.part]
    assert [(call.method, call.status) for call in parts] == [
        ("directory.users.insert", 200),
        ("directory.users.insert", 409),
        ("directory.users.insert", 200),
        ("directory.orgunits.delete", 204),
    ]


def test_a_batch_over_a_thousand_or_over_two_interfaces_is_refused(google: GoogleDouble, directory: Any) -> None:
    """Google's client refuses the first itself; on the wire we do."""
    batch = directory.new_batch_http_request()
    for _ in range(1000):
        batch.add(directory.users().get(userKey=google.admin))
    with pytest.raises(BatchError):
        batch.add(directory.users().get(userKey=google.admin))
    part = "--b\r\nContent-Type: application/http\r\n\r\nGET /admin/directory/v1/users/1 HTTP/1.1\r\n\r\n"
    other = part.replace("/admin/directory/v1/users/1", "/apps/licensing/v1/product/P/users")
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    with httpx2.Client(base_url=google.url, headers=headers, trust_env=False) as wire:
        assert wire.post("/batch", content=f"{part * 1001}\r\n--b--").status_code == 400
        assert wire.post("/batch", content=f"{part}\r\n{other}\r\n--b--").status_code == 400
        assert wire.post("/batch", content=part).status_code == 400
        assert wire.post("/batch", content=f"{part}\r\n--b--").status_code == 200
