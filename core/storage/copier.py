"""Consistent copies of a whole store, beside the commits.

The law of this file: the read transaction of a copy begins on the owning thread, when it is asked
for, so that the caller knows which state it shows. A copy is compacting, because LMDB's plain copy
waits for the writer mutex, which the storage thread holds nearly always. The map must not grow
while a copy is `busy`: its thread reads through the map.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import lmdb

from quorate.core.storage.committer import Transaction
from quorate.core.storage.folder import sync_folder

CopyReply = Callable[[BaseException | None], object]


class Copier:
    """Starts one thread per copy; replies come from that thread. Raises lmdb.Error."""

    def __init__(self, env: lmdb.Environment) -> None:
        self._env = env
        self._threads: list[Thread] = []
        self._running = 0

    @property
    def busy(self) -> bool:
        return self._running > 0

    def start(self, path: Path, reply: CopyReply) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        work = (path, self._env.begin(), reply)
        thread = Thread(target=self._run, args=work, name=f"copy {path.name}", daemon=True)
        self._threads.append(thread)
        self._running += 1
        thread.start()

    def ended(self) -> None:
        """The owning thread has heard of the end of one copy."""
        self._running -= 1

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def _run(self, path: Path, transaction: Transaction, reply: CopyReply) -> None:
        try:
            copy_store(self._env, transaction, path)
        except Exception as error:
            path.unlink(missing_ok=True)
            reply(error)
        else:
            reply(None)


def copy_store(env: lmdb.Environment, transaction: Transaction, path: Path) -> None:
    """Writes the copy and syncs it; ends the transaction. Raises lmdb.Error or OSError."""
    try:
        with path.open("wb") as file:
            env.copyfd(file.fileno(), compact=True, txn=transaction)
            os.fsync(file.fileno())
        sync_folder(path.parent)
    finally:
        transaction.abort()
