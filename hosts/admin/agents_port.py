"""What the admin API can ask about agents and the hosts that run them, as values and one protocol;
`agents_binding.py` puts a real host behind it.

The law of this file: nothing of HTTP and nothing of the host's insides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class AgentFilter:
    """Which agents are listed; empty: all."""

    prefix: str = ""
    pattern: str | None = None
    host: str | None = None
    kind: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class AgentStart:
    """How an agent is started."""

    kind: str
    """A registered kind, or "module:Class"."""
    name: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Keywords of `host.agents.start`."""


@dataclass(frozen=True, slots=True)
class AgentCall:
    """One message."""

    method: str
    args: list[Any]
    kwargs: dict[str, Any]
    consistency: str | None = None
    tell: bool = False


class AgentsPort(Protocol):
    """Orders raise the errors of `core.errors`; `timeout_s` is a deadline."""

    def agents(self, wanted: AgentFilter, after: str, limit: int) -> list[dict[str, Any]]:
        """[{name, kind, host, epoch, life, status, meta, owners}, ...] in the order of names."""
        ...

    async def agent(self, name: str, timeout_s: float) -> dict[str, Any]:
        """How an agent is, asked from its host."""
        ...

    async def agent_start(self, start: AgentStart, timeout_s: float) -> dict[str, Any]: ...
    async def agent_call(self, name: str, call: AgentCall, timeout_s: float) -> Any:
        """The answer; None for a tell."""
        ...

    async def agent_move(
        self, name: str, to: str, strategy: str | None, timeout_s: float
    ) -> dict[str, Any]: ...

    async def agent_stop(self, name: str, reason: str, timeout_s: float) -> bool: ...
    async def agents_stop_matching(self, text: str, reason: str, timeout_s: float) -> int: ...
    async def agent_state(self, name: str, limit: int, timeout_s: float) -> dict[str, Any]:
        """{keys: {key: value}, more, statistics}"""
        ...

    def agent_log(self, name: str, limit: int) -> list[dict[str, Any]]:
        """What happened to the name, as far as this host remembers, the oldest first."""
        ...

    def agent_classes(self) -> dict[str, dict[str, int]]:
        """kind -> {host: version}"""
        ...

    def agent_dead_letters(self, name: str | None) -> list[dict[str, Any]]: ...
    def agent_reports(self) -> list[dict[str, Any]]: ...
    def agent_hosts(self) -> list[dict[str, Any]]: ...
    async def host_drain(self, host: str, on: bool, timeout_s: float) -> int:
        """How many agents moved."""
        ...

    async def host_settings(
        self, host: str, change: dict[str, dict[str, Any]], timeout_s: float
    ) -> None:
        """Labels or capacity."""
        ...

    async def lease_grant(self, ttl_s: float, timeout_s: float) -> int: ...
    async def lease_keep(self, lease: int, timeout_s: float) -> bool:
        """Whether it lives on."""
        ...

    async def lease_revoke(self, lease: int, timeout_s: float) -> None: ...
