"""Hosts come and go: alone, killed, removed, replaced, broken, on the wrong folder."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from quorate import (
    Cluster,
    ConfigError,
    Host,
    InvariantBroken,
    MembershipRefused,
    NoLeader,
    NoQuorum,
    OutcomeUnknown,
    QuorateError,
    RemovedFromCluster,
    Stopped,
    Timeout,
    Unavailable,
    UsageError,
    WrongDataFolder,
)
from quorate.core.errors import StorageFailed
from quorate.core.wire.ports import free_addresses
from tests.hosts.conftest import FAST, run_story


def test_one_host_alone_keeps_its_state_and_can_grow(tmp_path: Path) -> None:
    async def story() -> None:
        async with Host.open(tmp_path / "a", **FAST) as host:
            await host.ready()
            await host.kv.put("k", {"n": 1})
        async with Host.open(tmp_path / "a", **FAST) as host:
            assert host.id == "a"
            await host.ready()
            assert await host.kv.get("k") == {"n": 1}
            address = free_addresses(1)[0]
            peers = {"a": host.address}
            more = {"data": tmp_path / "b", "listen": address, "peers": peers, "join": True}
            async with Host("b", **more, **FAST) as second:
                member = await host.members.add("b", address)
                assert member.role == "voter"
                await second.ready()
                await second.kv.put("k", 2)
                assert await host.kv.get("k") == 2
                await host.members.remove("b")
                assert [m.id for m in host.members.list()] == ["a"]
                await host.kv.put("k", 3)
                with pytest.raises((RemovedFromCluster, OutcomeUnknown, NoLeader, NoQuorum)):
                    while True:  # it is told a moment later
                        await second.kv.put("late", 4, timeout=2)
            assert await host.kv.get("k") == 3

    run_story(story())


def test_nothing_leaks_when_a_cluster_starts_and_stops() -> None:
    def counts() -> tuple[int, int]:
        gc.collect()
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            await cluster.hosts["a"].kv.put("k", 1)
            await cluster.hosts["b"].registry.register("n", 1)
            await cluster.kill("c")

    run_story(story())
    before = counts()
    run_story(story())
    assert counts() == before


def test_the_death_of_the_leader_loses_and_doubles_nothing() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            leader = await cluster.leader()
            others = [host for host in cluster.hosts.values() if host is not leader]
            stop = asyncio.Event()
            acked: list[list[int]] = [[], []]

            async def write(who: int, host: Host) -> None:
                n = 0
                while not stop.is_set():
                    n += 1
                    await host.kv.put(f"log/{who}/{n}", n)
                    acked[who].append(n)
                    if n > 120:
                        return

            writers = [asyncio.ensure_future(write(i, host)) for i, host in enumerate(others)]
            while min(map(len, acked)) < 30:
                await leader.group.advance.wait()
            await cluster.kill(leader)
            await asyncio.gather(*writers)
            for who, host in enumerate(others):
                rows = await host.kv.range(f"log/{who}/", limit=1000)
                assert {row.value for row in rows} == set(acked[who])
                assert {row.version for row in rows} == {1}, "applied once each"
            back = await cluster.restart(leader.id)
            await back.ready()
            assert back.machine.kv_count() == sum(map(len, acked))

    run_story(story())


def test_a_minority_ends_every_call_definitely_and_by_its_deadline() -> None:
    async def story() -> None:
        async with Cluster.local(3, leader_wait_s=0.3, **FAST) as cluster:
            host = await cluster.leader()
            await host.kv.put("k", 1)
            for other in [h for h in cluster.hosts.values() if h is not host]:
                await cluster.kill(other)
            loop = asyncio.get_running_loop()
            started = loop.time()
            with pytest.raises(Unavailable):  # on its way when the others died: honest either way
                await host.kv.put("k", 2, timeout=1.5)
            with pytest.raises((NoQuorum, NoLeader)) as caught:
                await host.kv.put("k", 3, timeout=30)
            assert caught.value.outcome == "not_applied"
            with pytest.raises((NoQuorum, NoLeader, Timeout)):
                await host.kv.get("k", timeout=1)
            assert await host.kv.get("k", level="local") in (1, 2)
            with pytest.raises((NoQuorum, NoLeader, Timeout)):
                async with host.lock("l", ttl=5, timeout=0.5):
                    raise AssertionError("locked without a majority")
            with pytest.raises((NoQuorum, NoLeader, Timeout)):
                await host.ready(0.5)
            assert loop.time() - started < 8
            assert host.status()["ready"] is False

    run_story(story())


def test_a_lock_is_lost_by_the_holders_own_clock_when_the_majority_is_gone() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            host = cluster.hosts["a"]
            loop = asyncio.get_running_loop()
            with pytest.raises(QuorateError, match="could not be renewed"):
                async with host.lock("l", ttl=1.0):
                    started = loop.time()
                    await cluster.kill("b")
                    await cluster.kill("c")
                    await asyncio.Event().wait()
            assert loop.time() - started < 1.2, "before the lease can have ended anywhere"

    run_story(story())


def test_a_host_whose_state_differs_leaves_service_and_the_others_go_on() -> None:
    async def story() -> None:
        async with Cluster.local(3, digest_interval_s=0.05, **FAST) as cluster:
            a, b, c = cluster.hosts.values()
            await a.kv.put("k", 1)
            a.machine._digest.value = b"\xff" * 16
            await b.kv.put("k", 2)
            failure = await asyncio.wait_for(a.wait_stopped(), 5)
            assert isinstance(failure, InvariantBroken)
            assert "differs" in str(failure)
            assert (a.state, a.status()["in_service"]) == ("failed", False)
            for call in (a.kv.put("k", 3), a.kv.get("k"), a.kv.get("k", level="local"), a.ready()):
                with pytest.raises(InvariantBroken):
                    await call
            await b.kv.put("k", 4)
            assert await c.kv.get("k") == 4
            assert b.state == c.state == "running"

    run_story(story())


def test_a_fatal_error_stops_the_host_and_is_told_to_everybody() -> None:
    async def story() -> None:
        host = Host.open(cluster_folder / "a", **FAST)
        await host.start()
        await host.ready()
        waiting = asyncio.ensure_future(host.election("e").campaign(timeout=None).__aenter__())
        await waiting
        pending = asyncio.ensure_future(anext(host.kv.watch("x")))
        await asyncio.sleep(0)
        host.driver._fail(StorageFailed("the disk is gone"))
        failure = await host.wait_stopped()
        assert isinstance(failure, StorageFailed)
        with pytest.raises(StorageFailed):
            await pending
        with pytest.raises(StorageFailed):
            await host.ready()
        await host.stop()
        assert host.state == "failed"

    import tempfile

    with tempfile.TemporaryDirectory() as name:
        cluster_folder = Path(name)
        run_story(story())


def test_calls_that_wait_end_when_the_host_stops() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            a = cluster.hosts["a"]
            watch = asyncio.ensure_future(anext(a.kv.watch("never/")))
            await asyncio.sleep(0)
            async with cluster.hosts["b"].lock("l", ttl=5):
                line = asyncio.ensure_future(a.lock("l", ttl=5, timeout=60).__aenter__())
                while not (a.machine.lock("l") or cluster.hosts["b"].machine.lock("l")).waiters:  # type: ignore[union-attr]
                    await a.group.advance.wait()
                await cluster.stop_host("a")
                with pytest.raises(Stopped):
                    await watch
                with pytest.raises((Unavailable, QuorateError)):
                    await line
            with pytest.raises(Stopped):
                await a.kv.put("k", 1)
            await a.stop()

    run_story(story())


def test_members_are_replaced_and_refusals_say_why() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            a = cluster.hosts["a"]
            for n in range(20):
                await a.kv.put(f"k{n}", n)
            address = free_addresses(1)[0]
            new = await cluster.restart(
                "d", join=True, listen=address, peers={**cluster.peers, "d": address}
            )
            victim = next(h for h in cluster.hosts.values() if h.id in "bc" and not h.group.leads)
            member = await a.members.replace(victim.id, "d", address)
            assert (member.id, member.role) == ("d", "voter")
            await new.ready()
            assert await new.kv.get("k19") == 19
            with pytest.raises(Unavailable, match="caught up") as caught:
                await a.members.add("ghost", free_addresses(1)[0], timeout=0.5)
            assert caught.value.outcome == "applied", "it is a member, only not a voter yet"
            await a.members.remove("ghost")
            with pytest.raises(MembershipRefused, match="already"):
                await a.members.add("d", address)
            with pytest.raises(QuorateError, match="not a member"):
                await a.members.remove("zz")
            with pytest.raises(UsageError):
                await a.members.add("Bad Name", address)
            leader = await cluster.leader()
            await leader.members.remove(leader.id)
            rest = [h for h in cluster.hosts.values() if h not in (leader, victim)]
            await rest[0].kv.put("k", "without the old leader")
            assert leader.id not in [m.id for m in rest[1].members.list()]

    run_story(story())


def test_a_folder_of_another_host_or_cluster_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with Host.open(tmp_path / "a", **FAST) as host:
            await host.ready()
        for other in (
            Host("b", data=tmp_path / "a", **FAST),
            Host("a", data=tmp_path / "a", cluster="elsewhere", **FAST),
        ):
            with pytest.raises(WrongDataFolder):
                await other.start()
            assert other.state == "stopped"
        async with Host.open(tmp_path / "a", **FAST) as host:
            with pytest.raises(WrongDataFolder, match="in use"):
                await Host("a", data=tmp_path / "a", **FAST).start()
            with pytest.raises(WrongDataFolder, match="in use"):
                Host.open(tmp_path / "a")
            await host.ready()

    run_story(story())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"hartbeat_s": 1}, "did you mean 'heartbeat_s'"),
        ({"heartbeat_s": "fast"}, "must be float"),
        ({"peers": {"b": "127.0.0.1:1"}}, "does not name this host"),
        ({"peers": "b"}, "must map"),
        ({"tls": {"certificate": "x", "kye": "y"}}, "did you mean 'key'"),
        ({"secret": "x" * 20, "tls": {"certificate": "x", "key": "y", "authority": "z"}}, "either"),
        ({"timeout_s": 0}, "above 0"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_starts(
    settings: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        Host("a", data="never-created", **settings)
    assert not Path("never-created").exists()


def test_an_address_that_cannot_be_used_leaves_nothing_behind(tmp_path: Path) -> None:
    async def story() -> None:
        for listen in ("127.0.0.1:99999", "203.0.113.7:7401", "nowhere.invalid:7401"):
            host = Host("a", data=tmp_path / "a", listen=listen, **FAST)
            with pytest.raises(ConfigError):
                await host.start()
        async with Host("a", data=tmp_path / "a", **FAST) as host:
            await host.ready()

    run_story(story())


def test_settings_come_from_a_file_as_well(tmp_path: Path) -> None:
    from quorate.hosts.config import load_toml

    path = tmp_path / "a.toml"
    path.write_text('id = "a"\ndata = "x"\nlisten = "127.0.0.1:0"\n[peers]\na = "127.0.0.1:1"\n')
    values = load_toml(path)
    assert values["peers"] == {"a": "127.0.0.1:1"}
    path.write_text("lisen = 1\n")
    with pytest.raises(ConfigError, match="did you mean 'listen'"):
        load_toml(path)
    path.write_text("= broken")
    with pytest.raises(ConfigError, match="not TOML"):
        load_toml(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_toml(tmp_path / "none.toml")


def test_a_cancelled_stop_is_finished_first(tmp_path: Path) -> None:
    async def story() -> None:
        host = Host.open(tmp_path / "a", **FAST)
        await host.start()
        await host.ready()
        stopping = asyncio.ensure_future(host.stop())
        await asyncio.sleep(0)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert host.state == "stopped"
        async with Host.open(tmp_path / "a", **FAST) as again:
            await again.ready()

    run_story(story())


def test_hosts_prove_that_they_know_the_secret() -> None:
    async def story() -> None:
        async with Cluster.local(2, secret="s" * 32, **FAST) as cluster:
            await cluster.hosts["a"].kv.put("k", 1)
            await cluster.kill("b")
            stranger = await cluster.restart("b", secret="x" * 32)
            with pytest.raises((NoQuorum, NoLeader, Timeout)):
                await stranger.ready(0.5)

    run_story(story())


def test_nobody_listens_beyond_loopback_without_tls(tmp_path: Path) -> None:
    async def story() -> None:
        with pytest.raises(ConfigError, match=r"(?i)tls"):
            await Host("a", data=tmp_path / "a", listen="0.0.0.0:0", **FAST).start()

    run_story(story())


def test_the_code_of_the_readme_runs() -> None:
    root = Path(__file__).parents[2]
    text = (root / "hosts" / "README.md").read_text()
    code = text.split("```python\n", 1)[1].split("```", 1)[0]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "token" in done.stdout and "cart:7" in done.stdout
