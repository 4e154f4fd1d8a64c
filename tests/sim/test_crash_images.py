"""The journal and the machine, reopened from more than a thousand images of lost, kept or torn
writes: nothing that was acknowledged is missing.

One host, alone in its group, so that its own disk is all that stands behind an acknowledgement.
It is killed at a random moment of writing, flushing and compacting, and goes on from the image.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from quorate.core.errors import CorruptStorage
from quorate.core.storage.disk_model import CrashPolicy
from tests.contracts.ours import Call, OurWorld

LIVES = 5_000 if os.environ.get("QUORATE_SOAK") else 350
SEEDS = (1, 2, 3)


class Tale:
    """Lives of one host, one after the other."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = OurWorld("a", trailing_entries=3, compact_slack_entries=2)
        self.host = self.world.hosts["a"]
        self.host.disk.model.latency_max_s = 0.004
        self.acked: dict[str, tuple[str, int]] = {}
        self.digests: dict[int, bytes] = {}
        self.seen: Counter[str] = Counter()
        self._open: dict[str, tuple[str, Call]] = {}
        self._number = 0
        self.host.applied_hook = self._on_applied

    def _on_applied(self, index: int) -> None:
        digest = self.host.state.machine.digest
        assert self.digests.setdefault(index, digest) == digest, f"entry {index} applied otherwise"
        self.seen["applied"] += 1

    def live(self) -> None:
        """Write, flush and compact for a while."""
        rng, world = self.rng, self.world
        self.host.engine.election_deadline = 0.0
        self.host.driver.wake()
        world.run(0.02)
        for _ in range(rng.randint(1, 6)):
            for _ in range(rng.randint(0, 4)):
                self._write()
            if rng.random() < 0.25:
                world.compact("a")
            world.tick("a", rng.random() * 0.01)
            self._collect()
        for _ in range(rng.randint(0, 2)):
            self._write()
        world.tick("a", rng.random() * 0.004)

    def _write(self) -> None:
        self._number += 1
        value = f"v{self._number}" + "x" * self.rng.choice((0, 0, 50, 3_000))
        call = self.world.write("a", value)
        key = f"k/{call.session:04d}"
        self._open[key] = (value, call)

    def _collect(self) -> None:
        for key, (value, call) in list(self._open.items()):
            if call.acked:
                self.acked[key] = (value, call.result[0])
                del self._open[key]

    def die_and_return(self, policy: CrashPolicy, state_policy: CrashPolicy) -> None:
        """Crash; an image that is refused as damaged is replaced by the one an honest disk
        keeps."""
        self._collect()
        self._open.clear()
        host, rng = self.host, self.rng
        self.seen["in flight"] += bool(host.journal.flushing)
        honest_log = host.log_engine.image()
        host.kill(policy, state_policy=state_policy, rng=rng)
        self.seen["images"] += 1
        self.seen[policy.value] += 1
        try:
            host.start()
        except CorruptStorage:
            assert policy is CrashPolicy.TORN, "an honest disk's image was refused"
            self.seen["refused"] += 1
            host.disk.log = honest_log
            host.start()
        host.engine.election_deadline = 0.0
        host.driver.wake()
        self.world.run(0.03)

    def check(self) -> None:
        """All that was acknowledged is there, where it was acknowledged, once."""
        assert self.host.fatal is None and self.host.leads
        machine = self.host.state.machine
        for key, (value, revision) in self.acked.items():
            record = machine.kv_get(key)
            assert record is not None, f"acknowledged {key} is lost"
            assert (record.value.decode(), record.mod_revision, record.version) == (
                value,
                revision,
                1,
            )


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_acknowledged_is_missing_after_any_crash(seed: int) -> None:
    tale = Tale(seed)
    policies = (CrashPolicy.LOST, CrashPolicy.KEPT, CrashPolicy.EITHER, CrashPolicy.TORN)
    for life in range(LIVES):
        tale.live()
        state_policy = tale.rng.choice((CrashPolicy.LOST, CrashPolicy.KEPT))
        tale.die_and_return(policies[life % 4], state_policy)
        if life % 10 == 9:
            tale.check()
    tale.check()
    assert tale.seen["images"] == LIVES and len(SEEDS) * LIVES > 1000
    assert tale.seen["in flight"] > LIVES // 4, "crashes must meet commits in flight"
    assert len(tale.acked) > LIVES


def test_a_disk_that_lies_about_syncing_is_noticed() -> None:
    """Control: with acknowledgements before the platter, the same tale loses something."""
    tale = Tale(4)
    tale.host.disk.model.fsync_lies = True
    with pytest.raises((AssertionError, CorruptStorage)):
        for _ in range(200):
            tale.live()
            tale.die_and_return(CrashPolicy.LOST, CrashPolicy.LOST)
            tale.check()
