"""`syncd check` for Google says what is wrong, what is too much, and what to click."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.errors import EndpointError
from syncd.targets import Examined, Needs
from syncd.targets.google_config import Licence
from syncd.targets.google_wire import Scope as Right
from tests.doubles.google import SCOPES
from tests.integration.chromebooks import district
from tests.integration.google_customer import ALL_SCOPES, CREDENTIAL, DOMAIN, SCHEMAS_READ, Customer, customer

NEEDS = Needs(frozenset({"name.givenName"}), frozenset({"ou"}), joins_groups=True, makes_groups=True, moves=True, deletes=True)


@pytest.fixture
def there() -> Iterator[Customer]:
    """A customer of which everything is as it should be."""
    with customer() as one:
        yield one


def examined(there: Customer, attributes: Collection[str] = ("name.givenName",), **told: object) -> Examined:
    """What the check says."""
    connector = there.connector(**told)
    try:
        return connector.examine(attributes, NEEDS)
    finally:
        connector.close()


def test_a_customer_as_it_should_be_has_nothing_wrong(there: Customer) -> None:
    """And nothing is written for it."""
    there.google.sell("101031", "1010310008", 9)
    found = examined(there, licences={"full": Licence(product="101031", sku="1010310008", seats=9)})
    assert found.wrong == ()
    assert "licence:full: 9 seats left" in found.noted
    assert not any(call.done for call in there.google.calls)


def test_a_missing_scope_is_named_with_where_to_add_it(there: Customer) -> None:
    """Every one that is needed, and which client to add it to."""
    there.google.delegate([scope for scope in SCOPES if not scope.endswith(("group", "orgunit"))])
    wrong = examined(there).wrong
    assert len(wrong) == 2
    assert all("Manage domain-wide delegation: client 104857600000000000001" in one for one in wrong)
    assert any("admin.directory.group is not delegated" in one for one in wrong)


def test_the_scope_for_devices_is_needed_where_a_mapping_speaks_of_them(there: Customer) -> None:
    """Else it is noted as one that could be taken away."""
    assert any("device.chromeos" in one for one in examined(there).noted)
    there.google.delegate([scope for scope in [*SCOPES, SCHEMAS_READ] if "chromeos" not in scope])
    there.google.expire_tokens()
    connector = there.connector()
    try:
        found = connector.examine(("name.givenName",), replace(NEEDS, devices=True))
    finally:
        connector.close()
    assert any(one.startswith("for devices:") for one in found.wrong)


def test_too_much_is_wrong_as_well(there: Customer) -> None:
    """A scope that lets a thief read mail, a super administrator, and an account that is no administrator."""
    there.google.delegate([*SCOPES, SCHEMAS_READ, "https://mail.google.com/"])
    assert any("https://mail.google.com/ is delegated, and must not be" in one for one in examined(there).wrong)
    there.google.delegate([*SCOPES, SCHEMAS_READ])
    assert any("is a super administrator" in one for one in examined(there, admin=there.google.super_admin).wrong)
    there.google.add_user(f"nobody@{DOMAIN}")
    assert any("is no administrator" in one for one in examined(there, admin=f"nobody@{DOMAIN}").wrong)


def role_without(there: Customer, *privileges: str) -> None:
    """The administrator's role has everything it needs, but for these."""
    (role,) = [one for one in there.google.tenant.roles.values() if not one["isSuperAdminRole"]]
    role["rolePrivileges"] = [one for one in role["rolePrivileges"] if one["privilegeName"] not in privileges]
    there.google.tenant.rights.clear()


LICENCES = {"full": Licence(product="101031", sku="1010310008")}


def test_rights_outside_of_the_directory_are_tried_and_named(there: Customer) -> None:
    """Licences, group settings and devices have privileges whose names nobody documents: that they are there shows by reading."""
    there.google.sell("101031", "1010310008", 9)
    needs = replace(NEEDS, devices=True)
    told = {"licences": LICENCES, "group_settings": {"whoCanJoin": "INVITED_CAN_JOIN"}}
    assert "whether the role may set group settings, for there is no group yet" in " ".join(examined(there, **told).noted)
    there.google.tenant.domains[f"groups.{DOMAIN}"] = True
    connector = there.connector(**told)
    connector.wire.call(Right.GROUPS, "POST", "/groups", body={"email": f"all@{DOMAIN}", "name": "all"})
    assert connector.examine(("name.givenName",), needs).wrong == ()
    role_without(there, "LICENSING", "MANAGE_GROUP_SETTINGS", "GROUPS_ALL", "MANAGE_DEVICES")
    wrong = connector.examine(("name.givenName",), replace(needs, joins_groups=False, makes_groups=False)).wrong
    connector.close()
    ticks = ("licences; Admin console > Account > Admin roles > the role > Privileges > Services: tick License Management",)
    assert [one for one in wrong if one.endswith(ticks)]
    assert [one for one in wrong if "devices" in one and one.endswith("tick Chrome Management > Manage ChromeOS devices")]
    assert [one for one in wrong if one.startswith("group settings: ")]  # not even groups can be read


