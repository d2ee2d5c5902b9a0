"""Passwords of one Active Directory domain: what it demands of them, who is locked out, and unlocking, setting and trying one.

For whoever helps people with their passwords. Everything is asked of the server, nothing is remembered, and an account that is
privileged (R40) or stands where syncd may not write is refused before anything is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from syncd.core.model import Change, Kind, NativeId, TargetName
from syncd.errors import ChangeError, EndpointError
from syncd.targets import ById, Scope
from syncd.targets import ldap_ber as ber
from syncd.targets.ldap_ad import ActiveDirectory, AdDialect
from syncd.targets.ldap_ad_apply import quoted
from syncd.targets.ldap_ad_config import ActiveDirectoryConfig
from syncd.targets.ldap_ad_descriptor import May
from syncd.targets.ldap_ad_errors import is_policy
from syncd.targets.ldap_ad_policy import NOT_TOLD, PasswordRules, broken, rules_of
from syncd.targets.ldap_ad_rights import RESET, Right
from syncd.targets.ldap_entries import Entry
from syncd.targets.ldap_errors import INSUFFICIENT_RIGHTS, SUCCESS, failure, words
from syncd.targets.ldap_pipeline import Pipeline, Write
from syncd.targets.ldap_wire import Wire
from syncd.vault import Credentials

_LOCKED, _EXPIRED = 0x10, 0x800000  # msDS-User-Account-Control-Computed: [MS-ADTS] 3.1.1.4.5.17


@dataclass(frozen=True, slots=True)
class SignIn:
    """Whether somebody can sign in at the moment, as the domain computes it."""

    locked: bool
    wrong: int  # passwords tried in a row
    must_change: bool


class Passwords:
    """The passwords of one domain."""

    def __init__(self, name: str, config: ActiveDirectoryConfig, credentials: Credentials) -> None:
        self._name = name
        self._config = config
        self._connector = ActiveDirectory(name, config, credentials)
        self._dialect = AdDialect(config)
        self._wire = Wire(name, config, lambda: credentials.text(config.credential))

    def rules(self, native_id: NativeId) -> PasswordRules:
        """What the domain demands of this account's next password: its own policy, or a fine-grained one where that can be read.

        A fine-grained policy that applies but may not be read is told as the domain's, with a word about it in `whose`.
        """
        told = self._entry(native_id, ["msDS-ResultantPSO"]).get("msds-resultantpso", [])
        return rules_of(self._wire, told[0].decode() if told else "")

    def sign_in(self, native_id: NativeId) -> SignIn:
        """Locked out, how near to it, and whether a new password is asked for first."""
        raw = self._entry(native_id, ["msDS-User-Account-Control-Computed", "badPwdCount", "pwdLastSet"])
        computed = _number(("", raw), "msds-user-account-control-computed")
        must_change = _number(("", raw), "pwdlastset") == 0 or bool(computed & _EXPIRED)
        return SignIn(bool(computed & _LOCKED), _number(("", raw), "badpwdcount"), must_change)

    def unlock(self, native_id: NativeId) -> None:
        """Let somebody try again who was locked out. Raises ChangeError."""
        self._modify(
            native_id, [(ber.Modify.REPLACE, "lockoutTime", ["0"])], Right(May.WRITE, "lockoutTime", self._config.account_class)
        )

    def set(self, native_id: NativeId, password: str, *, must_change: bool = False) -> None:
        """Set a password, as an administrator does; asked for a new one at the next sign-in if so told. Raises ChangeError."""
        steps: list[tuple[ber.Modify, str, ber.Values]] = [(ber.Modify.REPLACE, "unicodePwd", [quoted(password)])]
        if must_change:
            steps.append((ber.Modify.REPLACE, "pwdLastSet", ["0"]))
        self._modify(native_id, steps, Right(May.CONTROL, RESET, self._config.account_class), password)

    def admits(self, name: str, password: str) -> str:
        """Try to sign in as somebody: empty where the domain lets them in, else its words and what to do.

        An empty password is refused here: a bind without one succeeds as nobody (RFC 4513 §5.1.2). A wrong one counts towards a
        lock-out.
        """
        if not password:
            return "an empty password lets nobody in"
        as_them = Wire(self._name, replace(self._config, bind_dn=name), lambda: password)
        try:
            as_them.open()
        except EndpointError as error:
            return f"{error.why}; {error.remedy}"
        finally:
            as_them.close()
        return ""

    def close(self) -> None:
        """Hang up; idempotent."""
        self._wire.close()
        self._connector.close()

    # --- asking and writing -------------------------------------------------------------------------------------------

    def _entry(self, native_id: NativeId, attributes: list[str]) -> dict[str, list[bytes]]:
        found = self._wire.entry(f"<GUID={native_id}>", attributes)
        if found is None:
            raise ChangeError("no such object", f"no account has the id {native_id}")
        return found[1]

    def _modify(
        self, native_id: NativeId, steps: list[tuple[ber.Modify, str, ber.Values]], right: Right, password: str | None = None
    ) -> None:
        self._must_be_ours(native_id)
        write = Write("", ber.modify(f"<GUID={native_id}>", steps))
        ((_, reply),) = Pipeline[str](self._wire, 1).run(iter([write]))
        if not isinstance(reply, ber.Answer):
            raise EndpointError(self._name, reply.why, "ask again: whether it was written is not known")
        if reply.code != SUCCESS:
            told = words(reply.code, reply.why)
            if reply.code == INSUFFICIENT_RIGHTS:
                told += f"; the right that is missing: {right}"
            elif is_policy(reply.why) and password is not None:
                told += f"; {self._broken(native_id, password)}"
            raise ChangeError(failure(reply.code, reply.why), told)

    def _broken(self, native_id: NativeId, password: str) -> str:
        """What is demanded of this account's password, and what of it this one breaks."""
        raw, rules = self._entry(native_id, ["sAMAccountName", "displayName"]), self.rules(native_id)
        account, display = ((raw.get(name) or [b""])[0].decode(errors="replace") for name in ("samaccountname", "displayname"))
        return f"{rules}: {', '.join(broken(rules, password, account, display)) or NOT_TOLD}"

    def _must_be_ours(self, native_id: NativeId) -> None:
        found = [observed for _, observed in self._connector.lookup([ById(native_id)], Scope(frozenset()))]
        if not found:
            raise ChangeError("no such object", f"no account has the id {native_id}")
        at = found[0].account
        asked = Change(TargetName(self._name), Kind.UPDATE, "password", native_id=native_id, before=at, after=at)
        if found[0].privileged or (why := self._connector.refuses(asked)):
            raise ChangeError("out of scope", "the account is privileged (R40)" if found[0].privileged else why)


def _number(entry: Entry, attribute: str) -> int:
    told = entry[1].get(attribute, ())
    return int(told[0]) if told else 0
