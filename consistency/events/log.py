"""`log = store.events("order:7")`: append what happened, read it, rebuild any state from it.

The law of this file: the face only. An event is never changed and never removed. Strong events
have dense versions, one order for everybody, and can be appended on condition of a version; session
and eventual events are acknowledged here and can be appended in a minority, and one that comes late
takes its place by its stamp. A linearizable read shows the strong events alone; any other shows all
that this host has.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Literal, NamedTuple

from quorate.consistency.events import event as named
from quorate.consistency.events.event import STRONG, Event, Keys, Version
from quorate.consistency.events.folds import FoldFunction, Target
from quorate.consistency.events.news import News
from quorate.consistency.events.own import OwnStrand
from quorate.consistency.events.port import LogPort
from quorate.consistency.events.reading import How, Reading
from quorate.consistency.events.rebuilding import Rebuilding
from quorate.consistency.events.strong import StrongStrand
from quorate.core import codec
from quorate.core.errors import Stopped, UsageError

Level = Literal["strong", "session", "eventual"]
READ_EVENTS_MAX = 10_000
SNAPSHOT_EVERY_EVENTS = 100
Place = int | Mapping[str, int] | None
"""Of strong events a version; of all events a stamp, or a version (strand -> number)."""


class AppendReceipt(NamedTuple):
    """The receipt of an append."""

    event: Event
    level: str
    term: int | None
    """Of a strong append; 0 when it was there already."""
    index: int | None  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]
    durable: bool
    replicas: tuple[str, ...]
    repeated: bool
    """The log had an event of this id: that one is in `event`, nothing was appended."""
    make_token: Callable[[], bytes] | None

    @property
    def version(self) -> int:
        """Of a strong append the log's version with it; 0 otherwise."""
        return self.event.version

    @property
    def position(self) -> tuple[str, int]:
        return self.event.position

    @property
    def token(self) -> bytes | None:
        """A session token that covers it (session and eventual appends)."""
        return None if self.make_token is None else self.make_token()


class LogParts:
    """What writes a log on one host; it must exist once."""

    def __init__(self, port: LogPort, name: str) -> None:
        self.keys = Keys(named.check_log_name(name))
        self.strong = StrongStrand(port, self.keys)
        self.own = OwnStrand(port, self.keys)
        self.seen: Version = {}
        """What this host has shown of the log."""


