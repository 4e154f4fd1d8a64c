"""Notices an event loop that is held up, and names the agent and the method that holds it.

The law of this file: a thread of its own asks the loop for a sign of life; when none comes in time
it looks at what the loop's thread runs. It changes nothing and waits for nothing of the loop. A
thread that woke late itself, in a process that used no processor meanwhile, blames nobody: then
the whole process was held up (a starved host suspects itself first).
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, NamedTuple

from quorate.hosts.agents.turning import TurnRunner

LIMIT_S: Final = 0.1
ASK_S: Final = 0.05
SHOUT_S: Final = 1.0
"""A loop that is held up for so long is told to the log at once: it may never come back."""
FRAMES_SHOWN: Final = 4
STARVED_RATIO: Final = 0.5
"""Of the time that passed, as processor time: with less, it was not Python that ran."""
REPORTS_KEPT: Final = 100
AGAIN_S: Final = 10.0
"""The same method is told again after so long; it is counted each time."""
_TURN: Final = TurnRunner._run.__code__  # pyright: ignore[reportPrivateUsage]

log = logging.getLogger("quorate.watchdog")


class Blocked(NamedTuple):
    """The loop stood still."""

    seconds: float
    agent: str
    """Whose turn ran; empty if it was none."""
    method: str
    where: str
    """The innermost frames; empty if no Python code could run meanwhile."""

    def __str__(self) -> str:
        who = f"agent {self.agent!r}, {self.method}" if self.agent else "something"
        where = self.where or "no Python code could run: a call outside of Python, or a pause"
        return f"{who} held up the event loop for {self.seconds:.2f} s ({where})"


Listener = Callable[[Blocked], object]


class Watchdog:
    """One per loop, shared by its hosts: `Watchdog.of(loop)`, `listen`, and `unlisten` at the
    end."""

    _all: Final[dict[int, Watchdog]] = {}

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], float],
        limit_s: float = LIMIT_S,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        """`cpu()`: seconds of processor time that this process has used."""
        self._loop = loop
        self._now = now
        self._cpu = cpu
        self._limit_s = limit_s
        self._listeners: dict[Listener, None] = {}
        self._thread: threading.Thread | None = None
        self._loop_thread = 0
        self._stop = threading.Event()
        self._asked_at = 0.0
        self._seen: tuple[str, str, str] | None = None
        """(agent, method, where) of the present standstill."""
        self._starved = False
        """This process did not run either."""
        self._told: dict[tuple[str, str], float] = {}
        self.blocked_total = 0
        self.starved_total = 0
        """How often the whole process was held up."""
        self.longest_s = 0.0
        self.last: deque[Blocked] = deque(maxlen=REPORTS_KEPT)

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop, now: Callable[[], float]) -> Watchdog:
        """The one of this loop."""
        found = cls._all.get(id(loop))
        if found is None or found._loop is not loop:
            found = cls._all[id(loop)] = cls(loop, now)
        return found

    # --- on the loop ------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        """Have `listener(blocked)` called on the loop, when it goes on again."""
        self._listeners[listener] = None
        if self._thread is None:
            self._stop.clear()
            self._asked_at = 0.0
            self._loop_thread = threading.get_ident()
            self._thread = threading.Thread(
                target=self._watch, name="quorate watchdog", daemon=True
            )
            self._thread.start()

    def unlisten(self, listener: Listener) -> None:
        """Undo it; with the last one the thread ends. Safe to call twice."""
        self._listeners.pop(listener, None)
        if not self._listeners and self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
            self._all.pop(id(self._loop), None)

    def _on_asked(self) -> None:
        """The sign of life."""
        took_s = self._now() - self._asked_at
        seen, self._seen = self._seen, None
        starved, self._starved = self._starved, False
        self._asked_at = 0.0
        if took_s < self._limit_s or starved:
            return
        blocked = Blocked(took_s, *(seen or ("", "", "")))
        self.blocked_total += 1
        self.longest_s = max(self.longest_s, took_s)
        self.last.append(blocked)
        who = (blocked.agent, blocked.method)
        now = self._now()
        if now - self._told.get(who, float("-inf")) < AGAIN_S:
            return
        if len(self._told) > REPORTS_KEPT:
            self._told.clear()
        self._told[who] = now
        for listener in tuple(self._listeners):
            listener(blocked)

    # --- on the thread ----------------------------------------------------------------------------

    def _watch(self) -> None:
        slept_at, used_s = self._now(), self._cpu()
        shouted = False
        while not self._stop.wait(ASK_S):
            woke_at = self._now()
            passed_s, before_s = woke_at - slept_at, used_s
            slept_at, used_s = woke_at, self._cpu()
            if passed_s > ASK_S + self._limit_s and used_s - before_s < STARVED_RATIO * passed_s:
                self.starved_total += 1
                self._starved = True
            asked_at = self._asked_at
            if not asked_at:
                shouted = False
                self._asked_at = woke_at
                try:
                    self._loop.call_soon_threadsafe(self._on_asked)
                except RuntimeError:
                    return  # the loop is closed
                continue
            if self._starved:
                continue
            if woke_at - asked_at >= self._limit_s and self._seen is None:
                self._seen = self._look()
            if woke_at - asked_at >= SHOUT_S and not shouted:
                shouted = True
                seen = self._seen or ("", "", "")
                log.warning("%s, and goes on", Blocked(woke_at - asked_at, *seen))

    def _look(self) -> tuple[str, str, str] | None:
        """What the loop's thread runs now."""
        frame = sys._current_frames().get(self._loop_thread)  # pyright: ignore[reportPrivateUsage]
        if frame is None:
            return None
        agent, method = _turn_of(frame)
        return agent, method, _where(frame)

    def statistics(self) -> dict[str, Any]:
        return {
            "loop_blocked_total": self.blocked_total,
            "loop_blocked_longest_s": round(self.longest_s, 3),
            "process_starved_total": self.starved_total,
        }


def _turn_of(innermost: FrameType) -> tuple[str, str]:
    """(agent, method) of the turn that a frame is part of."""
    frame: FrameType | None = innermost
    while frame is not None:
        if frame.f_code is _TURN:
            known = frame.f_locals
            return str(known["self"].name), str(known["message"].method)
        frame = frame.f_back
    return "", ""


def _where(innermost: FrameType) -> str:
    """The innermost frames, the calling one first."""
    lines: list[str] = []
    frame: FrameType | None = innermost
    while frame is not None and len(lines) < FRAMES_SHOWN:
        code = frame.f_code
        file = code.co_filename.rpartition("/")[2]
        lines.append(f"{file}:{frame.f_lineno} in {code.co_qualname}")
        frame = frame.f_back
    return " < ".join(lines)
