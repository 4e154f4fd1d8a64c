"""The table of levels on the page of the stores says what happens: each cell is tried.

To bring the table up to date: `QUORATE_WRITE_README=1 pytest tests/store/test_table.py`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from quorate import Cluster, Entry, Host, QuorateError, StoreReceipt, bounded
from tests.store.conftest import FAST, cut, everywhere, heal, run_story, until

README = Path(__file__).parents[2] / "consistency" / "store" / "README.md"
BEGIN, END = "<!-- LEVELS: begin (made by tests/store/test_table.py) -->\n", "<!-- LEVELS: end -->"
POLICIES = ("continue", "degraded", "pause")
QUICK_S = 3.0

ACKNOWLEDGED = {
    "strong": "on the disks of a majority, and applied",
    "session": "on this host's disk, after all the session wrote and saw",
    "eventual": "on this host's disk",
    "crdt": "on this host's disk; merged everywhere",
}
PROMISES = {
    "linearizable": "all strong updates acknowledged before it began, and nothing else",
    "session": "what the session wrote and saw, or newer",
    "bounded": "all that was acknowledged anywhere up to the bound",
    "local": "what this host has: the newer of strong and local",
}


async def outcome(work: Awaitable[Any]) -> str:
    """One cell: what a call came to."""
    try:
        answer = await work
    except QuorateError as error:
        assert error.outcome == "not_applied", "refused, definitely"
        return f"`{type(error).__name__}`"
    if isinstance(answer, StoreReceipt):
        assert answer.durable
        return "works" if answer.achieved == answer.asked else f"falls back to `{answer.achieved}`"
    assert isinstance(answer, Entry)
    return "local value, marked `degraded`" if answer.degraded else "answers"


def update(host: Host, level: Any, policy: Any) -> Awaitable[StoreReceipt]:
    store = host.store("table", on_partition=policy)
    if level == "crdt":
        return store.pn_counter("count").increment(timeout=QUICK_S)
    return store.put(f"k-{level}", policy, consistency=level, timeout=QUICK_S)


def read(host: Host, level: Any, policy: Any) -> Awaitable[Entry]:
    store = host.store("table", on_partition=policy)
    if level == "session":
        return store.get_entry("k", session=host.session(), timeout=QUICK_S)
    wanted: Any = bounded(versions=0) if level == "bounded" else level
    hopeless = level == "bounded" and host.stores.cut_off()
    return store.get_entry("k", level=wanted, timeout=0.3 if hopeless else QUICK_S)


async def table(lone: Host, rest: list[Host]) -> str:
    updates = [["update", "acknowledged when it is", "with a majority"]]
    reads = [["read", "holds", "with a majority"]]
    updates[0] += [f"cut off, `{policy}`" for policy in POLICIES]
    reads[0] += [f"cut off, `{policy}`" for policy in POLICIES]
    for level, text in ACKNOWLEDGED.items():
        updates.append([f"`{level}`", text, await outcome(update(lone, level, "continue"))])
    for level, text in PROMISES.items():
        shown = "bounded(ms=, versions=)" if level == "bounded" else level
        reads.append([f"`{shown}`", text, await outcome(read(lone, level, "continue"))])
    cut(lone, rest)
    await until(lone, lone.stores.cut_off)
    for row, level in zip(updates[1:], ACKNOWLEDGED, strict=True):
        row += [await outcome(update(lone, level, policy)) for policy in POLICIES]
    for row, level in zip(reads[1:], PROMISES, strict=True):
        row += [await outcome(read(lone, level, policy)) for policy in POLICIES]
    heal(lone, rest)
    return lines(updates) + "\n" + lines(reads)


def lines(rows: list[list[str]]) -> str:
    rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def test_the_page_says_what_each_level_does() -> None:
    made: list[str] = []

    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            lone, *rest = cluster.hosts.values()
            await lone.store("table").put("k", 1, wait_for=3)
            made.append(await table(lone, rest))
            for level in ("session", "eventual"):
                await everywhere(cluster.hosts.values(), "table", f"k-{level}", "degraded")
            await everywhere(cluster.hosts.values(), "table", "k-strong", "degraded")
            await everywhere(cluster.hosts.values(), "table", "count", 3)

    run_story(story())
    text = README.read_text()
    head, _, tail = text.partition(BEGIN)
    assert tail, f"the README has no line {BEGIN!r}"
    old, _, tail = tail.partition(END)
    if os.environ.get("QUORATE_WRITE_README"):
        README.write_text(head + BEGIN + made[0] + END + tail)
    else:
        assert old == made[0], f"the README's table is not what happens:\n{made[0]}"
