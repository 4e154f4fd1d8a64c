"""Bad input: the proposer is told what is wrong; the log gets an answer; a newer version stops the
host.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core import codec
from quorate.core.errors import InvariantBroken, LimitExceeded, UsageError
from quorate.core.machine import commands as c
from quorate.core.machine import limits, ops, results
from quorate.core.machine.commands import UnsupportedCommand
from tests.machine.harness import World
from tests.machine.properties import random_log

BIG = limits.VALUE_BYTES_MAX + 1
LONG = "k" * (limits.KEY_BYTES_MAX + 1)

OVER_LIMITS: list[tuple[c.Command, str]] = [
    (c.put(LONG, b""), "has 449 bytes, 448 at most"),
    (c.put("é" * 225, b""), "has 450 bytes"),
    (c.put("k", bytes(BIG)), "1048577 bytes, 1048576 at most"),
    (c.put("k", b"", ns="n" * 49), "namespace"),
    (c.delete_prefix("k", keys_max=limits.DELETE_PREFIX_KEYS_MAX + 1), "1 to 1000"),
    (c.txn([], [c.get("k")] * (limits.TXN_OPS_MAX + 1)), "129 operations, 128 at most: split it"),
    (c.txn([], [c.range_("", keys_max=1001)]), "1 to 1000"),
    (c.lease_grant(0), "time to live"),
    (c.lease_grant(limits.LEASE_TTL_MS_MAX + 1), "time to live"),
    (c.lock_acquire("L", 1, bytes(257)), "owner has 257 bytes"),
    (c.name_register("n", bytes(4097)), "4097 bytes, 4096 at most"),
    (c.name_register("n", b"", bytes(4097)), "metadata"),
    (c.put("k", b"", lease=limits.IDS_MAX + 1), "lease"),
]

MISTAKES: list[tuple[Any, str]] = [
    ((), "no command"),
    ((99, 1), "no command"),
    ((ops.GET, "", "k"), "no command"),
    ((ops.PUT, "", "k"), "wrong arguments"),
    (c.put("", b""), "key is empty"),
    (c.put("\ud800", b""), "not valid Unicode"),
    (c.put("k", b"", ns="a\0b"), "NUL"),
    ((ops.PUT, "", b"k", b"v", 0), "must be a str"),
    ((ops.PUT, "", "k", "v", 0), "value must be bytes, not str"),
    ((ops.PUT, "", "k", b"v", True), "lease must be an int"),
    ((ops.PUT, None, "k", b"v", 0), "namespace must be a str"),
    (c.txn([("", "k", "age", "=", 1)], []), "cannot compare 'age'"),
    (c.txn([("", "k", "version", "~", 1)], []), "operator '~'"),
    (c.txn([("", "k", "version")], []), "wrong arguments"),
    (c.txn([c.compare("k", "value", "<", None)], []), "missing value"),
    (c.txn([c.compare("k", "exists", "=", 1)], []), "True or False"),
    (c.txn([], [c.lease_grant(5)]), "put, get, delete and range only"),
    (c.txn([], [c.txn([], [])]), "put, get, delete and range only"),
    (c.txn([], [c.delete("k", version=3)]), "into the compares"),
    (c.txn([], ["put"]), "must be a command"),  # type: ignore[list-item]
    ((ops.TXN, {}, [], []), "must be a list"),
    (c.name_register("n", b"", policy="steal"), "policy 'steal'"),  # type: ignore[arg-type]
    ((ops.LOCK_ACQUIRE, "L", 1, b"", b"", 1), "True or False"),
]


@pytest.mark.parametrize(("command", "text"), OVER_LIMITS)
def test_what_is_over_a_limit_is_refused_before_proposing(command: c.Command, text: str) -> None:
    with pytest.raises(LimitExceeded, match=text):
        c.validate(command)


@pytest.mark.parametrize(("command", "text"), MISTAKES)
def test_a_mistake_is_explained_before_proposing(command: c.Command, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        c.validate(command)


def test_what_is_at_its_limit_is_taken_and_fits_the_storage_engine() -> None:
    world = World()
    key, ns = "k" * limits.KEY_BYTES_MAX, "n" * limits.NAMESPACE_BYTES_MAX
    full = [
        c.lease_grant(limits.LEASE_TTL_MS_MAX, 7),
        c.put(key, bytes(limits.VALUE_BYTES_MAX), 7, ns),
        c.lock_acquire(key, 7, bytes(limits.OWNER_BYTES_MAX)),
        c.name_register(key, bytes(4096), bytes(4096), 7),
    ]
    for command in full:
        c.validate(command)
    assert not any(map(results.is_failed, world.run(*full)))
    longest = max(len(key) for table in world.image().values() for key in table)
    assert longest <= 511, "LMDB's longest key"


def test_malformed_commands_in_the_log_are_answered_and_change_nothing() -> None:
    world = World()
    world.run(c.put("k", b"v"))
    sent = [command for command, _ in (*OVER_LIMITS, *MISTAKES) if command[:1] and command[0] < 90]
    sent = [command for command in sent if command[0] != ops.GET]
    sent = [command for command in sent if "\ud800" not in command]
    assert world.run(*sent) == [results.MALFORMED] * len(sent)
    assert world.machine.revision == 1
    with pytest.raises(UsageError, match="put k: the command is malformed"):
        results.raise_for(results.MALFORMED, "put k")


def test_malformed_batches_are_skipped() -> None:
    world = World()
    world.run(c.put("k", b"v"))
    rubbish: list[Any] = [
        None,
        [],
        {},
        [1, 1, 0],
        [1, 1, 0, [], 5],
        [0, 1, 0, []],
        [-1, 1, 0, []],
        ["1", 1, 0, []],
        [1, -1, 0, []],
        [1, 0, 0, []],
        [1, "s", 0, []],
        [1, 1, -1, []],
        [1, 1, 1 << 70, []],
        [1, 1, 0, None],
        [1, 1, 0, [[9, 10]] * (limits.BATCH_COMMANDS_MAX + 1)],
        [
            1,
            1,
            0,
            [None, 5, "ab", b"\x01\x0a", [], [1], ["1", 10], [0, 10], [-1, 10], {0: 1, 1: 10}],
        ],
        [1, 1, 0, [[1 << 64, 10], [True, 10], [5, True]]],
    ]
    for batch in rubbish:
        assert world.entry(codec.dumps(batch)) == []
    assert world.entry(b"", b"\xff", b"\x81") == []
    assert world.machine.revision == 1
    assert world.do(c.put("k", b"w")) == [2, 2]


@pytest.mark.parametrize(
    "batch",
    [
        [c.COMMAND_VERSION + 1, 1, 0, []],
        [c.COMMAND_VERSION + 1, "another", "shape"],
        [1, 1, 0, [[50, 99]]],
        [1, 1, 0, [[50, ops.PUT, "", "k", b"stray", 0], [51, -3]]],
        [1, 1, 0, [[50, ops.GET, "", "k"]]],
    ],
)
def test_a_newer_command_stops_the_host_before_anything_changed(batch: list[Any]) -> None:
    world = World()
    world.do(c.put("k", b"v"))
    before, digest = world.image(), world.machine.digest
    good = world.batch(c.put("k", b"not yet"))
    with pytest.raises(UnsupportedCommand, match="upgrade"):
        world.entry(good, codec.dumps(batch))
    assert world.machine.applied_index == 1
    assert world.machine.digest == digest
    assert world.image() == before
    assert issubclass(UnsupportedCommand, InvariantBroken)


@given(st.binary(max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_answered_alike_or_stop_the_host(noise: bytes, rng: Random) -> None:
    """Random bytes, and good batches with bytes changed: two machines agree, whatever it was."""
    good = random_log(Random(rng.randrange(20)), World().machine_class, entries=4).log
    bad = [noise]
    for batch in (batch for entry in good for batch in entry):
        changed = bytearray(batch)
        for _ in range(rng.randrange(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        bad.append(bytes(changed))
    one, other = World(), World()
    for batch in bad:
        outcomes: list[Any] = []
        for world in (one, other):
            try:
                outcomes.append(world.entry(batch))
            except UnsupportedCommand:
                world.log.pop()
                outcomes.append("stopped")
        assert outcomes[0] == outcomes[1]
    assert one.image() == other.image()


def test_entries_come_in_order() -> None:
    world = World()
    world.do(c.put("k", b"v"))
    for index in (0, 1, 3):
        with pytest.raises(InvariantBroken, match=f"entry {index} was handed"):
            world.machine.apply(index, 1, [])
    assert world.entry() == []
    assert world.machine.applied_index == 2
    world.restart()
    with pytest.raises(InvariantBroken):
        world.machine.apply(2, 1, [])
    assert world.machine.apply(3, 4, []) == []
    assert world.machine.applied_term == 4


def test_a_machine_that_failed_inside_an_entry_neither_applies_nor_flushes() -> None:
    world = World()
    world.do(c.put("k", b"v"))
    put, world.store.put = world.store.put, None  # type: ignore[method-assign]
    broken = World().machine_class(world.store)
    world.store.put = put  # type: ignore[method-assign]
    with pytest.raises(TypeError):
        broken.apply(1, 1, [world.batch(c.put("k", b"w"), session=8)])
    with pytest.raises(InvariantBroken, match="failed inside entry"):
        broken.before_flush()
    with pytest.raises(InvariantBroken, match="failed inside entry"):
        broken.apply(1, 1, [])


def test_every_failure_code_has_an_error_and_a_sentence() -> None:
    made = [value for value in vars(results).values() if results.is_failed(value)]
    with_info = ("compare_failed", "name_taken", "stale_epoch", "owner_dead", "still_held")
    codes = {*(value[1] for value in made), *with_info, "not_placed", "reminder_gone"}
    assert codes == set(results.FAILURES)
    for code, (kind, _) in results.FAILURES.items():
        with pytest.raises(kind):
            results.raise_for(results.failed(code))
    assert results.raise_for([5, 1]) == [5, 1]
