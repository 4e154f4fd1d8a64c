"""Asking another host's store: a read, an update, or a key's whole state.

The law of this file: whoever is asked answers from its own replica or says that it cannot; nobody
asks on, so a question travels one link. An error keeps its class across the link. An update whose
fate is unknown is never sent to another host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from quorate.consistency.merkle.ports import Absorbed
from quorate.consistency.store.core import Core, Wanted
from quorate.consistency.store.levels import UPDATE_LEVELS, Bounded, ReadLevel
from quorate.consistency.store.plane import Plane
from quorate.consistency.store.receipts import Receipt, Version
from quorate.consistency.store.tokens import Past
from quorate.consistency.store.views import View
from quorate.core import errors
from quorate.core.errors import (
    NotCommitted,
    OutcomeUnknown,
    QuorateError,
    StaleReplica,
    Unavailable,
    UsageError,
)
from quorate.core.group.requests import Reply

READ, WRITE, FETCH, KEYS = "store.read", "store.write", "store.fetch", "store.keys"
METHODS = (READ, WRITE, FETCH, KEYS)
Answering = Callable[[str, list[Any]], Awaitable[Any]]
"""(method, arguments) -> a plain answer; raises `QuorateError`."""


class Forward:
    """Questions to other hosts, and theirs answered by `answer`."""

    def __init__(self, plane: Plane, answer: Answering) -> None:
        self._plane = plane
        self._answer = answer
        self._counts: dict[str, int] = dict.fromkeys((*METHODS, "answered", "hinted"), 0)
        for method in METHODS:
            plane.group.requests.handle(method, self._handler(method))

    # --- being asked ------------------------------------------------------------------------------

    def _handler(self, method: str) -> Callable[[str, list[Any], Reply], None]:
        def handle(peer: str, args: list[Any], reply: Reply) -> None:
            self._plane.spawn(self._serve(method, args, reply), f"{method} for {peer}")

        return handle

    async def _serve(self, method: str, args: list[Any], reply: Reply) -> None:
        self._counts["answered"] += 1
        try:
            reply([True, await self._answer(method, args)])
        except QuorateError as error:
            reply([False, type(error).__name__, str(error)[:500], error.outcome])
        except (TypeError, ValueError, KeyError, IndexError) as error:
            reply(UsageError(f"{method}: malformed arguments ({type(error).__name__})"))

    # --- asking -----------------------------------------------------------------------------------

    async def ask(self, peer: str, method: str, args: list[Any], timeout_s: float) -> Any:
        """One question. Raises what the other host raised, or what became of the question."""
        self._counts[method] += 1
        answer = await self._plane.group.requests.ask(peer, method, args, timeout_s)
        if isinstance(answer, list):
            parts = cast("list[Any]", answer)
            if len(parts) == 2 and parts[0] is True:
                return parts[1]
            if len(parts) == 4 and parts[0] is False:
                raise error_of(*(str(part) for part in parts[1:]))
        raise OutcomeUnknown(f"host {peer!r} answered {method} with something else")

    async def read(
        self, core: Core, peer: str, key: str, level: ReadLevel, past: Past, timeout_s: float
    ) -> tuple[View, int]:
        """What `peer` sees of a key at a level, and the index of the group's log it saw it at."""
        wanted = ["bounded", *level] if isinstance(level, Bounded) else [level]
        wait_ms = int(timeout_s * 900)
        args = [core.name, key, wanted, _flat(past), past.strong, past.stamp, wait_ms]
        try:
            plain, index = await self.ask(peer, READ, args, timeout_s)
            return View.from_plain(plain), int(index)
        except (TypeError, ValueError) as error:
            if isinstance(error, QuorateError):
                raise
            raise NotCommitted(f"host {peer!r} answered a read with something else") from error

    async def write(self, core: Core, key: str, call: list[Any], wanted: Wanted) -> Receipt | None:
        """Have the nearest owner that can be reached make an update; None: nobody could be, and
        it was certainly not made."""
        plane = self._plane
        past = Past({}) if wanted.session is None else wanted.session.past
        for peer in plane.nearest(core.homes(key)):
            left_s = plane.left(wanted.until)
            options = [wanted.level, wanted.wait_for, wanted.durable, wanted.replicas]
            args = [
                core.name,
                key,
                call,
                options,
                _flat(past),
                past.strong,
                past.stamp,
                int(left_s * 900),
            ]
            try:
                answer = await self.ask(peer, WRITE, args, left_s)
            except NotCommitted as error:
                if isinstance(error, StaleReplica) or not plane.left(wanted.until):
                    raise
                continue
            except Unavailable as error:
                if error.outcome == "not_applied":
                    continue
                raise
            return self._receipt(answer, wanted)
        self._counts["hinted"] += 1
        return None

    def _receipt(self, answer: Any, wanted: Wanted) -> Receipt:
        actor, seq, stamp, replicas, durable, epoch = answer
        vector = {actor: seq} if durable else {}
        if wanted.session is not None:
            wanted.session.saw(vector, 0, stamp)
        return Receipt(
            wanted.level,
            "eventual" if wanted.level == "strong" else wanted.level,
            Version(actor, seq, stamp),
            None,
            None,
            tuple(replicas),
            durable,
            epoch,
            Past(vector, 0, stamp),
            self._plane.keyring,
        )

    async def fetch(self, core: Core, key: str, until: float) -> None:
        """Bring a key's state here from an owner. Raises `NotCommitted` when none has answered."""
        plane = self._plane
        last: QuorateError | None = None
        for peer in plane.nearest(core.homes(key)):
            left_s = plane.left(until)
            try:
                wire = await self.ask(peer, FETCH, [core.name, key], left_s)
            except Unavailable as error:
                last = error
                continue
            if wire is not None:
                await self._absorb(core, key, wire, until)
            return
        raise NotCommitted(
            f"{core.what(key)}: none of its owners {', '.join(core.homes(key))} could be asked "
            f"for its present value{'' if last is None else f' ({last})'}; nothing was changed"
        )

    async def _absorb(self, core: Core, key: str, wire: Any, until: float) -> None:
        """Join a state that was fetched; on this disk by `until`, however slow that is. Raises
        `NotCommitted`."""
        plane = self._plane
        outcome: list[Absorbed] = []

        def absorbed(found: Absorbed) -> None:
            outcome.append(found)
            plane.news.notify()

        plane.replica.absorb([[core.name, key, wire]], absorbed)
        if not await plane.news.until(lambda: bool(outcome), until) or outcome[0].failed:
            plane.check()
            why = outcome[0].failed if outcome else "the deadline passed"
            raise NotCommitted(
                f"{core.what(key)}: its present value was fetched from an owner and is not on this "
                f"host's disk ({why}); nothing was changed"
            )

    def statistics(self) -> dict[str, object]:
        return {f"{name}_total": count for name, count in self._counts.items()}


