"""What is in the package, as CycloneDX 1.5 JSON: each library with its version, licence and the hashes it was pinned by.

    python script/packaging/sbom.py FOLDER REQUIREMENTS

Read from the metadata of what was installed, not from what was asked for: what is in it is what stands in the list.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path


def components(folder: Path, requirements: str) -> Iterator[dict[str, object]]:
    """Each library in the folder, by name."""
    pinned = dict(re.findall(r"(?m)^([\w.-]+)==\S+.*\\\n((?:    --hash=.*\n?)+)", requirements))
    hashes = {_normal(name): re.findall(r"sha256:([0-9a-f]{64})", lines) for name, lines in pinned.items()}
    found = {_normal(one.metadata["Name"]): one for one in distributions(path=[str(folder)])}
    for name, one in sorted(found.items()):
        yield {
            "type": "library" if name != "syncd" else "application",
            "bom-ref": f"pkg:pypi/{name}@{one.version}",
            "purl": f"pkg:pypi/{name}@{one.version}",
            "name": name,
            "version": one.version,
            "licenses": [{"license": {"name": licence}} for licence in _licences(one)],
            # One of these is the hash of the archive that was installed: pip accepts no other.
            "properties": [{"name": "syncd:pinned-sha256", "value": each} for each in hashes.get(name, [])],
        }


def _licences(one: Distribution) -> list[str]:
    told = one.metadata.get("License-Expression") or one.metadata.get("License") or ""
    if told and "\n" not in told:
        return [told]
    classified = [text for text in one.metadata.get_all("Classifier") or [] if text.startswith("License :: ")]
    return [text.rsplit(" :: ", 1)[1] for text in classified]


def _normal(name: str) -> str:
    """A name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(folder: Path, requirements: Path) -> None:
    """Print the list."""
    at = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC)
    parts = list(components(folder, requirements.read_text(encoding="utf-8")))
    (subject,) = (part for part in parts if part["name"] == "syncd")
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"timestamp": at.isoformat().replace("+00:00", "Z"), "component": subject},
        "components": [part for part in parts if part is not subject],
    }
    sys.stdout.write(json.dumps(bom, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
