"""Questions between hosts that are not Raft: ask a peer, get one answer or an error, never wait
past the deadline.

The law of this file: a request is carried out and answered at most once and never outlives its
deadline on either side; what is pending is bounded on both sides; a peer that goes away ends what
was asked of it at once, with an unknown outcome, because it may have been done. Messages are
`{'type': 'req', 'id', 'run', 'method', 'args', 'deadline_ms'}` and `{'type': 'res', 'id', 'ok' |
'error'}`. A malformed message is dropped and counted: no peer can make this host raise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from quorate.core.clock import Clock
from quorate.core.errors import (
    NotCommitted,
    OutcomeUnknown,
    Overloaded,
    QuorateError,
    Refused,
    Stopped,
    Unavailable,
    UsageError,
)
from quorate.core.group.deadlines import Deadlines

PENDING_REQUESTS_MAX = 4096
ANSWERING_REQUESTS_MAX = 256
DEADLINE_MS_MAX = 60_000
RUNS_REMEMBERED_MAX = 8
"""Lives of a peer's process whose late questions are still recognised."""
ERROR_TEXT_CHARS_MAX = 500

Reply = Callable[[object], None]
"""Call once with the answer, or with a `QuorateError` to answer with an error."""
Handler = Callable[[str, list[Any], Reply], None]
"""(peer, arguments, reply): starts the work; answers now or later."""


async def answer(work: Awaitable[object], reply: Reply) -> None:
    """Await the work of a handler and reply with what came of it, a `QuorateError` too."""
    try:
        reply(await work)
    except QuorateError as error:
        reply(error)


class Send(Protocol):
    """Hands a message to a peer; False when it certainly did not leave."""

    def __call__(self, peer: str, message: dict[str, Any], /) -> bool: ...


class _Asked:
    __slots__ = ("bucket", "id", "method", "peer", "requests", "waiter")

    def __init__(
        self, requests: Requests, id_: int, peer: str, method: str, waiter: asyncio.Future[Any]
    ) -> None:
        self.requests = requests
        self.id = id_
        self.peer = peer
        self.method = method
        self.waiter = waiter
        self.bucket: dict[Any, None] | None = None

    def on_deadline(self, now: float) -> None:
        self.requests.end(
            self, OutcomeUnknown(f"{self.method}: host {self.peer!r} did not answer in time")
        )


class _Answer:
    """The answer to one question of a peer: given once, in time, or not at all."""

    __slots__ = ("_id", "_peer", "_requests", "bucket")

    def __init__(self, requests: Requests, peer: str, id_: int) -> None:
        self._requests: Requests | None = requests
        self._peer = peer
        self._id = id_
        self.bucket: dict[Any, None] | None = None

    def __call__(self, answer: object) -> None:
        requests = self._close()
        if requests is not None:
            requests.respond(self._peer, self._id, answer)

    def on_deadline(self, now: float) -> None:
        self._close()

    def _close(self) -> Requests | None:
        requests, self._requests = self._requests, None
        if requests is not None:
            requests.answered(self._peer)
            if self.bucket is not None:
                self.bucket.pop(self, None)
        return requests