def error_of(name: str, text: str, outcome: str) -> QuorateError:
    """An error as another host raised it; one this version does not know by its outcome."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, QuorateError):
        made = kind(text)
        if made.outcome == outcome or not isinstance(made, Unavailable):
            return made
    return NotCommitted(text) if outcome == "not_applied" else OutcomeUnknown(text)


def past_of(flat: Any, strong: Any, stamp: Any) -> Past:
    """A past from a message. Raises `UsageError`."""
    numbers = cast("list[int]", flat) if type(flat) is list else [-1]
    if len(numbers) % 2 or not all(
        type(n) is int and 0 <= n < 1 << 64 for n in (*numbers, strong, stamp)
    ):
        raise UsageError("a session's past is a list of numbers")
    return Past(dict(zip(numbers[::2], numbers[1::2], strict=True)), strong, stamp)


def wanted_of(options: Any, past: Past, until: float) -> Wanted:
    """What another host asks for. Raises `UsageError`."""
    level, wait_for, durable, replicas = options
    if level not in UPDATE_LEVELS or type(wait_for) is not int or type(durable) is not bool:
        raise UsageError("malformed options of an update")
    if replicas is not None and type(replicas) is not int:
        raise UsageError("malformed options of an update")
    return Wanted(level, until, None, wait_for, durable, "continue", replicas, past)


def _flat(past: Past) -> list[int]:
    return [number for pair in past.vector.items() for number in pair]
