"""How an update is made at each level, and what its receipt may say.

The law of this file: a local update is applied, logged and synced here before it is acknowledged
(`durable=False` is asked for by name); a strong one is committed by the group. An update that may
have been made is never made again by itself: its caller gets `OutcomeUnknown`. What was certainly
not made may be tried elsewhere: at another owner, or, where the store says so, at a lesser level.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.consistency.replica.states import GROUP
from quorate.consistency.replica.writing import Update
from quorate.consistency.store.core import Core, Wanted
from quorate.consistency.store.forward import Forward
from quorate.consistency.store.receipts import Receipt, Version
from quorate.consistency.store.tokens import Past
from quorate.consistency.strong import StrongWrite
from quorate.core import codec
from quorate.core.errors import (
    NoLeader,
    NoQuorum,
    NotCommitted,
    NotLeader,
    OutcomeUnknown,
    Partitioned,
    Refused,
    Siblings,
    StaleReplica,
    Timeout,
    UsageError,
)

Vector = dict[int, int]
Make = Callable[[Vector | None, int, int | None], Update]
"""(deps, floor, replicas): makes the update in this host's replica."""
Function = Callable[[Any], Any]

CUT_OFF = (NoQuorum, NoLeader, NotLeader, Partitioned, Timeout)
"""What a strong update ends with when the group cannot be reached and it was certainly not made."""
STRONG_SHARE_RATIO = 0.7
"""Of the deadline, where a lesser level may have to follow."""


