"""State generations: each is one folder with one whole state; which one counts is written
elsewhere, atomically.

The law of this file: a generation's folder appears complete, by one rename, or not at all; so a
host that is killed at any point finds either the old generation or the new one. The Raft journal
names the one in force; the others are removed.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from quorate.core.errors import StorageFailed, StorageFull, UsageError
from quorate.core.storage.folder import (
    DATA_FILE,
    check_data_file,
    newest_meta,
    remove_tree,
    sync_folder,
)

FIRST_GENERATION = "state-000001"

_NAME = re.compile(r"state-(\d{6,12})")
_HALF = ".new"


class StateGenerations:
    """The generations under one folder. Blocking: `create_from` belongs on a worker thread."""

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        for half in self._folder.glob(f"*{_HALF}"):
            remove_tree(half)

    def path_of(self, generation: str) -> Path:
        """The folder of a generation, for the engine to open (it creates the first one itself)."""
        if not _NAME.fullmatch(generation):
            raise UsageError(f"{generation!r} is not the name of a state generation")
        return self._folder / generation

    def names(self) -> list[str]:
        """The complete generations, oldest first."""
        found = [entry.name for entry in self._folder.iterdir() if _NAME.fullmatch(entry.name)]
        return sorted(found, key=_number)

    def create_from(self, snapshot_file: Path) -> str:
        """A new generation holding a copy of the snapshot, synced. Raises StorageFull,
        StorageFailed, CorruptStorage.
        """
        names = self.names()
        number = 1 + (_number(names[-1]) if names else _number(FIRST_GENERATION))
        name = f"state-{number:06d}"
        half = self._folder / (name + _HALF)
        remove_tree(half)
        try:
            half.mkdir()
            copy_durably(snapshot_file, half / DATA_FILE)
            newest_meta(half / DATA_FILE)
            check_data_file(half, initialised=True)
            sync_folder(half)
            half.rename(self._folder / name)
            sync_folder(self._folder)
        except OSError as error:
            remove_tree(half)
            raise file_error(error, half) from error
        except BaseException:
            remove_tree(half)
            raise
        return name

    def remove_others(self, keep: str) -> None:
        """Removes every generation but `keep`, once the journal names it. Open engines must be
        closed.
        """
        self.path_of(keep)
        for name in self.names():
            if name != keep:
                doomed = self._folder / (name + _HALF)
                (self._folder / name).rename(doomed)
                remove_tree(doomed)
        sync_folder(self._folder)


def copy_durably(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    handle = os.open(target, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_error(error: OSError, path: Path) -> StorageFull | StorageFailed:
    """What a failed write beside the store means; it is thrown away, so nothing else is hurt."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull(f"no space left for {path}: free space on its file system")
    return StorageFailed(f"writing {path} failed: {error.strerror or error}")


def _number(name: str) -> int:
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else 0
