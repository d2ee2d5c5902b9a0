"""The names of one run: who asks for which, who holds them already, and who was given one just now.

The ledger is asked twice for everybody together, not once per name; what it was not asked for beforehand is asked for by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType

from syncd.core import naming
from syncd.core.mapping import MappingFailure
from syncd.core.model import PersonId
from syncd.core.naming import IssuedName, NameDecision, NameRequest, ledger_key
from syncd.core.resolution import Verb
from syncd.store import Store

Names = Mapping[str, IssuedName]  # by kind
_AHEAD = 12  # counters asked for beyond the namesakes of this run: those of earlier ones

_NOBODY: Names = {}
_SEALED = "(sealed)"
_NOBODY_BEHIND: Mapping[str, PersonId] = MappingProxyType({})


class Choosing:
    """Gives out names; holds the run's view of the ledger, so that two new persons never choose the same one."""

    def __init__(self, store: Store, sealed: Collection[str] = (), left_behind: Mapping[str, PersonId] = _NOBODY_BEHIND) -> None:
        self._store = store
        self._sealed = sealed  # names that are nobody's any more, not even their holder's
        self._left_behind = left_behind  # names that stand on an account of somebody who is one with their holder
        self._holders: dict[str, str | None] = {}  # by ledger key, as far as anybody was interested
        self._apart: set[tuple[str, str]] = set()  # persons and accounts that have nothing to do with each other, as humans said
        self.reserved: dict[str, PersonId] = {}
        self.foreign: dict[PersonId, str] = {}  # whose name is that of an account nobody is linked to: adopt or dispute (R35)

    def expect(self, requests: Mapping[PersonId, Iterable[NameRequest]], names: Mapping[PersonId, Names]) -> None:
        """Ask the ledger for what these requests will need, in their order; `names` are what the persons are called now."""
        open_ones = list(_open(requests, names))
        said = self._store.resolutions.about({person for person, _ in open_ones}) if open_ones else []
        self._apart |= {(one.subject, one.candidate) for one in said if one.verb is Verb.IGNORE and one.withdrawn is None}
        self._ask(ledger_key(name) for _, request in open_ones for name in request.candidates)
        taken: set[str] = set()
        counting: dict[str, tuple[Callable[[int], str], int]] = {}  # by the first counter: who comes up against it is a namesake
        for person, request in open_ones:
            keys = (ledger_key(name) for name in request.candidates if naming.is_usable(request, name))
            free = next((key for key in keys if key not in taken and self._holders[key] in (None, person)), None)
            if free is not None:
                taken.add(free)
            elif request.then is not None:
                with suppress(MappingFailure):  # it fails again when the person is named, who is set aside then
                    first = request.then(2)
                    counting[first] = request.then, counting.get(first, (None, 0))[1] + 1
        self._ask(ledger_key(then(n)) for then, many in counting.values() for n in range(2, 2 + many + _AHEAD))

    def choose(self, request: NameRequest, person: PersonId, current: IssuedName | None) -> NameDecision:
        """The name this person gets; a fresh one is theirs from now on. Raises NoNameLeft, MappingFailure."""
        # A first name that belongs to an account nobody is linked to is a human's to decide (R35); a new one is simply taken.
        decision = naming.choose(request, person, current, partial(self._owner, person) if current is None else self._holder)
        if decision.fresh:
            key = ledger_key(decision.name.value)
            held = self._holder(key)
            if held is not None and ":" in held:
                self.foreign[person] = decision.name.value
            self.reserved[key] = person
        return decision

    def _owner(self, person: PersonId, key: str) -> str | None:
        """Which person has this name: in this run, else in the ledger. An account nobody is linked to holds nothing here (R35).

        Unless a human said that it is not this person's: then the name is taken.
        """
        held = self._holder(key)
        return None if held is None or (":" in held and (person, held) not in self._apart) else held

    def _holder(self, key: str) -> str | None:
        if key in self.reserved:
            return self.reserved[key]
        if key not in self._holders:
            self._ask([key])
        return self._holders[key]

    def _ask(self, keys: Iterable[str]) -> None:
        unknown = set(keys) - self._holders.keys()
        held = self._store.holders(unknown) if unknown else {}
        held |= {key: person for key, person in self._left_behind.items() if key in unknown}
        self._holders |= {key: _SEALED if key in self._sealed else held.get(key) for key in unknown}


def _open(
    requests: Mapping[PersonId, Iterable[NameRequest]], names: Mapping[PersonId, Names]
) -> Iterator[tuple[PersonId, NameRequest]]:
    """The requests for which the ledger has to be asked."""
    for person, asked in requests.items():
        current = names.get(person, _NOBODY)
        for request in asked:
            with suppress(MappingFailure):  # as above
                if naming.settled(request, current.get(request.kind)) is None:
                    yield person, request


__all__ = ["Choosing"]
