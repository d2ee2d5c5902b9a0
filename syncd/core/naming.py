"""Which name a person gets: folding, candidates in order, counters, and the ledger's one rule.

The rule: a name that was ever issued to, reserved for or found with somebody else is never chosen (R9). This module decides
and remembers nothing; the ledger is the store's, asked through `holder`. It never reads a clock and never makes a name up:
where no candidate is left it says so, and that person waits for a human.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from anyascii import anyascii

from syncd.core.addresses import bare
from syncd.core.model import PersonId
from syncd.errors import ChangeError

FOLDS = ("ascii_lower",)
"""What `fold:` in a mapping may say."""

ON_RENAME = ("keep", "propose", "automatic")
"""What `on_rename:` in a mapping may say."""

_ROLE_MAILBOXES = "abuse hostmaster info marketing news noc postmaster sales security support usenet uucp webmaster"  # RFC 2142
_ACCOUNTS = "admin administrator backup daemon dns ftp guest help mailerdaemon nobody noreply operator root server service sysadmin"
AVOIDED = frozenset(f"{_ROLE_MAILBOXES} {_ACCOUNTS} mail system test user www".split())
"""Words that are never a whole name, whatever the mapping says."""

HIGHEST_COUNTER = 9999
"""Where a run of counters ends: further on lies a mistake in the mapping, not another namesake."""


class NoNameLeft(ChangeError):  # noqa: N818 — reads as what happened, as the contract names it
    """No candidate may be given to this person: they are set aside with the reason, and the run goes on."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"no {kind} left", why)


@dataclass(frozen=True, slots=True)
class IssuedName:
    """A name a person has: its kind (`username`), the name, and the digest of what it was rendered from.

    An empty basis is a name that was found, not issued (R34): it is kept, and takes on the basis of the first request it meets.
    """

    kind: str
    value: str
    basis: str


