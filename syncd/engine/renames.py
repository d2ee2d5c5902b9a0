"""Why somebody has another name: what it was, what it is, and which values of the roster it is made of. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from syncd.core.model import Person
from syncd.core.naming import IssuedName

Names = Mapping[str, IssuedName]  # by kind


def changed(before: Names, after: Names) -> list[str]:
    """The kinds of names of which somebody had one, and has another one now."""
    return [kind for kind, name in after.items() if kind in before and before[kind].value != name.value]


def why(before: Names, after: Names, told: Person | None, tells: Person | None, reads: Mapping[str, Sequence[str]]) -> str:
    """The new names, with what is another value now than was last `told` among those that each is made of.

    Where nothing is, because the roster was taken up before the name was, the values as they are.
    """
    return "; ".join(
        f"{kind} {before[kind].value} became {after[kind].value}: {_values(told, tells, reads.get(kind, ()))}"
        for kind in changed(before, after)
    )


def as_planned(reason: str, names: Names) -> str:
    """What the reason of an earlier change said of how these names came about; empty where it was about others."""
    found = [at for name in names.values() if (at := reason.find(f" became {name.value}: ")) >= 0]
    return reason[reason.rfind("; ", 0, min(found)) + 2 if "; " in reason[: min(found)] else 0 :] if found else ""


def made_of(person: Person, reads: Sequence[str]) -> str:
    """The values that a name of this person is made of: `given Ada, family Abara`."""
    return ", ".join(f"{name} {person.fields[name]}" for name in reads if person.fields.get(name) is not None)


def _values(told: Person | None, tells: Person | None, reads: Sequence[str]) -> str:
    if tells is None:
        return "the rules for names"
    differing = ", ".join(_differences(told, tells, reads)) if told is not None else ""
    return differing or f"made of {made_of(tells, reads) or 'the rules for names alone'}"


def _differences(told: Person, tells: Person, reads: Sequence[str]) -> Iterator[str]:
    for name in reads:
        was, now = told.fields.get(name), tells.fields.get(name)
        if was != now:
            yield f"the roster's {name} was {was or 'empty'} and is {now or 'empty'}"
