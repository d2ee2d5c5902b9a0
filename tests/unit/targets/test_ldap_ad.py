"""Active Directory's answers, identifiers and settings, as values. The messages are such as servers send."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import dates, integers, sampled_from

from syncd.core.model import Account, Failure, NativeId
from syncd.errors import ChangeError, EndpointError, TransientError
from syncd.targets import ldap_ad_times as times
from syncd.targets import ldap_errors as errors
from syncd.targets.ldap_ad import ActiveDirectoryConfig, AdDialect
from syncd.targets.ldap_ad_apply import quoted
from syncd.targets.ldap_ad_errors import MEANINGS
from syncd.targets.ldap_ad_policy import PasswordRules, broken
from syncd.targets.ldap_ad_values import BINARY, native_id, sent, sid_text, told
from syncd.targets.ldap_entries import part

CONFIG = ActiveDirectoryConfig(urls=("ldaps://dc",), bind_dn="s@d.test", credential="c", base="DC=d,DC=test")


@pytest.mark.parametrize(
    ("code", "why", "failure"),
    [
        # Windows, as [MS-ADTS] 3.1.1.3.1.9 has its messages
        (19, "0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n\0", Failure.REFUSED),
        (53, "0000052D: SvcErr: DSID-031A1248, problem 5003 (WILL_NOT_PERFORM), data 0", Failure.REFUSED),
        (68, "00002071: UpdErr: DSID-0305038D, problem 6005 (ENTRY_EXISTS), data 0", Failure.NAME_TAKEN),
        (68, "00000524: UpdErr: DSID-031A11E2, problem 6005 (ENTRY_EXISTS), data 0", Failure.NAME_TAKEN),
        (
            19,
            "000021C8: AtrErr: DSID-03200BBA, #1: problem 1005 (CONSTRAINT_ATT_TYPE)",
            Failure.NAME_TAKEN,
        ),
        (50, "00002098: SecErr: DSID-03150F94, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0", Failure.REFUSED),
        (80, "00000523: SysErr: DSID-031A0FB6, problem 22 (Invalid argument), data 0", Failure.INVALID),
        (80, "00002089: UpdErr: DSID-030B06F1, problem 5012 (DIR_ERROR), data 0", Failure.NO_CONTAINER),
        (32, "0000208D: NameErr: DSID-03100238, problem 2001 (NO_OBJECT), data 0", Failure.NO_SUCH_OBJECT),
        (16, "00002085: AtrErr: DSID-03151904, #1", Failure.STALE),
        (51, "0000200E: SvcErr: DSID-02010B71, problem 5001 (BUSY), data -1026", Failure.WAITS),
        (52, "0000200F: SvcErr: DSID-020A1234, problem 5002 (UNAVAILABLE), data 0", Failure.WAITS),
        (53, "0000001F: SvcErr: DSID-031A120C, problem 5003 (WILL_NOT_PERFORM), data 0", Failure.REFUSED),
        (53, "00002035: SvcErr: DSID-031A11E5, problem 5003 (WILL_NOT_PERFORM), data 0", Failure.REFUSED),
        # Samba 4.17.12
        (19, "0000202F: samldb: userPrincipalName 'a@d.test' is already in use 'CN=a,DC=d,DC=test'", Failure.NAME_TAKEN),
        (80, "00002095: objectclass: Cannot rename CN=u1,DC=d, parent does not exist!", Failure.NO_CONTAINER),
        (20, "0000200D: SINGLE-VALUE attribute givenName on CN=u1,DC=d specified more than once", Failure.STALE),
        # neither: the code alone
        (68, "", Failure.NAME_TAKEN),
        (19, "some attributes not unique: non-unique attributes found", Failure.NAME_TAKEN),
    ],
)
def test_a_refusal_is_told_by_its_number_and_then_by_its_code(code: int, why: str, failure: Failure) -> None:
    """One table, whoever speaks."""
    assert errors.failure(code, why) is failure


def test_a_number_is_told_in_words() -> None:
    """An operator does not know Win32 errors by heart; the server's own words stay."""
    told = errors.words(50, "00002098: SecErr: DSID-03150F94, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n\0")
    assert told.startswith("insufficient access rights (50): 00002098: SecErr")
    assert told.endswith("data 0 — insufficient rights: delegate the right to the account syncd binds as")


