"""S5 to S9: raising while applying, restarts that throw a log away, commit ahead of the log, a
journal without a snapshot, calls that never end.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from pysyncobj.journal import FileJournal
from pysyncobj.syncobj import replicated

from quorate.chaos.sim.clients import Client
from quorate.chaos.sim.history import History
from quorate.chaos.sim.options import draw
from quorate.core import codec
from quorate.core.raft.journal_records import KEY
from quorate.core.raft.state import Results
from tests.contracts.base import BaseHost, BaseWorld, Clock, virtual_time
from tests.contracts.ours import OurHost, OurWorld

# --- S5: raising while applying -------------------------------------------------------------------


class Poisoned(BaseHost):
    """A host with a replicated method that raises."""

    calls: ClassVar[Counter[str]] = Counter()

    @replicated
    def boom(self) -> None:
        Poisoned.calls[self.host_id] += 1
        raise ValueError("poison")


def test_s5a_base_is_wedged_for_ever_by_one_poisonous_command() -> None:
    with virtual_time() as clock:
        world = BaseWorld(clock, cls=Poisoned)
        world.elect("a")
        Poisoned.calls.clear()
        world.hosts["a"].boom()  # type: ignore[attr-defined]
        good = world.write("a", "good")
        for _ in range(300):
            clock.now += 0.02
            for host in world.hosts.values():
                with suppress(ValueError):
                    host.doTick(0)
            for link in list(world.queues):
                world.deliver(*link)
    assert not good.ended and Poisoned.calls["a"] > 100 and Poisoned.calls["b"] > 100


def test_s5a_ours_answers_poison_and_goes_on() -> None:
    world = OurWorld()
    leader = world.elect("a")
    for poison in (b"", b"\xff\xff", codec.dumps([1, 9, 0, [[2, 10, "", 5, 6, 7]]])):
        leader.driver.submit(poison, lambda reason: None)
    world.write("a", "good")
    world.run(1.0)
    assert all(world.values(host_id) == ["good"] for host_id in "abc")


def test_s5b_base_applies_twice_when_a_callback_raises() -> None:
    with virtual_time() as clock:
        world = BaseWorld(clock)
        world.elect("a")
        calls = count(1)

        def raising(_: object, __: object) -> None:
            if next(calls) == 1:
                raise RuntimeError("Event loop is closed")

        world.hosts["a"].put("once", callback=raising)
        for _ in range(30):
            clock.now += 0.02
            for host in world.hosts.values():
                with suppress(RuntimeError):
                    host.doTick(0)
            for link in list(world.queues):
                world.deliver(*link)
        assert world.values("a") == ["once", "once"] and world.values("b") == ["once"]


def test_s5b_ours_stops_the_host_and_applies_once() -> None:
    world = OurWorld()
    leader = world.elect("a")

    def raising(index: int) -> None:
        raise RuntimeError("Event loop is closed")

    leader.applied_hook = raising
    world.write("a", "once")
    world.run(1.0)
    assert isinstance(leader.fatal, RuntimeError)
    leader.applied_hook = None
    world.let_stand("b")
    world.kill("a")
    world.restart("a")
    world.run(3.0)
    assert all(world.values(host_id) == ["once"] for host_id in "abc")


# --- S6: a restart throws the journal away --------------------------------------------------------


def test_s6_base_deletes_acknowledged_entries_at_a_restart(tmp_path: Path) -> None:
    def files(folder: Path, host_id: str) -> dict[str, Any]:
        return {
            "journalFile": str(folder / f"{host_id}.journal"),
            "fullDumpFile": str(folder / f"{host_id}.dump"),
        }

    class Filed(BaseHost):
        def __init__(self, world: BaseWorld, host_id: str, ids: str, **conf: Any) -> None:
            super().__init__(world, host_id, ids, **conf, **files(tmp_path, host_id))

    with virtual_time() as clock:
        world = BaseWorld(clock, cls=Filed)
        world.elect("a")
        for number in range(10):
            world.write("a", number)
        world.run(0.5)
        b: Any = world.hosts["b"]
        b._SyncObj__forceLogCompaction = True
        b._SyncObj__tryLogCompaction()  # the dump is there, the journal is not compacted yet
        world.isolate("c")
        paid = world.write("a", "PAID")
        world.tick("a")
        world.deliver("a", "b")
        world.deliver("b", "a")
        world.tick("a")
        before = b.last_index
        b.log.flush()
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in ("b.journal", "b.journal.meta", "b.dump"):
            if (tmp_path / name).exists():
                shutil.copy(tmp_path / name, copy / name)
        again = BaseHost(BaseWorld(clock, "x"), "b", "abc", **files(copy, "b"))
        again.doTick(0)
        assert paid.acked and again.last_index < before


def test_s6_ours_keeps_them_whatever_became_durable_first() -> None:
    world = OurWorld()
    world.elect("a")
    for number in range(10):
        world.write("a", f"w{number}")
        world.run(0.02)
    b = world.hosts["b"]
    b.state.flush(lambda error: None)
    world.run(0.3)  # the state is ahead of the journal's base now
    world.isolate("c")
    paid = world.write("a", "PAID")
    world.run(0.2)
    before = b.journal.last_index
    world.kill("b")
    b = world.restart("b")
    assert paid.acked and b.journal.last_index == before
    world.isolate("a")
    world.heal("c", "b")
    world.elect("b", skip="a")
    world.run(1.0, skip="a")
    assert world.values("c")[-1] == world.values("b")[-1] == "PAID"


# --- S7: the commit index is ahead of the log -----------------------------------------------------


def test_s7_base_commits_alone_after_its_meta_outlived_its_journal(tmp_path: Path) -> None:
    for host_id in "abc":
        journal = FileJournal(str(tmp_path / f"{host_id}.journal"))
        for index, term in ((1, 0), (2, 1), (3, 1)):
            journal.add(b"\x01", index, term)
        journal.setCurrentTerm(1, "a")
        journal.setRaftCommitIndex(8)
        journal.onOneSecondTimer()
        journal._destroy()

    class Filed(BaseHost):
        def __init__(self, world: BaseWorld, host_id: str, ids: str, **conf: Any) -> None:
            path = str(tmp_path / f"{host_id}.journal")
            super().__init__(world, host_id, ids, **conf, journalFile=path)

    with virtual_time() as clock:
        world = BaseWorld(clock, cls=Filed)
        world.let_stand("a")
        world.tick("a")
        world.deliver("a", "b")
        world.deliver("b", "a")
        assert world.hosts["a"].leads
        world.isolate("a")
        alone = world.write("a", "alone")
        for _ in range(5):
            world.tick("a")
        assert alone.acked


def test_s7_ours_never_commits_beyond_its_log() -> None:
    world = OurWorld()
    world.elect("a")
    world.run(0.3)
    for host_id in "abc":
        world.kill(host_id)
        log = world.hosts[host_id].disk.log
        assert log is not None
        for key in [key for key in log.tables["log"] if key > KEY.pack(2)]:
            del log.tables["log"][key]
        term, vote, _ = codec.loads(log.tables["meta"][b"hard"])
        log.tables["meta"][b"hard"] = codec.dumps([term, vote, 8])
    for host_id in "abc":
        host = world.restart(host_id)
        assert host.engine.commit_index <= host.journal.last_index
    leader = world.elect("a")
    world.isolate("a")
    alone = world.write("a", "alone")
    world.run(0.6, skip="bc")
    assert not alone.acked and leader.engine.commit_index < leader.journal.last_index


# --- S8: a journal without a snapshot on disk -----------------------------------------------------


def _alone(clock: Clock, path: str) -> tuple[BaseWorld, BaseHost]:
    world = BaseWorld(clock, "a", journalFile=path)
    world.hosts["a"].stand()
    return world, world.hosts["a"]


def test_s8_base_comes_back_empty_after_a_clean_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "a.journal")
    with virtual_time() as clock:
        world, host = _alone(clock, path)
        world.tick("a", 0.0)
        for number in range(50):
            world.write("a", number)
        world.run(0.5)
        assert len(host.values) == 50
        host.forceLogCompaction()
        world.run(1.5)
        host.log.flush()
        host.log._destroy()
        world, host = _alone(clock, path)
        world.run(2.0)
        after = world.write("a", "after")
        world.run(2.0)
        assert host.values == [] and not after.acked


def test_s8_ours_has_everything_after_any_restart() -> None:
    world = OurWorld("a", trailing_entries=1, compact_slack_entries=1)
    world.elect("a")
    for number in range(50):
        world.write("a", f"w{number}")
        world.run(0.02)
    world.compact("a")
    world.run(0.5)
    assert world.hosts["a"].journal.base_index > 40
    world.kill("a")
    world.restart("a")
    world.run(2.0)
    after = world.write("a", "after")
    world.run(0.5)
    assert len(world.values("a")) == 51 and after.acked


# --- S9: calls that never end ---------------------------------------------------------------------


def test_s9_base_never_answers_a_forwarded_call_whose_request_or_reply_was_lost() -> None:
    with virtual_time() as clock:
        world = BaseWorld(clock)
        world.elect("a")
        request = world.write("b", "x")
        world.tick("b")
        _lose(world, "b", "a")
        world.run(30.0)
        reply = world.write("b", "y")
        world.tick("b")
        world.deliver("b", "a")
        world.tick("a")
        _lose(world, "b", "a")
        world.run(30.0)
        assert not request.ended and not reply.ended
        assert "y" in world.values("b")


def _lose(world: Any, one: str, other: str) -> None:
    """What is on the way is lost with the connection, which comes back."""
    world.isolate(one, other)
    world.heal(one, other)


def _client(world: OurWorld, host: OurHost, history: History) -> Client:
    assert host.life is not None
    client = Client(
        host.id,
        life=host.life,
        driver=host.driver,
        look=lambda key: (None, 0),
        applied=lambda: host.state.applied_index,
        history=history,
        rng=random.Random(1),
        now=lambda: world.queue.now,
        ids=count(1),
        options=draw(1, 1.0),
    )
    client.on_leader(host.engine.leader)

    def on_applied(index: int, term: int, results: Results) -> None:
        client.on_applied(index, results)

    host.on_applied = on_applied  # type: ignore[method-assign]
    return client


def test_s9_ours_ends_every_call_and_applies_it_once() -> None:
    world = OurWorld()
    world.elect("a")
    host = world.hosts["b"]
    client = _client(world, host, History())
    request = client.add()
    world.tick("b")
    assert world.queues[("b", "a")]
    _lose(world, "b", "a")
    world.run(3.0)
    reply = client.add()
    world.tick("b")
    world.deliver("b", "a")
    world.tick("a")
    _lose(world, "b", "a")
    world.run(3.0)
    assert (request.outcome, reply.outcome) == ("ok", "ok")
    records = host.state.machine.kv_range(prefix="w/")
    assert [record.version for record in records] == [1, 1]
    world.isolate("b")
    lonely = client.add()
    world.run(5.0)
    assert lonely.outcome in ("no", "unknown") and lonely.returned <= lonely.deadline + 0.5
