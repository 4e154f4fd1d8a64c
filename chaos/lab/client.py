"""A client of a workload: one caller in a host's process, and its part of the history.

The law of this file: what is asked is recorded before the call is made and what came of it right
after; nothing is tried again. An error that says "certainly not" is a `fail`, every other one is
unknown. A client has one operation in flight.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Any, Self

from quorate.chaos.lab.resource import Resource
from quorate.consistency.check.history import Event, Key, Recorder
from quorate.core.errors import QuorateError
from quorate.hosts.host import Host


class Op:
    """One operation: `async with client.op("read", key) as op: op.ok(await ...)`.

    A `QuorateError` of the body is recorded and ends the block; any other one is recorded and goes
    on. A body that says nothing leaves the operation unknown."""

    def __init__(self, client: Client, f: str, key: Key, value: Any, more: dict[str, Any]) -> None:
        self._client = client
        self._asked = (f, key, value, more)
        self._open = False
        self.error: BaseException | None = None
        """What the body raised."""
        self.done = False
        """Whether it was answered with `ok`."""

    def ok(self, value: Any = None, **more: Any) -> None:
        """It happened, and this is the answer; `more`: `witness=`, `dot=`, `versions=`, ..."""
        self._client.recorder.ok(self._client.id, value, **more)
        self._open, self.done = False, True

    def fail(self, why: str) -> None:
        """It certainly never happens."""
        self._client.recorder.fail(self._client.id, why)
        self._open = False

    async def __aenter__(self) -> Self:
        f, key, value, more = self._asked
        self._client.recorder.invoke(
            self._client.id, f, key, value, **{"host": self._client.host.id, **more}
        )
        self._open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self.error = error
        if self._open:
            self._open = False
            if error is None:
                self._client.recorder.unknown(self._client.id, "left without an answer")
            else:
                self._client.recorder.raised(self._client.id, error)
        return isinstance(error, QuorateError)


class Client:
    """A caller with a name, its own dice, and a number that counts up."""

    def __init__(
        self,
        host: Host,
        client_id: str,
        *,
        rng: Random,
        resource: Resource,
        sink: Callable[[Event], object],
        peers: tuple[str, ...] = (),
    ) -> None:
        self.host = host
        self.id = client_id
        """`host.incarnation/number`: no two callers of a run have one."""
        self.rng = rng
        self.resource = resource
        """The resource outside of the cluster, which takes fenced effects."""
        self.peers = peers
        """The ids of all hosts of the run, in order."""
        self.here: dict[str, Any] = {}
        """Whatever the workload wants to keep for this client."""
        self.sink = sink
        self.recorder = Recorder(time.monotonic_ns, unit="ns", sink=sink)
        self._number = 0

    def number(self) -> int:
        """1, 2, 3, ..."""
        self._number += 1
        return self._number

    def unique(self) -> str:
        """A text that no other call of this run gives."""
        return f"{self.id}#{self.number()}"

    def op(self, f: str, key: Key = None, value: Any = None, **more: Any) -> Op:
        """An operation to be recorded; enter it with `async with`."""
        self.recorder.events.clear()  # the sink has them
        return Op(self, f, key, value, more)

    def alone(self, what: str) -> Client:
        """A caller beside this one, for what overlaps with it."""
        return Client(
            self.host,
            f"{self.id}-{what}{self.number()}",
            rng=self.rng,
            resource=self.resource,
            sink=self.sink,
            peers=self.peers,
        )

    async def pause(self, seconds: float) -> None:
        """Do nothing for so long."""
        await asyncio.sleep(seconds)


_house: list[Client] = []


def open_house(client: Client) -> None:
    """Let agents of this process act outside of the cluster, and have it recorded, through callers
    beside `client`."""
    _house[:] = [client]


def here(what: str) -> Client:
    """A caller of this process for an agent's own acts."""
    return _house[0].alone(what)
