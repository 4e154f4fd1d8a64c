"""PySyncObj's transport, as a queue: messages wait here until what they reflect is on disk.

The law: a message is stamped, when it is made, with the journal's term stamp; it leaves only once
the journal's `durable_seq` has reached that stamp. Entries and acknowledgements need no stamp of
their own: a follower acknowledges, and a leader counts, only entries that are on its own disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from pysyncobj.node import Node
from pysyncobj.transport import Transport

Message = dict[str, Any]


class Outbox(Transport):
    """Gathers what the engine says; the driver takes what may leave."""

    def __init__(self) -> None:
        super().__init__(None, None, [])
        self._queue: deque[tuple[int, str, Message]] = deque()
        self._stamp: Callable[[], int] = lambda: 0

    def stamp_with(self, stamp: Callable[[], int]) -> None:
        self._stamp = stamp

    @property
    def ready(self) -> Literal[True]:
        return True

    def tryGetReady(self) -> None: ...

    def waitReady(self) -> None: ...

    def addNode(self, node: Node) -> None: ...

    def dropNode(self, node: Node) -> None: ...

    def destroy(self) -> None:
        self._queue.clear()

    def send(self, node: Node, message: Message) -> bool:
        self.post(str(node.id), message)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        return True

    def post(self, peer: str, message: Message) -> None:
        """Queue `message` for `peer`."""
        self._queue.append((self._stamp(), peer, message))

    def take(self, durable_seq: int) -> list[tuple[str, Message]]:
        """Everything that may leave now, in order."""
        queue = self._queue
        taken: list[tuple[str, Message]] = []
        while queue and queue[0][0] <= durable_seq:
            _, peer, message = queue.popleft()
            taken.append((peer, message))
        return taken

    def clear(self) -> None:
        self._queue.clear()

    def __len__(self) -> int:
        return len(self._queue)
