"""How a run ends well: replicas become equal, calls are over, and what is deleted goes for good.

The law: each function says what is still missing, or None; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from quorate.chaos.stores.calls import Call
from quorate.chaos.stores.clients import DEADLINE_S
from quorate.consistency.replica.states import RegisterState
from quorate.consistency.ring.placement import PARTITIONS, Placement

if TYPE_CHECKING:
    from quorate.chaos.stores.host import StoreHost
    from quorate.chaos.stores.stage import Stage

CONVERGE_S = 2.5
"""After plain partitions: 2 s, and half a second in which links are dialled again."""
CONVERGE_REPAIR_S = 8.0
"""After crashes, lost disks and ring changes: whole states are compared and keys move."""
CONVERGE_CLOCKS_S = 12.0
"""After wrong clocks: what was refused is offered again."""
TIDY_S = 20.0
LOG_RECORDS_KEPT_MAX = 8


def owners_of_data(stage: Stage) -> list[StoreHost]:
    """The hosts of the ring."""
    return [stage.hosts[host_id] for host_id in stage.rings.ring.hosts]


def differs(stage: Stage) -> str | None:
    """What keeps the owners from being equal."""
    ring = stage.rings.ring
    if ring.before is not None:
        return f"ring {ring.epoch} is still moving keys"
    if not stage.rings.settled:
        return f"ring {ring.epoch} has {' '.join(ring.hosts)}, not the members"
    hosts = owners_of_data(stage)
    for host in hosts:
        if not host.running:
            return f"{host.id} does not run"
        if host.replica.ring is None or host.replica.ring.epoch != ring.epoch:
            return f"{host.id} does not know ring {ring.epoch}"
        host.replica.settle()
    for host in stage.hosts.values():
        for peer in hosts:
            if host.running and host is not peer and host.replica.unpushed(peer.id):
                return f"{host.id} has updates that {peer.id} lacks"
    placement = Placement(ring)
    for store in stage.options.stores:
        for one, other in _pairs(hosts):
            if len(hosts) <= store.replicas:
                shared = frozenset(range(PARTITIONS))
            else:
                shared = placement.shared(one.id, other.id, store.replicas)
            mine = one.replica.tree(store.name).root_of(shared)
            if mine != other.replica.tree(store.name).root_of(shared):
                found = _difference(stage, store.name, one, other)
                if found is not None:
                    return found
    return None


def _pairs(hosts: list[StoreHost]) -> Iterator[tuple[StoreHost, StoreHost]]:
    """Pairs whose equality makes all equal: neighbours would do only where all own all."""
    for at, one in enumerate(hosts):
        for other in hosts[at + 1 :]:
            yield one, other


def _difference(stage: Stage, store: str, one: StoreHost, other: StoreHost) -> str | None:
    """The first key that shows something else, as a sentence. What a context still says of updates
    that were collected may differ until the next periodic exchange: nobody can see it."""
    keys = {*one.replica.keys(store), *other.replica.keys(store)}
    for key in sorted(keys):
        if not {one.id, other.id} <= set(one.replica.owners(store, key)):
            continue
        if _alive(one, store, key) != _alive(other, store, key):
            mine, theirs = one.replica.export(store, key), other.replica.export(store, key)
            return f"{store}/{key} is {mine} on {one.id} and {theirs} on {other.id}"
    return None


def _alive(host: StoreHost, store: str, key: str) -> object:
    """What a key holds that is not dead."""
    state = host.replica.read(store, key)
    if state is None or state.is_dead:
        return None
    return state.entries if isinstance(state, RegisterState) else state.crdt.essence()


def open_calls(stage: Stage) -> str | None:
    pending = [call for call in stage.calls.all if call.outcome == "pending"]
    return f"call {pending[0].id} ({pending[0].kind}) is open" if pending else None


def delete_everything(stage: Stage) -> None:
    """Every key, at one of its owners."""
    for store in stage.options.stores:
        keys = {key for host in owners_of_data(stage) for key in host.replica.keys(store.name)}
        for number, key in enumerate(sorted(keys)):
            owners = owners_of_data(stage)[0].replica.owners(store.name, key)
            host = stage.hosts[owners[number % len(owners)]]
            now = stage.queue.now
            call = Call(
                next(stage.ids),
                "the end",
                host.id,
                "delete",
                "eventual",
                store.name,
                key,
                now,
                now + DEADLINE_S,
            )
            stage.clients[0].begin_at(host, call)


def untidy(stage: Stage) -> str | None:
    """What should have been collected or trimmed."""
    living = {host.replica.actor for host in stage.hosts.values() if host.running}
    for host in owners_of_data(stage):
        for store in stage.options.stores:
            for key in host.replica.keys(store.name):
                if host.replica.pinned(store.name, key):
                    continue  # it hides a strong value
                if living >= host.replica.seen(store.name, key).keys():
                    state = host.replica.export(store.name, key)
                    return f"{host.id} still has {store.name}/{key}: {state}"
        held = len(host.log_engine.scan("log"))
        if held > LOG_RECORDS_KEPT_MAX:
            return f"{host.id} still has {held} log records"
    return None