@pytest.mark.parametrize(
    ("why", "attribute"),
    [
        # Windows: the attribute's number and name stand behind each error ([MS-ADTS] 3.1.1.3.1.9, AtrErr)
        (
            (
                "00002082: AtrErr: DSID-03151817, #1:\n\t0: 00002082: DSID-03151817, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, "
                "Att 23 (telephoneNumber):len 280"
            ),
            "telephoneNumber",
        ),
        (
            (
                "00002081: AtrErr: DSID-031513A5, #1:\n\t0: 00002081: DSID-031513A5, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, "
                "Att 3 (cn)"
            ),
            "cn",
        ),
        (
            (
                "000021C8: AtrErr: DSID-03200BBA, #1:\n\t0: 000021C8: DSID-03200BBA, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, "
                "Att 90290 (userPrincipalName)"
            ),
            "userPrincipalName",
        ),
        # Samba 4.17.12
        (
            "0000200B: objectclass_attrs: attribute 'displayName' on entry 'CN=c' contains at least one invalid value!",
            "displayName",
        ),
        ("0000202F: SINGLE-VALUE attribute givenName on CN=c specified more than once", "givenName"),
        # neither says which
        ("00002098: SecErr: DSID-03150F94, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0", ""),
    ],
)
def test_the_attribute_that_does_not_fit_is_named(why: str, attribute: str) -> None:
    """Behind the words, as the mapping spells it."""
    told = errors.words(19, why)
    assert told.endswith(f": {attribute}") if attribute else not told.endswith(":")


# As [MS-ADTS] 5.1.1.1.1 has the message, with a number of [MS-ERREF] 2.2: ERROR_NO_SUCH_USER, ERROR_LOGON_FAILURE,
# ERROR_ACCOUNT_RESTRICTION, ERROR_INVALID_LOGON_HOURS, ERROR_INVALID_WORKSTATION, ERROR_PASSWORD_EXPIRED, ERROR_ACCOUNT_DISABLED,
# ERROR_LOGON_NOT_GRANTED, ERROR_TIME_SKEW, ERROR_ACCOUNT_EXPIRED, ERROR_PASSWORD_MUST_CHANGE and ERROR_ACCOUNT_LOCKED_OUT.
@pytest.mark.parametrize(
    ("data", "remedy"),
    [
        ("525", "no account has this name"),
        ("52e", "password is wrong"),
        ("52f", "limited"),
        ("530", "at this hour"),
        ("531", "from here"),
        ("532", "password has expired"),
        ("533", "disabled"),
        ("534", "over the network"),
        ("576", "clocks"),
        ("701", "account has expired"),
        ("773", "change its"),
        ("775", "locked"),
    ],
)
def test_a_refused_bind_says_what_to_do(data: str, remedy: str) -> None:
    """The reason stands behind `data`."""
    why = f"80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {data}, v3839"
    error = errors.refusal("ad", "bind", 49, why)
    assert isinstance(error, EndpointError)
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("code", "kind", "remedy"), [(8, EndpointError, "start_tls"), (10, EndpointError, "another server"), (51, TransientError, "")]
)
def test_what_refuses_everybody_says_what_to_do(code: int, kind: type[Exception], remedy: str) -> None:
    """Encryption wanted, the wrong server, busy."""
    error = errors.refusal("ad", "search", code, "00002028: LdapErr: DSID-0C090202")
    assert isinstance(error, kind)
    assert remedy in str(error)


def test_every_meaning_says_something() -> None:
    """No number without words."""
    assert [number for number, meaning in MEANINGS.items() if not meaning.words] == []


