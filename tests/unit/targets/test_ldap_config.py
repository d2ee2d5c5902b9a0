"""A configuration that cannot work, or would send a password in clear, is refused with the field and what to write."""

from __future__ import annotations

import dataclasses

import pytest

from syncd.targets.ldap_config import LdapConfig

GOOD = {"urls": ("ldaps://ldap.test",), "bind_dn": "cn=syncd,dc=test", "credential": "ldap_bind", "base": "dc=test"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"urls": ("ldap://ldap.test",)}, "in clear"),
        ({"urls": ("https://ldap.test",)}, "not of the form"),
        ({"urls": ()}, "at least one server"),
        ({"base": " "}, "base"),
        ({"base": "district.test"}, "not a distinguished name"),
        ({"accounts_in": ("Students",)}, "not a distinguished name"),
        ({"window": 500}, "window"),
        ({"receive_timeout": 0}, "receive_timeout"),
    ],
)
def test_what_cannot_work_is_refused(changed: dict[str, object], told: str) -> None:
    """The message names the field."""
    with pytest.raises(ValueError, match=told):
        LdapConfig(**{**GOOD, **changed})  # type: ignore[arg-type]  # wrong on purpose


def test_start_tls_makes_ldap_acceptable() -> None:
    """Encrypted before the bind."""
    assert LdapConfig(**{**GOOD, "urls": ("ldap://ldap.test:1389",), "start_tls": True})  # type: ignore[arg-type]  # spelled above


def test_every_field_is_documented() -> None:
    """The reference is generated from these words."""
    assert [field.name for field in dataclasses.fields(LdapConfig) if not field.metadata.get("doc")] == []
