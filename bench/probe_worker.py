"""One quorate host with stores, asked about single calls: at a pace, in a cut, by version, counted.

The law of this file: it obeys the orders of the harness through the public API, with its defaults,
and leaves all arithmetic but histograms to the harness. `flush` goes around the API: what is put
off is not what is saved.

Run by the harness: `python -m quorate.bench.probe_worker '{"id", "data", "listen", "peers"}'`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import quorate
from quorate.bench.lines import Order
from quorate.bench.paced import paced, paced_in_a_row
from quorate.bench.store_worker import CALL_TIMEOUT_S, StoreWorker
from quorate.bench.trials import trial
from quorate.bench.worker import run_worker

Calls = Callable[[int], Awaitable[object]]


class _Writing:
    """Of `write_versions`: whether it has begun, and whether it is to end."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.stopped = False


async def _until(due_ns: int) -> None:
    """Sleep until then, on the monotonic clock; not at all if it is past."""
    early_ns = due_ns - time.monotonic_ns()
    if early_ns > 0:
        await asyncio.sleep(early_ns / 1e9)


class ProbeWorker(StoreWorker):
    """The orders a host with stores understands, and more."""

    _writing_versions: _Writing

    def handlers(self) -> dict[str, Callable[[Order], Awaitable[Any]]]:
        names = ("pace", "trials", "write_versions", "versions_begun", "stop_versions")
        names = (*names, "read_versions", "counted", "flush")
        return {**super().handlers(), **{name: getattr(self, name) for name in names}}

    def _calls(self, op: str, level: str) -> Calls:
        """The n-th call of a kind, as the closed loop has it."""
        if op == "put":
            return self._writing(level)
        read, keys = self._reading(level), self.keys
        count = len(keys)
        return lambda n: read(keys[n % count])

    async def pace(self, order: Order) -> dict[str, Any]:
        """`per_s` calls a second, whatever becomes of them; `in_a_row`: they are answered from
        memory."""
        await self.open_session()
        generate = paced_in_a_row if order["in_a_row"] else paced
        done = await generate(
            self._calls(order["op"], order["level"]),
            per_s=order["per_s"],
            warmup_s=order["warmup_s"],
            seconds=order["seconds"],
        )
        return done.to_json()

    # --- a cut ------------------------------------------------------------------------------------

    async def trials(self, order: Order) -> dict[str, Any]:
        """All levels at once, `per_s` calls of each, with deadlines of `within_s`."""
        await self.open_session()
        within_s: float = order["within_s"]
        bound = quorate.bounded(ms=order["bound_ms"])
        store, session, own, value = self.store, self._session, self.own, self.value
        count = len(own)
        counter = self.counters.pn_counter("cut")
        calls: dict[str, Calls] = {
            "strong write": lambda n: store.put(
                f"strong/{own[n % count]}", value, consistency="strong", timeout=within_s
            ),
            "session write": lambda n: store.put(
                own[n % count], value, consistency="session", session=session, timeout=within_s
            ),
            "eventual write": lambda n: store.put(own[n % count], value, timeout=within_s),
            "CRDT increment": lambda n: counter.increment(timeout=within_s),
            "linearizable read": lambda n: store.get(
                f"strong/{own[n % count]}", level="linearizable", timeout=within_s
            ),
            "session read": lambda n: store.get(
                own[n % count], level="session", session=session, timeout=within_s
            ),
            "bounded read": lambda n: store.get(own[n % count], level=bound, timeout=within_s),
            "local read": lambda n: store.get(own[n % count], level="local", timeout=within_s),
        }
        found = await asyncio.gather(
            *(
                trial(call, per_s=order["per_s"], seconds=order["seconds"])
                for call in calls.values()
            )
        )
        return {name: one.to_json() for name, one in zip(calls, found, strict=True)}

    # --- versions ---------------------------------------------------------------------------------

    async def write_versions(self, order: Order) -> dict[str, Any]:
        """One key, versions 1, 2, 3, … at `per_s` a second, each after the one before is
        acknowledged, until `stop_versions`; answers [called, acknowledged] of each."""
        key, level, store = order["key"], order["level"], self.store
        counter = self.counters.pn_counter(key)
        self._writing_versions = state = _Writing()
        rows: list[list[int]] = []
        first = time.monotonic_ns()
        try:
            while not state.stopped:
                await _until(first + round(len(rows) / order["per_s"] * 1e9))
                called, version = time.monotonic_ns(), len(rows) + 1
                if level == "crdt":
                    await counter.increment(timeout=CALL_TIMEOUT_S)
                else:
                    value = [version, called]
                    await store.put(key, value, consistency=level, timeout=CALL_TIMEOUT_S)
                rows.append([called, time.monotonic_ns()])
                state.begun.set()
        finally:
            state.begun.set()
        return {"rows": rows}

    async def versions_begun(self, order: Order) -> dict[str, Any]:
        """Wait until one version is acknowledged (or none will be)."""
        await self._writing_versions.begun.wait()
        return {}

    async def stop_versions(self, order: Order) -> dict[str, Any]:
        """No version after the one that is being written."""
        self._writing_versions.stopped = True
        return {}

    async def read_versions(self, order: Order) -> dict[str, Any]:
        """Read that key at `per_s` a second for `seconds`; answers [called, returned, version] of
        each, and the errors by name."""
        read = self._version_reading(order)
        rows: list[list[int]] = []
        errors: dict[str, int] = {}
        first, n, called = time.monotonic_ns(), 0, 0
        while called < first + order["seconds"] * 1e9:
            await _until(first + round(n / order["per_s"] * 1e9))
            n += 1
            called = time.monotonic_ns()
            try:
                version = await read()
            except quorate.QuorateError as error:
                errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1
                continue
            rows.append([called, time.monotonic_ns(), version])
        return {"rows": rows, "errors": errors}

    def _version_reading(self, order: Order) -> Callable[[], Awaitable[int]]:
        key, level, store = order["key"], order["level"], self.store
        options: dict[str, Any] = {"level": level, "timeout": CALL_TIMEOUT_S}
        if level == "bounded":
            options["level"] = quorate.bounded(ms=order["bound_ms"])
        if level == "session":
            options["session"] = self.host.session()
        if order["crdt"]:
            counter = self.counters.pn_counter(key)
            return lambda: counter.value(**options)

        async def read() -> int:
            value = await store.get(key, **options)
            return 0 if value is None else int(value[0])

        return read

    # --- counted ----------------------------------------------------------------------------------

    async def counted(self, order: Order) -> dict[str, Any]:
        """Exactly `count` calls, `in_flight` at a time."""
        await self.open_session()
        call, numbers = self._calls(order["op"], order["level"]), iter(range(order["count"]))

        async def some() -> None:
            for n in numbers:
                await call(n)

        await asyncio.gather(*(some() for _ in range(order["in_flight"])))
        return {}

    async def flush(self, order: Order) -> dict[str, Any]:
        """Put on disk what would go there later."""
        replica = self.host.stores.replica
        replica.settle()
        flushed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        replica.flush(flushed.set_result)
        await flushed
        return {}


if __name__ == "__main__":
    run_worker(ProbeWorker)