RULES = PasswordRules(8, complex=True, remembered=24, whose="DC=d", hours=24)


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("Correct-Horse-9", []),
        ("Ab-1", ["it has 4 characters"]),
        ("correcthorse", ["it has 1 of 3 kinds of characters"]),
        ("correct-horse", ["it has 2 of 3 kinds of characters"]),
        ("王小明-abcdefgh", []),
        ("Ana-Ruiz-2027", ["a part of the owner's names is in it"]),
        ("Xyz-ARUIZ-99", ["a part of the owner's names is in it"]),
    ],
)
def test_a_password_is_held_against_the_rules(password: str, told: list[str]) -> None:
    """Windows says that one was refused, and not why: [MS-SAMR] 3.1.1.7.2."""
    assert broken(RULES, password, "aruiz", "Ana-María Ruiz") == told


def test_rules_are_told_in_words() -> None:
    """What an operator reads beside a refusal."""
    assert str(RULES) == (
        "DC=d demands at least 8 characters, 3 kinds of characters and no part of the owner's names, none of the last 24, "
        "the last one at least 24 hours old where its owner changes it"
    )


def test_a_guid_is_told_as_microsofts_tools_tell_it() -> None:
    """The first three parts are little-endian; the filter has the bytes as they came."""
    raw = bytes.fromhex("938f4bdedd1c0b4487b887deb93c9773")
    told = native_id(raw)
    assert told == "de4b8f93-1cdd-440b-87b8-87deb93c9773"
    assert raw in AdDialect(CONFIG).id_is(told)
    assert AdDialect(CONFIG).id_is(NativeId("no guid")).endswith(bytes(16))


def test_a_sid_is_told_as_people_write_it() -> None:
    """[MS-DTYP] 2.4.2.1."""
    assert sid_text(bytes.fromhex("01020000000000052000000020020000")) == "S-1-5-32-544"


RAW = st.binary(min_size=1, max_size=80)
SIDS = st.builds(
    lambda authority, parts: (
        struct.pack("BB", 1, len(parts)) + authority.to_bytes(6, "big") + struct.pack(f"<{len(parts)}I", *parts)
    ),
    st.integers(0, 2**48 - 1),
    st.lists(st.integers(0, 2**32 - 1), max_size=15),
)


@given(st.one_of(RAW, SIDS), st.sampled_from(sorted(BINARY)))
@example(bytes(9), "objectsid")
@example(b"plain text", "thumbnailphoto")
@example("naïve".encode(), "jpegphoto")
@example(b"\xff\xd8\xff\xe0\x00", "thumbnailphoto")
def test_bytes_are_told_as_text_and_come_back_as_they_were(raw: bytes, attribute: str) -> None:
    """Whether or not they happen to be text: nothing is decoded. An id that is none is told all the same, and is nobody's."""
    spelt = told(attribute, raw)
    assert spelt.isascii()
    try:
        assert sent(attribute, spelt) == raw
    except ChangeError:
        assert attribute in ("objectguid", "objectsid", "sidhistory", "securityidentifier")


@given(st.binary(min_size=16, max_size=16), SIDS)
def test_ids_are_told_as_microsofts_tools_tell_them_and_come_back(guid: bytes, sid: bytes) -> None:
    """A mapping may find by either."""
    assert sent("objectguid", told("objectguid", guid)) == guid
    assert told("objectsid", sid).startswith("S-1-")
    assert sent("objectsid", told("objectsid", sid)) == sid


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("thumbnailPhoto", "no base64!"), ("mS-DS-ConsistencyGuid", "abc"), ("jpegPhoto", "é")],
)
def test_what_spells_no_bytes_sets_one_person_aside(attribute: str, value: str) -> None:
    """The message names the attribute and how it is written."""
    with pytest.raises(ChangeError, match=f"{attribute.lower()} holds bytes, which are written as Base64"):
        list(AdDialect(CONFIG).spelt(attribute.lower(), [value]))


@pytest.mark.parametrize(
    ("attribute", "value"), [("objectguid", "x"), ("objectsid", "T-1-5"), ("objectsid", "S-1"), ("objectsid", "S-1-5-x")]
)
def test_what_spells_no_id_is_nobodys(attribute: str, value: str) -> None:
    """It is asked for by a mapping that finds people by it."""
    with pytest.raises(ChangeError, match="holds bytes"):
        sent(attribute, value)


