"""Consistent copies of a whole store, beside the commits.

The law of this file: a copy is compacting, because LMDB's plain copy waits for the writer mutex,
which the storage thread holds nearly always. The copy holds a read transaction, so the map must not
grow while `busy`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import lmdb

from quorate.core.storage.folder import sync_folder

CopyReply = Callable[[BaseException | None], object]


class Copier:
    """Starts one thread per copy; replies come from that thread."""

    def __init__(self, env: lmdb.Environment) -> None:
        self._env = env
        self._threads: list[Thread] = []

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def start(self, path: Path, reply: CopyReply) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = Thread(target=self._run, args=(path, reply), name=f"copy {path.name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def _run(self, path: Path, reply: CopyReply) -> None:
        try:
            copy_store(self._env, path)
        except Exception as error:
            path.unlink(missing_ok=True)
            reply(error)
        else:
            reply(None)


def copy_store(env: lmdb.Environment, path: Path) -> None:
    """Writes the copy and syncs it and its name. Raises lmdb.Error or OSError, leaving a partial
    file.
    """
    with path.open("wb") as file:
        env.copyfd(file.fileno(), compact=True)
        os.fsync(file.fileno())
    sync_folder(path.parent)
