"""`host.cache("prices")`: a value is computed once in the cluster and served until it is too old.

The law of this file: **a value is served only if, at a read point of the level asked, its record
is there, is within its life and nothing it depends on has moved.** The record's revision is its
generation: `invalidate` removes the record, and with it the right of a computation that runs to be
kept, in one strong write. So with `level="linearizable"`, on any host, a call that begins after
`invalidate` returned never gets a value whose computation began before. With `level="local"` that
holds on the host that invalidated, and elsewhere as soon as the host has applied the write.

One computation runs per key: its record hangs on a lease of its host. The function runs in the
caller's own task; when that caller is cancelled, out of time, or its host is gone, the next one
that waits computes with its own function. When the lease is lost the function is cancelled before
another may begin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

from quorate.consistency.layers import options as told
from quorate.consistency.layers.computing import Compute, Computing, Plan
from quorate.consistency.layers.flights import Applied, Flights
from quorate.consistency.layers.follower import Follower
from quorate.consistency.layers.index import Index
from quorate.consistency.layers.looking import Look, Looking
from quorate.consistency.layers.options import CacheOptions, Level
from quorate.consistency.layers.records import (
    ENTRY_MARK,
    FLIGHT_MARK,
    Entry,
    Flight,
    failure_of,
)
from quorate.core import codec
from quorate.core.errors import Timeout
from quorate.core.group.group import Group
from quorate.core.group.leases import Leases
from quorate.core.machine import commands

T = TypeVar("T")


class Cache:
    """One cache. `level`: see the law above; `timeout` in seconds, None: the host's default."""

    def __init__(self, group: Group, leases: Leases, name: str, options: CacheOptions) -> None:
        self.name = told.check_name(name)
        self.options = options
        self._group = group
        self._ns = f"c:{name}"
        self._index = Index(
            entries_max=options.entries_max,
            bytes_max=options.bytes_max,
            grace_s=options.sweep_grace_s * (1 + group.rng.random()),
        )
        self._flights = Flights(group, leases, self._ns, options.lease_s)
        self._follower = Follower(
            group, self._ns, index=self._index, flights=self._flights, wall_ms=self._wall_ms
        )
        self._looking = Looking(
            self._ns, self._index, group.clock, lambda: self._follower.opened_at_revision
        )
        self._computing = Computing(group, options, self._flights, self._looking)
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        self._beginning: dict[str, asyncio.Future[None]] = {}
        """Keys for which a caller of this host is asking the group whether it may compute."""
        names = ("hits", "misses", "waited", "invalidated", "stale_served", "refreshed")
        self._counts = dict.fromkeys(names, 0)

    def reconfigure(self, options: CacheOptions) -> None:
        """Other options from now on; what is there keeps its life."""
        self.options = self._computing.options = options
        self._index.limit(entries_max=options.entries_max, bytes_max=options.bytes_max)
        self._flights.lease_s = options.lease_s

    # --- calls -----------------------------------------------------------------------------------

    async def get_or_compute(
        self,
        key: str,
        fn: Callable[[], Awaitable[T]] | Callable[[], T],
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        level: Level | None = None,
        depends_on: Sequence[Any] = (),
        stale: float | None = None,
        error_ttl: float | None = None,
    ) -> T:
        """The value of `key`; computed by `fn()` (a coroutine function or a plain one) if there is
        none that may be served.

        `ttl`, `stale`, `error_ttl`: seconds, instead of the cache's own. `depends_on`: keys of
        `host.kv` (`"key"`, `("namespace", "key")`) and of stores (`(store, "key")`); when one
        changes, the value is not served any more. Raises what `fn` raised, when it ran here;
        `ComputationFailed` when it ran elsewhere; `Timeout`, `Unavailable`, `UsageError`."""
        plan = Plan(
            told.positive(self.options.ttl_s if ttl is None else ttl, "ttl"),
            self.options.stale_s if stale is None else stale,
            self.options.error_ttl_s if error_ttl is None else error_ttl,
            told.dependencies(depends_on),
        )
        self._looking.stores.update(
            {w.namespace: w.store for w in plan.depends_on if w.store is not None}
        )
        seconds = self._group.seconds(timeout)
        work = self._get(told.check_key(key), fn, plan, level or self.options.level, seconds)
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                return cast(T, await work)
        except TimeoutError:
            if not deadline.expired():
                raise  # of the function, or of the group
            raise Timeout(
                f"cache {self.name!r}: no value of {key!r} within {seconds:g} s"
            ) from None

    async def get(
        self,
        key: str,
        default: Any = None,
        *,
        level: Level | None = None,
        timeout: float | None = None,
    ) -> Any:
        """The value if there is one that may be served, otherwise `default`; nothing is computed.
        A failure that is kept counts as none."""
        self._follower.start()
        machine = await self._group.read_point(level or self.options.level, timeout)
        look = self._looking.look(machine, told.check_key(key))
        entry = look.entry
        if entry is None or entry.failed or self._looking.verdict(machine, key, look) != "fresh":
            return default
        self._index.touch(key)
        self._counts["hits"] += 1
        return codec.decode_value(entry.value)

    async def invalidate(self, key: str, *, timeout: float | None = None) -> Applied:
        """From the return on, the present value and whatever is being computed now are not served
        again (see the law above). A strong write: raises `NoQuorum` in a minority."""
        done = await self._flights.invalidate(told.check_key(key), timeout)
        self._counts["invalidated"] += 1
        return done

    async def clear(self, *, timeout: float | None = None) -> None:
        """Invalidate every key there is; in steps, not at once."""
        for prefix in (ENTRY_MARK, FLIGHT_MARK):
            more = True
            while more:
                command = commands.delete_prefix(prefix, self._ns)
                _, _, answer = await self._group.propose(command, 64, timeout)
                more = bool(answer[2])
        self._counts["invalidated"] += 1

    # --- getting ---------------------------------------------------------------------------------

    async def _get(self, key: str, fn: Compute, plan: Plan, level: str, seconds: float) -> Any:
        self._follower.start()
        machine = await self._group.read_point(level, seconds)
        missed = False
        while True:
            look = self._looking.look(machine, key)
            verdict = self._looking.verdict(machine, key, look)
            if look.entry is not None and verdict != "none":
                self._counts["hits"] += not missed
                if verdict == "stale":
                    self._counts["stale_served"] += 1
                    self._refresh(key, fn, plan, look)
                return self._serve(key, look.entry)
            self._counts["misses"] += not missed
            missed = True
            if look.flight is not None and not self._is_orphan(look.flight):
                self._counts["waited"] += 1
                landed = await self._follower.landing(key, look.flight_revision)
                if landed is not None:
                    return self._serve(key, landed.entry)
            elif key in self._beginning:  # one caller of this host asks the group
                await asyncio.shield(self._beginning[key])
            else:
                done, value = await self._compute(key, fn, plan, look)
                if done:
                    return value
            machine = await self._group.read_point("local", seconds)

    async def _compute(self, key: str, fn: Compute, plan: Plan, look: Look) -> tuple[bool, Any]:
        begun = self._beginning[key] = asyncio.get_running_loop().create_future()

        def on_begun() -> None:
            if not begun.done():
                begun.set_result(None)
                del self._beginning[key]

        try:
            return await self._computing.compute(key, fn, plan, look, on_begun)
        finally:
            on_begun()

    def _serve(self, key: str, entry: Entry) -> Any:
        self._index.touch(key)
        if entry.failed:
            raise failure_of(entry)
        return codec.decode_value(entry.value)

    def _is_orphan(self, flight: Flight) -> bool:
        """A computation of this host that does not run: its start was reported as unknown."""
        return flight.host == self._group.host_id and flight.id not in self._flights.live

    def _refresh(self, key: str, fn: Compute, plan: Plan, look: Look) -> None:
        """Replace a value that is past its life, in the background, once."""
        if key in self._refreshing or (
            look.flight is not None and not self._is_orphan(look.flight)
        ):
            return

        async def refresh() -> None:
            try:
                done, _ = await self._computing.compute(key, fn, plan, look, lambda: None)
                self._counts["refreshed"] += done
            except Exception:  # counted; whoever comes behind the stale time gets an own one
                return
            finally:
                del self._refreshing[key]

        task = asyncio.get_running_loop().create_task(refresh(), name=f"refresh {key}")
        self._refreshing[key] = task

    # --- the end ---------------------------------------------------------------------------------

    def _wall_ms(self) -> int:
        return int(self._group.clock.wall() * 1000)

    async def close(self, *, give_up: bool = True) -> None:
        """Stop following and refreshing; what the group keeps stays. `give_up`: let others go on
        at once with what is computed here."""
        tasks = list(self._refreshing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._follower.close()
        await self._flights.close(give_up=give_up)

    def statistics(self) -> dict[str, object]:
        return {
            "entries": len(self._index),
            "bytes": self._index.size_bytes,
            "computing": len(self._flights.live),
            "outdated_total": self._looking.outdated,
            **{f"{name}_total": n for name, n in self._counts.items()},
            **{f"{name}_total": n for name, n in self._computing.counts.items()},
            **{f"{name}_total": n for name, n in self._follower.counts.items()},
        }
