"""`self.state.events(name)`: an agent's logs, written by its turns.

The law of this file: an event belongs to the turn that appended it, and its number is used up by
the turn's commit and by nothing else, so no strand ever has a gap. Strong events are strong records
of the agent, in one strand; all others are in a strand of the activation, which nobody else writes.
How a log is read and folded is in `consistency/events`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from quorate.consistency.events.event import (
    STRONG,
    Event,
    Keys,
    VersionConflict,
    check_log_name,
    from_row,
    to_row,
)
from quorate.consistency.events.log import EventLog, LogParts
from quorate.consistency.events.own import Written
from quorate.consistency.events.port import Kept
from quorate.consistency.events.strong import Appended
from quorate.core import codec
from quorate.core.errors import LimitExceeded, UsageError
from quorate.core.group.group import Group
from quorate.hosts.agents.state.ledger import Ledger
from quorate.hosts.agents.state.options import Asked, asked
from quorate.hosts.agents.state.scope import STORE, base36

if TYPE_CHECKING:
    from quorate.consistency.store.views import View
    from quorate.hosts.agents.state.buffer import TurnBuffer
    from quorate.hosts.agents.state.keeper import Opened

LOGS_MAX: Final = 1000
"""Open at once in one activation."""
LOG_NAME_BYTES_MAX: Final = 128


class Turns:
    """What a log must know of the turn that runs. `writing(key)`: its buffer, or `UsageError`;
    `mine()`: its buffer if it has one."""

    def __init__(
        self, writing: Callable[[str], TurnBuffer], mine: Callable[[], TurnBuffer | None]
    ) -> None:
        self.writing = writing
        self.mine = mine


class AgentKeys(Keys):
    """The names of a log's keys among those of the agent; `log` is the name that it knows."""

    def __init__(self, log: str, prefix: str) -> None:
        super().__init__(log)
        self._full = full = Keys(prefix + log)
        self.prefix, self.strands, self.head = full.prefix, full.strands, full.head

    def event(self, strand: str, number: int) -> str:
        return self._full.event(strand, number)

    def event_id(self, event_id: str) -> str:
        return self._full.event_id(event_id)

    def strong_id(self, event_id: str) -> str:
        return f"{self.prefix}j\0{event_id}"

    def snapshot(self, fold: str, slot: int) -> str:
        return self._full.snapshot(fold, slot)


class _Group:
    """The group, of which nothing is asked while the activation holds its binding."""

    def __init__(self, ledger: Ledger) -> None:
        self._group = ledger.plane.group
        self._holder = ledger.holder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)

    async def read_point(self, level: str, timeout: float | None) -> Any:
        here = self._holder.holds or self._holder.degraded
        return await self._group.read_point("local" if here else level, timeout)


class AgentPort:
    """`LogPort` over the state of one agent."""

    def __init__(self, opened: Opened, turns: Turns) -> None:
        self._opened = opened
        self._ledger = ledger = opened.ledger
        self._plane = ledger.plane
        self.turns = turns
        self._group = cast(Group, _Group(ledger))

    @property
    def host(self) -> str:
        return self._plane.host_id

    @property
    def actor(self) -> int:
        return self._plane.replica.actor

    @property
    def store(self) -> str:
        return STORE

    @property
    def group(self) -> Group:
        return self._group

    def stamp(self, floor: int) -> int:
        return self._plane.replica.hlc.now(floor)

    def is_whole(self) -> bool:
        return self._ledger.is_home

    def is_plain(self) -> bool:
        return False

    async def cover(self, level: Any, session: Any, timeout: float | None) -> None:
        ledger = self._ledger
        if ledger.in_doubt and not ledger.holder.degraded:
            await self._opened.settling.settle(self._plane.until(timeout))

    def peek(self, key: str) -> Any:
        buffer = self.turns.mine()
        if buffer is not None:
            found, value = buffer.shown(key)
            if found:
                return None if value is None else codec.decode_value(value)
        value = self._ledger.core.view(key).value
        return None if value is None else codec.decode_value(value)

    async def fetch(self, key: str, level: Any, session: Any, timeout: float | None) -> Any:
        view = await self._view(key, timeout)
        return None if view.value is None else codec.decode_value(view.value)

    async def _view(self, key: str, timeout: float | None) -> View:
        until = self._plane.until(timeout)
        return await self._opened.reads.view(key, "local", self.turns.mine(), None, until)

    def put_now(self, key: str, value: Any, session: Any, timeout: float | None) -> Awaitable[Kept]:
        raise UsageError("an agent's log is written by its turns")

    async def put(self, key: str, value: Any, options: dict[str, Any]) -> Kept:
        """A snapshot of a rebuilt state: kept with a turn, not kept outside of one."""
        buffer = self.turns.writing(key)
        receipt = buffer.put(key, codec.encode_value(value), Asked("eventual"))
        return Kept(True, self._plane.me, lambda: receipt.token)

    async def strands(self, key: str) -> list[str]:
        view = await self._view(key, None)
        found = None if view.value is None else codec.decode_value(view.value)
        return [one for one in found or () if isinstance(one, str)]

    async def add_strand(self, key: str, strand: str) -> None:
        buffer = self.turns.writing(key)
        state = self._opened.reads.state_of(key, "g_set")
        buffer.operate(key, "g_set", "add", [strand], state, Asked("crdt"))

    def on_change(self, listener: Callable[[str, str], None]) -> Callable[[], None]:
        listeners = self._plane.listeners.setdefault(STORE, [])
        listeners.append(listener)
        return lambda: listeners.remove(listener) if listener in listeners else None


