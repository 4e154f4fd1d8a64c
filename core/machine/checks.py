"""Is a command well formed and within the limits? One check per operation, used on both sides.

The law of this file: a check looks at one command `[sequence, op, *arguments]`, raises UsageError
(or another ValueError for a wrong number of arguments) and knows no state. The proposer's host runs
it before proposing, for its sentence; every machine runs it again on what comes from the log, for
its verdict. Checks belong to the command version, like the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from quorate.core.errors import LimitExceeded, UsageError
from quorate.core.machine import limits, ops
from quorate.core.machine.agent_checks import AGENT_CHECKS
from quorate.core.machine.check_parts import integer as _int
from quorate.core.machine.check_parts import name as _name
from quorate.core.machine.check_parts import namespace as _namespace
from quorate.core.machine.check_parts import octets as _bytes
from quorate.core.machine.check_parts import text as _text

Check = Callable[[Sequence[Any]], None]

COMPARE_TARGETS: Final = frozenset(("version", "value", "create", "mod", "lease", "exists"))
COMPARE_OPERATORS: Final = frozenset(("=", "!=", "<", ">"))
POLICIES: Final = frozenset(("fail", "use_existing", "replace"))

_KEY_BYTES_MAX = limits.KEY_BYTES_MAX
_VALUE_BYTES_MAX = limits.VALUE_BYTES_MAX
_IDS_MAX = limits.IDS_MAX


def _put(command: Sequence[Any]) -> None:
    _, _, ns, key, value, lease = command
    if ns != "":
        _namespace(ns)
    if type(key) is not str or not key.isascii() or not 0 < len(key) <= _KEY_BYTES_MAX:
        _name(key, "key")
    if type(value) is not bytes or len(value) > _VALUE_BYTES_MAX:
        _bytes("value", value, _VALUE_BYTES_MAX)
    if type(lease) is not int or not 0 <= lease <= _IDS_MAX:
        _int("lease", lease)


def _put_stamped(command: Sequence[Any]) -> None:
    _, _, ns, key, value, stamp, version = command
    _put((0, 0, ns, key, b"" if value is None else value, 0))
    _int("stamp", stamp, 0, limits.STAMPS_MAX)
    _int("expected version", version, -1)


def _get(command: Sequence[Any]) -> None:
    _, _, ns, key = command
    _namespace(ns)
    _name(key, "key")


def _delete(command: Sequence[Any]) -> None:
    _, _, ns, key, version = command
    _namespace(ns)
    _name(key, "key")
    _int("expected version", version, -1)


def _delete_prefix(command: Sequence[Any]) -> None:
    _, _, ns, prefix, keys_max = command
    _namespace(ns)
    _text("prefix", prefix, _KEY_BYTES_MAX, 0)
    _int("number of keys", keys_max, 1, limits.DELETE_PREFIX_KEYS_MAX)


def _range(command: Sequence[Any]) -> None:
    _, _, ns, start, stop, keys_max = command
    _namespace(ns)
    _text("start of the range", start, _KEY_BYTES_MAX, 0)
    if stop is not None:
        _text("stop of the range", stop, _KEY_BYTES_MAX + 4, 0)
    _int("number of keys", keys_max, 1, limits.TXN_RANGE_KEYS_MAX)


def _compare_and_set(command: Sequence[Any]) -> None:
    _, _, ns, key, value, lease, target, operator, operand = command
    _put((0, 0, ns, key, value, lease))
    _compare((ns, key, target, operator, operand))


def _compare(compare: Any) -> None:
    if not isinstance(compare, list | tuple):
        raise UsageError(f"a compare must be a list, not {type(compare).__name__}")
    ns, key, target, operator, operand = compare  # pyright: ignore[reportUnknownVariableType]
    _namespace(ns)
    _name(key, "key")
    if type(target) is not str or target not in COMPARE_TARGETS:  # pyright: ignore[reportUnknownArgumentType]
        raise UsageError(
            f"cannot compare {target!r}: use one of {', '.join(sorted(COMPARE_TARGETS))}"
        )
    if type(operator) is not str or operator not in COMPARE_OPERATORS:  # pyright: ignore[reportUnknownArgumentType]
        raise UsageError(f"the operator {operator!r} is unknown: use one of = != < >")
    if target == "value":
        _bytes("compared value", b"" if operand is None else operand, _VALUE_BYTES_MAX)
        if operand is None and operator not in ("=", "!="):
            raise UsageError("a missing value can only be compared with = or !=")
    elif target == "exists":
        if type(operand) is not bool or operator not in ("=", "!="):  # pyright: ignore[reportUnknownArgumentType]
            raise UsageError("exists is compared with True or False, by = or !=")
    else:
        _int(f"compared {target}", operand)


_TXN_CHECKS: Final[dict[int, Check]] = {
    ops.PUT: _put,
    ops.GET: _get,
    ops.DELETE: _delete,
    ops.RANGE: _range,
}


def _txn(command: Sequence[Any]) -> None:
    _, _, compares, then, otherwise = command
    for what, part in (("compares", compares), ("then", then), ("else", otherwise)):
        if not isinstance(part, list | tuple):
            raise UsageError(f"the {what} of a transaction must be a list")
        if len(part) > limits.TXN_OPS_MAX:  # pyright: ignore[reportUnknownArgumentType]
            raise LimitExceeded(
                f"the {what} of the transaction has {len(part)} operations, "  # pyright: ignore[reportUnknownArgumentType]
                f"{limits.TXN_OPS_MAX} at most: split it"
            )
    for compare in compares:
        _compare(compare)
    for operation in (*then, *otherwise):
        _txn_operation(operation)


def _txn_operation(operation: Any) -> None:
    if not isinstance(operation, list | tuple) or not operation or type(operation[0]) is not int:  # pyright: ignore[reportUnknownArgumentType]
        raise UsageError("an operation of a transaction must be a command")
    check = _TXN_CHECKS.get(operation[0])
    if check is None:
        raise UsageError("a transaction takes put, get, delete and range only")
    check((0, *operation))  # pyright: ignore[reportUnknownArgumentType]
    if operation[0] == ops.DELETE and operation[3] != -1:
        raise UsageError("a delete in a transaction takes no version: put it into the compares")


def _lease_grant(command: Sequence[Any]) -> None:
    _, _, ttl_ms, lease = command
    _int("time to live in ms", ttl_ms, limits.LEASE_TTL_MS_MIN, limits.LEASE_TTL_MS_MAX)
    _int("lease", lease)


def _lease_revoke(command: Sequence[Any]) -> None:
    _, _, lease = command
    _int("lease", lease, 1)


def _lease_expire(command: Sequence[Any]) -> None:
    _, _, lease, generation, term = command
    _int("lease", lease, 1)
    _int("generation", generation)
    _int("term", term)


def _acquire(command: Sequence[Any]) -> None:
    _, _, name, lease, owner, value, wait = command
    _name(name)
    _int("lease", lease, 1)
    _bytes("owner", owner, limits.OWNER_BYTES_MAX)
    _bytes("value", value, limits.LOCATION_BYTES_MAX)
    if type(wait) is not bool:
        raise UsageError("wait must be True or False")


def _release(command: Sequence[Any]) -> None:
    _, _, name, lease, owner, token = command
    _name(name)
    _int("lease", lease, 1)
    _bytes("owner", owner, limits.OWNER_BYTES_MAX)
    _int("token", token)


def _proclaim(command: Sequence[Any]) -> None:
    _, _, name, term, value = command
    _name(name)
    _int("term", term, 1)
    _bytes("value", value, limits.LOCATION_BYTES_MAX)


def _register(command: Sequence[Any]) -> None:
    _, _, name, value, meta, lease, policy = command
    _name(name)
    _bytes("value", value, limits.LOCATION_BYTES_MAX)
    _bytes("metadata", meta, limits.META_BYTES_MAX)
    _int("lease", lease)
    if type(policy) is not str or policy not in POLICIES:
        raise UsageError(f"the policy {policy!r} is unknown: use fail, use_existing or replace")


def _unregister(command: Sequence[Any]) -> None:
    _, _, name, epoch = command
    _name(name)
    _int("epoch", epoch)


def _update_meta(command: Sequence[Any]) -> None:
    _, _, name, meta, epoch = command
    _name(name)
    _bytes("metadata", meta, limits.META_BYTES_MAX)
    _int("epoch", epoch)


def _open_session(command: Sequence[Any]) -> None:
    _, _, base_index = command
    _int("base index", base_index)


def _close_session(command: Sequence[Any]) -> None:
    _, _ = command


CHECKS: Final[dict[int, Check]] = {
    ops.OPEN_SESSION: _open_session,
    ops.CLOSE_SESSION: _close_session,
    ops.PUT: _put,
    ops.DELETE: _delete,
    ops.DELETE_PREFIX: _delete_prefix,
    ops.COMPARE_AND_SET: _compare_and_set,
    ops.PUT_STAMPED: _put_stamped,
    ops.TXN: _txn,
    ops.LEASE_GRANT: _lease_grant,
    ops.LEASE_REVOKE: _lease_revoke,
    ops.LEASE_EXPIRE: _lease_expire,
    ops.LOCK_ACQUIRE: _acquire,
    ops.LOCK_RELEASE: _release,
    ops.ELECTION_CAMPAIGN: _acquire,
    ops.ELECTION_RESIGN: _release,
    ops.ELECTION_PROCLAIM: _proclaim,
    ops.NAME_REGISTER: _register,
    ops.NAME_UNREGISTER: _unregister,
    ops.NAME_UPDATE_META: _update_meta,
    **AGENT_CHECKS,
}
"""By operation code: what may be proposed as a command of its own."""
