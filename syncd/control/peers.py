"""Who is at the other end of a Unix socket, as the kernel says it, and what they may do, by their groups (R39).

A human is who signed in (loginuid, see proc(5)), whatever they became since: sudo makes nobody a second person. Where the machine
keeps no loginuid, it is the account the process runs as; root and the daemon's own account are then nobody in particular.
"""

from __future__ import annotations

import grp
import os
import pwd
import select
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from syncd.control import Role
from syncd.core.actor import Actor
from syncd.settings import Control

_NOBODY = 2**32 - 1  # the kernel's word for "no login": a service, or a machine without auditing
_PEER_PIDFD = 77  # SO_PEERPIDFD, Linux 6.5; Python has no name for it


@dataclass(frozen=True, slots=True)
class Peer:
    """A process: its user and group, who signed in (None: nobody, or nobody can tell), and the owner of the state it asks about."""

    uid: int
    gid: int
    login: int | None
    owner: int

    @property
    def actor(self) -> Actor:
        """The human."""
        uid = self.uid if self.login is None else self.login
        return Actor(uid, _name(uid), certain=self.login is not None or uid not in (0, self.owner))


def peer_of(connection: socket.socket) -> Peer:
    """Who connected. Raises OSError where the kernel does not say."""
    size = struct.calcsize("3i")
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    login = _login(pid)
    if _has_ended(connection):  # its number may be another process's by now
        login = None
    return Peer(uid & 0xFFFFFFFF, gid & 0xFFFFFFFF, login, os.geteuid())


def this_process(owner: int) -> Peer:
    """Whoever runs this program about a state that belongs to `owner`."""
    return Peer(os.geteuid(), os.getegid(), _login(os.getpid()), owner)


def _login(pid: int) -> int | None:
    with suppress(OSError, ValueError):
        login = int(Path(f"/proc/{pid}/loginuid").read_text(encoding="ascii"))
        return None if login == _NOBODY else login
    return None


def _has_ended(connection: socket.socket) -> bool:
    """Whether the process that connected is gone; False where the kernel is too old to say."""
    try:
        handle = connection.getsockopt(socket.SOL_SOCKET, _PEER_PIDFD)
    except OSError:
        return False
    try:
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        return bool(waiting.poll(0))
    finally:
        os.close(handle)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def roles(peer: Peer, control: Control) -> frozenset[Role]:
    """What this peer may do.

    The groups are those of the user the process runs as; of root, also those of the human who became root.
    """
    groups = {role: _number(getattr(control, role)) for role in Role}
    mine = _groups(peer.uid, peer.gid)
    if peer.uid == 0 and peer.login is not None:
        mine |= _groups(peer.login, None)
    found = {role for role, number in groups.items() if number is not None and number in mine}
    if peer.uid in (0, peer.owner):
        found |= {Role.VIEW, Role.OPERATE, *(role for role, number in groups.items() if number is None)}
    return frozenset(found)


def _number(group: str) -> int | None:
    try:
        return grp.getgrnam(group).gr_gid if group else None
    except KeyError:
        return None


def _groups(uid: int, gid: int | None) -> set[int]:
    """The groups that the machine's own lists have an account in now, and the one the process runs in."""
    mine = set() if gid is None else {gid}
    with suppress(KeyError):
        account = pwd.getpwuid(uid)
        mine.update(os.getgrouplist(account.pw_name, account.pw_gid))
    return mine
