"""A session: what one client wrote and saw, so that it never goes back in time on any host.

The law of this file: a session only grows. It holds no connection and no lease: it is a past, which
travels as a token. Whether a host covers it is decided where it reads (`reads.py`). Whatever is to
end with it (the agents it owns) asks to be told when it is closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

from quorate.consistency.replica.states import GROUP
from quorate.consistency.store.tokens import ACTORS_MAX, Past, check_shape
from quorate.core.errors import UsageError


class SessionKeys(Protocol):
    """Where tokens are made and read."""

    async def ready(self, timeout: float | None = None) -> None:
        """Fetch the cluster's key if it is not here yet, within `timeout` seconds. Raises
        `Unavailable`."""
        ...

    def is_ready(self) -> bool: ...

    def token(self, past: Past) -> bytes: ...

    def read(self, token: bytes) -> Past: ...

    def prune(self, past: Past) -> Past:
        """Without what every host has for ever."""
        ...


class Session:
    """`async with host.session() as s:`, or `host.session(token)` to go on with another's past.

    Reads and writes that name it see, on every host: what it wrote (read your writes), nothing
    older than it saw (monotonic reads), its writes in their order (monotonic writes), and no write
    without what it had seen before (writes follow reads). `token` may be sent elsewhere."""

    def __init__(self, keys: SessionKeys, token: bytes | None = None) -> None:
        self._keys = keys
        self._vector: dict[int, int] = {}
        self._strong = 0
        self._stamp = 0
        self._unread: bytes | None = None
        self._covered: tuple[object, Mapping[int, int], int] | None = None
        """By whom what was found covered last: a replica only grows, so it stays so there."""
        self._closed = False
        self._on_close: list[Callable[[], Awaitable[object]]] = []
        if token is not None:
            self._unread = check_shape(token)
            if keys.is_ready():
                self._read()

    async def __aenter__(self) -> Self:
        await self.ready()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed: it can own nothing any more. As a past it stays of use."""
        return self._closed

    def when_closed(self, listener: Callable[[], Awaitable[object]]) -> None:
        """Have `listener()` awaited by `close`. It must not raise. Raises `UsageError` if the
        session is closed."""
        if self._closed:
            raise UsageError("the session is closed")
        self._on_close.append(listener)

    async def close(self) -> None:
        """End what it owns; at the end of `async with`. Safe to call twice."""
        self._closed = True
        while self._on_close:
            await self._on_close.pop()()

    async def ready(self, timeout: float | None = None) -> None:
        """Fetch the cluster's key and read the token, if that is still to be done, within `timeout`
        seconds. Raises `ForgedToken`, `Unavailable`."""
        if not self._keys.is_ready():
            await self._keys.ready(timeout)
        if self._unread is not None:
            self._read()

    def _read(self) -> None:
        token, self._unread = self._unread, None
        if token is not None:
            try:
                past = self._keys.read(token)
            except BaseException:
                self._unread = token
                raise
            self.saw(past.vector, past.strong, past.stamp)

    @property
    def is_read(self) -> bool:
        """Whether nothing has to be fetched before it can be used."""
        return self._unread is None

    @property
    def token(self) -> bytes:
        """The session so far, as bytes for another host or process. Raises `Unavailable` before
        the cluster's key is here (`async with` fetches it)."""
        if self._unread is not None:
            return self._unread
        if len(self._vector) > ACTORS_MAX // 2:
            self._vector = dict(self._keys.prune(self.past).vector)
        return self._keys.token(self.past)

    @property
    def past(self) -> Past:
        return Past(self._vector, self._strong, self._stamp)

    @property
    def vector(self) -> Mapping[int, int]:
        """Of each actor, the sequence up to which this session wrote or saw something."""
        return self._vector

    def saw(self, vector: Mapping[int, int], strong: int = 0, stamp: int = 0) -> None:
        """The session wrote or read this. `vector`: also what it depends on of the group."""
        mine = self._vector
        for actor, seq in vector.items():
            if actor == GROUP:
                strong = max(strong, seq)
            elif seq > mine.get(actor, 0):
                mine = {**mine, actor: seq}  # receipts share the old one
        self._vector = mine
        self._strong = max(self._strong, strong)
        self._stamp = max(self._stamp, stamp)

    def covered(self, by: object, past: Past) -> None:
        """All of the past is on the disk of the replica behind `by`."""
        self._covered = (by, past.vector, past.strong)

    def is_known_covered(self, by: object) -> bool:
        """Whether the whole past was found on the disk of the replica behind `by` before."""
        known = self._covered
        return (
            known is not None
            and known[0] is by
            and known[1] is self._vector
            and known[2] == self._strong
        )

    def __repr__(self) -> str:
        return f"<Session of {len(self._vector)} actors, strong index {self._strong}>"
