"""Messages to an agent, and how each of them ends.

The law of this file: a message ends once: with a value, an error, or as a dead letter. Who is told
is its own affair: a future on this host, or the host that sent it. Pure but for the future that is
handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from quorate.core.errors import QuorateError

NOBODY: tuple[str, ...] = ()
NO_ARGUMENTS: dict[str, Any] = {}


class Sender(NamedTuple):
    """Who sent a message: an agent, or a program on a host (then `name` is empty)."""

    host: str
    name: str = ""
    epoch: int = 0


class Origin(Protocol):
    """The host that a message came from, as far as answering goes."""

    def answer(self, id_: int, ok: bool, value: object, degraded: bool) -> None: ...


Work = Callable[[Any], Awaitable[object]]


class Message:
    """One message. `kind`: "ask" (somebody waits), "tell" (nobody does), "call" (the host's own
    work on the agent, `work` instead of `method`)."""

    __slots__ = (
        "args",
        "body",
        "chain",
        "deadline",
        "degraded",
        "ended",
        "future",
        "hops",
        "id",
        "kind",
        "kwargs",
        "level",
        "method",
        "on_end",
        "options",
        "origin",
        "sender",
        "size_bytes",
        "times_back",
        "work",
    )

    def __init__(
        self,
        kind: str,
        method: str,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] = NO_ARGUMENTS,
        *,
        sender: Sender | None = None,
        chain: tuple[str, ...] = NOBODY,
        deadline: float = 0.0,
        future: asyncio.Future[Any] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.kind = kind
        self.method = method
        self.args = args
        self.kwargs = kwargs
        self.body: bytes | None = None
        """The encoded arguments of a message that came from elsewhere, until its turn begins."""
        self.sender = sender
        self.chain = chain
        self.deadline = deadline
        """When nobody waits for it any more (monotonic seconds); 0: never."""
        self.future = future
        self.options = options
        self.level: str | None = options.get("consistency") if options else None
        self.origin: Origin | None = None
        self.id = 0
        """The number under which `origin` waits for the answer."""
        self.hops = 0
        self.times_back = 0
        """How often it came back untouched."""
        self.size_bytes = 0
        self.degraded = False
        self.ended = False
        self.work: Work | None = None
        self.on_end: Callable[[BaseException | None], None] | None = None

    def end(self, ok: bool, value: object) -> None:
        """Tell whoever waits; the second and later times nothing happens."""
        if self.ended:
            return
        self.ended = True
        future = self.future
        if future is not None:
            if not future.done():
                if ok:
                    future.set_result(value)
                else:
                    future.set_exception(value)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        elif self.origin is not None and self.kind == "ask":
            self.origin.answer(self.id, ok, value, self.degraded)
        if self.on_end is not None:
            self.on_end(None if ok else value)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def fail(self, error: QuorateError) -> None:
        """End with an error."""
        self.end(False, error)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.method}>"