def test_a_password_is_quoted_and_wide() -> None:
    """[MS-ADTS] 3.1.1.3.1.5.1."""
    assert quoted("né") == b'"\x00n\x00\xe9\x00"\x00'


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("member", None),
        ("member;range=0-1499", ("member", 0, 1500)),
        ("member;range=1500-*", ("member", 1500, None)),
        ("usercertificate;binary", None),
    ],
)
def test_a_part_says_where_the_next_begins(name: str, told: object) -> None:
    """[MS-ADTS] 3.1.1.3.1.3.3."""
    assert part(name) == told


@pytest.mark.parametrize("bind", ["CN=s,DC=d,DC=test", "s@d.test", "D\\s"])
def test_syncds_account_may_be_told_in_three_ways(bind: str) -> None:
    """As a place, as a sign-in name, or as it was before Windows 2000."""
    assert ActiveDirectoryConfig(urls=("ldaps://dc",), bind_dn=bind, credential="c", base="DC=d").bind_dn == bind


def test_a_name_that_is_none_of_them_is_refused() -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match="bind_dn"):
        ActiveDirectoryConfig(urls=("ldaps://dc",), bind_dn="syncd", credential="c", base="DC=d")


def test_a_password_never_goes_over_clear_text() -> None:
    """Refused when the file is loaded."""
    with pytest.raises(ValueError, match="in clear"):
        ActiveDirectoryConfig(urls=("ldap://dc",), bind_dn="s@d", credential="c", base="DC=d")


def test_a_name_longer_than_its_attribute_is_refused() -> None:
    """64 characters, [MS-ADA1] Common-Name."""
    with pytest.raises(ChangeError, match="64"):
        AdDialect(CONFIG).must_fit(Account("x" * 65, "", enabled=True, attributes={}))


# --- days ---------------------------------------------------------------------------------------------------------------

CHICAGO, HAVANA = ZoneInfo("America/Chicago"), ZoneInfo("America/Havana")  # in Havana a day of the year begins at one o'clock


@pytest.mark.parametrize(
    ("wire", "spelt"),
    [
        ("0", ""),
        ("9223372036854775807", ""),
        ("134546580000000000", "2027-05-12"),
        ("134546580000000001", "2027-05-13T05:00:00.0000001Z"),
        ("134546616000000000", "2027-05-13T06:00:00.0000000Z"),
        ("9223372036854775806", "9223372036854775806"),
        ("soon", "soon"),
    ],
)
def test_a_file_time_is_told_as_the_last_day(wire: str, spelt: str) -> None:
    """Never is none, midnight in the district is the day that ended, any other moment is itself."""
    assert times.told(wire, CHICAGO) == spelt


@given(day=dates(date(1990, 1, 1), date(2100, 1, 1)), zone=sampled_from([CHICAGO, HAVANA, ZoneInfo("UTC")]))
def test_a_day_comes_back_as_it_was_written(day: date, zone: ZoneInfo) -> None:
    """Whatever the clocks do that night."""
    assert times.told(times.file_time(day.isoformat(), zone), zone) == day.isoformat()


@given(moment=integers(1, 2_650_467_743_999_999_999), zone=sampled_from([CHICAGO, HAVANA, ZoneInfo("UTC")]))
def test_a_moment_comes_back_to_the_last_digit(moment: int, zone: ZoneInfo) -> None:
    """What others set is written back as it was."""
    assert times.file_time(times.told(str(moment), zone), zone) == str(moment)


@pytest.mark.parametrize("value", ["05/28/2027", "2027-13-01", "", "tomorrow"])
def test_what_is_no_day_is_refused(value: str) -> None:
    """By name, for the one person it is about."""
    with pytest.raises(ValueError, match=r"day|month|isoformat"):
        times.file_time(value, CHICAGO)


@pytest.mark.parametrize(
    ("way", "why"), [("NTLM", "MD4"), ("kerberos", "tickets"), ("anonymous", "nobody"), ("certificate", "no way to sign in called")]
)
def test_other_ways_to_sign_in_are_refused_with_the_reason(way: str, why: str) -> None:
    """When the file is loaded, and not by a server that hangs up."""
    with pytest.raises(ValueError, match=f"authentication: .*{why}.*simple"):
        replace(CONFIG, authentication=way)
