"""How a read is answered at each level, and when it is not.

The law of this file: a read gives what its level promises or raises; it never serves something
older and stays silent. What must be seen is a matter of replication progress (positions in logs,
the applied index), never of heartbeats or of another host's clock (T36, T38).
"""

from __future__ import annotations

from typing import NamedTuple

from quorate.consistency.replica.states import CrdtState, RegisterEntry, RegisterState
from quorate.consistency.store.core import Core, check_key
from quorate.consistency.store.forward import Forward
from quorate.consistency.store.levels import Bounded, OnPartition, ReadLevel
from quorate.consistency.store.options import ReadOptions
from quorate.consistency.store.session import Session
from quorate.consistency.store.tokens import Past
from quorate.consistency.store.views import View, seen_of, strong_view
from quorate.consistency.store.writes import CUT_OFF
from quorate.core.errors import NotCommitted, StaleReplica, Unavailable, UsageError

PATIENCE_S = 0.03
"""How long a session waits for its own host before it asks another one."""
LOOK_AGAIN_S = 0.05
PROBE_AGAIN_S = 0.1
NO_PAST = Past({})
SESSION_ONLY = {"level", "session"}


class Seen(NamedTuple):
    """The answer of a read."""

    view: View
    host: str
    """Who answered."""
    degraded: bool = False
    seen_at: int | None = None
    """Of the group's state at the host that answered; None: this host's."""


