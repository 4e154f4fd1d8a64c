"""One quorate host in a process of its own, with a load on its stores inside.

The law of this file: it obeys the orders of the harness (see `lines`) through the public API, with
its defaults: `host.store(name)`. Two orders go around it and say so: `load_states` hands key states
to the replica as an exchange between hosts does, because a million writes are not what is measured;
`positions` and `wait_covers` ask the replica how far it is, because that is what no user sees.

Run by the harness: `python -m quorate.bench.store_worker '{"id", "data", "listen", "peers"}'`.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from array import array
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.bench.bursts import bursts, cost_ns
from quorate.bench.histogram import Histogram
from quorate.bench.lines import Order
from quorate.bench.load import Load, closed_loop
from quorate.bench.paced import paced
from quorate.bench.worker import Worker, run_worker
from quorate.core import codec

CALL_TIMEOUT_S = 20.0
POLL_S = 0.002
STORE = "bench"
COUNTERS = "counters"
PROBES = "probes"
PROBE_KEYS = 4096
CHUNK_KEYS = 1000
STAMP = 1 << 40
"""Of states that are loaded: 1970, older than whatever is written."""

Call = Callable[[Any], Awaitable[object]]


def key_of(number: int) -> str:
    return f"key/{number:07d}"


class StoreWorker(Worker):
    """The orders a host with stores understands."""

    _session: Any = None
    _lags: array[int] | None = None

    def handlers(self) -> dict[str, Callable[[Order], Awaitable[Any]]]:
        names = (
            *("open", "store_load", "generator", "positions", "wait_covers", "content"),
            *("lag_watch", "lag_load", "lags", "load_states", "repair", "roots", "wire", "values"),
        )
        return {**super().handlers(), **{name: getattr(self, name) for name in names}}

    # --- levels -----------------------------------------------------------------------------------

    async def open(self, order: Order) -> Any:
        """Define the stores, write `keys` keys, each host its part (`own`). What is written to all
        keys goes through them in an order of the host's own."""
        host = self.host
        self.store, self.counters = host.store(STORE), host.store(COUNTERS)
        self.probes = host.store(PROBES)
        self.keys = [key_of(n) for n in range(order["keys"])]
        self.value = os.urandom(order["value_bytes"])
        await self.counters.pn_counter("first").increment()
        await self.probes.put("first", 0)
        self.own = part = self.keys[order["part"] :: order["parts"]]
        random.Random(order["part"]).shuffle(self.keys)
        for start in range(0, len(part), CHUNK_KEYS):
            await asyncio.gather(
                *(self.store.put(k, self.value) for k in part[start : start + CHUNK_KEYS])
            )
        return {}

    def _reading(self, level: str) -> Call:
        store, session = self.store, self._session
        if level == "default":
            return store.get
        if level == "session":
            return lambda key: store.get(key, level="session", session=session)
        if level == "local":
            return lambda key: store.get(key, level="local")
        return lambda key: store.get(key, level="linearizable", timeout=CALL_TIMEOUT_S)

    def _writing(self, level: str) -> Callable[[int], Awaitable[object]]:
        store, value, session = self.store, self.value, self._session
        keys = self.own if level in ("eventual", "session") else self.keys
        count = len(keys)
        if level in ("eventual", "contended"):
            return lambda n: store.put(keys[n % count], value)
        if level == "crdt":
            handles = [self.counters.pn_counter(key) for key in keys]
            return lambda n: handles[n % count].increment()
        if level == "session":
            return lambda n: store.put(
                keys[n % count], value, consistency="session", session=session
            )
        return lambda n: store.put(
            f"strong/{keys[n % count]}", value, consistency="strong", timeout=CALL_TIMEOUT_S
        )

    async def open_session(self) -> None:
        """The session of this host's calls, which has seen some of everybody's keys."""
        if self._session is None:
            self._session = self.host.session()
            await self._session.ready()
            for key in self.keys[::97]:
                await self.store.get(key, level="session", session=self._session)

    async def store_load(self, order: Order) -> dict[str, Any]:
        """`op` "get" or "put" at `level`: reads from memory in bursts, the rest in a closed loop
        with `in_flight`."""
        await self.open_session()
        window = {"warmup_s": order["warmup_s"], "seconds": order["seconds"]}
        level: str = order["level"]
        if order["op"] == "get" and order["in_flight"] == 0:
            return (await bursts(self._reading(level), self.keys, **window)).to_json()
        if order["op"] == "get":
            read, keys = self._reading(level), self.keys
            count = len(keys)
            load = await closed_loop(
                lambda n: read(keys[n % count]), in_flight=order["in_flight"], **window
            )
            return load.to_json()
        load = await closed_loop(self._writing(level), in_flight=order["in_flight"], **window)
        return load.to_json()

    async def generator(self, order: Order) -> float:
        """What the burst generator costs for each call, in nanoseconds."""
        return await cost_ns(order["seconds"])

    # --- how far it is ----------------------------------------------------------------------------

    async def positions(self, order: Order) -> dict[str, int]:
        """What of everybody's updates is durable here: actor -> seq."""
        replica = self.host.stores.replica
        return {str(actor): seq for actor, seq in replica.applied.items()}

    async def wait_covers(self, order: Order) -> dict[str, int]:
        """The moment (monotonic) at which everything in `vector` was durable here."""
        replica, loop = self.host.stores.replica, asyncio.get_running_loop()
        vector = {int(actor): seq for actor, seq in order["vector"].items()}
        until = loop.time() + order["within_s"]
        while not replica.covers(vector):
            if loop.time() > until:
                raise TimeoutError(f"not there after {order['within_s']} s: {replica.applied}")
            await asyncio.sleep(POLL_S)
        return {"at_ns": time.monotonic_ns()}

    async def content(self, order: Order) -> str:
        """A digest of every key and state of the store `bench`, as the Merkle tree has it."""
        replica = self.host.stores.replica
        replica.settle()
        return f"{replica.tree(STORE).root():x}"

    async def values(self, order: Order) -> dict[str, Any]:
        """Write `count` keys from `first` on, each once, at the eventual level."""
        numbers = range(order["first"], order["first"] + order["count"])
        await asyncio.gather(*(self.store.put(key_of(n), self.value) for n in numbers))
        return {}

    # --- lag --------------------------------------------------------------------------------------

    async def lag_watch(self, order: Order) -> None:
        """From now on time every probe of another host that becomes visible here."""
        own, replica = f"{self.host.id}/", self.host.stores.replica
        self._lags = lags = array("q")
        clock, begin = time.monotonic_ns, time.monotonic_ns() + int(order["warmup_s"] * 1e9)

        def on_change(store: str, key: str) -> None:
            if key.startswith(own):
                return
            state: Any = replica.read(store, key)
            written_ns = codec.decode_value(state.entries[0].value)
            if written_ns > begin:
                lags.append(clock() - written_ns)

        self.probes.on_change(on_change)

    async def lag_load(self, order: Order) -> dict[str, Any]:
        """`per_s` eventual writes a second; every `probe_every`th carries the time of its call."""
        put, probe, own = self.store.put, self.probes.put, self.host.id
        keys, value, every = self.own, self.value, order["probe_every"]
        count, clock = len(keys), time.monotonic_ns

        def operation(n: int) -> Awaitable[object]:
            if n % every == 0:
                return probe(f"{own}/{n // every % PROBE_KEYS}", clock())
            return put(keys[n % count], value)

        done = await paced(
            operation, per_s=order["per_s"], warmup_s=order["warmup_s"], seconds=order["seconds"]
        )
        return done.to_json()

    async def lags(self, order: Order) -> dict[str, Any]:
        """What `lag_watch` saw."""
        lags = self._lags or array("q")
        return Load(len(lags), 0, 1.0, Histogram.of(lags)).to_json()

    # --- repair -----------------------------------------------------------------------------------

    async def load_states(self, order: Order) -> dict[str, Any]:
        """Hand the replica the states of `count` keys from `first` on in steps of `step`, written
        once by `actor`, as an exchange hands over states: joined, logged, synced."""
        replica, loop = self.host.stores.replica, asyncio.get_running_loop()
        actor, step, generation = order["actor"], order["step"], order["generation"]
        value = codec.encode_value(order["text"])
        numbers = range(order["first"], order["first"] + order["count"] * step, step)
        waiting: list[asyncio.Future[Any]] = []
        for start in range(0, len(numbers), CHUNK_KEYS):
            entries: list[list[Any]] = []
            for n in numbers[start : start + CHUNK_KEYS]:
                seq = (generation << 32) + n + 1
                rows = [[actor, seq, STAMP + generation, value, None]]
                entries.append([STORE, key_of(n), ["register", rows, [actor, seq]]])
            done: asyncio.Future[Any] = loop.create_future()
            replica.absorb(entries, done.set_result)
            waiting.append(done)
            if len(waiting) >= 4:
                failed = (await waiting.pop(0)).failed
                if failed:
                    raise ValueError(failed)
            await asyncio.sleep(0)
        for done in waiting:
            await done
        replica.settle()
        flushed: asyncio.Future[Any] = loop.create_future()
        replica.flush(flushed.set_result)
        await flushed
        return {}

    async def repair(self, order: Order) -> dict[str, Any]:
        """One exchange with `peer` over the whole store; answers its report."""
        stores, loop = self.host.stores, asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        began = time.monotonic_ns()
        if not stores.exchange.start(order["peer"], [STORE], range(256), done.set_result):
            raise ValueError("too many exchanges run with this peer")
        report = await done
        return {
            "began_ns": began,
            "took_s": (time.monotonic_ns() - began) / 1e9,
            "complete": report.complete,
            "why": report.why,
            "keys_sent": report.keys_sent,
            "keys_received": report.keys_received,
            "buckets_differing": report.buckets_differing,
            "rounds": report.rounds,
        }

    async def roots(self, order: Order) -> list[str]:
        """The digest of the store, without settling first: what an exchange would compare."""
        return [f"{self.host.stores.replica.tree(STORE).root():x}"]

    async def wire(self, order: Order) -> dict[str, int]:
        """Bytes this host has sent to others and got from them, frames and all."""
        counts: Any = self.host.mesh.statistics()
        return {"sent": int(counts["bytes_out"]), "received": int(counts["bytes_in"])}


if __name__ == "__main__":
    run_worker(StoreWorker)
