"""The storage thread: the only one that begins, commits and aborts write transactions.

The law of this file: LMDB's writer mutex belongs to the thread that took it, so every transaction
is born and ends here; in between it is handed to the owning thread, which does the puts (a put
costs about 1 us and touches no disk, but gives up the interpreter lock, so that many puts on a
second thread beside a busy loop would crawl). Only the fsync is worth a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeAlias

import lmdb

from quorate.core.storage.faults import StorageFaults

Transaction: TypeAlias = "lmdb.Transaction[bytes]"
Reply: TypeAlias = "Callable[[BaseException | None, Transaction | None], object]"
"""(what went wrong in the commit, the next transaction or None where there is none)"""


class Committer:
    """Runs commits in order on its own thread. Replies are called on that thread and must only hand
    over.
    """

    def __init__(self, env: lmdb.Environment, faults: StorageFaults, name: str) -> None:
        self._env = env
        self._faults = faults
        self._open: Transaction | None = None
        self._jobs: SimpleQueue[tuple[Transaction | None, bool, Reply] | None] = SimpleQueue()
        self._waiting_to_start = Lock()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def begin(self, reply: Reply) -> None:
        """Opens a transaction; the writer must have none."""
        self._give(None, False, reply)

    def commit(self, transaction: Transaction, reply: Reply) -> None:
        """Commits (synced to disk), then opens the next transaction."""
        self._give(transaction, True, reply)

    def abort(self, transaction: Transaction, reply: Reply) -> None:
        """Gives the transaction up and replies with none open (so that the map may grow)."""
        self._give(transaction, False, reply)

    def stop(self) -> None:
        """Ends the thread after what it was given; aborts the open transaction."""
        self._jobs.put(None)
        self._thread.join()

    def let_start(self, wait_s: float) -> None:
        """Gives up the interpreter lock until the thread took its job, at most `wait_s` seconds.

        A loop that never sleeps takes the interpreter lock back faster than another thread wakes
        up, for seconds in the worst case: only a real wait hands it over.
        """
        if self._waiting_to_start.acquire(timeout=wait_s):
            self._waiting_to_start.release()

    def _give(self, transaction: Transaction | None, wanted: bool, reply: Reply) -> None:
        self._waiting_to_start.acquire(blocking=False)
        self._jobs.put((transaction, wanted, reply))

    def _run(self) -> None:
        take = self._jobs.get
        while (job := take()) is not None:
            self._waiting_to_start.release()
            transaction, wanted, reply = job
            if transaction is None:
                reply(*self._begin(None))
            elif wanted:
                reply(*self._commit(transaction))
            else:
                self._abort(transaction)
                reply(None, None)
        if self._open is not None:
            self._abort(self._open)

    def _commit(self, transaction: Transaction) -> tuple[BaseException | None, Transaction | None]:
        self._open = None
        try:
            self._faults.before_commit()
            transaction.commit()
            self._faults.after_commit()
        except lmdb.MapFullError as error:
            self._abort(transaction)
            return error, None
        except Exception as error:
            self._abort(transaction)
            return self._begin(error)
        return self._begin(None)

    def _begin(
        self, outcome: BaseException | None
    ) -> tuple[BaseException | None, Transaction | None]:
        """`outcome` of the commit before, and a fresh transaction; a begin that fails is the
        outcome if there is none.
        """
        try:
            self._open = self._env.begin(write=True)
        except Exception as error:
            return outcome or error, None
        return outcome, self._open

    def _abort(self, transaction: Transaction) -> None:
        self._open = None
        _quietly(transaction.abort)


def _quietly(end: Callable[[], Any]) -> None:
    """A failed commit has ended its transaction already; ending it twice is harmless."""
    try:
        end()
    except lmdb.Error:
        return
