"""The files of OneRoster CSV 1.1 and 1.2: their columns, what they cannot do without, and the words they may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncd.core.model import Subject

DELETED = "tobedeleted"
STATUS = ("", "active", DELETED)

GUARDIANS = frozenset({"guardian", "parent", "relative"})
_USER_ROLES = {
    "1.1": frozenset({"administrator", "aide", "guardian", "parent", "proctor", "relative", "student", "teacher"}),
    "1.2": frozenset({"aide", "counselor", "districtAdministrator", "guardian", "parent", "principal", "proctor", "relative",
                      "siteAdministrator", "student", "systemAdministrator", "teacher"}),
}  # fmt: skip
ROLES = {role.lower(): role for roles in _USER_ROLES.values() for role in roles}
ENROLMENT_ROLES = {role: role for role in ("administrator", "proctor", "student", "teacher")}


@dataclass(frozen=True, slots=True)
class Layout:
    """One file of the standard: its columns in order, those it cannot do without, and those syncd uses."""

    known: tuple[str, ...]
    required: frozenset[str]
    wanted: tuple[str, ...]
    subject: Subject = Subject.PERSON
    belongs_to_another: bool = False  # its own key is not the key of what it feeds
    needed: bool = False  # a full delivery without it is refused


_HEAD = "sourcedId status dateLastModified "
_USERS_11 = ("enabledUser orgSourcedIds role username userIds givenName familyName middleName identifier email sms phone "
             "agentSourcedIds grades password")  # fmt: skip
_USERS_12 = ("enabledUser username userIds givenName familyName middleName identifier email sms phone agentSourcedIds grades "
             "password userMasterIdentifier preferredGivenName preferredMiddleName preferredFamilyName primaryOrgSourcedId "
             "pronouns")  # fmt: skip


def _layout(
    known: str, required: str, unused: str = "", *, subject: Subject = Subject.PERSON, another: bool = False, needed: bool = False
) -> Layout:
    columns = tuple((_HEAD + known).split())
    return Layout(
        columns,
        frozenset(["sourcedId", *required.split()]),
        tuple(column for column in columns if column not in unused.split()),
        subject,
        another,
        needed,
    )


_SHARED = {
    "orgs": _layout("name type identifier parentSourcedId", "name type", subject=Subject.CAMPUS, needed=True),
    "academicSessions": _layout("title type startDate endDate parentSourcedId schoolYear", "startDate endDate",
                                "title parentSourcedId schoolYear", subject=Subject.CLASS, another=True),
    "courses": _layout("schoolYearSourcedId title courseCode grades orgSourcedId subjects subjectCodes", "title",
                       "schoolYearSourcedId grades orgSourcedId subjects subjectCodes", subject=Subject.CLASS, another=True),
    "classes": _layout("title grades courseSourcedId classCode classType location schoolSourcedId termSourcedIds subjects "
                       "subjectCodes periods", "title classType schoolSourcedId", "grades location subjects subjectCodes periods",
                       subject=Subject.CLASS),
    "enrollments": _layout("classSourcedId schoolSourcedId userSourcedId role primary beginDate endDate",
                           "classSourcedId userSourcedId role", "schoolSourcedId", another=True),
    "demographics": _layout(
        "birthDate sex americanIndianOrAlaskaNative asian blackOrAfricanAmerican nativeHawaiianOrOtherPacificIslander white "
        "demographicRaceTwoOrMoreRaces hispanicOrLatinoEthnicity countryOfBirthCode stateOfBirthAbbreviation cityOfBirth "
        "publicSchoolResidenceStatus", "",
        "sex americanIndianOrAlaskaNative asian blackOrAfricanAmerican nativeHawaiianOrOtherPacificIslander white "
        "demographicRaceTwoOrMoreRaces hispanicOrLatinoEthnicity countryOfBirthCode stateOfBirthAbbreviation cityOfBirth "
        "publicSchoolResidenceStatus"),
}  # fmt: skip
_USER_REQUIRED = "enabledUser username givenName familyName"

FEEDS: Mapping[str, Mapping[str, str]] = {
    "users": {"identifier": "student_number", "userMasterIdentifier": "state_id", "username": "sis_username"},
    "demographics": {"birthDate": "birth_date"},
}
"""The fields that some columns feed: what people are recognised by, and claim facts."""
MAY_EMPTY = frozenset({"sourcedId", "status", "dateLastModified", "endDate", "primary"})
"""Columns that are never empty, or are ordinarily emptied: a term's enrolments have ended, and the next term's have not; who is
primary is often told only where it is true, and ends with the class."""

LAYOUTS: Mapping[str, Mapping[str, Layout]] = {
    "1.1": {"users": _layout(_USERS_11, f"{_USER_REQUIRED} orgSourcedIds role", "userIds password", needed=True)} | _SHARED,
    "1.2": {
        "users": _layout(_USERS_12, _USER_REQUIRED, "userIds password", needed=True),
        "roles": _layout("userSourcedId roleType role beginDate endDate orgSourcedId userProfileSourcedId",
                         "userSourcedId roleType role orgSourcedId", "userProfileSourcedId", another=True, needed=True),
        "userProfiles": _layout("userSourcedId profileType vendorId applicationId description credentialType username password",
                                "userSourcedId profileType username", "vendorId applicationId description credentialType password",
                                another=True),
    } | _SHARED,
}  # fmt: skip
"""Per version: the files syncd reads. The rest of the standard (results, resources, …) is not even opened."""
