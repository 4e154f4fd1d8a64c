"""Commands and command batches: how they are made, checked before proposing, and read back from the
log.

The law of this file: a command is a tuple `(op, *arguments)` of plain values; a batch is CBOR
`[version, session, ack_low, [[sequence, op, *arguments], ...]]` from one client session. A batch of
a higher version, or an operation this version does not have, was written by a newer host:
`UnsupportedCommand` stops the host rather than let it diverge (S15). Whatever else is wrong with a
batch is answered, never raised, and the same way everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from quorate.core import codec
from quorate.core.errors import InvariantBroken, LimitExceeded, UsageError
from quorate.core.machine import limits, ops
from quorate.core.machine.checks import CHECKS

COMMAND_VERSION: Final = 3
"""Raised with every new operation, argument, limit or meaning. 2: put_stamped. 3: agents, whose
commands are made in `agent_commands.py`."""

Command = tuple[Any, ...]
"""`(op, *arguments)`"""

Policy = Literal["fail", "use_existing", "replace"]
Target = Literal["version", "value", "create", "mod", "lease", "exists"]
Operator = Literal["=", "!=", "<", ">"]


class UnsupportedCommand(InvariantBroken):
    """The log holds a command this host is too old for. It must stop, be upgraded, and
    start again.
    """


# --- sessions -------------------------------------------------------------------------------------


def open_session(base_index: int) -> Command:
    """Open the batch's session; must come before its other commands. `base_index`: an index this
    host has applied.

    A late copy of an opening, from before a session that is gone by now, carries an older
    `base_index` and is refused.
    """
    return (ops.OPEN_SESSION, base_index)


def close_session() -> Command:
    """Forget the batch's session and its results."""
    return (ops.CLOSE_SESSION,)


# --- keys and values ------------------------------------------------------------------------------


def put(key: str, value: bytes, lease: int = 0, ns: str = "") -> Command:
    """Write an encoded value; with a lease, the key dies with it."""
    return (ops.PUT, ns, key, value, lease)


def delete(key: str, ns: str = "", *, version: int = -1) -> Command:
    """Delete a key; with a version >= 0, only if the key has exactly this version."""
    return (ops.DELETE, ns, key, version)


def delete_prefix(
    prefix: str, ns: str = "", *, keys_max: int = limits.DELETE_PREFIX_KEYS_MAX
) -> Command:
    """Delete the first `keys_max` keys that begin with `prefix`; the answer says whether more are
    left.
    """
    return (ops.DELETE_PREFIX, ns, prefix, keys_max)


def compare_and_set(
    key: str,
    value: bytes,
    *,
    target: Target = "version",
    operator: Operator = "=",
    operand: int | bytes | bool | None = 0,
    lease: int = 0,
    ns: str = "",
) -> Command:
    """Write if the compare holds; the default writes only if the key does not exist."""
    return (ops.COMPARE_AND_SET, ns, key, value, lease, target, operator, operand)


def put_stamped(
    key: str, value: bytes | None, stamp: int, ns: str, *, version: int = -1
) -> Command:
    """Write a stamped record; None leaves a tombstone. The stamp kept is the given one or the
    present one + 1, whichever is higher. With a version >= 0, only if the key has exactly this one.
    """
    return (ops.PUT_STAMPED, ns, key, value, stamp, version)


def get(key: str, ns: str = "") -> Command:
    """For transactions only."""
    return (ops.GET, ns, key)


def range_(
    start: str,
    stop: str | None = None,
    ns: str = "",
    *,
    keys_max: int = limits.TXN_RANGE_KEYS_MAX,
) -> Command:
    """Keys with start <= key < stop (None: to the end of the namespace). For transactions only."""
    return (ops.RANGE, ns, start, stop, keys_max)


def compare(
    key: str, target: Target, operator: Operator, operand: int | bytes | bool | None, ns: str = ""
) -> Command:
    """One condition of a transaction. A missing key has version, create, mod and lease 0 and the
    value None.
    """
    return (ns, key, target, operator, operand)


def txn(
    compares: Sequence[Command], then: Sequence[Command], otherwise: Sequence[Command] = ()
) -> Command:
    """If all compares hold do all of `then`, else all of `otherwise`; one revision, all
    or nothing.
    """
    return (ops.TXN, list(compares), list(then), list(otherwise))


# --- leases, locks, elections, names --------------------------------------------------------------


def lease_grant(ttl_ms: int, lease: int = 0) -> Command:
    """A new lease with the id `lease`, or with one the machine gives."""
    return (ops.LEASE_GRANT, ttl_ms, lease)


def lease_revoke(lease: int) -> Command:
    """End a lease and all that hangs on it."""
    return (ops.LEASE_REVOKE, lease)


def lease_expire(lease: int, generation: int, term: int = 0) -> Command:
    """The leader's clock says that the lease ran out. Void if the lease was granted anew since, or
    if the command ends up in an entry of another `term` (0: of any).
    """
    return (ops.LEASE_EXPIRE, lease, generation, term)


def lock_acquire(name: str, lease: int, owner: bytes = b"", *, wait: bool = True) -> Command:
    """Take the lock, or stand in line (`wait`). (lease, owner) is who asks; asking again changes
    nothing.
    """
    return (ops.LOCK_ACQUIRE, name, lease, owner, b"", wait)


def lock_release(name: str, lease: int, owner: bytes = b"", *, token: int = 0) -> Command:
    """Release the lock or leave the line. With a token, release only that grant."""
    return (ops.LOCK_RELEASE, name, lease, owner, token)


