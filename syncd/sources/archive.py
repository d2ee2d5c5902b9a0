"""The files of a delivery, whether it came as a zip or as a folder, opened without trusting it.

Limits are on what comes out, not on what a zip promises: a bomb, a path that leaves the folder, a duplicate or an encrypted member
refuses the whole delivery. What is in the files is not known here.
"""

from __future__ import annotations

import errno
import hashlib
import io
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, NoReturn

from syncd.errors import EndpointError, TransientError

MAX_MEMBERS = 500
MAX_MEMBER_BYTES = 2 * 1024**3
MAX_RATIO = 250
"""Rosters compress 5:1 to 40:1. What claims more than this is built to fill a disk."""
_RATIO_FROM = 16 * 1024**2  # a tiny file of one repeated line may reach any ratio

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_FOREIGN = {9: "Deflate64", 93: "Zstandard"}  # what Windows writes into large zips; what newer packers offer
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError)
"""What the modules that unpack raise on damaged bytes."""

_JUNK = ("__MACOSX/", ".DS_Store", "Thumbs.db")  # what desktop systems leave in zips and folders; never roster


@dataclass(frozen=True, slots=True)
class Package:
    """The files of one delivery by name. `endpoint` and `label` are for messages."""

    endpoint: str
    label: str
    _places: Mapping[str, zipfile.ZipInfo | Path]
    _zip: zipfile.ZipFile | None

    @property
    def names(self) -> tuple[str, ...]:
        """Every file, sorted."""
        return tuple(sorted(self._places))

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """The bytes of one file. A zip member that ends early or fails its checksum is an EndpointError."""
        place = self._places[name]
        try:
            if isinstance(place, Path):
                with place.open("rb") as plain:
                    yield plain
            else:
                with self._member(place) as member:
                    yield io.BufferedReader(member)  # type: ignore[type-var]  # ZipExtFile is a BufferedIOBase; RawIOBase is what typeshed wants
        except _DAMAGE as error:
            self.refuse(name, f"is damaged inside the zip ({error})", "have the zip exported and sent again")
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise  # whoever has this file open is writing elsewhere, and that disk is full
            if self._zip is not None and error.errno in (None, errno.EINVAL):  # bz2's word for damage; an offset before the file
                self.refuse(name, f"is damaged inside the zip ({error})", "have the zip exported and sent again")
            raise _unreadable(error, self.endpoint, name) from error

    def fingerprint(self) -> str:
        """A digest of every byte of the delivery, a zip's without unpacking it."""
        total = hashlib.blake2b(digest_size=32)
        paths = {Path(self._zip.filename)} if self._zip is not None and self._zip.filename else set(self._paths())
        for path in sorted(paths):
            total.update(f"{path.name}\0".encode())
            try:
                with path.open("rb") as file:
                    total.update(hashlib.file_digest(file, "blake2b").digest())
            except OSError as error:
                raise _unreadable(error, self.endpoint, path.name) from error
        return total.hexdigest()

    def _paths(self) -> Iterator[Path]:
        for place in self._places.values():
            if isinstance(place, Path):
                yield place

    def _member(self, place: zipfile.ZipInfo) -> IO[bytes]:
        assert self._zip is not None  # noqa: S101 — a ZipInfo only ever comes from an open zip
        try:
            return self._zip.open(place)
        except (NotImplementedError, UnicodeDecodeError) as error:  # its own header differs from the directory at the end
            raise zipfile.BadZipFile(str(error)) from error

    def refuse(self, name: str, why: str, remedy: str = "") -> NoReturn:
        """Raise the EndpointError for one file of this delivery."""
        raise EndpointError(self.endpoint, f"{name} {why}", remedy)


@contextmanager
def open_package(path: Path, endpoint: str) -> Iterator[Package]:
    """The delivery at a path. Raises TransientError when it was replaced while being read."""
    before = _look(path, endpoint)
    if stat.S_ISDIR(before.st_mode):
        places = dict(_folder_places(path, endpoint))
        marks = {name: _mark(place) for name, place in places.items()}
        yield Package(endpoint, path.name, places, None)
        if marks != {name: _mark(place) for name, place in places.items()}:
            raise TransientError(f"{endpoint}: files in {path} changed while being read")
        return
    if not stat.S_ISREG(before.st_mode):
        raise EndpointError(endpoint, f"{path} is neither a zip file nor a folder", "name the zip file, or the folder of CSV files")
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise EndpointError(
            endpoint,
            f"{path.name} is not a complete zip file: it was cut off or is something else",
            "wait for the upload to end, or have it sent again",
        ) from error
    except (NotImplementedError, UnicodeDecodeError) as error:
        why = f"{path.name} is a kind of zip that cannot be read here, or is damaged ({error})"
        raise EndpointError(endpoint, why, "have it packed with ordinary zip compression") from error
    except OSError as error:
        raise _unreadable(error, endpoint, str(path)) from error
    with archive:
        yield Package(endpoint, path.name, _zip_places(archive, path.name, endpoint), archive)
    if _mark(path) != (before.st_mtime_ns, before.st_size, before.st_ino):
        raise TransientError(f"{endpoint}: {path} changed while being read")


