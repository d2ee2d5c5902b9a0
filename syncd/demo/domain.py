"""A private Active Directory domain as the demo uses it: what its administrator does, how settings name it, what others see in it.

Rights are given with the commands that `syncd ad-delegation` prints, so that syncd's account has no others; what stands in the
domain is counted by Samba's own programs, which share nothing with syncd.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection
from importlib import resources
from pathlib import Path

from syncd.demo.samba import SERVICE, SUFFIX, PrivateSamba
from syncd.errors import EndpointError

NAME = "ad"
"""What the target is called in the settings."""
UNITS = ("Students", "Staff", "Groups", "Disabled")
"""The containers that syncd is given, directly below the base."""
GROUPS = f"OU=Groups,{SUFFIX}"
CREDENTIAL = "ad_bind"
BUG = "this is a bug: please report the output above"


def mapping() -> str:
    """What the demo's domain is given of everybody."""
    return (resources.files("syncd.demo") / "ad.yaml").read_text(encoding="utf-8")


def target(server: PrivateSamba, base: str = SUFFIX) -> str:
    """The target's part of the settings."""
    keys = {
        "kind": "active_directory",
        "urls": [server.secure_url],
        "ca_file": str(server.ca_file),
        "bind_dn": SERVICE,
        "credential": CREDENTIAL,
        "base": base,
        "accounts_in": [f"OU={name}" for name in UNITS if name != "Groups"],
        "groups_in": ["OU=Groups"],
        "receive_timeout": 30,  # all of it works on the processor that the demo works on
    }
    lines = (f"    {key}: {json.dumps(value)}\n" for key, value in keys.items())
    return f"targets:\n  {NAME}:\n{''.join(lines)}"


def write_into(folder: Path, told: str, mapping: str, name: str = NAME, own_name: str = "sAMAccountName") -> None:
    """Have the starting settings in this folder write into a domain, or another target of this name.

    `told` is its part of the settings, from `targets:` on; `own_name` the attribute that holds user names there.
    """
    settings, people = folder / "config" / "syncd.yaml", folder / "mappings" / "people.yaml"
    text = settings.read_text(encoding="utf-8")
    before, _, rest = text.partition("targets:\n  ldap:\n")
    limits = "    # How much may change in 24 hours." + rest.partition("    # How much may change in 24 hours.")[2]
    settings.write_text(f"{before}{told}{limits.replace('[ldap]', f'[{name}]')}", encoding="utf-8")
    names = people.read_text(encoding="utf-8").replace("unique_in: [uid]", f"unique_in: [{own_name}]")
    people.write_text(names, encoding="utf-8")
    (folder / "mappings" / "ldap.yaml").unlink()
    (folder / "mappings" / f"{name}.yaml").write_text(mapping, encoding="utf-8")


# --- what its administrator does ------------------------------------------------------------------------------------------


def make_units(server: PrivateSamba) -> None:
    """The containers that syncd is given."""
    for name in UNITS:
        server.tool("ou", "create", f"OU={name},{SUFFIX}", "-H", f"{server.folder}/private/sam.ldb")


def delegate(folder: Path, server: PrivateSamba, say: Callable[[str], None]) -> None:
    """Run what `syncd ad-delegation` prints for the settings in this folder, as the domain's administrator would."""
    words = ["--config", str(folder), "ad-delegation", NAME, "--for", "samba"]
    printed = subprocess.run([sys.executable, "-m", "syncd", *words], capture_output=True, text=True, check=False)  # noqa: S603 — ourselves
    if printed.returncode:
        raise EndpointError("demo", f"`syncd ad-delegation` ended with {printed.returncode}: {printed.stderr[-2000:]}")
    commands = [shlex.split(line)[1:] for line in printed.stdout.splitlines() if line.startswith("samba-tool ")]
    for command in commands:
        server.tool(*command)
    say(f"{SERVICE} has the rights that `syncd ad-delegation {NAME}` asks for ({len(commands)} commands), and no others.")


# --- what others see in it ------------------------------------------------------------------------------------------------


def counted(server: PrivateSamba, names: Collection[str], own: Collection[str], memberships: int, groups: str = GROUPS) -> str:
    """What `samba-tool user list` counts, and of whom that is the sum: the accounts of these names, and the domain's `own`.

    Raises EndpointError where anybody is listed who is neither, where somebody is not listed, or where groups do not hold so many
    memberships.
    """
    listed, held = users(server), members(server, groups)
    strangers, absent = set(listed) - {*names, *own}, {*names, *own} - set(listed)
    if strangers or absent or held != memberships:
        why = f"samba-tool lists {len(strangers)} users syncd does not know, and not {len(absent)} that it knows"
        raise EndpointError("demo", f"{why}; of {memberships} memberships {held} are there", BUG)
    return (
        f"$ samba-tool user list | wc -l\n{len(listed)}\n\n"
        f"{len(listed):,} users = {len(names):,} accounts of syncd's + {len(own)} that are the domain's own ({', '.join(own)}). "
        f"They have {held:,} memberships in groups, by Samba's own reading."
    )


def users(server: PrivateSamba) -> list[str]:
    """The names that `samba-tool user list` prints."""
    return sorted(server.tool("user", "list").split())


def users_line(server: PrivateSamba) -> str:
    """The line to type into a shell in order to count them, as root."""
    return f"samba-tool user list -s {server.folder / 'smb.conf'} | wc -l"


def members(server: PrivateSamba, groups: str = GROUPS) -> int:
    """How many members all groups of this container have, as Samba's own modules read it."""
    words = [str(server.folder / "smb.conf"), f"{server.folder}/private/sam.ldb", groups]
    run = subprocess.run(  # noqa: S603 — our own program
        ["/usr/bin/python3", "-c", _COUNT, *words],
        env={"PATH": "/usr/bin", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise EndpointError("private samba", f"its groups cannot be read: {run.stderr[-2000:]}")
    return int(run.stdout)


# Run by the system's Python, which has Samba's modules.
_COUNT = """
import sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
configuration, place, groups = sys.argv[1:]
loaded = LoadParm()
loaded.load(configuration)
sam = SamDB(place, session_info=system_session(), lp=loaded)
print(sum(len(one["member"]) for one in sam.search(groups, expression="(&(objectClass=group)(member=*))", attrs=["member"])))
"""