def election_campaign(
    name: str, lease: int, value: bytes = b"", owner: bytes = b"", *, wait: bool = True
) -> Command:
    """Lead, or stand in line to lead, proclaiming `value`."""
    return (ops.ELECTION_CAMPAIGN, name, lease, owner, value, wait)


def election_resign(name: str, lease: int, owner: bytes = b"", *, term: int = 0) -> Command:
    """Stop leading or leave the line. With a term, resign only from that one."""
    return (ops.ELECTION_RESIGN, name, lease, owner, term)


def election_proclaim(name: str, term: int, value: bytes) -> Command:
    """Change the leader's value; refused unless `term` is the present one."""
    return (ops.ELECTION_PROCLAIM, name, term, value)


def name_register(
    name: str, value: bytes, meta: bytes = b"", lease: int = 0, policy: Policy = "fail"
) -> Command:
    """Bind a name to a location; `policy` says what to do when it is bound already."""
    return (ops.NAME_REGISTER, name, value, meta, lease, policy)


def name_unregister(name: str, epoch: int = 0) -> Command:
    """Unbind a name; with an epoch, only that registration."""
    return (ops.NAME_UNREGISTER, name, epoch)


def name_update_meta(name: str, meta: bytes, epoch: int = 0) -> Command:
    """Change a registration's metadata; with an epoch, only of that registration."""
    return (ops.NAME_UPDATE_META, name, meta, epoch)


# --- checking, encoding, decoding -----------------------------------------------------------------


def validate(command: Command) -> None:
    """Raises UsageError or LimitExceeded, which says what is wrong and what to do, for what the
    machine would refuse.
    """
    check = CHECKS.get(command[0]) if command else None
    if check is None:
        raise UsageError(f"{command[:1]!r} is no command of version {COMMAND_VERSION}")
    try:
        check((0, *command))
    except UsageError:
        raise
    except (ValueError, TypeError) as error:
        raise UsageError(f"command {command[0]} has wrong arguments: {error}") from error


def encode_batch(session: int, ack_low: int, commands: Sequence[Command]) -> bytes:
    """The bytes of a batch; `commands` are `(sequence, op, *arguments)`.

    `ack_low`: every lower sequence is settled for the client; its result is forgotten. Raises
    LimitExceeded.
    """
    if len(commands) > limits.BATCH_COMMANDS_MAX:
        raise LimitExceeded(
            f"{len(commands)} commands in a batch, {limits.BATCH_COMMANDS_MAX} at most: split it"
        )
    return codec.dumps([COMMAND_VERSION, session, ack_low, commands])


Batch = tuple[int, int, list[list[Any]]]
"""(session, ack_low, commands); each command begins with two ints and has a known operation."""

_KNOWN = frozenset(CHECKS)


def decode_batch(data: bytes) -> Batch | None:
    """Read a batch from the log; None if it is malformed. Commands without a readable sequence are
    left out.

    Raises UnsupportedCommand for a higher version or an operation this version does not have.
    """
    try:
        version, session, ack_low, commands = codec.loads(data)
    except (ValueError, TypeError):
        return _unreadable(data)
    if type(version) is not int or version < 1:
        return None
    if version > COMMAND_VERSION:
        raise _unsupported(f"version {version}")
    if (
        type(session) is not int
        or type(ack_low) is not int
        or type(commands) is not list
        or not 0 < session <= limits.IDS_MAX
        or not 0 <= ack_low <= limits.IDS_MAX
        or len(commands) > limits.BATCH_COMMANDS_MAX  # pyright: ignore[reportUnknownArgumentType]
    ):
        return None
    try:
        good: list[list[Any]] = [
            command
            for command in commands  # pyright: ignore[reportUnknownVariableType]
            if type(command) is list and type(command[0]) is int and type(command[1]) is int  # pyright: ignore[reportUnknownArgumentType]
        ]
        sequences = [command[0] for command in good]
        known = _KNOWN.issuperset({command[1] for command in good})
        if known and sequences and min(sequences) > 0 and max(sequences) <= limits.IDS_MAX:
            return session, ack_low, good
    except (TypeError, LookupError):
        pass
    return session, ack_low, _picked(commands)  # pyright: ignore[reportUnknownArgumentType]


def _picked(commands: list[Any]) -> list[list[Any]]:
    """The slow way: look at each."""
    good: list[list[Any]] = []
    for command in commands:
        if (
            type(command) is list
            and len(command) >= 2  # pyright: ignore[reportUnknownArgumentType]
            and type(command[0]) is int  # pyright: ignore[reportUnknownArgumentType]
            and type(command[1]) is int  # pyright: ignore[reportUnknownArgumentType]
            and 0 < command[0] <= limits.IDS_MAX
        ):
            if command[1] not in _KNOWN:
                raise _unsupported(f"operation {command[1]}")
            good.append(command)  # pyright: ignore[reportUnknownArgumentType]
    return good


def _unreadable(data: bytes) -> None:
    """Malformed as far as this version can tell; a later version may have another shape behind its
    number.
    """
    try:
        batch = codec.loads(data)
    except ValueError:
        return
    if type(batch) is list and batch and type(batch[0]) is int and batch[0] > COMMAND_VERSION:  # pyright: ignore[reportUnknownArgumentType]
        raise _unsupported(f"version {batch[0]}")


def _unsupported(what: str) -> UnsupportedCommand:
    return UnsupportedCommand(
        f"the log holds a command batch with {what}, this host knows version {COMMAND_VERSION}: "
        "stop it and upgrade it, going on would make its state differ"
    )
