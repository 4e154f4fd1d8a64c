"""Fixtures for tests of programs under faults: real processes, real proxies, a recorded history.

The law of this file: what a test gets is the laboratory itself, healed and ended with the test. The
program under test is a workload, because quorate is a library and runs inside its hosts; the test
orders the load and the faults, and asks the history. Loaded by pytest as `quorate-chaos`.

    @pytest.mark.chaos(hosts=3, nemesis="halves", seconds=20, workload="my_shop.chaos:Orders")
    def test_no_order_is_lost(cluster, nemesis, history):
        async def story():
            await cluster.load()
            await nemesis.run()
            await cluster.rest(3)
            await cluster.unload()

        cluster.run(story())
        history.must_hold()
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from quorate.chaos.lab.cluster import LabCluster
    from quorate.chaos.running.runner import Run
    from quorate.consistency.check.history import History
    from quorate.consistency.check.verdict import Verdict

END_S = 60.0


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    config.addinivalue_line(
        "markers",
        'chaos(hosts=3, nemesis="none", seconds=20, workload="register", **options): the run that '
        "`cluster`, `nemesis` and `history` are of",
    )


class ChaosCluster:
    """Hosts behind proxies, and the event loop they are ordered from."""

    def __init__(self, loop: asyncio.AbstractEventLoop, run: Run) -> None:
        self.loop = loop
        self._run = run

    @property
    def lab(self) -> LabCluster:
        """The hosts and their links: kill, pause, cut by hand."""
        assert self._run.cluster is not None
        return self._run.cluster

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.lab.hosts

    def run(self, story: Coroutine[Any, Any, Any], timeout: float = 600.0) -> Any:
        """Run it to its end, and give what it returns. Raises `TimeoutError`."""
        return self.loop.run_until_complete(asyncio.wait_for(story, timeout))

    async def load(self) -> None:
        """Let the workload's clients begin, on every host."""
        await self._run.load()

    async def calm(self) -> None:
        """The time before the faults, in which enough must be done."""
        await self._run.calm()

    async def rest(self, seconds: float) -> None:
        """Let it run."""
        await self._run.rest(seconds)

    async def unload(self) -> None:
        """Heal, end the load, and do the final reads on every host."""
        await self._run.heal()
        await self._run.unload()
        await self._run.read_finally()


class ChaosNemesis:
    """The faults of the marker."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def faults(self) -> list[dict[str, Any]]:
        """What was done so far: one entry at the beginning and one at the end of each fault."""
        return self._run.faults

    async def run(self, seconds: float | None = None) -> None:
        """Faults for so long (the marker's `seconds`), all healed in the end."""
        await self._run.hurt(self._run.options.seconds if seconds is None else seconds)


class ChaosHistory:
    """What the clients asked, and what they were told."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def so_far(self) -> History:
        return self._run.folder.history()

    def check(self) -> list[Verdict]:
        """What the workload's judges say."""
        from quorate.chaos.running.verdicts import ask

        return ask(self._run.workload.check, self.so_far())

    def must_hold(self) -> None:
        """Raises `AssertionError` with the counterexample unless every judge says `held`."""
        for verdict in self.check():
            assert verdict.verdict == "held", verdict.text()


@pytest.fixture
def _chaos_run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    from quorate.chaos.running.options import RunOptions
    from quorate.chaos.running.runner import Run

    marker = request.node.get_closest_marker("chaos")
    wanted: dict[str, Any] = {"folder": tmp_path / "runs"}
    wanted |= dict(marker.kwargs) if marker is not None else {}
    loop = asyncio.new_event_loop()
    run = Run(RunOptions(**wanted))
    opened = run.opened()
    try:
        loop.run_until_complete(opened.__aenter__())
        try:
            yield loop, run
        finally:
            ending = asyncio.wait_for(opened.__aexit__(None, None, None), END_S)
            loop.run_until_complete(ending)
    finally:
        run.folder.close()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.fixture
def cluster(_chaos_run: Any) -> ChaosCluster:
    """A `ChaosCluster` as the marker `chaos` says: three hosts behind proxies."""
    loop, run = _chaos_run
    return ChaosCluster(loop, run)


@pytest.fixture
def nemesis(_chaos_run: Any) -> ChaosNemesis:
    """The marker's faults, to be run by the test."""
    return ChaosNemesis(_chaos_run[1])


@pytest.fixture
def history(_chaos_run: Any) -> ChaosHistory:
    """What the workload's clients recorded."""
    return ChaosHistory(_chaos_run[1])
