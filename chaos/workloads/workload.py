"""What a workload is: operations of clients, and the judgement of what was recorded.

The law of this file: `setup`, `invoke` and `final_reads` run inside the host processes and record
through their client; `check` runs in the parent and sees nothing but the history. A workload keeps
no state between clients: what it keeps for one is in `client.here`.

    class Mine(Workload):
        name = "mine"

        async def invoke(self, client):
            async with client.op("write", "x", client.unique()) as op:
                receipt = await client.host.kv.put("x", ..., timeout=CALL_S)
                op.ok(witness=(receipt.term, receipt.index))

        def check(self, history):
            return models.check("register", history)

Run it with `--workload my_module:Mine`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from quorate.consistency.check.history import History, Operation
from quorate.consistency.check.verdict import Verdict

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client
    from quorate.hosts.agents.agent import Agent

CALL_S = 3.0
"""The deadline of a workload's calls."""


class Workload:
    """The base of all workloads; does nothing by itself."""

    name: ClassVar[str] = ""
    promise: ClassVar[str] = ""
    """The invariant, in one line."""
    agents: ClassVar[tuple[type[Agent], ...]] = ()
    """Classes of agents that every host runs."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Settings of the hosts."""
    clients_per_host: ClassVar[int] = 6
    rate_per_client: ClassVar[float] = 16.0
    """Operations per second."""

    @property
    def has(self) -> frozenset[str]:
        """What faults can ask for: "agents"."""
        return frozenset({"agents"} if self.agents else ())

    async def setup(self, client: Client) -> None:
        """Once, on the first host, before the load."""

    async def invoke(self, client: Client) -> None:
        """One operation (or a few), recorded with `client.op`."""
        raise NotImplementedError

    async def final_reads(self, client: Client) -> None:
        """On every host, after the heal and the end of the load."""

    def check(self, history: History) -> Verdict | list[Verdict]:
        """Judge the run. Raises nothing that a history can cause."""
        raise NotImplementedError


def part(history: History, wanted: Callable[[Operation], bool]) -> History:
    """The same history with those operations alone."""
    return history.only(op for op in history.operations if wanted(op))
