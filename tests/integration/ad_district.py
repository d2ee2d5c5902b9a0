"""A made-up district whose accounts go into a private domain, with the settings that docs/how-to/active-directory.md shows."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from syncd.cli import main
from syncd.demo.district import District
from syncd.demo.domain import write_into
from syncd.demo.samba import DOMAIN, SERVICE, PrivateSamba
from syncd.demo.tour import settle_in
from tests.conftest import write_secret

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "active-directory.md"


def settle(folder: Path, district: District, server: PrivateSamba, base: str, urls: Sequence[str] = ()) -> None:
    """The district in that folder, nothing synced yet: as documented, but for the places and the server."""
    folder.mkdir()
    settle_in(folder, None, district, lambda _: None)
    shown = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    target, mapping = (next(text for text in shown if text.startswith(begin)) for begin in ("targets:\n  ad:\n", "target: ad\n"))
    for old, new in (
        (r"urls: .*", f"urls: {json.dumps(list(urls) or [server.secure_url])}"),
        (r"ca_file: .*", f"ca_file: {server.ca_file}"),
        (r"bind_dn: .*", f"bind_dn: {SERVICE}"),
        (r"base: .*", f'base: "{base}"\n    receive_timeout: 30'),
    ):
        target = re.sub(old, new, target)
    write_into(folder, target, mapping.replace("@district.example", f"@{DOMAIN}"))
    write_secret(folder / "credentials" / "ad_bind", server.password())


def run(folder: Path, *words: str) -> int:
    """One call of `syncd` about that folder."""
    return main(["--config", str(folder), *words])