class Writes:
    """The updates of one store on one host."""

    def __init__(self, core: Core, forward: Forward) -> None:
        self._core = core
        self._forward = forward
        self._plane = core.plane

    # --- plain values -----------------------------------------------------------------------------

    async def put(self, key: str, value: bytes | None, wanted: Wanted) -> Receipt:
        """Write an encoded value; None deletes."""
        if wanted.level == "strong":
            return await self._strong(
                key, wanted, lambda left: self._strong_put(key, value, wanted, left), value, None
            )
        return await self.local(key, self._putting(key, value), ["put", value], wanted)

    def _putting(self, key: str, value: bytes | None) -> Make:
        core = self._core
        return lambda deps, floor, replicas: self._plane.replica.put(
            core.name,
            key,
            value,
            deps=deps,
            floor=max(floor, core.floor(key)),
            destinations=replicas,
        )

    async def update(self, key: str, function: Function, default: Any, wanted: Wanted) -> Receipt:
        """Read, apply the function, write. On one host nothing comes in between; at the strong
        level nothing comes in between anywhere."""
        core = self._core
        if wanted.level == "strong":

            def change(value: bytes | None) -> bytes:
                present = default if value is None else codec.decode_value(value)
                return codec.encode_value(applied(function, present, core.what(key)))

            def try_strong(left_s: float) -> Any:
                return self._plane.strong.update(
                    core.name,
                    key,
                    change,
                    floor=lambda: self._strong_floor(key, wanted),
                    timeout_s=left_s,
                )

            return await self._strong(key, wanted, try_strong, None, (function, default))
        return await self._update_locally(key, function, default, wanted)

    async def _update_locally(
        self, key: str, function: Function, default: Any, wanted: Wanted
    ) -> Receipt:
        core = self._core
        core.refuse_crdt(key, "update")
        core.refuse_cut_off(wanted.on_partition, key)
        if not core.is_home(key):
            await self._forward.fetch(core, key, wanted.until)
        await self._caught_up(key, wanted)
        view = core.view(key)
        if view.conflict:
            raise Siblings(
                f"{core.what(key)}: {view.conflict}; read them with siblings() and put one value",
                [codec.decode_value(value) for value in view.siblings],
            )
        present = default if view.value is None else codec.decode_value(view.value)
        value = codec.encode_value(applied(function, present, core.what(key)))
        return await self._make_here(key, self._putting(key, value), wanted)

    # --- the strong level -------------------------------------------------------------------------

    def _strong_floor(self, key: str, wanted: Wanted) -> int:
        """A strong write is later than all that this host and the session have seen of the key."""
        state = self._plane.replica.read(self._core.name, key)
        stamp = 0 if wanted.session is None else wanted.session.past.stamp
        return max(stamp, 0 if state is None else state.stamp)

    async def _strong_put(
        self, key: str, value: bytes | None, wanted: Wanted, left_s: float
    ) -> StrongWrite:
        return await self._plane.strong.put(
            self._core.name,
            key,
            value,
            floor=self._strong_floor(key, wanted),
            timeout_s=left_s,
        )

    async def _strong(
        self,
        key: str,
        wanted: Wanted,
        attempt: Callable[[float], Any],
        value: bytes | None,
        function: tuple[Function, Any] | None,
    ) -> Receipt:
        """Try at the strong level; where the store is `degraded`, then locally."""
        core, plane = self._core, self._plane
        refuse_local_options(core.what(key), wanted)
        core.refuse_crdt(key, "a strong update")
        core.refuse_cut_off(wanted.on_partition, key)
        degraded = wanted.on_partition == "degraded"
        try:
            core.refuse_without_majority(key)
            left_s = plane.left(wanted.until)
            write = await attempt(left_s * STRONG_SHARE_RATIO if degraded else left_s)
            return self._strong_receipt(wanted, write)
        except CUT_OFF as error:
            if not degraded or error.outcome != "not_applied":
                raise
        if function is not None:
            return await self._update_locally(key, *function, wanted)
        return await self.local(key, self._putting(key, value), ["put", value], wanted)

    def _strong_receipt(self, wanted: Wanted, write: StrongWrite) -> Receipt:
        past = Past({}, write.index, write.stamp)
        if wanted.session is not None:
            wanted.session.saw({}, write.index, write.stamp)
        return Receipt(
            wanted.level,
            "strong",
            Version(GROUP, write.version, write.stamp),
            write.term,
            write.index,
            self._plane.world.strong_holders(write.index),
            True,
            self._plane.epoch,
            past,
            self._plane.keyring,
        )

    async def cas(self, key: str, value: bytes | None, version: int, wanted: Wanted) -> Receipt:
        """Write strongly if the key has this version (0: does not exist). Raises `Refused`."""
        core = self._core
        core.refuse_crdt(key, "cas")
        core.refuse_cut_off(wanted.on_partition, key)
        core.refuse_without_majority(key)
        write = await self._plane.strong.cas(
            core.name,
            key,
            value,
            version=version,
            floor=self._strong_floor(key, wanted),
            timeout_s=self._plane.left(wanted.until),
        )
        return self._strong_receipt(wanted, write)

    async def promote(self, key: str, wanted: Wanted) -> Receipt:
        """Write strongly what a local read shows, unless the group has something newer."""
        core, plane = self._core, self._plane
        core.refuse_without_majority(key)
        if not core.is_home(key):
            await self._forward.fetch(core, key, wanted.until)
        while True:
            core.refuse_crdt(key, "promote")
            record = await plane.strong.read(core.name, key, plane.left(wanted.until))
            view = core.view(key)
            if view.conflict:
                raise Siblings(
                    f"{core.what(key)}: {view.conflict}; put one value before it is promoted",
                    [codec.decode_value(value) for value in view.siblings],
                )
            if view.version is None or view.version.actor == GROUP:
                write = StrongWrite(
                    plane.group.term, plane.strong.applied_index, record.version, record.stamp
                )
                return self._strong_receipt(wanted, write)
            try:
                write = await plane.strong.put(
                    core.name,
                    key,
                    view.value,
                    floor=max(view.stamp, self._strong_floor(key, wanted)),
                    version=record.version,
                    timeout_s=plane.left(wanted.until),
                )
                return self._strong_receipt(wanted, write)
            except Refused:
                if not plane.left(wanted.until):
                    raise NotCommitted(
                        f"{core.what(key)}: others wrote first until the deadline; nothing was "
                        "changed"
                    ) from None

    # --- CRDTs ------------------------------------------------------------------------------------

    async def operate(
        self, key: str, kind: str, op: str, args: list[Any], wanted: Wanted
    ) -> Receipt:
        """Apply one operation of a CRDT."""
        core = self._core
        core.refuse_strong(key, kind)

        def make(deps: Vector | None, floor: int, replicas: int | None) -> Update:
            return self._plane.replica.operate(
                core.name,
                key,
                kind,
                op,
                args,
                deps=deps,
                floor=max(floor, core.floor(key)),
                destinations=replicas,
            )

        return await self.local(key, make, ["op", kind, op, args], wanted)

    async def for_another(self, key: str, call: Any, wanted: Wanted) -> Receipt:
        """An update that another host's program asked for, made here or not at all."""
        core = self._core
        if not core.is_home(key):
            raise NotCommitted(
                f"{core.what(key)}: host {self._plane.host_id!r} is no owner in ring epoch "
                f"{self._plane.epoch}"
            )
        if call[0] == "op":
            _, kind, op, args = call
            return await self.operate(key, kind, op, args, wanted)
        name, value = call
        if name != "put" or not (value is None or type(value) is bytes):
            raise UsageError("malformed update of another host")
        return await self.local(key, self._putting(key, value), call, wanted)

    # --- local updates ----------------------------------------------------------------------------

    async def local(self, key: str, make: Make, call: list[Any], wanted: Wanted) -> Receipt:
        """Make it here, or have the nearest owner make it; where no owner can be reached it is
        kept here for them."""
        core = self._core
        core.refuse_cut_off(wanted.on_partition, key)
        if not core.is_home(key):
            receipt = await self._forward.write(core, key, call, wanted)
            if receipt is not None:
                return receipt
        await self._caught_up(key, wanted)
        return await self._make_here(key, make, wanted)

    async def _caught_up(self, key: str, wanted: Wanted) -> None:
        """A session's update comes after all that the session wrote and saw."""
        past = wanted.past if wanted.session is None else wanted.session.past
        core, plane = self._core, self._plane
        if not core.covers(past) and not await plane.news.until(
            lambda: core.covers(past), wanted.until
        ):
            plane.check()
            raise StaleReplica(
                f"{core.what(key)}: until the deadline host {plane.host_id!r} did not get what "
                "this session saw before; nothing was written"
            )

    async def _make_here(self, key: str, make: Make, wanted: Wanted) -> Receipt:
        plane, session = self._plane, wanted.session
        past = wanted.past if session is None else session.past
        if not wanted.durable:
            await plane.may_be_volatile(wanted.until)
        own = plane.replica.actor  # what it made before is implied by the sequence
        deps = {actor: seq for actor, seq in past.vector.items() if actor != own}
        if past.strong:
            deps[GROUP] = past.strong
        update = make(deps or None, past.stamp, wanted.replicas)
        replicas = plane.me
        if not wanted.durable:
            await plane.breathe()
            vector: dict[int, int] = {}
        elif wanted.wait_for == 1:
            await plane.durable.wait(update.seq, wanted.until)
            vector = {plane.replica.actor: update.seq}
        else:
            replicas = await self._held(key, update, wanted)
            vector = {plane.replica.actor: update.seq}
        if session is not None:
            session.saw(vector, 0, update.stamp)
        return Receipt(
            wanted.level,
            "eventual" if wanted.level == "strong" else wanted.level,
            Version(plane.replica.actor, update.seq, update.stamp),
            None,
            None,
            replicas,
            wanted.durable,
            plane.epoch,
            Past(vector, 0, update.stamp),
            plane.keyring,
        )

    async def _held(self, key: str, update: Update, wanted: Wanted) -> tuple[str, ...]:
        """Wait for other hosts' disks."""
        core, plane = self._core, self._plane

        def holders() -> list[str]:
            return plane.replica.holders(core.name, key, update.seq)

        waiting = plane.held.wait(
            update.seq, lambda: len(holders()) >= wanted.wait_for, wanted.until
        )
        if not await waiting:
            held = ", ".join(holders()) or "no disk yet"
            raise OutcomeUnknown(
                f"{core.what(key)}: wait_for={wanted.wait_for} was not reached by the deadline; "
                f"the update is held by {held} and goes on to the others"
            )
        return tuple(holders())


def applied(function: Function, present: Any, what: str) -> Any:
    """The function's answer; a coroutine is none."""
    value = function(present)
    if hasattr(value, "__await__"):
        value.close()
        raise UsageError(
            f"{what}: the function of update() must be a plain one, not a coroutine function: "
            "nothing may come between reading and writing"
        )
    return value


def refuse_local_options(what: str, wanted: Wanted) -> None:
    """A strong update is durable at a majority; there is nothing to choose."""
    if wanted.on_partition == "degraded":
        return
    if not wanted.durable or wanted.wait_for != 1 or wanted.replicas is not None:
        raise UsageError(
            f"{what}: durable=, wait_for= and replicas= are for session, eventual and crdt updates;"
            " a strong one is on the disks of a majority"
        )
