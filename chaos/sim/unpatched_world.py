"""Plain PySyncObj in the simulated world: the same network and nemesis, and a verdict on one
question only: is every acknowledged write still there?

The law: `broken` means that an acknowledged write is on no host, or is missing where others applied
past it; other disorders (a double apply, a host that is stuck) are noted and leave it `unknown`.
"""

from __future__ import annotations

import logging
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.history import History
from quorate.chaos.sim.host import SimHost
from quorate.chaos.sim.nemesis import Nemesis
from quorate.chaos.sim.network import Network
from quorate.chaos.sim.options import draw
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.sim.unpatched import BaseClock, UnpatchedHost
from quorate.chaos.sim.world import Report

FAULTS = frozenset(
    {
        "kill",
        "pause",
        "isolate",
        "halves",
        "one_way",
        "cut_pair",
        "reset",
        "slow",
        "compact",
        "island",
    }
)
CALM_S = 25.0
IDS = ("a", "b", "c")


def run_unpatched(seed: int, seconds: float, echo: Callable[[str], object] | None = None) -> Report:
    """One seed: every third with journal and dump files and kills, the others in memory."""
    logging.disable(logging.CRITICAL)  # it says itself, hundreds of times, what we are here to show
    try:
        with tempfile.TemporaryDirectory(prefix="sim-") as folder:
            return _run(seed, seconds, echo, Path(folder) if seed % 3 == 2 else None)
    finally:
        logging.disable(logging.NOTSET)


def _run(
    seed: int, seconds: float, echo: Callable[[str], object] | None, folder: Path | None
) -> Report:
    options = draw(seed, seconds)
    queue = EventQueue()
    transcript = Transcript(lambda: queue.now, echo)
    history = History()
    clock = BaseClock(queue)
    clock.inject()
    rng = random.Random(f"unpatched {seed}")
    random.seed(
        rng.random()
    )  # the base draws its election timeouts from the process-wide generator
    conf: dict[str, Any] = {
        "appendEntriesUseBatch": rng.random() < 0.5,
        "leaderFallbackTimeout": rng.choice((1.5, 30.0)),
    }
    weather = replace(options.weather, duplicate_probability=0.0)  # nothing TCP would not do
    network = Network(queue, random.Random(f"network {seed}"), transcript, weather=weather)
    hosts = [
        UnpatchedHost(
            host_id,
            IDS,
            queue=queue,
            network=network,
            clock=clock,
            history=history,
            rng=random.Random(f"host {host_id} {seed}"),
            folder=folder,
            conf=conf,
            writes_per_s=options.writes_per_s,
        )
        for host_id in IDS
    ]
    nemesis = Nemesis(
        options=options,
        queue=queue,
        network=network,
        hosts=cast("list[SimHost]", hosts),
        operator=None,
        transcript=transcript,
        forges=False,
        only=FAULTS,
    )
    transcript.note("seed", seed, "plain PySyncObj", conf, "with files" if folder else "in memory")
    for host in hosts:
        host.start()
    nemesis.start()
    queue.run_until(seconds)
    nemesis.calm()
    for host in hosts:
        host.calls = False
    queue.run_until(queue.now + CALM_S)
    return _judge(seed, queue, transcript, history, hosts, nemesis)


def _judge(
    seed: int,
    queue: EventQueue,
    transcript: Transcript,
    history: History,
    hosts: list[UnpatchedHost],
    nemesis: Nemesis,
) -> Report:
    states = {host.id: host.object.values for host in hosts}
    longest = max(states.values(), key=len)
    acked = [op for op in history.ops if op.outcome == "ok"]
    lost: list[str] = []
    for op in acked:
        without = [
            host_id
            for host_id, values in states.items()
            if op.value not in values and values != longest[: len(values)]
        ]
        if all(op.value not in values for values in states.values()):
            lost.append(f"acknowledged write {op.key} is lost: no host has it")
        elif without:
            lost.append(f"acknowledged write {op.key} is lost on {'+'.join(without)}")
    disorder = [
        f"{host_id} applied something twice"
        for host_id, values in states.items()
        if len(set(values)) != len(values)
    ] + [f"{host_id} did not catch up" for host_id, values in states.items() if values != longest]
    for text in lost[:5]:
        transcript.note("FOUND", text)
    return Report(
        seed=seed,
        verdict="broken" if lost else "unknown" if disorder else "held",
        findings=lost[:10] + disorder,
        hash=transcript.hash,
        virtual_s=queue.now,
        events=queue.count,
        calls=len(history.ops),
        acked=len(acked),
        reads=0,
        faults=dict(sorted(nemesis.counts.items())),
        story=transcript.last() if lost else [],
    )
