"""Opening one LMDB store: check the folder, map the file, prove the format, open the tables.

The law of this file: whoever gets an `OpenStore` may trust the folder's owner, format and identity;
everything else was refused with a reason. Runs before the storage thread exists, on the owning
thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import lmdb

from quorate.core.errors import CorruptStorage, UsageError, WrongDataFolder
from quorate.core.storage.folder import (
    DATA_FILE,
    FolderLock,
    check_data_file,
    io_error,
    read_marker,
    sync_folder,
    write_marker,
)
from quorate.core.storage.lmdb_errors import explain
from quorate.core.storage.lmdb_writer import Table
from quorate.core.storage.records import seal, seed_of, unseal

FORMAT_TABLE = "quorate.format"
ENGINE_NAME = "lmdb-0.9"
RECORD_FORMAT = 1
LIB_VERSION = 0
"""LMDB 0.9: py-lmdb 3 carries two engines whose files do not mix."""

_FORMAT_KEY = b"format"
_IDENTITY_KEY = b"identity"


@dataclass(slots=True)
class OpenStore:
    """An environment that is ours to use."""

    env: lmdb.Environment
    tables: dict[str, Table]
    lock: FolderLock
    identity: dict[str, str]

    def close(self) -> None:
        self.env.close()
        self.lock.free()


def open_store(
    folder: Path,
    *,
    tables: Iterable[str],
    format_version: int,
    identity: Mapping[str, str],
    map_size_bytes: int,
) -> OpenStore:
    """Opens or creates. Raises WrongDataFolder, CorruptStorage, StorageFailed; leaves nothing open
    then.
    """
    names = tuple(tables)
    if FORMAT_TABLE in names or len(set(names)) != len(names):
        raise UsageError(f"table names must be unique and not {FORMAT_TABLE!r}: {names}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(folder)
    except OSError as error:
        raise io_error(folder, "opening the data folder", error) from error
    try:
        return _open_locked(folder, names, format_version, identity, map_size_bytes, lock)
    except BaseException:
        lock.free()
        raise


def _open_locked(
    folder: Path,
    names: tuple[str, ...],
    format_version: int,
    identity: Mapping[str, str],
    map_size_bytes: int,
    lock: FolderLock,
) -> OpenStore:
    marker = read_marker(folder)
    found = check_data_file(folder, initialised=marker is not None)
    used = 0 if found is None else (found.last_page + 1) * found.page_size_bytes
    try:
        env = lmdb.open(
            str(folder),
            map_size=max(map_size_bytes, 2 * used),
            max_dbs=len(names) + 8,
            max_spare_txns=4,
            readahead=True,
            meminit=True,
            lib_version=LIB_VERSION,
        )
    except lmdb.Error as error:
        raise damaged(folder, str(error)) from error
    try:
        handles = _prepare(env, folder, names, format_version, identity, fresh=found is None)
        if marker is None:
            sync_folder(folder)
            write_marker(folder, {"engine": ENGINE_NAME, "format_version": format_version})
    except BaseException:
        env.close()
        raise
    known, held = handles
    return OpenStore(env=env, tables=known, lock=lock, identity=held)


def _prepare(
    env: lmdb.Environment,
    folder: Path,
    names: tuple[str, ...],
    format_version: int,
    identity: Mapping[str, str],
    *,
    fresh: bool,
) -> tuple[dict[str, Table], dict[str, str]]:
    """Checks or writes format and identity, and opens every table, in one transaction."""
    try:
        with env.begin(write=True) as transaction:
            about = env.open_db(FORMAT_TABLE.encode(), txn=transaction)
            facts = {"engine": ENGINE_NAME, "record": RECORD_FORMAT, "version": format_version}
            if fresh:
                _write(transaction, about, _FORMAT_KEY, facts)
            _check_format(folder, _read(transaction, about, _FORMAT_KEY, folder), facts)
            held = _read(transaction, about, _IDENTITY_KEY, folder) or {}
            merged = _check_identity(folder, {k: str(v) for k, v in held.items()}, identity)
            if merged != held:
                _write(transaction, about, _IDENTITY_KEY, merged)
            opened = {
                name: (seed_of(name), env.open_db(name.encode(), txn=transaction)) for name in names
            }
    except (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError) as error:
        raise damaged(folder, str(error)) from error
    except lmdb.Error as error:
        raise explain(error, folder, 0) from error
    return opened, merged


def _check_format(
    folder: Path, found: dict[str, object] | None, wanted: Mapping[str, object]
) -> None:
    if found is None:
        raise WrongDataFolder(
            f"{folder} holds an LMDB file that this program did not write (it has no "
            f"{FORMAT_TABLE!r} table): choose an empty folder"
        )
    if found != wanted:
        raise WrongDataFolder(
            f"{folder} has store format {found}, this program needs {dict(wanted)}: open it with "
            "the release that wrote it, or join again with an empty folder"
        )


def _check_identity(
    folder: Path, held: dict[str, str], wanted: Mapping[str, str]
) -> dict[str, str]:
    for name, value in wanted.items():
        if held.get(name, value) != value:
            raise WrongDataFolder(
                f"{folder} belongs to {name} {held[name]!r}, not to {name} {value!r}: give this "
                "host its own folder, or start it under the name the folder belongs to"
            )
    return {**held, **wanted}


def _read(
    transaction: lmdb.Transaction[bytes], about: object, key: bytes, folder: Path
) -> dict[str, object] | None:
    record = transaction.get(key, db=about)  # pyright: ignore[reportArgumentType]
    if record is None:
        return None
    value = unseal(seed_of(FORMAT_TABLE), key, record)
    if value is None:
        raise damaged(folder, f"the record {key!r} of {FORMAT_TABLE!r} fails its checksum")
    return json.loads(value)


def _write(
    transaction: lmdb.Transaction[bytes], about: object, key: bytes, facts: Mapping[str, object]
) -> None:
    value = json.dumps(facts, sort_keys=True).encode()
    transaction.put(key, seal(seed_of(FORMAT_TABLE), key, value), db=about)  # pyright: ignore[reportArgumentType]


def damaged(folder: Path, why: str) -> CorruptStorage:
    return CorruptStorage(
        f"{folder / DATA_FILE} is damaged: {why}. Move the folder away and let this host join "
        "again from the other members, or restore it from a copy"
    )
