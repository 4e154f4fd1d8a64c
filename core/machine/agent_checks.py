"""Is a command of agents well formed and within the limits? As `checks.py`, which merges these.

The law of this file: like there, a check looks at one command `[sequence, op, *arguments]` and
knows no state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from quorate.core.errors import LimitExceeded, UsageError
from quorate.core.machine import limits, ops
from quorate.core.machine.agent_owners import AGENT_PREFIX, LEASE_PREFIX
from quorate.core.machine.agent_rows import ORPHANS
from quorate.core.machine.check_parts import integer, name, namespace, octets, text

START_POLICIES: Final = ("fail", "use_existing", "replace")
BIND_MODES: Final = ("move", "take")
NEW_STATUSES: Final = ("placed", "failed")
_KEY_BYTES_MAX = limits.KEY_BYTES_MAX
_VALUE_BYTES_MAX = limits.VALUE_BYTES_MAX
_STAMPS_MAX = limits.STAMPS_MAX


def one_of(what: str, value: Any, allowed: tuple[str, ...]) -> None:
    if type(value) is not str or value not in allowed:
        raise UsageError(f"the {what} {value!r} is unknown: use one of {', '.join(allowed)}")


def rows(what: str, value: Any, items_max: int) -> None:
    if not isinstance(value, list | tuple):
        raise UsageError(f"the {what} must be a list, not {type(value).__name__}")
    if len(value) > items_max:  # pyright: ignore[reportUnknownArgumentType]
        raise LimitExceeded(f"{len(value)} {what}, {items_max} at most")  # pyright: ignore[reportUnknownArgumentType]


def _flag(what: str, value: Any) -> None:
    if type(value) is not bool:
        raise UsageError(f"{what} must be True or False")


def _place(host: Any, lease: Any) -> None:
    text("host", host, limits.AGENT_HOST_BYTES_MAX, 0)
    integer("lease", lease)
    if (host == "") != (lease == 0):
        raise UsageError("an agent has both a host and that host's lease, or neither")


def _owner(value: Any, owned: str) -> None:
    text("owner", value, len(AGENT_PREFIX) + limits.KEY_BYTES_MAX)
    if value.startswith(AGENT_PREFIX):
        owner = value[len(AGENT_PREFIX) :]
        name(owner, "owner's name")
        if owner == owned:
            raise UsageError(f"agent {owned[:40]!r} cannot own itself")
        return
    lease = value[len(LEASE_PREFIX) :]
    if not value.startswith(LEASE_PREFIX) or not lease.isascii() or not lease.isdecimal():
        raise UsageError(f"the owner {value[:40]!r} must be 'agent:<name>' or 'lease:<id>'")
    integer("owner's lease", int(lease), 1)
    if str(int(lease)) != lease:
        raise UsageError(f"the owner {value[:40]!r} has an id with zeros in front")


def _start(command: Sequence[Any]) -> None:
    _, _, name_, kind, spec, meta, host, lease, status, owners, orphan, policy = command
    name(name_)
    text("kind", kind, limits.AGENT_KIND_BYTES_MAX)
    octets("spec", spec, limits.AGENT_SPEC_BYTES_MAX)
    octets("metadata", meta, limits.META_BYTES_MAX)
    _place(host, lease)
    one_of("status", status, ("starting", "placed") if lease else ("unplaced",))
    rows("owners", owners, limits.AGENT_OWNERS_MAX)
    for owner in owners:
        _owner(owner, name_)
    if len(set(owners)) != len(owners):
        raise UsageError("an owner is listed twice")
    one_of("orphan policy", orphan, ORPHANS)
    one_of("policy", policy, START_POLICIES)


def _bind(command: Sequence[Any]) -> None:
    _, _, name_, epoch, host, lease, mode = command
    name(name_)
    integer("epoch", epoch, 1)
    _place(host, lease)
    one_of("mode", mode, BIND_MODES)


def _stop(command: Sequence[Any]) -> None:
    _, _, name_, epoch, life, reason = command
    name(name_)
    integer("epoch", epoch)
    integer("life", life)
    text("reason", reason, limits.REASON_BYTES_MAX, 0)


def _update(command: Sequence[Any]) -> None:
    _, _, name_, epoch, meta, status = command
    name(name_)
    integer("epoch", epoch)
    if meta is not None:
        octets("metadata", meta, limits.META_BYTES_MAX)
    if status is not None:
        one_of("status", status, NEW_STATUSES)


def _commit(command: Sequence[Any]) -> None:
    _, _, name_, epoch, writes, marks = command
    if type(name_) is not str or not name_.isascii() or not 0 < len(name_) <= _KEY_BYTES_MAX:
        name(name_)
    integer("epoch", epoch, 1)
    rows("writes", writes, limits.AGENT_WRITES_MAX)
    known: set[str] = set()
    for ns, key, value, stamp in writes:
        if ns not in known:
            namespace(ns)
            known.add(ns)
        if type(key) is not str or not key.isascii() or not 0 < len(key) <= _KEY_BYTES_MAX:
            name(key, "key")
        if value is not None and (type(value) is not bytes or len(value) > _VALUE_BYTES_MAX):
            octets("value", value, _VALUE_BYTES_MAX)
        if type(stamp) is not int or not 0 <= stamp <= _STAMPS_MAX:
            integer("stamp", stamp, 0, _STAMPS_MAX)
    rows("marks", marks, limits.AGENT_MARKS_MAX)
    for mark in marks:
        _mark(mark)


def _mark(mark: Any) -> None:
    rows("mark", mark, 5)
    check = _MARKS.get(mark[0]) if mark and type(mark[0]) is str else None
    if check is None:
        raise UsageError(f"a mark must be one of {', '.join(_MARKS)}")
    check(mark)


def _id(value: Any) -> None:
    text("reminder's id", value, limits.REMINDER_ID_BYTES_MAX)


def _remind(mark: Sequence[Any]) -> None:
    _, id_, due_ms, period_ms, data = mark
    _id(id_)
    integer("due time in ms", due_ms)
    integer("period in ms", period_ms)
    octets("reminder's data", data, limits.REMINDER_BYTES_MAX)


def _reminded(mark: Sequence[Any]) -> None:
    _, id_, due_ms, *next_due_ms = mark
    _id(id_)
    integer("due time in ms", due_ms)
    if next_due_ms:
        (after_ms,) = next_due_ms
        integer("next due time in ms", after_ms)


def _forget(mark: Sequence[Any]) -> None:
    _, id_ = mark
    _id(id_)


def _down(mark: Sequence[Any]) -> None:
    _, seq = mark
    integer("number of the news", seq, 1)


def _started(mark: Sequence[Any]) -> None:
    (_,) = mark


_MARKS: Final[dict[str, Callable[[Sequence[Any]], None]]] = {
    "remind": _remind,
    "reminded": _reminded,
    "forget": _forget,
    "down": _down,
    "started": _started,
}


def _own(command: Sequence[Any]) -> None:
    _, _, name_, owner, on = command
    name(name_)
    _owner(owner, name_)
    _flag("on", on)


def _pair(command: Sequence[Any]) -> None:
    _, _, one, other, on = command
    name(one)
    name(other)
    if one == other:
        raise UsageError(f"agent {one[:40]!r} cannot be linked to itself, nor watch itself")
    _flag("on", on)


def _sweep(command: Sequence[Any]) -> None:
    _, _ = command


AGENT_CHECKS: Final[dict[int, Callable[[Sequence[Any]], None]]] = {
    ops.AGENT_START: _start,
    ops.AGENT_BIND: _bind,
    ops.AGENT_STOP: _stop,
    ops.AGENT_UPDATE: _update,
    ops.AGENT_COMMIT: _commit,
    ops.AGENT_OWN: _own,
    ops.AGENT_LINK: _pair,
    ops.AGENT_MONITOR: _pair,
    ops.AGENT_SWEEP: _sweep,
}