class Reads:
    """The reads of one store on one host. `until`: the deadline in monotonic seconds."""

    def __init__(self, core: Core, forward: Forward) -> None:
        self._core = core
        self._forward = forward
        self._plane = core.plane

    async def read(
        self,
        key: str,
        level: ReadLevel,
        session: Session | None,
        on_partition: OnPartition,
        until: float,
    ) -> Seen:
        """Raises `StaleReplica`, `NotCommitted` and their kind: a read changes nothing."""
        if level == "local":
            seen = await self._local(key, until)
        elif level == "linearizable":
            seen = await self._linearizable(key, on_partition, until)
        elif isinstance(level, Bounded):
            seen = await self._elsewhere_or_here(key, level, NO_PAST, until)
        else:
            past = NO_PAST if session is None else session.past
            seen = await self._elsewhere_or_here(key, level, past, until)
        if session is not None:
            self._saw(session, key, seen)
        return seen

    def at_once(self, key: str, options: ReadOptions) -> RegisterEntry | None:
        """The one plain value of a session's read, if this host has every key of the store and can
        show it without waiting: everything that the session saw is on this disk, and so is the
        value. None: whatever it is, `read` finds out."""
        session = options.get("session")
        if type(session) is not Session or not options.keys() <= SESSION_ONLY:
            return None
        plane, core = self._plane, self._core
        if options.get("level", "session") != "session" or not core.whole:
            return None
        check_key(key)
        plane.check()
        if plane.strong.has_any(core.name):
            return None
        state = plane.replica.read(core.name, key)
        if type(state) is not RegisterState or state.lsn > plane.replica.synced_lsn:
            return None
        entries = state.entries
        if len(entries) != 1 or not session.is_read:
            return None
        if not session.is_known_covered(plane):
            past = session.past
            if not core.covers(past):
                return None
            session.covered(plane, past)
        entry = entries[0]
        session.saw(seen_of(entries), 0, entry.stamp)
        return entry

    def _saw(self, session: Session, key: str, seen: Seen) -> None:
        view = seen.view
        index = seen.seen_at
        if index is None:
            index = self.strong_index(key)
        session.saw(view.saw, index, view.stamp)

    def strong_index(self, key: str) -> int:
        """Up to where the group's log was seen by who read this key now; 0 if it has no strong
        record: what is not there now was not there before."""
        strong = self._plane.strong
        name = self._core.name
        if strong.has_any(name) and strong.peek(name, key).version:
            return strong.applied_index
        return 0

    async def here(self, key: str, level: ReadLevel, past: Past, until: float) -> View:
        """For another host: from this replica or not at all."""
        core = self._core
        if not core.is_home(key):
            raise NotCommitted(
                f"{core.what(key)}: host {self._plane.host_id!r} is no owner in ring epoch "
                f"{self._plane.epoch}"
            )
        if isinstance(level, Bounded):
            await self._fresh(key, level, until)
        elif level == "session" and not await self._covered(key, past, until):
            raise self._stale(key)
        if not core.is_home(key):
            raise self._stale(key)  # meanwhile it became another's
        return core.view(key)

    # --- local ------------------------------------------------------------------------------------

    async def _local(self, key: str, until: float) -> Seen:
        core, plane = self._core, self._plane
        if core.is_home(key):
            return Seen(core.view(key), plane.host_id)
        for peer in plane.nearest(core.homes(key)):
            try:
                view, index = await self._forward.read(
                    core, peer, key, "local", NO_PAST, plane.left(until)
                )
                return Seen(view, peer, seen_at=index)
            except Unavailable:
                continue
        view = core.view(key)
        if view.version is None:
            raise StaleReplica(
                f"{core.what(key)}: none of its owners {', '.join(core.homes(key))} can be "
                "reached, and this host has nothing of it"
            )
        return Seen(view, plane.host_id)

    # --- linearizable -----------------------------------------------------------------------------

    async def _linearizable(self, key: str, on_partition: OnPartition, until: float) -> Seen:
        core, plane = self._core, self._plane
        state = plane.replica.read(core.name, key)
        if isinstance(state, CrdtState) and core.record(key).value is None:
            raise UsageError(
                f"{core.what(key)} is a {state.kind}, which has no linearizable read; use local, "
                "session or bounded(ms=)"
            )
        try:
            core.refuse_without_majority(key)
            started = plane.clock.monotonic()
            record = await plane.strong.read(core.name, key, plane.left(until))
            plane.strong_fresh_at = max(plane.strong_fresh_at, started)
            return Seen(strong_view(record), plane.host_id)
        except CUT_OFF:
            if on_partition != "degraded":
                raise
        return (await self._local(key, until))._replace(degraded=True)

    # --- session and bounded ----------------------------------------------------------------------

    async def _elsewhere_or_here(
        self, key: str, level: ReadLevel, past: Past, until: float
    ) -> Seen:
        """Here if this host has what must be seen, soon; otherwise at an owner that has it."""
        core, plane = self._core, self._plane
        if not await plane.news.until(lambda: plane.placement is not None, until):
            raise self._stale(key)  # who has never heard of a ring does not know what it holds
        home = core.is_home(key)
        if home and level == "session" and self._shows_all(key, past) and core.synced(key):
            return Seen(core.view(key), plane.host_id)
        last: Exception | None = None
        here: StaleReplica | None = None
        while True:
            left_s = plane.left(until)
            if home:
                patience = (
                    until
                    if isinstance(level, Bounded)
                    else min(until, plane.clock.monotonic() + PATIENCE_S)
                )
                try:
                    return Seen(await self.here(key, level, past, patience), plane.host_id)
                except StaleReplica as stale:
                    here = stale
            for peer in plane.nearest(core.homes(key)):
                share_s = min(plane.left(until), max(PATIENCE_S * 4, left_s / 4))
                if not share_s:
                    break
                try:
                    view, index = await self._forward.read(core, peer, key, level, past, share_s)
                    return Seen(view, peer, seen_at=index)
                except Unavailable as error:
                    last = error
            plane.check()
            if not plane.left(until):
                raise here or self._stale(key) from last
            pause_s = min(plane.left(until), LOOK_AGAIN_S)
            await plane.news.wait(plane.clock.monotonic() + pause_s)
            home = core.is_home(key)

    def _shows_all(self, key: str, past: Past) -> bool:
        """Whether this host has all of the past, and all that what it would show depends on."""
        core = self._core
        if not core.whole and core.may_miss(key, past):
            return False
        return core.covers(past) and core.whole_with_past(key)

    async def _covered(self, key: str, past: Past, until: float) -> bool:
        """Wait until everything of the past that concerns this host is on its disk, and so is what
        the read would show with all it depends on: what only memory knows may be lost in a
        crash."""
        if not await self._plane.news.until(lambda: self._shows_all(key, past), until):
            return False
        return await self.synced(key, until)

    async def synced(self, key: str, until: float) -> bool:
        """Wait until what this host has of the key is on its disk; False at the deadline."""
        core, plane = self._core, self._plane
        while not core.synced(key):
            now = plane.clock.monotonic()
            if now >= until:
                return False
            await plane.news.wait(min(until, now + LOOK_AGAIN_S))
        return True

    def _stale(self, key: str) -> StaleReplica:
        return StaleReplica(
            f"{self._core.what(key)}: until the deadline no host that can be reached had what this "
            "read must see; nothing older was served"
        )

    # --- bounded ----------------------------------------------------------------------------------

    async def _fresh(self, key: str, bound: Bounded, until: float) -> None:
        """Wait until what this host has is within the bound. Raises `StaleReplica`."""
        plane = self._plane
        started = plane.clock.monotonic()
        await self._strongly_fresh(key, bound, started, until)
        replica = plane.replica
        others = replica.others()

        def within() -> bool:
            if bound.ms is not None:
                fresh_at = replica.freshness.fresh_at(others)
                if fresh_at < started - bound.ms / 1000:
                    return False
            if bound.versions is not None:
                lag = replica.freshness.lag(others, started)
                return lag is not None and lag <= bound.versions
            return True

        while not within():
            now = plane.clock.monotonic()
            if now >= until:
                raise self._too_old(key, bound)
            if replica.freshness.last_probe_at < max(started, now - PROBE_AGAIN_S):
                replica.probe()
            await plane.news.wait(min(until, now + PROBE_AGAIN_S))
            plane.check()

    async def _strongly_fresh(self, key: str, bound: Bounded, started: float, until: float) -> None:
        """The same for this host's copy of the strong records."""
        plane = self._plane
        since = (
            started
            if bound.ms is None or bound.versions is not None
            else (started - bound.ms / 1000)
        )
        if plane.strong_fresh_at >= since:
            return
        try:
            await plane.group.reads.wait_read_point(plane.left(until))
        except CUT_OFF as error:
            raise self._too_old(key, bound) from error
        plane.strong_fresh_at = max(plane.strong_fresh_at, started)

    def _too_old(self, key: str, bound: Bounded) -> StaleReplica:
        return StaleReplica(
            f"{self._core.what(key)}: host {self._plane.host_id!r} cannot promise {bound}: not "
            "every member could tell how far its updates go, or they are not here yet"
        )