@contextmanager
def open_file(path: Path, endpoint: str) -> Iterator[Package]:
    """One plain file as a package of its own."""
    before = _look(path, endpoint)
    if not stat.S_ISREG(before.st_mode):
        raise EndpointError(endpoint, f"{path} is not a file", "name one CSV file")
    yield Package(endpoint, path.name, {path.name: path}, None)
    if _mark(path) != (before.st_mtime_ns, before.st_size, before.st_ino):
        raise TransientError(f"{endpoint}: {path} changed while being read")


def _look(path: Path, endpoint: str) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError as error:
        raise EndpointError(endpoint, f"{path} does not exist", "check `path` and whether the export ran") from error
    except OSError as error:
        raise _unreadable(error, endpoint, str(path)) from error


def _unreadable(error: OSError, endpoint: str, what: str) -> EndpointError | TransientError:
    """What to raise where the system would not let us read: missing rights do not come by waiting."""
    if isinstance(error, PermissionError):
        return EndpointError(endpoint, f"{what} may not be read by this user", "give the service user read access")
    return TransientError(f"{endpoint}: {what} cannot be read: {error.strerror or error}")


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _folder_places(path: Path, endpoint: str) -> Iterator[tuple[str, Path]]:
    try:
        found = sorted(path.iterdir())
    except OSError as error:
        raise _unreadable(error, endpoint, str(path)) from error
    for place in found:
        if place.name in _JUNK or place.is_dir():
            continue
        if place.is_symlink():
            # Whoever may write into a drop folder could otherwise have any file of this host read as a roster.
            raise EndpointError(endpoint, f"{place.name} in {path} is a symbolic link", "deliver the file itself")
        if not place.is_file():  # reading a pipe waits for a writer who never comes
            raise EndpointError(endpoint, f"{place.name} in {path} is not a file", "take it out of the folder")
        yield place.name, place


def _zip_places(archive: zipfile.ZipFile, label: str, endpoint: str) -> dict[str, zipfile.ZipInfo | Path]:
    def refuse(why: str, remedy: str = "have the zip exported again") -> NoReturn:
        raise EndpointError(endpoint, f"{label} {why}", remedy)

    infos = [
        info
        for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith(_JUNK[0]) and info.filename.rsplit("/", 1)[-1] not in _JUNK
    ]
    if len(infos) > MAX_MEMBERS:
        refuse(f"holds {len(infos)} files, more than {MAX_MEMBERS}")
    places: dict[str, zipfile.ZipInfo | Path] = {}
    for info in infos:
        name = info.filename
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
            refuse(f"holds a file that would leave its folder: {name!r}", "do not use this file; ask the sender where it came from")
        if "/" in name or "\\" in name:
            refuse(f"holds {name!r} inside a folder", "zip the CSV files themselves, not the folder around them")
        if name in places:
            refuse(f"holds {name} twice")
        if info.flag_bits & 0x41:  # encrypted, strongly encrypted
            refuse(f"holds {name} encrypted", "export it without a password; the transfer itself protects it")
        if info.compress_type not in _METHODS or info.flag_bits & 0x20:
            how = _FOREIGN.get(info.compress_type, f"a method (number {info.compress_type})")
            refuse(f"cannot be unpacked: {name} is packed with {how}", "have it packed with ordinary zip compression (Deflate)")
        if info.file_size > MAX_MEMBER_BYTES:
            refuse(f"holds {name} with {info.file_size} bytes, more than {MAX_MEMBER_BYTES}")
        if info.file_size > _RATIO_FROM and info.file_size > MAX_RATIO * max(info.compress_size, 1):
            refuse(
                f"holds {name}, which would grow {info.file_size // max(info.compress_size, 1)}-fold on unpacking: a zip bomb",
                "do not use this file; ask the sender where it came from",
            )
        places[name] = info
    return places