class EventLog:
    """One log on one host. `timeout` in seconds, None: the host's default."""

    def __init__(
        self,
        port: LogPort,
        name: str,
        *,
        parts: LogParts | None = None,
        consistency: str = "eventual",
        snapshot_every: int = SNAPSHOT_EVERY_EVENTS,
    ) -> None:
        if snapshot_every < 1:
            raise UsageError(f"snapshot_every must be at least 1, not {snapshot_every!r}")
        self.name = named.check_log_name(name)
        self._port = port
        self._level = "eventual" if consistency == "crdt" else consistency
        self._parts = parts = parts or LogParts(port, name)
        self._keys, self._strong, self._own = parts.keys, parts.strong, parts.own
        self._reading = Reading(port, self._keys, self._strong)
        self._rebuilding = Rebuilding(port, self._keys, self._reading, snapshot_every)
        self._seen = parts.seen
        self._counts = dict.fromkeys(("appended", "repeated"), 0)

    # --- appending -------------------------------------------------------------------------------

    async def append(
        self,
        event: Any,
        *,
        consistency: Level | None = None,
        correlation_id: str | None = None,
        by: str | None = None,
        event_id: str | None = None,
        expected_version: int | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> AppendReceipt:
        """Append `event`, any value that can be kept. `by`: who did it.

        `event_id`: an append that is tried again with the same id is the same append (strong: in
        the whole cluster for ever; other levels: wherever the first one is known by then, and when
        two were made apart one is left after the heal). `expected_version` (strong only): raises
        `VersionConflict` if the log is at another one. `options`: those of the store's updates
        (`session=`, `wait_for=`, `durable=`, ...). Raises `Unavailable` with its outcome."""
        level = consistency or self._level
        if level not in ("strong", "session", "eventual"):
            raise UsageError(f"consistency is strong, session or eventual, not {level!r}")
        made = Event(
            *(self.name, STRONG, 0, 0, self._port.host, self._port.actor, event),
            named.check_text("correlation_id", correlation_id),
            named.check_text("by", by),
            named.check_text("event_id", event_id),
            dict(self._seen),
        )
        if level == "strong":
            return await self._append_strong(made, expected_version, timeout, options)
        if expected_version is not None:
            raise UsageError("expected_version is for strong appends: others have no one version")
        codec.encode_value(event)  # before a number is taken
        given = {**options, "consistency": level, "timeout": timeout}
        done = await self._own.append(made, given, self._port)
        self._note(done.event, done.repeated)
        kept = done.kept
        return AppendReceipt(
            *(done.event, level, None, None, kept.durable, kept.replicas, done.repeated),
            kept.token,
        )

    async def _append_strong(
        self, made: Event, expected: int | None, timeout: float | None, options: dict[str, Any]
    ) -> AppendReceipt:
        if options.keys() - {"session"}:
            raise UsageError(f"a strong append has no option {min(options.keys() - {'session'})!r}")
        if expected is not None and (type(expected) is not int or expected < 0):
            raise UsageError(f"expected_version is an int of 0 or more, not {expected!r}")
        done = await self._strong.append(made, expected, timeout)
        self._note(done.event, done.repeated)
        return AppendReceipt(
            *(done.event, "strong", done.term, done.index, True, (), done.repeated), None
        )

    def _note(self, event: Event, repeated: bool) -> None:
        self._counts["repeated" if repeated else "appended"] += 1
        self._saw(event)

    def _saw(self, event: Event) -> None:
        """What this host shows of the log is what later events here may depend on."""
        if event.number > self._seen.get(event.strand, 0):
            self._seen[event.strand] = event.number

    # --- reading ---------------------------------------------------------------------------------

    async def read(
        self,
        from_: Place = 0,
        to: Place = None,
        *,
        after: Place = None,
        level: Any = None,
        session: Any = None,
        limit: int = 1000,
        timeout: float | None = None,
    ) -> list[Event]:
        """The first `limit` events from `from_` to `to`, both included, in order.

        With `level="linearizable"` the strong events: places are versions, 1 the first. Otherwise
        all events this host has: places are stamps or versions of the log. `after`: instead of
        `from_`, what is not in this version, among it what came late; `log.version_of(events)`
        says where to go on."""
        if not 1 <= limit <= READ_EVENTS_MAX:
            raise UsageError(f"limit must be 1 to {READ_EVENTS_MAX}, not {limit!r}")
        how = self._how(level, session, timeout)
        start = self._version(after, how) if after is not None else await self._start(from_, how)
        found: list[Event] = []
        async with aclosing(self._reading.walk(start, self._target(to, how), how)) as walk:
            async for event, counts in walk:
                self._saw(event)
                if counts:
                    found.append(event)
                    if len(found) >= limit:
                        break
        return found

    async def version(
        self, *, level: Any = None, session: Any = None, timeout: float | None = None
    ) -> int | Version:
        """How far the log goes: of strong events their number, otherwise a version of the log."""
        how = self._how(level, session, timeout)
        if how.strong:
            await self._reading.strands(how)
            return self._strong.length()
        return await self._reading.before_stamp(1 << 63, how)

    @staticmethod
    def version_of(events: list[Event], before: Mapping[str, int] | None = None) -> Version:
        """The version of the log after these events, read behind `before`."""
        version = dict(before or {})
        for event in events:
            version[event.strand] = max(event.number, version.get(event.strand, 0))
        return version

    async def watch(
        self,
        from_: Place = None,
        *,
        after: Place = None,
        level: Any = None,
        session: Any = None,
    ) -> AsyncGenerator[Event]:
        """Every event from a place on (None: from now on), and then as they come: each once, a
        late one when it comes. Go on in another watch with `after=` the version of what was
        seen. Ends with `Stopped`."""
        how = self._how(level, session, None)
        if after is not None:
            seen = self._version(after, how)
        elif from_ is not None:
            seen = await self._start(from_, how)
        else:
            await self._reading.strands(how)
            seen = await self._reading.before_stamp(1 << 63, how)
        with News(self._port, self._keys.prefix) as news:
            while True:
                news.clear()
                async with aclosing(self._reading.walk(dict(seen), Target(), how)) as walk:
                    async for event, counts in walk:
                        seen[event.strand] = event.number
                        self._saw(event)
                        if counts:
                            yield event
                await self._wait(news)

    # --- rebuilding ------------------------------------------------------------------------------

    async def rebuild(
        self,
        fold: FoldFunction,
        initial: Any = None,
        *,
        at: Place | Literal["latest"] = "latest",
        level: Any = None,
        session: Any = None,
        name: str | None = None,
        fold_version: int = 0,
        timeout: float | None = None,
    ) -> Any:
        """The state after `fold(state, event)` over all events up to `at` (a version, a stamp,
        "latest"), from `initial`.

        States are kept now and then (`snapshot_every` events), for this fold alone: by `name` (its
        own by default), `fold_version`, its code and `initial`. Raise `fold_version` when what it
        calls changes. A state that cannot be kept as a value is computed anew every time."""
        how = self._how(level, session, timeout)
        target = self._target(None if at == "latest" else at, how)
        return await self._rebuilding.rebuild(
            fold, initial, target, how, name=name, fold_version=fold_version
        )

    # --- places and levels -----------------------------------------------------------------------

    def _how(self, level: Any, session: Any, timeout: float | None) -> How:
        if level is None:
            strong = self._level == "strong" and session is None
            level = "linearizable" if strong else "local" if session is None else "session"
        return How(level, session, timeout)

    def _version(self, place: Place, how: How) -> Version:
        if isinstance(place, int) and how.strong:
            return {STRONG: place}
        if isinstance(place, int) or place is None:
            raise UsageError("after= takes a version of the log (log.version_of), not a number")
        return named.check_version(place)

    async def _start(self, place: Place, how: How) -> Version:
        """The version of what comes before a place."""
        if place is None or place == 0:
            return {}
        if isinstance(place, int):
            return (
                {STRONG: place - 1} if how.strong else await self._reading.before_stamp(place, how)
            )
        return {s: number - 1 for s, number in named.check_version(place).items()}

    def _target(self, place: Place | str, how: How) -> Target:
        if place is None:
            return Target()
        if isinstance(place, int):
            return Target(version={STRONG: place}) if how.strong else Target(stamp=place)
        return Target(version=named.check_version(place))

    # --- news ------------------------------------------------------------------------------------

    async def _wait(self, news: News) -> None:
        """Until something of the log may be new."""
        group = self._port.group
        length = self._strong.length()
        while not news.is_set():
            if group.broken is not None:
                raise group.broken
            if group.stopped:
                raise Stopped("the host is stopped or stopping")
            await news.wait(group.advance.wait)
            if self._strong.length() != length:
                return

    async def close(self) -> None:
        """End what is being appended strongly."""
        await self._strong.close()

    def statistics(self) -> dict[str, object]:
        return {
            "strong_version": self._strong.length(),
            "strong_batches": self._strong.batches,
            **{f"{name}_total": count for name, count in self._counts.items()},
            **{f"{name}_total": count for name, count in self._rebuilding.counts.items()},
        }
