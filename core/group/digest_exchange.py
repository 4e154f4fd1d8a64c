"""Tells the other hosts the digest of this one, and looks at theirs; see `digest_watch.py`.

The law of this file: one small message per peer and interval. A report from ahead is compared in
the moment its index is applied here, because only the newest digests are remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from quorate.core.clock import Timer
from quorate.core.errors import InvariantBroken
from quorate.core.group.digest_watch import DigestWatch, Report, Verdict
from quorate.core.group.group import Group
from quorate.core.group.requests import Send
from quorate.core.machine.digest import DIGEST_BYTES

DIGEST = "digest"
NEVER = 1 << 63


class DigestExchange:
    """`members()`: (all other members, the voters). `on_out(error)`: this host must leave
    service."""

    def __init__(
        self,
        group: Group,
        *,
        send: Send,
        members: Callable[[], tuple[Iterable[str], tuple[str, ...]]],
        on_out: Callable[[InvariantBroken], None],
        interval_s: float = 1.0,
        grace_s: float = 5.0,
    ) -> None:
        self._group = group
        self._send = send
        self._members = members
        self._on_out = on_out
        self._interval_s = interval_s
        self.watch = DigestWatch(group.host_id, grace_s)
        self.verdict: Verdict = "in_service"
        self._wanted_at = NEVER
        self._timer: Timer | None = None
        self._stopped = False

    def start(self) -> None:
        self._timer = self._group.scheduler.call_later(self._interval_s, self._tick)

    def _tick(self) -> None:
        if self._stopped:
            return
        machine = self._group.machine
        if machine.applied_index:
            message = {"type": DIGEST, "index": machine.applied_index, "digest": machine.digest}
            for peer in self._members()[0]:
                self._send(peer, message)
        self._judge()
        if not self._stopped:
            self.start()

    def on_message(self, peer: str, message: dict[str, Any]) -> bool:
        """Take a report; False if the message is not one, or not well formed."""
        index, digest = message.get("index"), message.get("digest")
        if (
            type(index) is not int
            or not 0 < index < NEVER
            or type(digest) is not bytes
            or len(digest) != DIGEST_BYTES
        ):
            return False
        machine = self._group.machine
        report = Report(index, digest)
        self.watch.on_report(peer, report, machine.applied_index, machine.digest_at(index))
        if index > machine.applied_index:
            self._wanted_at = min(self._wanted_at, index)
        self._judge()
        return True

    def on_applied(self, index: int) -> None:
        """Called for every entry; looks only when somebody reported this index before."""
        if index < self._wanted_at:
            return
        self._wanted_at = NEVER
        machine = self._group.machine
        for peer, report in self.watch.wanted(index):
            own = machine.digest_at(report.index)
            self.watch.on_report(peer, report, index, own)
        for view in self.watch.peers.values():
            if view.ahead is not None:
                self._wanted_at = min(self._wanted_at, view.ahead.index)

    def on_snapshot_installed(self) -> None:
        self.watch.forget()
        self._wanted_at = NEVER

    def _judge(self) -> None:
        if self._stopped or self.verdict == "out_of_service":
            return
        self.verdict = self.watch.verdict(self._members()[1], self._group.clock.monotonic())
        if self.verdict == "out_of_service":
            self._on_out(
                InvariantBroken(
                    f"host {self._group.host_id!r} holds another state than the other hosts "
                    f"({self.watch.describe()}); it left service and keeps its files. "
                    "Inspect them, then remove the host from the cluster, empty its data folder "
                    "and add it again"
                )
            )

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def statistics(self) -> dict[str, object]:
        return {"verdict": self.verdict, **self.watch.statistics()}
