"""Random commands over few keys, names and leases, so that they meet.

The law of this file: everything comes from the handed-in generator.
"""

from __future__ import annotations

from random import Random
from typing import Any

from quorate.core.machine import commands as c
from quorate.core.machine.commands import Command

KEYS = ("a", "b", "ab", "b/1", "é")
SPACES = ("", "n")
LEASES = (101, 102, 103)
NAMES = ("cart:1", "cart:2", "user:1")
LOCKS = ("L", "M")
OWNERS = (b"x", b"y")


def maybe_lease(rng: Random) -> int:
    return rng.choice((0, 0, *LEASES))


def random_compare(rng: Random) -> Command:
    key, ns = rng.choice(KEYS), rng.choice(SPACES)
    target: Any = rng.choice(("version", "value", "create", "mod", "lease", "exists"))
    if target == "exists":
        return c.compare(key, target, rng.choice(("=", "!=")), rng.random() < 0.5, ns)
    if target == "value":
        value = rng.choice((None, b"0", b"1", b"2"))
        signs: Any = ("=", "!=") if value is None else ("=", "!=", "<", ">")
        return c.compare(key, target, rng.choice(signs), value, ns)
    operand = rng.choice(LEASES) if target == "lease" else rng.randrange(4)
    sign: Any = rng.choice(("=", "!=", "<", ">"))
    return c.compare(key, target, sign, operand, ns)


def random_txn_op(rng: Random) -> Command:
    key, ns = rng.choice(KEYS), rng.choice(SPACES)
    return rng.choice(
        (
            c.put(key, b"%d" % rng.randrange(3), maybe_lease(rng), ns),
            c.delete(key, ns),
            c.get(key, ns),
            c.range_(rng.choice(("", "a")), rng.choice((None, "b")), ns, keys_max=3),
        )
    )


def random_txn(rng: Random) -> Command:
    return c.txn(
        [random_compare(rng) for _ in range(rng.randrange(3))],
        [random_txn_op(rng) for _ in range(rng.randrange(4))],
        [random_txn_op(rng) for _ in range(rng.randrange(3))],
    )


def random_kv(rng: Random) -> Command:
    key, ns = rng.choice(KEYS), rng.choice(SPACES)
    value = b"%d" % rng.randrange(3)
    kind = rng.randrange(9)
    if kind == 8:
        stamped = rng.choice((None, value))
        return c.put_stamped(
            key, stamped, rng.randrange(9), ns, version=rng.choice((-1, -1, 0, 1, 2))
        )
    if kind < 4:
        return c.put(key, value, maybe_lease(rng), ns)
    if kind == 4:
        return c.delete(key, ns, version=rng.choice((-1, -1, 0, 1, 2)))
    if kind == 5:
        return c.delete_prefix(rng.choice(("", "a", "b", "zz")), ns, keys_max=rng.choice((1, 9)))
    return c.compare_and_set(key, value, operand=rng.randrange(3), lease=maybe_lease(rng), ns=ns)


def random_lease(rng: Random) -> Command:
    lease = rng.choice(LEASES)
    kind = rng.randrange(6)
    if kind < 4:
        return c.lease_grant(1000 * rng.randrange(1, 4), lease)
    return (
        c.lease_revoke(lease)
        if kind == 4
        else c.lease_expire(lease, rng.randrange(40), rng.randrange(3))
    )


def random_queue(rng: Random) -> Command:
    name, lease, owner = rng.choice(LOCKS), rng.choice(LEASES), rng.choice(OWNERS)
    wait = rng.random() < 0.8
    number = rng.choice((0, 0, 0, rng.randrange(1, 40)))
    return rng.choice(
        (
            c.lock_acquire(name, lease, owner, wait=wait),
            c.lock_acquire(name, lease, owner, wait=wait),
            c.lock_release(name, lease, owner, token=number),
            c.election_campaign(name, lease, b"v", owner, wait=wait),
            c.election_resign(name, lease, owner, term=number),
            c.election_proclaim(name, rng.randrange(1, 40), b"w"),
        )
    )


def random_name(rng: Random) -> Command:
    name = rng.choice(NAMES)
    policy: Any = rng.choice(("fail", "use_existing", "replace"))
    epoch = rng.choice((0, 0, rng.randrange(1, 40)))
    return rng.choice(
        (
            c.name_register(name, b"%d" % rng.randrange(3), b"m", maybe_lease(rng), policy),
            c.name_register(name, b"%d" % rng.randrange(3), b"m", maybe_lease(rng), policy),
            c.name_unregister(name, epoch),
            c.name_update_meta(name, b"m%d" % rng.randrange(3), epoch),
        )
    )


def random_command(rng: Random) -> Command:
    """Any command but those of sessions."""
    kind = rng.choice(
        (random_kv, random_kv, random_txn, random_lease, random_queue, random_queue, random_name)
    )
    return kind(rng)