@dataclass(frozen=True, slots=True)
class NameRequest:
    """The names a person may get, as the mapping rendered them: folded and cut, best first.

    `then` renders the counter form for n = 2, 3, … with the counter kept inside `max_length`.
    """

    kind: str
    candidates: tuple[str, ...]
    then: Callable[[int], str] | None = None
    max_length: int = 64
    avoid: frozenset[str] = frozenset()
    on_rename: str = "keep"

    @property
    def basis(self) -> str:
        """A digest of the candidates: while it is unchanged, so is the name."""
        told = self.candidates or ((self.then(2),) if self.then else ())
        return hashlib.blake2b("\x1f".join((self.kind, *told)).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class NameDecision:
    """The name to use. `fresh`: it was not the person's name before, so it is reserved before anything is sent.

    `proposed` is what the name would be now, where a human decides about renames.
    """

    name: IssuedName
    fresh: bool
    proposed: str | None = None


@lru_cache(maxsize=64)
def _dropped(keep: str) -> re.Pattern[str]:
    return re.compile(f"[^a-z0-9{re.escape(keep)}]")


@lru_cache(maxsize=1 << 14)  # a district has few given names, each asked for by many
def fold(text: str, how: str = "ascii_lower", keep: str = "") -> str:
    """The text as lower-case letters a–z and digits, other scripts transliterated; characters in `keep` stay.

    José O'Neil-García becomes joseoneilgarcia. Folding twice changes nothing. A text without a letter or digit becomes "".
    """
    if how not in FOLDS:
        raise ValueError(f"no way to fold called {how!r}; there is {', '.join(FOLDS)}")
    lower = (text if text.isascii() else anyascii(text)).lower()
    return lower if lower.isascii() and lower.isalnum() else _dropped(keep).sub("", lower)


@lru_cache(maxsize=1 << 15)  # one name is compared a dozen times in a run
def ledger_key(name: str) -> str:
    """The spelling under which the ledger compares names: the local part of an address, folded.

    What Exchange writes in front of an address (`smtp:`) is no part of it.

    Dots, hyphens and case fold away, so that `a.garcia@…` and `AGarcia` are one name: mail systems such as Google's
    deliver them to one mailbox. A name that folds to nothing stands for itself.
    """
    local = (bare(name) or name).partition("@")[0]
    return fold(local) or local.lower()


def cut(text: str, max_length: int, counter: str = "") -> str:
    """The text and its counter within `max_length`: the text is cut, the counter never is."""
    return text[: max(0, max_length - len(counter))] + counter


def settled(request: NameRequest, current: IssuedName | None) -> NameDecision | None:
    """The decision where it does not matter who holds what: the person's name stays. None where the ledger has to be asked."""
    if current is None:
        return None
    if not current.basis or current.value in request.candidates:
        # Found with the account (R34), or still one of the names the rule allows: nothing to rename.
        return NameDecision(_issued(request, current.value), fresh=False)
    if request.on_rename == "keep" or current.basis == request.basis:
        return NameDecision(current, fresh=False)
    return None


def choose(request: NameRequest, me: PersonId, current: IssuedName | None, holder: Callable[[str], str | None]) -> NameDecision:
    """The name this person gets, or NoNameLeft.

    `holder` tells who the ledger says has a name (asked by `ledger_key`), None where nobody has. A name the person has stays
    while its basis does; on a new basis `on_rename` decides. A former name stays the person's own in the ledger, so an
    old address can go on as an alias and nobody else ever gets it.
    """
    if current is None:
        return NameDecision(_issued(request, _first(request, me, holder)), fresh=True)
    if (stays := settled(request, current)) is not None:
        return stays
    try:
        better = _first(request, me, holder)
    except NoNameLeft:
        return NameDecision(current, fresh=False)  # whoever has a name is never left without one
    if better != current.value and request.on_rename == "propose":
        return NameDecision(current, fresh=False, proposed=better)
    return NameDecision(_issued(request, better), fresh=better != current.value)


@lru_cache(maxsize=64)
def _avoided(words: frozenset[str]) -> frozenset[str]:
    return AVOIDED | frozenset(map(ledger_key, words))


def _issued(request: NameRequest, value: str) -> IssuedName:
    return IssuedName(request.kind, value, request.basis)


def is_usable(request: NameRequest, name: str) -> bool:
    """Whether the request allows this name to anybody. One of which folding leaves nothing (".-.") names nobody."""
    return bool(fold(name)) and len(name) <= request.max_length and ledger_key(name) not in _avoided(request.avoid)


def _first(request: NameRequest, me: PersonId, holder: Callable[[str], str | None]) -> str:
    usables = [name for name in request.candidates if is_usable(request, name)]
    holders = [holder(ledger_key(name)) for name in usables]
    # A name already ours comes first, so that a plan made again reserves what it reserved before (R9).
    for wanted in (me, None):
        if wanted in holders:
            return usables[holders.index(wanted)]
    for name in _counted(request):
        if is_usable(request, name) and holder(ledger_key(name)) in (None, me):
            return name
    raise NoNameLeft(request.kind, _why_none(request, usables))


def _counted(request: NameRequest) -> Iterator[str]:
    if request.then is None or (request.candidates and not any(map(fold, request.candidates))):
        return
    last = None
    for n in range(2, HIGHEST_COUNTER + 1):
        name = request.then(n)
        # A bare number is nobody's name; a name without its number would be asked for ever.
        if name in (last, str(n)) or len(name) > request.max_length:
            return
        yield name
        last = name


def _why_none(request: NameRequest, usables: list[str]) -> str:
    if not any(map(fold, request.candidates)):
        return (
            "nothing is left of the person's names after folding: give them a name in the source that has letters or digits,"
            " or add an alternative to `try:` such as a number"
        )
    if not usables:
        return (
            f"all {len(request.candidates)} candidates are words to avoid or longer than {request.max_length} characters:"
            " add an alternative to `try:`"
        )
    return (
        f"all {len(usables)} candidates belong to others"
        + (f", and so does every counter up to {HIGHEST_COUNTER}" if request.then else "")
        + ": add an alternative to `try:`"
        + ("" if request.then else " or a counter with `then:`")
    )
