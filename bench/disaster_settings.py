"""Bad settings: edits whose effect nobody meant, and edits that look like them and are right."""

from __future__ import annotations

from bench.disasters import Disaster
from bench.ground import Ground
from syncd.demo.slapd import SUFFIX


class _Settings(Disaster):
    group = "configuration"


_STUDENTS = "when: \"'student' in roles\""


class FilterTypo(_Settings):
    """A letter is wrong in a population's condition: nobody is a student any more, and whoever belongs to nothing loses access."""

    said, whole = r"disabled|target ldap|population", True

    def strike(self, ground: Ground) -> None:
        """Students are those with the role studnet."""
        ground.edit("mappings/people.yaml", _STUDENTS, "when: \"'studnet' in roles\"")

    def benign(self, ground: Ground) -> None:
        """The condition says the same in other words."""
        ground.edit("mappings/people.yaml", _STUDENTS, "when: \"'student' in roles and 'student' in roles\"")


class MappingMovesEverybody(_Settings):
    """One template is edited and every account of the district goes to another container, out of the reach of its policies."""

    said, whole = r"moved or renamed", True

    def strike(self, ground: Ground) -> None:
        """Students stand by grade below their campus; now the other way round."""
        ground.edit(
            "mappings/ldap.yaml",
            "\"ou=Grade {{ grade | default('none') }},ou={{ campus.code }},ou=Students\"\n    # The",
            "\"ou={{ campus.code }},ou=Grade {{ grade | default('none') }},ou=Students\"\n    # The",
        )

    def benign(self, ground: Ground) -> None:
        """The note that is written once says something else from now on."""
        ground.edit("mappings/ldap.yaml", "Created {{ today }} from the roster", "Made {{ today }} from the roster")


class WrongBase(_Settings):
    """The base was copied from the test system: there is nobody below it, and nothing may be concluded from that."""

    said, whole = r"target ldap|first|held", True
    kind = "reconcile"

    def strike(self, ground: Ground) -> None:
        """Everything is looked for below a branch with empty containers."""
        units = [f"ou=test,{SUFFIX}", *(f"ou={name},ou=test,{SUFFIX}" for name in ("Students", "Staff", "Groups", "Disabled"))]
        ground.as_admin("ldapadd", ldif="".join(f"dn: {unit}\nobjectClass: organizationalUnit\n\n" for unit in units))
        ground.edit("config/syncd.yaml", f'base: "{SUFFIX}"', f'base: "ou=test,{SUFFIX}"')

    def benign(self, ground: Ground) -> None:
        """The same base in capitals."""
        ground.edit("config/syncd.yaml", f'base: "{SUFFIX}"', f'base: "{SUFFIX.upper()}"')


class PopulationInverted(_Settings):
    """A `not` too many: students are whoever is no student, and staff become students."""

    said, whole = r"target ldap|campus|staff", True

    def strike(self, ground: Ground) -> None:
        """The condition is the opposite of what it was."""
        ground.edit("mappings/people.yaml", _STUDENTS, "when: \"'student' not in roles\"")

    def benign(self, ground: Ground) -> None:
        """A role more counts as staff, which nobody has."""
        ground.edit("mappings/people.yaml", "or 'principal' in roles", "or 'principal' in roles or 'sponsor' in roles")


class AnotherDistrictsKey(_Settings):
    """The credentials folder of another district was put in place: what is stored cannot be read, and is not begun anew."""

    said, refused = r"key", True

    def strike(self, ground: Ground) -> None:
        """The state key is another one."""
        ground.close()
        (ground.folder / "credentials" / "state_key").write_text("another district's key, of the same length!", "utf-8")

    def benign(self, ground: Ground) -> None:
        """The same key, with a line break at its end."""
        path = ground.folder / "credentials" / "state_key"
        path.write_text(path.read_text("utf-8").strip() + "\n", "utf-8")


class EverybodysAddress(_Settings):
    """A domain is edited for one grade, in the wrong line: every address of the district changes."""

    said, whole = r"updated|limits.update|target ldap", True

    def strike(self, ground: Ground) -> None:
        """All student domains are another one."""
        ground.edit("mappings/people.yaml", "students.lonestar.example.org", "pupils.lonestar.example.org")

    def benign(self, ground: Ground) -> None:
        """The domain of staff stands in the file in another way."""
        ground.edit("mappings/people.yaml", 'staff_domain: "lonestar.example.org"', "staff_domain: lonestar.example.org")
