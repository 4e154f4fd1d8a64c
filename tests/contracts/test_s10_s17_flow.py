"""S10, S11, S15, S16, S17: failed snapshots, deposed leaders, versions, floods and running in
circles."""

from __future__ import annotations

from typing import Any

import pytest
from pysyncobj import pickle as base_codec
from pysyncobj.syncobj import replicated

from quorate.core import codec
from quorate.core.machine import commands
from quorate.core.machine.commands import COMMAND_VERSION, UnsupportedCommand
from quorate.core.raft.progress import Mode
from tests.contracts.base import BaseHost, BaseWorld, virtual_time
from tests.contracts.ours import OurWorld

# --- S10: a snapshot that fails is acknowledged ---------------------------------------------------


def _diverge(world: Any) -> int:
    """a keeps five writes that nobody else has; b leads, is 40 writes ahead and has compacted. The
    end of a's log."""
    world.elect("a")
    world.run(0.3)
    world.isolate("a")
    for number in range(5):
        world.write("a", f"divergent{number}")
    world.run(0.1, skip="bc")
    world.elect("b", skip="a")
    for number in range(40):
        world.write("b", f"w{number}")
        world.run(0.02, skip="a")
    world.run(0.5, skip="a")
    world.compact("b")
    world.run(0.5, skip="a")
    world.let_stand("")
    world.heal("a")
    host = world.hosts["a"]
    return host.last_index if isinstance(host, BaseHost) else host.journal.last_index


def test_s10_base_acknowledges_a_snapshot_that_failed_to_load(tmp_path: Any) -> None:
    def write(name: str, data: Any) -> None:
        with open(name, "wb") as file:
            file.write(base_codec.dumps(data))

    def read(name: str) -> Any:
        raise OSError("bad checksum")

    class Filed(BaseHost):
        def __init__(self, world: BaseWorld, host_id: str, ids: str, **conf: Any) -> None:
            path = str(tmp_path / host_id)
            files = {"journalFile": f"{path}.journal", "fullDumpFile": f"{path}.dump"}
            super().__init__(
                world, host_id, ids, **conf, **files, serializer=write, deserializer=read
            )

    with virtual_time() as clock:
        world = BaseWorld(clock, cls=Filed)
        tail = _diverge(world)
        for _ in range(4):
            world.tick("b", 0.11)
            world.deliver("b", "a")
            world.deliver("a", "b")
        b: Any = world.hosts["b"]
        match = {node.id: index for node, index in b._SyncObj__raftMatchIndex.items()}
        assert match["a"] >= tail and world.values("a") == []


def test_s10_ours_asks_again_and_counts_nothing_before_it_is_installed() -> None:
    world = OurWorld(trailing_entries=1, compact_slack_entries=1, snapshot_chunk_bytes=1000)
    _diverge(world)
    a, b = world.hosts["a"], world.hosts["b"]
    a.disk.flip_a_bit = True
    for _ in range(2000):
        world.run(0.005)
        if a.driver.receiver.failures:
            break
        assert b.engine.progress["a"].match <= 2
    assert a.driver.receiver.failures == 1 and b.engine.progress["a"].mode is not Mode.REPLICATE
    world.run(6.0)
    assert world.values("a") == world.values("b") == [f"w{number}" for number in range(40)]
    assert a.state.machine.digest == b.state.machine.digest


# --- S11: nobody tells a leader that it is none any more ------------------------------------------


def test_s11_base_has_two_leaders_for_half_a_minute_and_the_old_one_reads_old_values() -> None:
    with virtual_time() as clock:
        world = BaseWorld(clock)
        world.elect("a")
        world.write("a", "v1")
        world.run(0.5)
        world.isolate("a")
        world.elect("b", skip="a")
        world.write("b", "v2")
        world.run(20.0)
        assert world.hosts["a"].leads and world.hosts["b"].leads
        assert world.values("a")[-1] == "v1"


def test_s11_ours_reads_nothing_that_a_majority_did_not_confirm() -> None:
    world = OurWorld()
    leader = world.elect("a")
    world.write("a", "v1")
    world.run(0.5)
    reads: list[tuple[Any, Any]] = []
    leader.driver.read_index(lambda index, refusal: reads.append((index, refusal)))
    world.run(0.1)
    assert reads[0][0] is not None
    world.isolate("a")
    for _ in range(20):
        leader.driver.read_index(lambda index, refusal: reads.append((index, refusal)))
        world.run(0.1)
    assert not leader.leads and len(reads) == 21
    assert all(index is None for index, _ in reads[1:])


def _terms_while_a_link_is_cut(world: Any, term_of: Any) -> int:
    world.elect("a")
    world.run(0.5)
    for host in world.hosts.values():
        if isinstance(host, BaseHost):
            host._SyncObj__raftElectionDeadline = world.clock.now + 1
        else:
            host.engine.election_deadline = host.life.monotonic() + 1
    world.isolate("c", "a")
    before = term_of("b")
    world.run(30.0)
    return term_of("b") - before


def test_s11_base_deposes_a_healthy_leader_when_one_link_is_cut() -> None:
    with virtual_time() as clock:
        world = BaseWorld(clock)
        assert _terms_while_a_link_is_cut(world, lambda i: world.hosts[i].raftCurrentTerm) >= 1


def test_s11_ours_keeps_its_leader() -> None:
    world = OurWorld()
    assert _terms_while_a_link_is_cut(world, lambda i: world.hosts[i].engine.term) == 0


