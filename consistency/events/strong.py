"""The strong strand of a log: in the group, dense versions, one total order.

The law of this file: an append is one transaction on the log's head, which holds the last version;
whoever did not see the newest head has no effect and tries again. Appends that wait on one host
travel together. An event id is kept beside the events for ever, so that an append with the same id
is the same append, whenever it comes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from quorate.consistency.events.event import STRONG, Event, Keys, VersionConflict, from_row, to_row
from quorate.consistency.events.port import LogPort
from quorate.core import codec
from quorate.core.errors import LimitExceeded, Overloaded, QuorateError, Stopped, Timeout
from quorate.core.group.group import Group
from quorate.core.machine import commands, limits, results
from quorate.core.machine.machine import Machine

BATCH_EVENTS_MAX = 60
BATCH_BYTES_MAX = 512 * 1024
WAITING_EVENTS_MAX = 10_000
CLOSE_TO_DEADLINE_S = 0.005


class Appended(NamedTuple):
    """Where the group applied it."""

    event: Event
    term: int
    index: int  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]
    repeated: bool
    """It was there already, under the same event id."""


@dataclass(slots=True, eq=False)
class _Waiting:
    event: Event
    """Without its number and stamp."""
    expected: int | None
    until: float
    size_bytes: int
    done: asyncio.Future[Appended] = field(repr=False)

    @property
    def alone(self) -> bool:
        """It has a condition of its own."""
        return self.expected is not None or self.event.event_id is not None


class _Head(NamedTuple):
    number: int
    stamp: int
    revision: int


class StrongStrand:
    """The strong strand of one log, as one host appends to it and reads it."""

    def __init__(self, port: LogPort, keys: Keys) -> None:
        self._port = port
        self._keys = keys
        self._ns = f"e:{port.store}"
        self._queue: deque[_Waiting] = deque()
        self._runner: asyncio.Task[None] | None = None
        self.batches = 0

    @property
    def _group(self) -> Group:
        return self._port.group

    # --- reading ---------------------------------------------------------------------------------

    def length(self) -> int:
        """The last version, as this host has it."""
        return self._head(self._group.machine).number

    def get(self, number: int) -> Event | None:
        """An event, as this host has it."""
        row = self._group.machine.kv_get(self._keys.event(STRONG, number), self._ns)
        if row is None:
            return None
        return from_row(self._keys.log, STRONG, number, codec.decode_value(row.value))

    def _head(self, machine: Machine) -> _Head:
        row = machine.kv_get(self._keys.head, self._ns)
        if row is None:
            return _Head(0, 0, 0)
        number, stamp = codec.decode_value(row.value)
        return _Head(number, stamp, row.mod_revision)

    # --- appending -------------------------------------------------------------------------------

    async def append(self, event: Event, expected: int | None, timeout: float | None) -> Appended:
        """Append; `event` without number and stamp. Raises `VersionConflict`, `Timeout` (nothing
        was appended), `OutcomeUnknown`."""
        group = self._group
        if group.broken is not None:
            raise group.broken
        size_bytes = len(codec.encode_value(to_row(event))) + 256
        if size_bytes > limits.VALUE_BYTES_MAX:
            raise LimitExceeded(f"the event has over {limits.VALUE_BYTES_MAX} bytes")
        if len(self._queue) >= WAITING_EVENTS_MAX:
            raise Overloaded(f"{WAITING_EVENTS_MAX} events wait to be appended here; slow down")
        until = group.clock.monotonic() + group.seconds(timeout)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(event, expected, until, size_bytes, loop.create_future())
        self._queue.append(waiting)
        if self._runner is None or self._runner.done():
            self._runner = loop.create_task(self._run(), name=f"append {self._keys.log}")
        return await waiting.done

    async def _run(self) -> None:
        while self._queue:
            batch = self._take()
            if not batch:
                continue
            try:
                await self._append(batch)
            except QuorateError as error:
                _end(batch, error)
            except asyncio.CancelledError:
                _end([*batch, *self._queue], Stopped("the host is stopping"))
                raise

    def _take(self) -> list[_Waiting]:
        """The next that go together, without those whose callers are gone or out of time."""
        now = self._group.clock.monotonic()
        batch: list[_Waiting] = []
        size_bytes = 0
        while self._queue and len(batch) < BATCH_EVENTS_MAX:
            one = self._queue[0]
            if one.done.done() or one.until - now < CLOSE_TO_DEADLINE_S:
                _end([self._queue.popleft()], Timeout("the event was not appended in time"))
                continue
            if batch and (one.alone or size_bytes + one.size_bytes > BATCH_BYTES_MAX):
                break
            batch.append(self._queue.popleft())
            size_bytes += one.size_bytes
            if one.alone:
                break
        return batch

    async def _append(self, batch: list[_Waiting]) -> None:
        """Until it is done, or the first deadline of the batch."""
        group = self._group
        until = min(one.until for one in batch)
        fresh = False
        while True:
            left = until - group.clock.monotonic()
            if left <= 0:
                raise Timeout("others appended first until the deadline; nothing was appended")
            head = self._head(group.machine)
            first = batch[0]
            if first.expected is not None and head.number != first.expected:
                if not fresh:
                    await group.read_point("linearizable", left)
                    fresh = True
                    continue
                text = f"log {self._keys.log!r} is at version {head.number}, not {first.expected}"
                raise VersionConflict(text, head.number)
            if self._is_repeated(first):
                return
            if await self._try(batch, head, left):
                return
            fresh = False

    def _is_repeated(self, one: _Waiting) -> bool:
        event_id = one.event.event_id
        if event_id is None:
            return False
        row = self._group.machine.kv_get(self._keys.event_id(event_id), self._ns)
        if row is None:
            return False
        found = self.get(cast(int, codec.decode_value(row.value)))
        if found is not None and not one.done.done():
            one.done.set_result(Appended(found, 0, 0, True))
        return found is not None

    async def _try(self, batch: list[_Waiting], head: _Head, left: float) -> bool:
        """One transaction on the head as this host has it; whether it was still that one."""
        stamp, number = head.stamp, head.number
        events: list[Event] = []
        then: list[commands.Command] = []
        compares = [commands.compare(self._keys.head, "mod", "=", head.revision, self._ns)]
        for one in batch:
            stamp, number = self._port.stamp(stamp), number + 1
            event = one.event._replace(stamp=stamp, number=number)
            key = self._keys.event(STRONG, number)
            events.append(event)
            then.append(commands.put(key, codec.encode_value(to_row(event)), 0, self._ns))
            if event.event_id is not None:
                id_key = self._keys.event_id(event.event_id)
                compares.append(commands.compare(id_key, "exists", "=", False, self._ns))
                then.append(commands.put(id_key, codec.encode_value(number), 0, self._ns))
        new_head = codec.encode_value([number, stamp])
        then.append(commands.put(self._keys.head, new_head, 0, self._ns))
        size_bytes = sum(one.size_bytes for one in batch) + 256
        command = commands.txn(compares, then)
        index, term, answer = await self._group.propose(command, size_bytes, left)
        results.raise_for(answer, f"append to {self._keys.log!r}")
        if not answer[1]:
            return False
        self.batches += 1
        for one, event in zip(batch, events, strict=True):
            if not one.done.done():
                one.done.set_result(Appended(event, term, index, False))
        return True

    async def close(self) -> None:
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)


def _end(batch: list[_Waiting], error: QuorateError) -> None:
    for one in batch:
        if not one.done.done():
            one.done.set_exception(error)
