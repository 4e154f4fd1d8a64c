"""A local deletion hides a strong value for as long as there is one to hide."""

from __future__ import annotations

from quorate import Host
from tests.store.conftest import World, until


def collected(host: Host, store: str, key: str) -> bool:
    return host.stores.replica.read(store, key) is None


def test_a_deleted_value_does_not_come_back_when_the_tombstone_is_old(world: World) -> None:
    async def story() -> None:
        hosts, name = world.hosts, world.name()
        stores = [host.store(name) for host in hosts]
        await stores[0].put("hides", 1, consistency="strong")
        await stores[0].put("never strong", 1)
        for key in ("hides", "never strong"):
            await stores[0].delete(key)
        for host in hosts:  # the other tombstone is as old, and is collected
            await until(host, lambda h=host: h.stores.replica.read(name, "hides") is not None)
            await until(host, lambda h=host: collected(h, name, "never strong"), 20.0)
        for store in stores:
            assert await store.get("hides") is None
            assert await store.get("hides", level="linearizable") == 1
            assert "hides" not in await store.keys()
        await stores[1].delete("hides", consistency="strong")
        for host in hosts:  # nothing is left to hide
            await until(host, lambda h=host: collected(h, name, "hides"), 20.0)
        for store in stores:
            assert await store.get("hides") is None

    world.run(story())
