"""`python -m tests.doubles.google KEY_FILE`: the double as a process of its own, until its standard input ends.

It writes the service account's key to KEY_FILE and prints one line of JSON: its URL, the administrator to act for, and the token
of its control path (`control.py`).
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from pathlib import Path

from tests.doubles.google.clock import SimulatedClock
from tests.doubles.google.control import Control
from tests.doubles.google.double import GoogleDouble
from tests.doubles.google.quirks import Quirks


def main() -> int:
    """Serve until told to stop."""
    asked = argparse.ArgumentParser(prog="python -m tests.doubles.google", description=__doc__)
    asked.add_argument("key_file", type=Path)
    asked.add_argument("--simulated", action="store_true", help="time that passes when it is told to, and when clients wait")
    asked.add_argument("--as-google-is", action="store_true", help="with the limits of Google's limits page")
    asked.add_argument(
        "--domain", action="append", help="a domain of the customer's; the first one is the primary (district.example)"
    )
    told = asked.parse_args()
    clock = SimulatedClock() if told.simulated else None
    quirks = Quirks.as_google_is() if told.as_google_is else Quirks()
    with GoogleDouble(quirks, clock=clock, domains=told.domain or ("district.example",)) as double:
        token = secrets.token_urlsafe(16)
        double.service.control = Control(double, token)
        double.write_key_file(told.key_file)
        sys.stdout.write(json.dumps({"url": double.url, "admin": double.admin, "control": token}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
