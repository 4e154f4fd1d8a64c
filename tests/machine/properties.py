"""Promises of the machine as functions of a machine class and a seed, so that a faulty machine can
be put to them too.

The law of this file: each function raises AssertionError (or what the machine raises) when the
promise does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from quorate.core.errors import Compacted
from quorate.core.machine import commands as c
from quorate.core.machine.commands import Command
from quorate.core.machine.machine import Machine
from quorate.core.machine.records import Event
from tests.machine.harness import World, replay
from tests.machine.workload import LEASES, random_command

SESSIONS = (1, 2, 3)
Workload = Callable[[Random, Machine], Command]


def any_command(rng: Random, machine: Machine) -> Command:
    return random_command(rng)


def random_log(
    rng: Random,
    machine_class: type[Machine],
    entries: int = 25,
    workload: Workload = any_command,
) -> World:
    """A world whose log has several sessions, retries, acknowledgements, closings and rubbish."""
    world = World(machine_class)
    old: list[bytes] = []
    for _ in range(entries):
        batches: list[bytes] = []
        for _ in range(rng.randrange(4)):
            session = rng.choice(SESSIONS)
            some = [workload(rng, world.machine) for _ in range(rng.randrange(1, 5))]
            batches.append(world.batch(*some, session=session, ack_low=rng.randrange(4)))
        old += batches
        if old and rng.random() < 0.3:
            batches.append(rng.choice(old))
        if rng.random() < 0.05:
            batches.append(rng.randbytes(9))
        if rng.random() < 0.05:
            batches.append(world.batch(c.close_session(), session=rng.choice(SESSIONS)))
        world.entry(*batches)
    return world


def same_everywhere(
    machine_class: type[Machine], seed: int, workload: Workload = any_command
) -> None:
    """Replicas fed the same log have the same bytes, digests and answers, restarted or not."""
    rng = Random(seed)
    world = random_log(rng, machine_class, workload=workload)
    other, restarted = World(machine_class), World(machine_class)
    for batches in world.log:
        answers = other.entry(*batches)
        assert restarted.entry(*batches) == answers
        assert restarted.machine.digest == other.machine.digest
        if rng.random() < 0.3:
            restarted.restart()
        elif rng.random() < 0.3:
            restarted.machine.before_flush()
    for index in range(1, len(world.log) + 1):
        digests = {w.machine.digest_at(index) for w in (world, other, restarted)}
        assert len(digests) == 1 and None not in digests
    assert world.image() == other.image() == restarted.image()


def differs_when_the_log_differs(machine_class: type[Machine], seed: int) -> None:
    """Any change of an effect shows in the digest."""
    world = random_log(Random(seed), machine_class, entries=8)
    log = [*world.log, [world.batch(c.put("a", b"1"), session=9)]]
    changed = [*world.log, [World().batch(c.put("a", b"2"), session=9)]]
    assert (
        replay(log, machine_class).machine.digest != replay(changed, machine_class).machine.digest
    )


def once(machine_class: type[Machine], seed: int) -> None:
    """However batches of one session are repeated and reordered: one effect, one answer each."""
    rng = Random(seed)
    world = World(machine_class)
    world.do(c.put("count", b""))
    batches = [world.batch(c.put(f"k{at}", b"v"), c.put("count", b"%d" % at)) for at in range(12)]
    sent = [copy for batch in batches for copy in [batch] * rng.randrange(1, 4)]
    rng.shuffle(sent)
    answers: dict[int, Any] = {}
    while sent:
        size = rng.randrange(1, 4)
        world.log.append(sent[:size])
        del sent[:size]
        for _, sequence, answer in world.machine.apply(len(world.log), 1, world.log[-1]):
            assert answers.setdefault(sequence, answer) == answer
        if rng.random() < 0.3:
            world.restart()
    assert world.machine.revision == 1 + 2 * len(batches)
    assert all(row.version == 1 for row in world.machine.kv_range(prefix="k"))
    count = world.machine.kv_get("count")
    assert count is not None and count.version == 1 + len(batches)


def tokens_grow(machine_class: type[Machine], seed: int) -> None:
    """Every grant of a lock has a higher token than all before it: through releases, dying leases,
    restarts.
    """
    rng = Random(seed)
    world = World(machine_class)
    highest = 0
    for _ in range(60):
        lease = rng.choice(LEASES)
        world.do(
            rng.choice(
                (
                    c.lease_grant(1000, lease),
                    c.lease_grant(1000, lease),
                    c.lock_acquire("L", lease, rng.choice((b"x", b"y"))),
                    c.lock_acquire("L", lease, rng.choice((b"x", b"y"))),
                    c.lock_release("L", lease, rng.choice((b"x", b"y"))),
                    c.lease_revoke(lease),
                )
            )
        )
        if rng.random() < 0.1:
            world.restart()
        lock = world.machine.lock("L")
        if lock is not None:
            assert lock.token >= highest
            assert world.machine.lease(lock.lease) is not None, "a holder without a lease"
            assert all(world.machine.lease(waiter.lease) for waiter in lock.waiters)
    grants = [e for e in world.machine.read_events(0)[0] if e.kind == "lock.granted"]
    tokens = [event.version for event in grants]
    assert tokens == sorted(set(tokens)), "a token was given twice"


def history_is_complete(
    machine_class: type[Machine], seed: int, workload: Workload = any_command
) -> None:
    """Pages read from any revision on, of any size, before and after a restart, make up the whole
    history.
    """
    rng = Random(seed)
    world = random_log(rng, machine_class, workload=workload)
    whole, following = world.machine.read_events(0, 1 << 30)
    assert following == world.machine.revision + 1
    assert {event.revision for event in whole} == set(range(1, following)), "a gap"
    assert [event.revision for event in whole] == sorted(event.revision for event in whole)
    explains_the_state(world, whole)
    for _ in range(6):
        if rng.random() < 0.4:
            world.restart()
        start = rng.randrange(1, following + 1)
        at, found = start, list[Event]()
        while at < following:
            page, after = world.machine.read_events(at, rng.randrange(1, 9))
            assert after > at
            found, at = found + page, after
        assert found == [event for event in whole if event.revision >= start]


def explains_the_state(world: World, events: list[Event]) -> None:
    """Playing the events gives the keys, names and agents there are."""
    keys: dict[tuple[str, str], Event] = {}
    names: dict[str, Event] = {}
    agents: dict[str, Event] = {}
    for event in events:
        space, _, what = event.kind.partition(".")
        if space == "kv":
            keys.pop((event.ns, event.key), None)
            if what == "put":
                keys[event.ns, event.key] = event
        elif space == "name":
            names.pop(event.key, None)
            if what != "removed":
                names[event.key] = event
        elif event.kind in ("agent.started", "agent.moved", "agent.updated", "agent.stopped"):
            agents.pop(event.key, None)
            if what != "stopped":
                agents[event.key] = event
    for (ns, key), event in keys.items():
        row = world.machine.kv_get(key, ns)
        assert row is not None
        assert (row.value, row.mod_revision, row.version, row.lease) == (
            event.value,
            event.revision,
            event.version,
            event.lease,
        )
    assert len(keys) == world.machine.kv_count()
    assert {row.name: row.epoch for row in world.machine.names()} == {
        name: event.version for name, event in names.items()
    }
    assert {row.name: (row.epoch, row.lease, row.revision) for row in world.machine.agents()} == {
        name: (event.version, event.lease, event.revision) for name, event in agents.items()
    }


def never_a_gap_without_compacted(machine_class: type[Machine], seed: int) -> None:
    """With a short memory: what can be read is complete, the rest is `Compacted`, and little is
    kept.
    """
    rng = Random(seed)
    world = World(machine_class, events_keep_revisions=1500)
    at = 0
    for _ in range(12):
        some = [c.put(f"k{rng.randrange(9)}", b"v") for _ in range(rng.randrange(1, 700))]
        at += len(some)
        world.run(*some)
        if rng.random() < 0.4:
            world.restart()
        oldest = world.machine.events_oldest_revision
        assert at - 1500 - 2048 <= oldest <= max(1, at - 1500)
        for start in (1, oldest - 1, oldest, rng.randrange(1, at + 1)):
            try:
                found, following = world.machine.read_events(start, 1 << 30)
            except Compacted as error:
                assert start < oldest == error.oldest_revision
            else:
                assert start >= oldest or (start == 0 and oldest == 1)
                assert [e.revision for e in found] == list(range(max(1, start), at + 1))
                assert following == at + 1
        oldest_record = oldest.to_bytes(8, "big")
        forgotten = [key for key in world.store.tables["events"] if key < oldest_record]
        assert len(forgotten) <= 1, "only the record that reaches across may begin earlier"


PROPERTIES = (
    same_everywhere,
    differs_when_the_log_differs,
    once,
    tokens_grow,
    history_is_complete,
    never_a_gap_without_compacted,
)
