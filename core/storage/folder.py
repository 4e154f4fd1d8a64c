"""The folder of a store: who holds it, whether it was initialised, and whether its data file can be
opened at all.

The law of this file: everything that must be checked before LMDB maps the file, because after that
a truncated file kills the process with SIGBUS instead of raising. It reads the two meta pages
itself (layout: `struct MDB_meta` of LMDB 0.9, the same facts that `lmdb.verify` relies on) and
changes nothing in the data.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from lmdb import verify

from quorate.core.errors import CorruptStorage, StorageFailed, WrongDataFolder

DATA_FILE = "data.mdb"
LOCK_FILE = "LOCK"
STORE_FILE = "STORE"

_PAGE_HEADER_BYTES = 16
_META = struct.Struct("<IIQQ")  # magic, version, address, map size
_MAGIC = 0xBEEFC0DE
_VERSION_09 = 1
_DB_BYTES = 48
_META_DBS = _META.size
_META_TAIL = _META_DBS + 2 * _DB_BYTES  # last page number, transaction id


@dataclass(frozen=True, slots=True)
class Meta:
    """What one meta page says. `last_page` counts from 0; sizes in bytes."""

    page_size_bytes: int
    last_page: int
    transaction: int
    map_size_bytes: int


def free_bytes(path: Path) -> int:
    """Bytes that this process may still write on the file system of `path`."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def sync_folder(path: Path) -> None:
    """Makes names created, renamed or removed in the folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, data: bytes) -> None:
    """Replaces `path` atomically: after a crash it holds the old bytes or the new ones."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


class FolderLock:
    """One process, and one store in it, at a time: an flock that the kernel frees when the process
    dies.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._handle: int | None = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._handle, 64, 0).decode(errors="replace").strip() or "unknown"
            self.free()
            whose = "this process" if holder == str(os.getpid()) else f"process {holder}"
            raise WrongDataFolder(
                f"the data folder {folder} is in use by {whose}: stop that host first, or give "
                "this one a folder of its own"
            ) from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, str(os.getpid()).encode(), 0)

    def free(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def read_marker(folder: Path) -> dict[str, object] | None:
    """The contents of STORE, or None in a folder that was never initialised."""
    path = folder / STORE_FILE
    try:
        found: object = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise _corrupt(path, "it is not the JSON that this program writes") from None
    if not isinstance(found, dict):
        raise _corrupt(path, "it is not the JSON that this program writes")
    return {str(key): value for key, value in found.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def write_marker(folder: Path, facts: dict[str, object]) -> None:
    write_durably(folder / STORE_FILE, json.dumps(facts, sort_keys=True).encode() + b"\n")


def check_data_file(folder: Path, *, initialised: bool) -> Meta | None:
    """The newest meta page, or None for a folder without data. Raises CorruptStorage and
    WrongDataFolder.

    A file may be shorter than its last page and sound (pages taken and given back in one
    transaction are never written): then, and only then, every page is walked, and the file is
    stretched to its full length.
    """
    path = folder / DATA_FILE
    size = path.stat().st_size if path.exists() else 0
    if size == 0:
        if initialised:
            raise _corrupt(path, "it is missing or empty although the folder was initialised")
        return None
    meta = newest_meta(path)
    full = (meta.last_page + 1) * meta.page_size_bytes
    if size < full:
        _stretch(path, size, full)
    return meta


def newest_meta(path: Path) -> Meta:
    """The meta page that LMDB would use. Raises CorruptStorage, WrongDataFolder (another LMDB file
    format).
    """
    with path.open("rb") as file:
        head = file.read(1 << 17)
    first = _meta_at(head, 0)
    if first is None:
        _refuse_other_formats(path, head)
        raise _corrupt(path, "its first page is not an LMDB meta page")
    second = _meta_at(head, first.page_size_bytes)
    if second is None:
        raise _corrupt(path, "its second page is not an LMDB meta page")
    return max(first, second, key=lambda meta: meta.transaction)


def verify_data_file(folder: Path) -> None:
    """Walks every page of a store that no process has open (slow: about 10 MB/s). Raises
    CorruptStorage.
    """
    path = folder / DATA_FILE
    try:
        findings = cast("list[str]", verify.verify(str(path), subdir=False))  # pyright: ignore[reportUnknownMemberType]
    except (verify.VerifyError, OSError) as error:
        raise _corrupt(path, str(error)) from error
    if findings:
        raise _corrupt(path, f"its pages do not fit together ({'; '.join(findings[:3])})")


def _stretch(path: Path, size: int, full: int) -> None:
    try:
        verify_data_file(path.parent)
    except CorruptStorage:
        raise _corrupt(path, f"it has {size} bytes of {full}: it was cut off") from None
    os.truncate(path, full)


def _meta_at(head: bytes, offset: int) -> Meta | None:
    at = offset + _PAGE_HEADER_BYTES
    if len(head) < at + _META_TAIL + 16:
        return None
    magic, version, _, map_size = _META.unpack_from(head, at)
    page_size = int.from_bytes(head[at + _META_DBS : at + _META_DBS + 4], "little")
    if magic != _MAGIC or version != _VERSION_09:
        return None
    if page_size < 512 or page_size > 1 << 16 or page_size & (page_size - 1):
        return None
    last_page, transaction = struct.unpack_from("<QQ", head, at + _META_TAIL)
    return Meta(page_size, last_page, transaction, map_size)


def _refuse_other_formats(path: Path, head: bytes) -> None:
    for header in (_PAGE_HEADER_BYTES, 24):
        if len(head) >= header + 8 and head[header : header + 4] == _MAGIC.to_bytes(4, "little"):
            version = int.from_bytes(head[header + 4 : header + 8], "little")
            if version != _VERSION_09:
                raise WrongDataFolder(
                    f"{path} was written by another LMDB engine (data version {version}, this "
                    f"program needs {_VERSION_09}): open it with the release that wrote it"
                )


def _corrupt(path: Path, why: str) -> CorruptStorage:
    return CorruptStorage(
        f"{path} is damaged: {why}. Move the folder away and let this host join again from the "
        "other members, or restore it from a copy"
    )


def io_error(path: Path, doing: str, error: OSError) -> StorageFailed:
    return StorageFailed(f"{doing} {path} failed: {error.strerror or error}")


def remove_tree(path: Path) -> None:
    """Removes a folder with everything in it; no error when it is gone."""
    shutil.rmtree(path, ignore_errors=True)