class ActivationStrand:
    """The strand that one activation writes. Where this host owns the agent's keys it goes on with
    the strand of its epoch; elsewhere it begins another one, for it cannot see the end."""

    def __init__(self, ledger: Ledger, port: AgentPort, keys: AgentKeys) -> None:
        self._ledger = ledger
        self._port = port
        self._keys = keys
        self.name = base36(ledger.holder.epoch)
        if not ledger.is_home:
            self.name += "." + base36(ledger.mark.number)
        self._end = 0
        """The last number that is committed, as far as was looked."""
        self._last_stamp = 0
        self._is_told = False

    async def append(self, event: Event, options: dict[str, Any], port: Any) -> Written:
        """Append with the turn; `event` without strand, number and stamp."""
        buffer = self._port.turns.writing(self._keys.log)
        wanted = asked(
            {name: value for name, value in options.items() if value is not None},
            "eventual",
            f"log {self._keys.log!r:.60}",
            crdt=False,
        )
        if event.event_id is not None:
            found = await self._find(event.event_id)
            if found is not None:
                return Written(found, Kept(True, (found.host,), None), True)
        if not self._is_told:
            await self._tell()
        number = self._next()
        self._last_stamp = self._port.stamp(self._last_stamp)
        made = event._replace(strand=self.name, number=number, stamp=self._last_stamp)
        if made.event_id is not None:
            place = codec.encode_value([made.strand, made.number])
            buffer.put(self._keys.event_id(made.event_id), place, wanted)
        key = self._keys.event(made.strand, number)
        receipt = buffer.put(key, codec.encode_value(to_row(made)), wanted)
        return Written(made, Kept(wanted.durable, (port.host,), lambda: receipt.token), False)

    async def _tell(self) -> None:
        """Have the log know the strand: with this turn, unless an earlier one was committed."""
        strands = await self._port.strands(self._keys.strands)
        if self.name not in strands:
            await self._port.add_strand(self._keys.strands, self.name)
        elif self._port.turns.mine() is None or not self._is_new():
            self._is_told = True

    def _is_new(self) -> bool:
        buffer = self._port.turns.mine()
        return buffer is not None and self._keys.strands in buffer.drafts

    def _next(self) -> int:
        """The number behind the last: of those committed, found by doubling and halving the first
        time, and of those that this turn appended."""
        at = self._end
        if self._has(at + 1):
            step = 1
            while self._has(at + step * 2):
                step *= 2
            low, high = at + step, at + step * 2
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if self._has(middle) else (low, middle)
            at = low
        buffer = self._port.turns.mine()
        mine = {} if buffer is None else buffer.puts
        self._end = at
        while self._keys.event(self.name, at + 1) in mine:
            at += 1
        return at + 1

    def _has(self, number: int) -> bool:
        """Whether an event is committed."""
        replica = self._ledger.plane.replica
        return replica.read(STORE, self._keys.event(self.name, number)) is not None

    async def _find(self, event_id: str) -> Event | None:
        place = await self._port.fetch(self._keys.event_id(event_id), "local", None, None)
        try:
            strand, number = place
            row = await self._port.fetch(self._keys.event(strand, number), "local", None, None)
        except (TypeError, ValueError):
            return None
        found = from_row(self._keys.log, strand, number, row)
        return found if found is not None and found.event_id == event_id else None


