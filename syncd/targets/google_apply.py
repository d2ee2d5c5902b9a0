"""Changes carried out many at once, answers made into outcomes. Everything here is about one call of apply().

Once Google cannot be used at all (nobody can sign in, the quota is gone for long), what is left is not sent, says why, and the
target sits the rest of the run out. Where only the scope or right for a part is missing, what needs it is not sent; all else is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from syncd.core.model import Change, Failure, Kind, NativeId, Outcome, OutOfReach, Result
from syncd.errors import ChangeError, EndpointError, PartError, TransientError
from syncd.targets import PasswordOf
from syncd.targets.google_accounts import Accounts, told
from syncd.targets.google_config import LICENCE
from syncd.targets.google_errors import Meaning, Refused
from syncd.targets.google_groups import Groups
from syncd.targets.google_licences import Licences
from syncd.targets.google_people import People
from syncd.targets.google_units import Units
from syncd.targets.google_verdicts import Settled, already, unfit
from syncd.targets.google_wire import Scope, Wire

_HOPELESS = frozenset({Meaning.SLOWER, Meaning.UNSENT, Meaning.SIGN_IN, Meaning.UNUSABLE, Meaning.LATER})


@dataclass(slots=True)
class GoogleWriter:
    """One call of apply()."""

    wire: Wire
    people: People
    accounts: Accounts
    units: Units
    groups: Groups
    licences: Licences
    _dead: EndpointError | None = field(default=None)

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """One outcome for each change pulled. Raises before the first; or behind the last, where Google could not be used."""
        self.wire.token(Scope.USERS)  # raises where nobody can sign in: nothing has been pulled yet
        at_once = self.wire.config.connections
        with ThreadPoolExecutor(at_once, thread_name_prefix="google") as pool:
            under_way: set[Future[Outcome]] = set()
            for change in changes:
                under_way.add(pool.submit(self._outcome, change, password(change)))
                if len(under_way) >= 2 * at_once:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    yield from (each.result() for each in done)
            while under_way:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                yield from (each.result() for each in done)
        if self._dead is not None:
            raise self._dead

    def _outcome(self, change: Change, secret: str | None) -> Outcome:
        if self._dead is not None:
            return Outcome(change, Result.FAILED, failure=Failure.WAITS, why=f"not sent: {self._dead}")
        try:
            native_id = self._do(change, secret)
        except Settled as verdict:
            return Outcome(change, verdict.result, failure=verdict.failure, why=str(verdict))
        except ChangeError as error:
            return Outcome(change, Result.FAILED, failure=Failure.INVALID, why=error.why)
        except Refused as refused:
            return self._refused(change, refused)
        except (EndpointError, TransientError) as error:  # nobody can sign in any more, or something that is needed cannot be read
            beyond = OutOfReach(error.part, error.told) if isinstance(error, PartError) else None
            if beyond is None:  # else only what needs this part waits
                self._dead = error if isinstance(error, EndpointError) else EndpointError(self.wire.name, str(error))
            return Outcome(change, Result.FAILED, failure=Failure.WAITS, why=f"not sent: {error}", beyond=beyond)
        return Outcome(change, Result.DONE, native_id)

    def _refused(self, change: Change, refused: Refused) -> Outcome:
        if refused.meaning in _HOPELESS:
            self._dead = self._dead or refused.as_endpoint(self.wire.name, "writing")
        if refused.meaning is Meaning.LATER:
            return Outcome(change, Result.UNKNOWN, why=refused.told)
        return Outcome(change, Result.FAILED, failure=refused.failure, why=refused.told)

    def _do(self, change: Change, secret: str | None) -> NativeId | None:
        match change.kind:
            case Kind.CREATE_CONTAINER:
                _settle(self.units.create(change.group or ""))
            case Kind.CREATE_GROUP:
                _settle(self.groups.create(change.group or ""))
            case Kind.SET_GROUP:
                self.groups.set(change.group or "")
            case Kind.CREATE:
                return self.accounts.create(change, secret)
            case Kind.ADD_MEMBER | Kind.REMOVE_MEMBER:
                self._member(change)
            case _:
                self.accounts.change(change, secret)
        return None

    def _member(self, change: Change) -> None:
        native_id = change.native_id
        if native_id is None:
            raise unfit(Failure.WAITS, "the account this change is about has not been created")
        name, place = change.group or "", told(change.before)
        keeper: Groups | Licences = self.licences if name.startswith(LICENCE) else self.groups
        holder = keeper.add if change.kind is Kind.ADD_MEMBER else keeper.remove
        _settle(self.people.patiently(native_id, lambda: holder(name, native_id, place.rdn)))


def _settle(done: bool) -> None:
    if not done:
        raise already()