def test_a_licence_of_a_product_that_is_none_is_named(there: Customer) -> None:
    """Before a plan gives it."""
    (wrong,) = examined(there, licences={"full": Licence(product="Nothing", sku="none")}).wrong
    assert wrong.startswith("licence full: Google knows no such product and SKU; correct `product` and `sku`")


def test_scopes_and_rights_beyond_need_are_told(there: Customer) -> None:
    """What could be taken away without anybody missing it, by name; what this configuration uses is not."""
    there.google.delegate([*ALL_SCOPES, "https://www.googleapis.com/auth/classroom.rosters"])
    noted = examined(there).noted
    assert "delegated and not needed by syncd: https://www.googleapis.com/auth/classroom.rosters" in noted
    assert "delegated and not needed by this configuration: https://www.googleapis.com/auth/apps.licensing" in noted
    (told,) = [one for one in noted if one.startswith("the role has more than this mapping needs")]
    assert "needs: LICENSING, MANAGE_DEVICES, MANAGE_GROUP_SETTINGS, SCHEMA_MANAGEMENT; Admin console" in told
    there.google.sell("101031", "1010310008", 9)
    (told,) = [one for one in examined(there, licences=LICENCES).noted if one.startswith("the role has more")]
    assert "LICENSING" not in told


def test_domains_schemas_and_seats_that_are_not_there_are_named(there: Customer) -> None:
    """With what to click."""
    there.google.tenant.domains["new.example"] = False
    wrong = examined(there, ["customSchemas.District.grade"], domains=(DOMAIN, "new.example", "other.example")).wrong
    assert any("new.example is not verified" in one for one in wrong)
    assert any("no domain other.example" in one for one in wrong)
    (schema,) = [one for one in wrong if "no field grade in a custom schema District" in one]
    assert "Manage custom attributes: add a category District with a custom field grade (text, one value, unless" in schema


def test_a_key_that_is_none_is_refused_without_a_word_of_it(there: Customer) -> None:
    """The message names the credential, and quotes nothing."""
    (there.folder / CREDENTIAL).write_text('{"type": "service_account", "private_key": "hunter2"}')
    with pytest.raises(EndpointError, match="no service account's key") as told:
        examined(there)
    assert "hunter2" not in str(told.value)


def test_a_revoked_key_says_where_to_look(there: Customer) -> None:
    """Each scope would say the same: it is said."""
    there.google.revoke_key()
    assert any("Service accounts > Keys: is it still listed?" in one for one in examined(there).wrong)


def test_a_clock_that_differs_is_told_by_how_much(there: Customer) -> None:
    """Minutes are let pass by Google, which says in every answer what time it is."""
    there.google.quirks.change(clock_skew=240.0)
    (wrong,) = examined(there).wrong
    assert re.fullmatch(r"this machine's clock differs from Google's by (1\d\d|2[0-4]\d) seconds; set it by NTP", wrong)


def test_a_clock_that_is_an_hour_off_is_told_though_google_gives_no_token(there: Customer) -> None:
    """What Google calls an invalid grant is no matter of the key: it is said so, and by how much."""
    there.google.quirks.change(clock_skew=-7200.0)
    wrong = examined(there).wrong
    told = [one for one in wrong if one.startswith("for ")]
    assert told
    assert all("the clocks do not agree (invalid_grant" in one and one.endswith("set this machine's clock by NTP") for one in told)
    assert not [one for one in wrong if "Keys" in one]
    assert any(re.match(r"this machine's clock differs from Google's by 7[0-9]{3} seconds", one) for one in wrong)


def test_the_command_line_says_what_is_wrong_and_what_to_click(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`syncd check`: right with everything in its place, else each failure in words, and not 0."""
    with district(tmp_path) as here:
        here.row("CB1", here.pupil(1))
        here.deliver()
        assert main(["--config", str(tmp_path), "check"]) == Exit.DONE
        assert "target google: answers" in capsys.readouterr().out
        here.google.delegate([scope for scope in SCOPES if not scope.endswith("orgunit")])
        assert main(["--config", str(tmp_path), "check"]) != Exit.DONE
        said = " ".join("".join(capsys.readouterr()).split())
        assert (
            "for organizational units: the scope https://www.googleapis.com/auth/admin.directory.orgunit is not delegated" in said
        )
        assert "Manage domain-wide delegation: client 104857600000000000001, add this scope" in said
