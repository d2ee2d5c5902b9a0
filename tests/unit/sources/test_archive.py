"""A delivery as an untrusted file: whatever is wrong with the container, the answer is a sentence and never a traceback."""

from __future__ import annotations

import os
import random
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from syncd.errors import EndpointError, SyncdError
from syncd.sources.archive import Package, open_file, open_package
from tests.fixtures.broken_rosters import broken, healthy, write_zip

Opened = Callable[[Path, str], AbstractContextManager[Package]]
NOBODY = 65534

ROWS = "sourcedId,name\n" + "o1,North\n" * 5000


def read_through(path: Path) -> int:
    """How many bytes all its files hold."""
    with open_package(path, "source sis") as package:
        return sum(len(block) for name in package.names for block in blocks(package, name))


def blocks(package: Package, name: str) -> Iterator[bytes]:
    """One file in pieces."""
    with package.open(name) as file:
        while block := file.read(65536):
            yield block


def packed(folder: Path, method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    """A zip of one file, compressed in this way."""
    path = folder / "roster.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("users.csv", ROWS)
    return bytearray(path.read_bytes())


def central(zipped: bytearray, offset: int) -> int:
    """Where a field of the first entry of the directory at the end lies."""
    return zipped.find(b"PK\x01\x02") + offset


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_refused_whatever_packed_it(tmp_path: Path, method: int) -> None:
    """Each way of compressing has errors of its own; none of them is ours, and no second reading mends one."""
    zipped = packed(tmp_path, method)
    assert read_through(tmp_path / "roster.zip") == len(ROWS)
    zipped[60] ^= 0xFF
    (tmp_path / "roster.zip").write_bytes(zipped)
    with pytest.raises(EndpointError, match=r"users\.csv is damaged inside the zip"):
        read_through(tmp_path / "roster.zip")


@pytest.mark.parametrize(("method", "name"), [(9, "Deflate64"), (93, "Zstandard"), (98, "a method")])
def test_a_compression_nobody_can_undo_is_refused(tmp_path: Path, method: int, name: str) -> None:
    """Windows writes Deflate64 into large zips; the message says how to pack instead."""
    zipped = packed(tmp_path)
    for place in (8, central(zipped, 10)):
        zipped[place : place + 2] = method.to_bytes(2, "little")
    (tmp_path / "roster.zip").write_bytes(zipped)
    with pytest.raises(EndpointError, match=f"users.csv is packed with {name}") as refused:
        read_through(tmp_path / "roster.zip")
    assert "ordinary zip compression" in refused.value.remedy


def test_a_zip_of_a_later_version_is_refused(tmp_path: Path) -> None:
    """What the directory at the end needs and we cannot do makes the file unreadable, not the program fail."""
    zipped = packed(tmp_path)
    zipped[central(zipped, 6)] = 99
    (tmp_path / "roster.zip").write_bytes(zipped)
    with pytest.raises(EndpointError, match=r"roster\.zip is a kind of zip"):
        read_through(tmp_path / "roster.zip")


def test_any_damage_to_a_zip_is_told_or_does_not_matter(tmp_path: Path) -> None:
    """Whichever bytes are wrong: read to its end, or refused in our own words."""
    path = broken()(tmp_path)
    sound, chance = path.read_bytes(), random.Random(5)
    start = sound.find(b"PK\x01\x02")
    for _ in range(600):
        damaged = bytearray(sound)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(start, len(sound)) if chance.random() < 0.7 else chance.randrange(len(sound))
            damaged[place] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            read_through(path)
        except SyncdError as error:
            assert "source sis" in str(error)  # noqa: PT017 — no error at all is as good


@pytest.fixture
def drop() -> Iterator[Path]:
    """A folder anybody may look into; while the test runs we are not the superuser, whom no right stops."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_zip(healthy(), folder / "roster.zip").chmod(0)
        place = folder / "export"
        place.mkdir()
        (place / "users.csv").write_text(ROWS)
        (place / "users.csv").chmod(0)
        superuser = os.geteuid() == 0
        if superuser:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if superuser:
                os.seteuid(0)
            place.chmod(0o755)


@pytest.mark.parametrize("opened", [open_package, open_file])
def test_a_file_that_may_not_be_read_is_no_matter_of_waiting(drop: Path, opened: Opened) -> None:
    """Missing rights are said at once, with who lacks them, and not tried four times."""
    refused = pytest.raises(EndpointError, match=r"roster\.zip may not be read by this user")
    with refused, opened(drop / "roster.zip", "source sis") as package:
        for name in package.names:
            list(blocks(package, name))


def test_a_folder_with_files_that_may_not_be_read_is_refused(drop: Path) -> None:
    """The message names the file, not the state folder."""
    with pytest.raises(EndpointError, match=r"users\.csv may not be read by this user"):
        read_through(drop / "export")


def test_a_folder_that_may_not_be_listed_is_refused(drop: Path) -> None:
    """The same for the folder itself."""
    euid = os.geteuid()
    if euid == NOBODY:
        os.seteuid(0)
    (drop / "export").chmod(0)
    if euid == NOBODY:
        os.seteuid(NOBODY)
    with pytest.raises(EndpointError, match=r"export may not be read by this user"):
        read_through(drop / "export")