class StrongRecords:
    """The strong strand: strong records of the agent, so appended by the turn's fenced commit."""

    def __init__(self, ledger: Ledger, port: AgentPort, keys: AgentKeys) -> None:
        self._ledger = ledger
        self._port = port
        self._keys = keys
        self.batches = 0

    def _value(self, key: str) -> Any:
        buffer = self._port.turns.mine()
        if buffer is not None and key in buffer.strong:
            value = buffer.strong[key]
        else:
            value = self._ledger.core.record(key).value
        return None if value is None else codec.decode_value(value)

    def length(self) -> int:
        return self._head()[0]

    def _head(self) -> tuple[int, int]:
        head = self._value(self._keys.head)
        if not isinstance(head, list):
            return 0, 0
        number, stamp = cast("list[int]", head)
        return number, stamp

    def get(self, number: int) -> Event | None:
        row = self._value(self._keys.event(STRONG, number))
        return None if row is None else from_row(self._keys.log, STRONG, number, row)

    async def append(self, event: Event, expected: int | None, timeout: float | None) -> Appended:
        """Append with the turn: where it is applied, the turn's receipt says. Raises
        `VersionConflict`."""
        buffer = self._port.turns.writing(self._keys.log)
        await self._port.cover("local", None, timeout)
        number, stamp = self._head()
        if expected is not None and expected != number:
            text = f"log {self._keys.log!r} is at version {number}, not {expected}"
            raise VersionConflict(text, number)
        if event.event_id is not None:
            known = self._value(self._keys.strong_id(event.event_id))
            found = self.get(known) if isinstance(known, int) else None
            if found is not None:
                return Appended(found, 0, 0, True)
        made = event._replace(number=number + 1, stamp=self._port.stamp(stamp))
        strong = Asked("strong")
        key = self._keys.event(STRONG, made.number)
        buffer.put(key, codec.encode_value(to_row(made)), strong)
        if made.event_id is not None:
            place = codec.encode_value(made.number)
            buffer.put(self._keys.strong_id(made.event_id), place, strong)
        head = codec.encode_value([made.number, made.stamp])
        buffer.put(self._keys.head, head, strong)
        self.batches += 1
        return Appended(made, 0, 0, False)

    async def close(self) -> None:
        return None


class AgentLogs:
    """The logs of one activation, by name."""

    __slots__ = ("_opened", "_parts", "turns")

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._parts: dict[str, tuple[LogParts, AgentPort]] = {}
        self.turns = Turns(_no_turn, lambda: None)

    def open(self, name: str, *, consistency: str, snapshot_every: int) -> EventLog:
        """Raises `UsageError`, `LimitExceeded`."""
        found = self._parts.get(name)
        if found is None:
            check_log_name(name)
            if name.startswith("~") or len(name.encode()) > LOG_NAME_BYTES_MAX:
                raise UsageError(
                    f"a log's name has at most {LOG_NAME_BYTES_MAX} bytes and no tilde in front, "
                    f"not {name!r:.60}"
                )
            if len(self._parts) >= LOGS_MAX:
                raise LimitExceeded(f"{LOGS_MAX} logs of this agent are open already")
            ledger = self._opened.ledger
            port = AgentPort(self._opened, self.turns)
            keys = AgentKeys(name, ledger.keys.prefix)
            parts = LogParts(port, name)
            parts.keys = keys
            parts.strong = cast(Any, StrongRecords(ledger, port, keys))
            parts.own = cast(Any, ActivationStrand(ledger, port, keys))
            found = self._parts[name] = (parts, port)
        parts, port = found
        return EventLog(
            port, name, parts=parts, consistency=consistency, snapshot_every=snapshot_every
        )


def _no_turn(key: str) -> NoReturn:
    raise UsageError(f"{key!r:.60}: a log is written in turns only")
