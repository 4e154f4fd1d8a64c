"""Logs, layers and caches on real hosts with real stores."""

from __future__ import annotations

import asyncio
from typing import Any

from quorate import Cluster, Host
from tests.events.world import EMPTY, total, values
from tests.hosts.conftest import FAST, run_story
from tests.layers.world import Work

SETTINGS: dict[str, Any] = {**FAST}


def count(state: Any, event: Any) -> Any:
    return state + 1


async def everywhere(hosts: list[Host], log: str, events: int) -> None:
    """Until every host shows so many events."""

    async def here(host: Host) -> None:
        seen = 0
        async for _ in host.store("orders").events(log).watch(0):
            seen += 1
            if seen == events:
                return

    await asyncio.gather(*(here(host) for host in hosts))


def test_a_log_lives_through_restarts_and_reads_the_same_everywhere() -> None:
    async def story() -> None:
        async with Cluster.local(3, **SETTINGS) as cluster:
            a, b, c = cluster.hosts.values()
            logs = [host.store("orders").events("order:7") for host in (a, b, c)]
            await asyncio.gather(*(logs[n % 3].append(n, by="ann") for n in range(60)))
            strong = await logs[1].append(60, consistency="strong", expected_version=0)
            assert (strong.version, strong.durable) == (1, True)
            await everywhere([a, b, c], "order:7", 61)
            orders = [values(await log.read()) for log in logs]
            assert orders[0] == orders[1] == orders[2]
            assert sorted(orders[0]) == list(range(61))
            assert (await logs[0].rebuild(total, EMPTY))["order"] == orders[0]
            again = await logs[0].append(1, event_id="same")
            assert (await logs[0].append(1, event_id="same")).position == again.position
            await cluster.kill("a")
            await logs[2].append(61)
            a = await cluster.restart("a")
            await a.ready()
            log = a.store("orders").events("order:7")
            receipt = await log.append(62)
            assert receipt.event.number == again.event.number + 1, "it goes on with its strand"
            await everywhere([a, b, c], "order:7", 64)
            assert await log.rebuild(count, 0) == 64
            async with b.session() as session:
                await logs[1].append("mine", consistency="session", session=session)
                token = session.token
            assert values(await log.read(session=a.session(token)))[-1] == "mine"

    run_story(story())


def test_layers_and_caches_on_one_cluster() -> None:
    async def story() -> None:
        async with Cluster.local(3, **SETTINGS) as cluster:
            a, b, c = cluster.hosts.values()
            store = a.store("carts")
            store.local.put("draft", {"unsaved": object})
            assert a.store("carts").local.get("draft") is store.local.get("draft")
            assert b.store("carts").local.get("draft") is None
            memory = await store.shared.put("ann", 1)
            disk = await store.shared.put("ann", 2, durable=True)
            kept = await store.persistent(wait_for=2).put("ann", 3)
            strong = await store.persistent.put("bob", 1, consistency="strong")
            assert (memory.durable, disk.durable, kept.durable) == (False, True, True)
            assert (len(kept.replicas) >= 2, strong.achieved) == (True, "strong")
            await store.shared.update("ann", lambda present: present + 1)
            assert await store.persistent.get("ann") == 4
            await store.shared.delete("ann")
            assert await store.get("ann") is None
            work = Work("priced").hold()
            calls = [
                asyncio.ensure_future(
                    host.cache("prices").get_or_compute("k", work, depends_on=[(store, "bob")])
                )
                for host in (a, b, c, b)
            ]
            await work.began.wait()
            work.gate.set()
            assert await asyncio.gather(*calls) == ["priced"] * 4
            assert work.runs == 1
            await b.store("carts").put("bob", 2, consistency="strong")
            assert await c.cache("prices").get("k", "moved") == "moved"
            assert a.statistics()["caches"]["prices"]["entries"] == 1

    run_story(story())
