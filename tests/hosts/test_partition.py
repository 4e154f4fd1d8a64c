"""A leader that is cut off: its calls end by their deadlines, honestly, and it reads nothing stale
(T6, T8)."""

from __future__ import annotations

import asyncio

import pytest

from quorate import Cluster, Host, LockLost, NotCommitted, OutcomeUnknown, Unavailable
from quorate.core.wire.ports import free_addresses
from tests.hosts.conftest import FAST, run_story


def cut(host: Host, others: list[Host]) -> None:
    """Both directions: nobody listens where they dial now."""
    nowhere = free_addresses(1)[0]
    for other in others:
        host.mesh.set_override(other.id, nowhere)
        other.mesh.set_override(host.id, nowhere)


def heal(host: Host, others: list[Host]) -> None:
    for other in others:
        host.mesh.set_override(other.id, None)
        other.mesh.set_override(host.id, None)


def test_a_cut_off_leader_answers_honestly_and_the_others_go_on() -> None:
    async def story() -> None:
        async with Cluster.local(3, leader_wait_s=1.0, **FAST) as cluster:
            old = await cluster.leader()
            others = [host for host in cluster.hosts.values() if host is not old]
            await old.kv.put("k", "before")
            loop = asyncio.get_running_loop()
            entered = asyncio.Event()

            async def hold() -> None:
                async with old.lock("l", ttl=1.0):
                    entered.set()
                    await asyncio.Event().wait()

            holder = asyncio.ensure_future(hold())
            await entered.wait()
            cut(old, others)
            started = loop.time()
            write = asyncio.ensure_future(old.kv.put("k", "lost?", timeout=1.0))
            read = asyncio.ensure_future(old.kv.get("k", timeout=1.0))
            with pytest.raises(Unavailable) as write_error:
                await write
            with pytest.raises(NotCommitted):
                await read
            assert loop.time() - started < 1.3, "by their deadlines"
            assert write_error.value.outcome in ("unknown", "not_applied")
            receipt = await others[0].kv.put("k", "after")
            async with others[1].lock("l", ttl=1.0, timeout=5) as lock:
                assert holder.done(), "the first holder stopped before the second one started"
                assert lock.token > 0
            with pytest.raises(LockLost):
                await holder
            with pytest.raises(NotCommitted):
                await old.kv.get("k", timeout=0.5)
            heal(old, others)
            await old.ready()
            record = await old.kv.get_record("k")
            assert record is not None
            if isinstance(write_error.value, OutcomeUnknown) and record.value == "lost?":
                assert record.revision > receipt.revision, "late, once, and after what was acked"
            else:
                assert record.value == "after"
            assert record.version in (2, 3)
            digests = {host.machine.digest_at(old.machine.applied_index) for host in others}
            assert len(digests - {None}) <= 1

    run_story(story())
