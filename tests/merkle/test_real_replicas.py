"""The exchange over the real store replicas: registers, CRDTs, tombstones, logs and disks."""

from __future__ import annotations

import random
from typing import Any

import pytest

from quorate.consistency.merkle.exchange import Exchange
from quorate.consistency.merkle.session import Report
from quorate.consistency.replica.definitions import StoreDef
from tests.merkle.world import Network
from tests.replica.replica_tools import Town


class Split:
    """Two hosts whose logs do not reach each other; only exchanges do."""

    def __init__(self, definitions: tuple[StoreDef, ...] = (StoreDef("s"),)) -> None:
        self.town = Town("a", "b", definitions=definitions)
        self.network = Network(self.town.queue, random.Random(1))
        self.exchanges: dict[str, Exchange] = {}
        for host in ("a", "b"):
            self.attach(host)

    def attach(self, host: str) -> None:
        place = self.town[host]
        assert place.life is not None
        self.exchanges[host] = exchange = Exchange(
            place.replica,
            send=self.network.sender(host),
            clock=place.life,
            scheduler=place.life,
            rng=random.Random(2),
        )
        self.network.receive[host] = exchange.on_message

    def sync(self) -> Report:
        reports: list[Report] = []
        assert self.exchanges["a"].start("b", None, range(256), reports.append)
        self.town.queue.run_until(self.town.queue.now + 60, lambda: bool(reports))
        return reports[0]

    def operate(self, host: str, key: str, kind: str, op: str, *args: Any) -> None:
        self.town[host].replica.operate("s", key, kind, op, list(args))


def diverged() -> Split:
    split = Split()
    town = split.town
    for number in range(200):
        town["a"].put(f"both-{number}", number)
    split.operate("a", "count", "pn_counter", "increment", 5)
    split.operate("a", "tags", "or_set", "add", "red")
    town.pass_time(1)
    town.part("a", "b")
    for number in range(0, 200, 10):
        town["a"].put(f"both-{number}", f"a {number}")
        town["b"].put(f"both-{number + 5}", f"b {number}")
        town["b"].put(f"both-{number + 1}", None)
        town["b"].put(f"only-b-{number}", number)
    town["a"].put("both-7", "from a")
    town["b"].put("both-7", "from b")
    for host in ("a", "b"):
        split.operate(host, "count", "pn_counter", "increment", 1)
    split.operate("a", "tags", "or_set", "add", "blue")
    split.operate("b", "tags", "or_set", "remove", "red")
    town.pass_time(1)
    return split


def test_registers_crdts_and_tombstones_become_equal() -> None:
    split = diverged()
    assert len(split.town.digests()) == 2
    report = split.sync()
    assert report.complete, report.why
    assert len(split.town.digests()) == 1
    for place in split.town.places.values():
        assert place.get("both-0") == "a 0" and place.get("both-5") == "b 0"
        assert place.get("both-1") is None and place.get("only-b-10") == 10
        assert place.get("count") == 7 and set(place.get("tags")) == {"blue"}
    assert split.town["a"].get("both-7") == split.town["b"].get("both-7")
    assert report.keys_received < 100 and report.keys_sent < 60
    assert report.applied == split.town["b"].replica.applied
    again = split.sync()
    assert again.complete and again.rounds == 2


def values(split: Split, host: str) -> dict[str, Any]:
    replica = split.town[host].replica
    return {key: split.town[host].get(key) for key in replica.keys("s") if key != "both-7"}


def test_what_an_exchange_brought_survives_power_loss() -> None:
    split = diverged()
    assert split.sync().complete
    before = values(split, "a")
    assert before == values(split, "b")
    for host in ("a", "b"):
        split.town[host].crash()
        split.town[host].start()
        split.attach(host)
        assert values(split, host) == before
    assert split.sync().complete and len(split.town.digests()) == 1


def test_an_exchange_mends_what_the_log_forgot_and_its_vector_is_adopted() -> None:
    split = diverged()
    a, b = split.town["a"].replica, split.town["b"].replica
    report = split.sync()
    done: list[int] = []
    a.advance(report.applied, lambda: done.append(1))
    split.town.pass_time(1)
    assert done and a.applied[b.actor] == b.durable
    split.town.heal()
    split.town.pass_time(2)
    assert not split.town["a"].notes.gaps
    assert values(split, "a") == values(split, "b")
    # Hosts collect at times of their own, so digests of CRDTs may differ once more for a while.
    assert split.sync().complete and len(split.town.digests()) == 1


@pytest.mark.parametrize("asker", ["a", "b"])
def test_what_waits_for_the_disk_leaves_with_no_exchange(asker: str) -> None:
    """A crash would give its number to another update, and two would have one name."""
    split = Split()
    town = split.town
    town.pass_time(0.1)
    town.part("a", "b")
    town["b"].disk.full = True
    town["b"].put("k", "in memory")
    reports: list[Report] = []
    other = "b" if asker == "a" else "a"
    assert split.exchanges[asker].start(other, None, range(256), reports.append)
    town.pass_time(2)
    assert town["a"].get("k") is None
    town["b"].disk.full = False
    town.queue.run_until(town.queue.now + 60, lambda: bool(reports))
    assert reports[0].complete
    assert town["a"].get("k") == "in memory"
