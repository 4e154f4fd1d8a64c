"""A cluster that is made up: hosts that count what they hear, in the time of the test's loop.

Links that carry count on, links that are cut do not; whoever is down or stands still is not seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from quorate.chaos.faults.fault import Scene
from quorate.chaos.lab.children import LabError
from quorate.chaos.lab.links import OPEN, Condition, Pair
from quorate.chaos.lab.process import HostDown

BYTES_S = 1000.0
RTT_MS = 0.5


class FakeLinks:
    """Counts at each change what a link carried until then. `deaf`: changes do nothing."""

    def __init__(self, hosts: Sequence[str], *, deaf: bool = False) -> None:
        self.state: dict[Pair, Condition] = {(a, b): OPEN for a in hosts for b in hosts if a != b}
        self.deaf = deaf
        self.history: list[dict[Pair, str]] = []
        self._heard = dict.fromkeys(self.state, 0.0)
        self._reads = dict.fromkeys(self.state, 0.0)
        self._connects = dict.fromkeys(self.state, 1)
        self._at = 0.0

    def hurt(self) -> dict[Pair, str]:
        return {pair: one.kind for pair, one in self.state.items() if one != OPEN}

    def _advance(self) -> None:
        now = asyncio.get_running_loop().time()
        passed = now - (self._at or now)
        self._at = now
        for pair, one in self.state.items():
            kind = "open" if self.deaf else one.kind
            if not (one.cuts and not self.deaf):
                self._heard[pair] += BYTES_S * passed
                size = 64 if kind == "sliced" else 500
                self._reads[pair] += BYTES_S * passed / size
            if kind == "limited" and passed > 0:
                self._connects[pair] += 1

    async def apply(self, changes: Mapping[Pair, Condition]) -> None:
        self._advance()
        for pair, new in changes.items():
            before = self.state[pair]
            self.state[pair] = new
            if new == OPEN and before.cuts and not self.deaf:
                self._connects[pair] += 1
        self.history.append(self.hurt())

    async def heal(self, pairs: Sequence[Pair] | None = None) -> None:
        await self.apply(dict.fromkeys(list(self.state) if pairs is None else pairs, OPEN))

    def counted(self, host: str) -> dict[str, Any]:
        self._advance()
        into = [pair for pair in self.state if pair[1] == host]
        out = [pair for pair in self.state if pair[0] == host]
        slow = ("slow", "narrow")
        hurts = {pair for pair, one in self.state.items() if one.kind in slow and not self.deaf}
        return {
            "heard": {pair[0]: self._heard[pair] for pair in into},
            "reads": {pair[0]: self._reads[pair] for pair in into},
            "connections": {pair[0]: self._connects[pair] for pair in into},
            "connects": {pair[1]: self._connects[pair] for pair in out},
            "rtt_ms": {pair[1]: 60.0 if pair in hurts else RTT_MS for pair in out},
        }


class FakeCluster:
    """Keeps a diary of what was done to it."""

    def __init__(
        self, hosts: Sequence[str] = "abc", *, deaf: bool = False, leader: str | None = "a"
    ) -> None:
        self.hosts = tuple(hosts)
        self.links = FakeLinks(self.hosts, deaf=deaf)
        self.up = set(self.hosts)
        self.paused: set[str] = set()
        self.inside: dict[str, set[str]] = {}
        self.addresses = {host: f"127.0.0.1:{1000 + n}" for n, host in enumerate(self.hosts)}
        self.leading = leader
        self.members = set(self.hosts)
        self.agents = dict.fromkeys(self.hosts, 2)
        self.diary: list[str] = []
        self.refuses: set[str] = set()
        """Hurts (by their `which`) to which every host says no."""
        self.ahead = dict.fromkeys(self.hosts, 0.0)
        self.commits_hurt = dict.fromkeys(self.hosts, 0)
        self._lives = dict.fromkeys(self.hosts, 1)
        self._deaf = deaf

    @property
    def answering(self) -> list[str]:
        return [host for host in self.hosts if host in self.up and host not in self.paused]

    @property
    def as_new(self) -> bool:
        """Nothing is left of any fault."""
        return (
            not self.links.hurt()
            and self.up == set(self.hosts)
            and not self.paused
            and not any(self.ahead.values())
            and not any(self.inside.values())
            and self.members == set(self.hosts)
        )

    def lives(self, host: str) -> int:
        return self._lives[host]

    def standing(self, host: str) -> bool:
        return host in self.paused

    def pause(self, host: str) -> None:
        self.diary.append(f"pause {host}")
        self.paused.add(host)

    def resume(self, host: str) -> None:
        self.diary.append(f"resume {host}")
        self.paused.discard(host)

    async def start_host(self, host: str) -> None:
        if host not in self.up:
            self.diary.append(f"start {host}")
            await asyncio.sleep(0)
            self.up.add(host)
            self._lives[host] += 1
            self.ahead[host] = 0.0

    async def kill(self, host: str) -> None:
        self.diary.append(f"kill {host}")
        self._down(host)

    async def terminate(self, host: str) -> int:
        self.diary.append(f"terminate {host}")
        self._down(host)
        return 0

    def _down(self, host: str) -> None:
        self.up.discard(host)
        self.paused.discard(host)
        if host == self.leading:
            self.leading = next((one for one in self.answering if one != host), None)

    async def wipe(self, host: str) -> None:
        self.diary.append(f"wipe {host}")
        assert host not in self.members, "a member's disk must not be emptied"
        self._down(host)

    async def leader(self, within_s: float = 5.0) -> str:
        if self.leading is None or self.leading not in self.answering:
            self.leading = next(iter(self.answering), None)
        if self.leading is None:
            raise LabError("nobody leads")
        return self.leading

    async def look(self) -> dict[str, dict[str, Any]]:
        return {
            host: {
                **self.links.counted(host),
                "ahead_s": self.ahead[host],
                "commits_hurt": self.commits_hurt[host],
                "members": [[one, "voter"] for one in sorted(self.members)],
            }
            for host in self.answering
        }

    async def order(
        self, host: str, do: str, timeout_s: float = 5.0, **fields: Any
    ) -> dict[str, Any]:
        if host not in self.answering:
            raise HostDown(f"host {host!r} does not run")
        which = str(fields.get("which", do))
        self.diary.append(f"{which} {host}")
        if which in self.refuses:
            return {"ok": False, "error": "Unavailable", "text": "not now"}
        if self._deaf:
            return {"ok": True, "done": 0}
        return {"ok": True, **self._done(host, which, fields)}

    def _done(self, host: str, which: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        match which:
            case "leave":
                self.members.discard(host)
            case "add":
                self.members.add(str(fields["member"]))
            case "transfer":
                self.leading = str(fields["to"])
            case "disk-full" | "fsync-slow":
                self.commits_hurt[host] += 3
            case "fsync-fails":
                self._down(host)
            case "clock-jump":
                self.ahead[host] += float(fields["by_s"])
            case "heal":
                self.ahead[host] = 0.0
            case "agent-moves" | "drain":
                return {"done": self.agents[host], "here": self.agents[host]}
            case _:
                pass
        return {"done": 1}

    async def heal(self) -> None:
        self.diary.append("heal")
        for host in list(self.paused):
            self.resume(host)
        await self.links.heal()
        self.inside.clear()
        self.ahead = dict.fromkeys(self.hosts, 0.0)
        for host in self.hosts:
            await self.start_host(host)


def scene_of(cluster: FakeCluster, seed: int = 1) -> Scene:
    return Scene(cluster, Random(seed))