class Requests:
    """The request layer of one host."""

    def __init__(
        self,
        *,
        host_id: str,
        send: Send,
        clock: Clock,
        deadlines: Deadlines,
        make_future: Callable[[], asyncio.Future[Any]],
        run_id: int = 0,
    ) -> None:
        """`run_id`: another number in every life of this host's process."""
        self._host_id = host_id
        self._send = send
        self._clock = clock
        self._deadlines = deadlines
        self._make_future = make_future
        self._handlers: dict[str, Handler] = {}
        self._asked: dict[int, _Asked] = {}
        self._answering: dict[str, int] = {}
        self._run_id = run_id
        self._heard: dict[str, dict[int, int]] = {}
        """Peer -> its runs, the present one last -> the highest question heard."""
        self._next_id = 1
        self._stopped = False
        self._counts = dict.fromkeys(
            ("asked", "answered", "handled", "malformed", "refused", "repeated"), 0
        )

    def handle(self, method: str, handler: Handler) -> None:
        """Answer `method` with `handler`."""
        self._handlers[method] = handler

    async def ask(self, peer: str, method: str, args: list[Any], timeout_s: float) -> Any:
        """Ask `peer` (this host included) and return its answer.

        Raises `Unavailable` (did not leave), `OutcomeUnknown` (no answer in time, the peer went
        away), `Overloaded`, `Stopped`, or the `NotCommitted` or `UsageError` the peer answered
        with."""
        if self._stopped:
            raise Stopped("the host is stopped or stopping")
        if len(self._asked) >= PENDING_REQUESTS_MAX:
            raise Overloaded(f"{PENDING_REQUESTS_MAX} questions to other hosts wait already")
        asked = _Asked(self, self._next_id, peer, method, self._make_future())
        self._next_id += 1
        self._asked[asked.id] = asked
        asked.bucket = self._deadlines.add(self._clock.monotonic() + timeout_s, asked)
        self._counts["asked"] += 1
        deadline_ms = min(DEADLINE_MS_MAX, max(1, int(timeout_s * 1000)))
        message = {
            "type": "req",
            "id": asked.id,
            "run": self._run_id,
            "method": method,
            "args": args,
            "deadline_ms": deadline_ms,
        }
        if peer == self._host_id:
            self._on_request(peer, message)
        elif not self._send(peer, message):
            self._drop(asked)
            raise Unavailable(f"{method}: host {peer!r} cannot be reached")
        try:
            return await asked.waiter
        except asyncio.CancelledError:
            self._drop(asked)
            raise

    def on_message(self, peer: str, message: dict[str, Any]) -> bool:
        """Take a message if it is one of ours; False otherwise."""
        kind = message.get("type")
        if kind == "req":
            self._on_request(peer, message)
        elif kind == "res":
            self._on_response(peer, message)
        else:
            return False
        return True

    def _on_request(self, peer: str, message: dict[str, Any]) -> None:
        id_, method, args = message.get("id"), message.get("method"), message.get("args")
        deadline_ms = message.get("deadline_ms")
        if (
            not isinstance(id_, int)
            or not isinstance(method, str)
            or not isinstance(args, list)
            or not isinstance(deadline_ms, int)
        ):
            self._counts["malformed"] += 1
            return
        if not self._is_news(peer, message.get("run", 0), id_):
            self._counts["repeated"] += 1
            return
        arguments = cast(list[Any], args)
        seconds = min(max(deadline_ms, 0), DEADLINE_MS_MAX) / 1000
        waiting = self._answering.get(peer, 0)
        self._answering[peer] = waiting + 1
        reply = _Answer(self, peer, id_)
        reply.bucket = self._deadlines.add(self._clock.monotonic() + seconds, reply)
        handler = self._handlers.get(method)
        if handler is None:
            reply(UsageError(f"host {self._host_id!r} has no method {method!r}"))
        elif waiting >= ANSWERING_REQUESTS_MAX:
            self._counts["refused"] += 1
            reply(Overloaded(f"host {self._host_id!r} answers {waiting} questions already"))
        else:
            self._counts["handled"] += 1
            try:
                handler(peer, arguments, reply)
            except (UsageError, Unavailable, Refused) as error:
                reply(error)
            except (TypeError, ValueError, IndexError, KeyError) as error:
                self._counts["malformed"] += 1
                reply(UsageError(f"{method}: malformed arguments ({type(error).__name__})"))

    def _is_news(self, peer: str, run: Any, id_: int) -> bool:
        """Questions of one run come in order: what does not is a late copy of one that was done,
        or that nobody waits for (S2)."""
        if peer == self._host_id:
            return True
        runs = self._heard.setdefault(peer, {})
        if type(run) is not int:
            return False
        if run in runs:
            if run != next(reversed(runs)) or id_ <= runs[run]:
                return False
        elif len(runs) >= RUNS_REMEMBERED_MAX:
            del runs[next(iter(runs))]
        runs[run] = id_
        return True

    def answered(self, peer: str) -> None:
        """One question of `peer` less waits for its answer here."""
        self._answering[peer] = max(0, self._answering.get(peer, 0) - 1)

    def respond(self, peer: str, id_: int, answer: object) -> None:
        """Send an answer; a `QuorateError` is sent as an error."""
        message: dict[str, Any] = {"type": "res", "id": id_}
        if isinstance(answer, QuorateError):
            kind = answer.outcome
            if isinstance(answer, UsageError | Refused):
                kind = "usage" if isinstance(answer, UsageError) else "refused"
            message["error"] = [kind, str(answer)[:ERROR_TEXT_CHARS_MAX]]
        else:
            message["ok"] = answer
        if peer == self._host_id:
            self._on_response(peer, message)
        else:
            self._send(peer, message)

    def _on_response(self, peer: str, message: dict[str, Any]) -> None:
        id_ = message.get("id")
        asked = self._asked.get(id_) if isinstance(id_, int) else None
        if asked is None or asked.peer != peer:
            self._counts["malformed"] += asked is not None
            return
        self._counts["answered"] += 1
        error = message.get("error")
        if error is not None:
            self.end(asked, _error_of(error))
            return
        self._drop(asked)
        if not asked.waiter.done():
            asked.waiter.set_result(message.get("ok"))

    def on_peer_down(self, peer: str) -> None:
        """What was asked of `peer` may or may not have been done."""
        for asked in [asked for asked in self._asked.values() if asked.peer == peer]:
            self.end(asked, OutcomeUnknown(f"{asked.method}: the link to host {peer!r} broke"))
        self._answering.pop(peer, None)

    def end(self, asked: _Asked, error: QuorateError) -> None:
        self._drop(asked)
        if not asked.waiter.done():
            asked.waiter.set_exception(error)

    def _drop(self, asked: _Asked) -> None:
        self._asked.pop(asked.id, None)
        if asked.bucket is not None:
            asked.bucket.pop(asked, None)

    def stop(self) -> None:
        """End everything that waits."""
        self._stopped = True
        for asked in list(self._asked.values()):
            self.end(asked, OutcomeUnknown(f"{asked.method}: the host stopped"))

    def statistics(self) -> dict[str, object]:
        return {
            "pending": len(self._asked),
            **{f"{name}_total": n for name, n in self._counts.items()},
        }


def _error_of(error: object) -> QuorateError:
    parts = cast(list[object], error) if isinstance(error, list) else []
    kind, text = (str(parts[0]), str(parts[1])) if len(parts) == 2 else ("unknown", "no text")
    if kind == "usage":
        return UsageError(text)
    if kind == "refused":
        return Refused(text)
    return NotCommitted(text) if kind == "not_applied" else OutcomeUnknown(text)
