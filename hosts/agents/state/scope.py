"""Where an agent's keys are, and how much it may keep.

The law of this file: an agent's keys begin with its scope and a slash, and no other agent's do: the
scope is the number of its life, or (for what outlives it) its name. Keys that begin with a tilde,
or hold a NUL, are the system's own. Names and numbers only; nothing here reads or writes.
"""

from __future__ import annotations

import string
from typing import Any, Final, Protocol

from quorate.consistency.replica.definitions import KEY_BYTES_MAX
from quorate.consistency.strong import NAMESPACE_PREFIX
from quorate.core.errors import UsageError

STORE: Final = "quorate.agents"
"""The store of all agents. Its name begins with `ring.placement.TOGETHER`."""
NAMESPACE: Final = NAMESPACE_PREFIX + STORE
TURN: Final = "~turn."
"""Begins the name of a register, one for each epoch that wrote locally, that the last of a turn's
local updates writes: see `marks.py`."""
REDO: Final = "~redo"
"""The strong record of local updates that must not be lost: see `marks.py`."""
HIDDEN: Final = "~"
COUNT_AGAIN_S: Final = 1.0
SIZES_KEPT: Final = 4096
_DIGITS: Final = string.digits + string.ascii_lowercase
_KEPT: Final = "="


class Holder(Protocol):
    """What the state must know of the activation it belongs to."""

    @property
    def name(self) -> str: ...
    @property
    def life(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def holds(self) -> bool:
        """Whether it may believe to be the present activation."""
        ...

    @property
    def degraded(self) -> bool:
        """It goes on although this host reaches no majority."""
        ...

    @property
    def record(self) -> Any:
        """The binding: an `AgentRecord`."""
        ...

    def take(self, record: Any) -> None:
        """The binding is a later one, to this host."""
        ...


def base36(number: int) -> str:
    """A number of 0 or more in 36 digits."""
    digits = _DIGITS[number % 36]
    while number := number // 36:
        digits = _DIGITS[number % 36] + digits
    return digits


def scope_of(name: str, life: int, *, kept: bool) -> str:
    """The scope of a life; `kept`: of all lives of the name. It has no slash."""
    if not kept:
        return base36(life)
    return _KEPT + name.replace("%", "%25").replace("/", "%2F")


def life_of(scope: str) -> int | None:
    """The life of a scope; None for one that belongs to a name."""
    try:
        return None if scope.startswith(_KEPT) else int(scope, 36)
    except ValueError:
        return None


class Keys:
    """The names of one agent's keys."""

    __slots__ = ("agent", "prefix", "redo", "scope", "turns")

    def __init__(self, agent: str, scope: str) -> None:
        self.agent = agent
        self.scope = scope
        self.prefix = scope + "/"
        self.turns = self.prefix + TURN
        """Before the epoch; and, as any key, a key that says where all of them live."""
        self.redo = self.prefix + REDO

    def full(self, key: object) -> str:
        """The key as the store knows it. Raises `UsageError`."""
        if type(key) is not str or not key:
            raise UsageError(
                f"agent {self.agent!r}: a key must be a text that is not empty, not {key!r:.60}"
            )
        full = self.prefix + key
        if key.isascii() and len(full) <= KEY_BYTES_MAX and key[0] != HIDDEN and "\0" not in key:
            return full
        return self._looked_at(key, full)

    def _looked_at(self, key: str, full: str) -> str:
        what = f"agent {self.agent!r}, key {key[:40]!r}"
        if key[0] == HIDDEN or "\0" in key:
            raise UsageError(f"{what}: keys with {HIDDEN!r} in front or a NUL are the system's own")
        try:
            size_bytes = len(full.encode())
        except UnicodeEncodeError as error:
            raise UsageError(f"{what} cannot be written as UTF-8") from error
        if size_bytes > KEY_BYTES_MAX:
            most = KEY_BYTES_MAX - len(self.prefix.encode())
            raise UsageError(f"{what} is too long: at most {most} bytes are allowed")
        return full

    def turn(self, epoch: int) -> str:
        """The register of an epoch's turns: nobody else writes it, so nothing is ever against it
        but what the same activation wrote."""
        return self.turns + base36(epoch)

    def own(self, full: str) -> str:
        """The key as the agent knows it."""
        return full[len(self.prefix) :]

    def is_hidden(self, full: str) -> bool:
        """Whether it is one of the system's own."""
        return full.startswith(HIDDEN, len(self.prefix)) or "\0" in full

    def what(self, full: str) -> str:
        """How error texts name a key."""
        return f"agent {self.agent!r}, key {self.own(full)!r:.60}"


class Usage:
    """How many bytes of keys and values an agent keeps: of the local plane as its last turn said,
    of the strong plane as counted once, both changed with each turn. CRDTs are charged by their
    operations, mostly more than they take, until they are counted exactly."""

    __slots__ = ("bytes_max", "counted_bytes", "counted_s", "known", "local", "sizes", "strong")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.local = 0
        self.strong = 0
        self.known = False
        """Whether the strong part was counted."""
        self.counted_bytes = 0
        """What the whole was when it was last counted exactly."""
        self.counted_s = float("-inf")
        """When that was (monotonic)."""
        self.sizes: dict[str, int] = {}
        """Of strong keys that were looked at: bytes with their value; 0 for none."""

    @property
    def total(self) -> int:
        return self.local + self.strong

    def worth_counting(self, now: float) -> bool:
        """Whether an exact count could help: much was charged since the last one, or something
        and the last one is some time ago."""
        charged = abs(self.total - self.counted_bytes)
        if charged >= self.bytes_max // 16:
            return True
        return charged > 0 and now - self.counted_s >= COUNT_AGAIN_S

    def wrote(self, sizes: dict[str, int]) -> None:
        """A turn wrote these strong keys."""
        if len(self.sizes) + len(sizes) > SIZES_KEPT:
            self.sizes.clear()
        self.sizes.update(sizes)
