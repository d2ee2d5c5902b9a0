"""What the service manager is told: that the daemon is ready, what it is at, that it lives, and that it ends.

The protocol is one datagram of `KEY=value` lines to the socket named in $NOTIFY_SOCKET, as sd_notify(3) describes it. Without that
variable nobody is told, and nothing else is different.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """The service manager's ear."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog = environment.get("WATCHDOG_USEC", "") if ours else ""
        self.watchdog_seconds = int(watchdog) / 1_000_000 if watchdog.isdecimal() else None
        """How often the manager wants a sign of life at least; None where it wants none."""

    def ready(self, status: str) -> None:
        """Everything is up, or up again after a reload."""
        self._tell("READY=1", f"STATUS={status}")

    def status(self, text: str) -> None:
        """What the daemon is at, in words: what `systemctl status` shows."""
        self._tell(f"STATUS={text}")

    def alive(self) -> None:
        """A sign of life."""
        self._tell("WATCHDOG=1")

    def reloading(self) -> None:
        """The files are being read anew; `ready` follows. MONOTONIC_USEC is what Type=notify-reload wants beside it."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str) -> None:
        """The daemon ends."""
        self._tell("STOPPING=1", f"STATUS={status}")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        # An @ stands for the zero byte of an abstract socket. A manager that does not listen is no reason to fail.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        message = "\n".join(line.replace("\n", " ") for line in lines).encode()
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as ear:
            ear.sendto(message, address)
