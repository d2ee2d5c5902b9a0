"""Dotted names of the mapping language, resolved when a file is loaded: a field, a part of a campus, class or other person.

What is not in the tables of `core.fields`, or declared by the district, does not exist: there is no way to an attribute of a
Python object.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncd.core.codegen import NOTHING, OPTIONAL, Code, Frame, Place, literal
from syncd.core.fields import FIELDS, MEMBERS, FieldType
from syncd.core.syntax import Refused, suggestion

TEXT, DATE, LIST = FieldType.TEXT, FieldType.DATE, FieldType.LIST
MANY = {FieldType.CAMPUSES: FieldType.CAMPUS, FieldType.CLASSES: FieldType.CLASS}


@dataclass(frozen=True, slots=True)
class Path:
    """A dotted name, resolved against what is known: one field of the person, or a part of a campus, class or other person."""

    frame: Frame
    place: Place
    head: str
    steps: tuple[str, ...]

    def code(self) -> Code:
        """Python source for what the name stands for, its fetching noted in the frame, or Refused."""
        each = self.place.each
        if each is not None and self.head == each.value:
            return self._member(each, "each")
        if self.head == "today" and not self.steps:
            if not self.place.today:
                what = "'today' may stand only in an attribute with `policy: initial`; time enters by lifecycle"
                raise Refused(what, "today")
            return Code("today", DATE)
        return self._named() if self.head in ("names", "config", "extra") else self._field()

    def _field(self) -> Code:
        known = FIELDS.get(self.head)
        if known is None:
            raise Refused(self._unknown(), self.head)
        if known.type is FieldType.PERSON:
            return self._other(self.head, self.steps)
        if known.type is FieldType.CLASS and self.steps[:1] == ("teacher",):
            return self._other(f"{self.head}.teacher", self.steps[1:])
        if known.type in MEMBERS:
            return self._member(known.type, self.frame.read(f"person.{self.head}"))
        if known.type in MANY:
            return self._many(MANY[known.type], known.type)
        if self.steps:
            raise Refused(f"'{self.head}' is {known.type}: it has no '{self.steps[0]}'", self.steps[0])
        return _scalar(self.frame, self.head, known.type)

    def _unknown(self) -> str:
        told = suggestion(self.head, {*FIELDS, "names", "config", "extra", "today"})
        quoted = "" if told else f"; for the text itself write \"'{self.head}'\""
        return f"no field '{self.head}'{told}{quoted}"

    def _named(self) -> Code:
        frame, vocabulary = self.frame, self.frame.vocabulary
        if len(self.steps) != 1:
            raise Refused(f"write {self.head}.something", self.head)
        step = self.steps[0]
        if self.head == "names":
            if step not in frame.names:
                there = f"; it is a field: write {step}" if step in FIELDS else suggestion(step, frame.names)
                raise Refused(f"people.yaml makes no name '{step}' for this population{there}", step)
            frame.named.add(step)
            return Code(frame.read(f"names[{step!r}]"), TEXT)
        if self.head == "config":
            if step not in vocabulary.config:
                raise Refused(f"no 'config: {step}' in people.yaml{suggestion(step, vocabulary.config)}", step)
            frame.config.add(step)
            return literal(vocabulary.config[step])
        if step not in vocabulary.extra:
            raise Refused(f"no source declares the column 'extra.{step}'{suggestion(step, vocabulary.extra)}", step)
        return Code(frame.read(f"({frame.field(f'extra.{step}')} or '')"), TEXT)

    def _member(self, kind: FieldType, local: str) -> Code:
        """A part of a campus or class held in a local name; without a part, whether there is one."""
        if not self.steps:
            return Code(local, kind, optional=True)
        member = self._check_member(kind)
        attribute = self.steps[0]
        if local == "each":
            return Code(f"each.{attribute}", member)
        nothing = NOTHING[member]
        return Code(self.frame.read(f"{local}.{attribute} if {local} is not None else {nothing}"), member)

    def _many(self, kind: FieldType, many: FieldType) -> Code:
        """All campuses or classes, or one text part of each as a list."""
        if not self.steps:
            return Code(f"person.{self.head}", many)
        if self._check_member(kind) is not TEXT:
            raise Refused(f"of {self.head} only texts can be listed", self.steps[0])
        source = f"tuple([each.{self.steps[0]} for each in person.{self.head}])"
        return Code(self.frame.read(source), LIST)

    def _check_member(self, kind: FieldType) -> FieldType:
        members = MEMBERS[kind]
        member = members.get(self.steps[0])
        if member is None:
            raise Refused(f"a {kind} has no '{self.steps[0]}'{suggestion(self.steps[0], members)}", self.steps[0])
        if member.type is FieldType.PERSON:
            raise Refused(f"only homeroom.teacher can be read, not {self.head}.{self.steps[0]}", self.steps[0])
        if len(self.steps) > 1:
            raise Refused(f"'{self.steps[0]}' is {member.type}: it has no '{self.steps[1]}'", self.steps[1])
        return member.type

    def _other(self, relation: str, steps: tuple[str, ...]) -> Code:
        """A field of another person: noted as a relation, so that this person is dirty when that one changes (R4)."""
        frame = self.frame
        if not frame.vocabulary.others:
            raise Refused(f"populations and names cannot depend on another person ('{relation}')", self.head)
        frame.relations.add(relation)
        local = frame.read(f"related.get({relation!r})")
        if not steps:
            return Code(local, FieldType.PERSON, optional=True)
        members = MEMBERS[FieldType.PERSON]
        if steps[0] not in members:
            if steps[0] in FIELDS:
                raise Refused(f"'{steps[0]}' of another person cannot be read: only that person's own fields can", steps[0])
            raise Refused(f"no field '{steps[0]}'{suggestion(steps[0], members)}", steps[0])
        if len(steps) > 1:
            raise Refused(f"'{steps[0]}' has no '{steps[1]}'", steps[1])
        kind = members[steps[0]].type
        source = f"{local}.fields.get({steps[0]!r}) if {local} is not None else None"
        if kind in OPTIONAL:
            return Code(frame.read(source), kind, optional=True)
        return Code(frame.read(f"({source}) or {NOTHING[kind]}"), kind)


def _scalar(frame: Frame, name: str, kind: FieldType) -> Code:
    if kind in OPTIONAL:
        return Code(frame.read(frame.field(name)), kind, optional=True)
    return Code(frame.read(f"{frame.field(name)} or {NOTHING[kind]}"), kind)