# --- S15: a version that a host does not know -----------------------------------------------------


class Upgraded(BaseHost):
    """Has a second version of something."""

    @replicated(ver=1)  # type: ignore[call-arg]
    def put2(self, value: Any) -> None:
        self.values.append(value)


def test_s15_base_applies_entries_twice_on_the_host_that_is_too_old() -> None:
    def some_old(world: BaseWorld, host_id: str, ids: str, **conf: Any) -> BaseHost:
        return (BaseHost if host_id == "c" else Upgraded)(world, host_id, ids, **conf)

    with virtual_time() as clock:
        world = BaseWorld(clock, cls=some_old)
        world.elect("a")
        world.hosts["a"].setCodeVersion(1)
        world.run(0.3)
        for number in range(4):
            world.write("a", number)
            world.run(0.3)
        assert world.values("a") == [0, 1, 2, 3]
        assert len(world.values("c")) > len(set(world.values("c")))


def test_s15_ours_stops_the_host_that_is_too_old() -> None:
    world = OurWorld()
    leader = world.elect("a")
    world.write("a", "before")
    world.run(0.3)
    put = commands.put("k/9999", b"newer")
    batch = codec.loads(commands.encode_batch(99, 0, [(1, *commands.open_session(1)), (2, *put)]))
    leader.driver.submit(codec.dumps([COMMAND_VERSION + 1, *batch[1:]]), lambda reason: None)
    world.run(0.5)
    assert isinstance(leader.fatal, UnsupportedCommand)
    world.isolate("a")
    world.let_stand("b")
    world.run(3.0)
    assert isinstance(world.hosts["b"].fatal, UnsupportedCommand)
    for host_id in "abc":
        host = world.hosts[host_id]
        assert world.values(host_id) == ["before"]
        assert host.state.applied_index < host.journal.last_index, "nobody steps over the entry"


# --- S16: a flood while a snapshot is made --------------------------------------------------------


def test_s16_base_floods_a_follower_while_a_snapshot_is_made() -> None:
    with virtual_time() as clock:
        world = BaseWorld(clock, appendEntriesUseBatch=True)
        world.elect("a")
        world.isolate("c")
        for number in range(20):
            world.write("a", number)
        world.run(0.5)
        world.compact("a")
        world.run(0.3)
        world.heal("c")
        world.hosts["c"].be_patient(clock)
        clock.step = 1e-4
        a: Any = world.hosts["a"]
        a._SyncObj__serializer._Serializer__pid = -3  # a fork()ed serializer is still busy
        world.sent.clear()
        a.doTick(0)
        for _ in range(3):
            world.deliver("a", "c")
            world.deliver("c", "a")
            clock.now += 0.2
            a.doTick(0)
        assert sum(target == "c" for _, target, _ in world.sent) > 1000


def test_s16_ours_sends_heartbeats_and_nothing_else_meanwhile() -> None:
    world = OurWorld(trailing_entries=1, compact_slack_entries=1)
    leader = world.elect("a")
    world.isolate("c")
    for number in range(20):
        world.write("a", f"w{number}")
        world.run(0.02)
    world.compact("a")
    world.run(0.5)
    leader.disk.model.latency_min_s = leader.disk.model.latency_max_s = 0.2  # an export takes 1 s
    world.let_stand("")
    world.heal("c")
    world.sent.clear()
    world.run(0.8)
    assert leader.engine.wants_snapshot() == ["c"]
    assert sum(target == "c" for _, target, _ in world.sent) < 30
    world.run(3.0)
    assert world.values("c") == world.values("a")


# --- S17: a diverged follower and a long backlog --------------------------------------------------


def _long_backlog(world: Any) -> tuple[float, float]:
    """(seconds until a caught up, at most 20; megabytes sent to it)"""
    world.elect("a")
    world.write("a", "base")
    world.run(0.5)
    world.isolate("a")
    for number in range(5):
        world.write("a", f"stale{number}")
    world.run(0.1, skip="bc")
    world.elect("b", skip="a")
    for number in range(40):
        world.write("b", f"{number:03d}" + "y" * 8000)
        world.run(0.02, skip="a")
    world.run(0.5, skip="a")
    world.let_stand("")
    if isinstance(world, BaseWorld):
        a, b = world.hosts["a"], world.hosts["b"]
        a._SyncObj__setState(0)
    world.heal("a")
    if isinstance(world, BaseWorld):
        node = next(node for node in b.otherNodes if node.id == "a")
        b._SyncObj__raftNextIndex[node] = a.last_index + 1
    world.sent.clear()
    seconds = 0.0
    while seconds < 20 and len(world.values("a")) < len(world.values("b")):
        world.run(0.05)
        seconds += 0.05
    sent = sum(len(str(message)) for _, target, message in world.sent if target == "a")
    return seconds, sent / 1e6


def test_s17_base_never_repairs_the_follower() -> None:
    with virtual_time() as clock:
        seconds, megabytes = _long_backlog(BaseWorld(clock))
    assert seconds >= 19.9 and megabytes > 20


@pytest.mark.parametrize("append_bytes", [4_000, 64 * 1024])
def test_s17_ours_repairs_it_at_once(append_bytes: int) -> None:
    world = OurWorld(append_bytes_max=append_bytes)
    seconds, megabytes = _long_backlog(world)
    assert seconds < 3 and megabytes < 2
