"""Does this host still hold what the others hold? Rolling digests at equal index, a majority
decides. Pure.

The law of this file: every host tells the others, about once a second, an applied index and its
digest there. A host compares with its own digest at the same index; indices it has not reached yet
are kept until it has (one per peer). A digest covers all history, so a host that differs keeps
differing until a snapshot replaces its state. Then:

* agreeing peers and itself are a majority of the voters -> in service, whoever differs is wrong;
* differing voters are a majority of the voters -> out of service at once;
* anybody differs and neither is known for `grace_s` -> out of service: nobody can tell who is
  wrong (T11: the check must not be blind, so it is allowed to cost availability)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

GRACE_S = 5.0

View = Literal["agrees", "differs"]
Verdict = Literal["in_service", "undecided", "out_of_service"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a peer said: its digest at an applied index."""

    index: int
    digest: bytes


@dataclass(slots=True)
class PeerView:
    """What is known of one peer."""

    view: View | None = None
    at_index: int = 0
    ahead: Report | None = None
    """The oldest report above our own applied index; newer ones wait for it to be compared."""
    compared_total: int = 0


@dataclass(slots=True)
class DigestWatch:
    """Feed it reports and progress, ask for the verdict."""

    host_id: str
    grace_s: float = GRACE_S
    peers: dict[str, PeerView] = field(default_factory=dict[str, PeerView])
    differing_since: float | None = None

    def on_report(self, peer: str, report: Report, applied_index: int, own: bytes | None) -> None:
        """A peer reported. `own`: our digest at `report.index`, None if it is not remembered or
        not reached."""
        view = self.peers.setdefault(peer, PeerView())
        if report.index > applied_index:
            if view.ahead is None:
                view.ahead = report
            return
        if own is not None:
            self._compare(view, report, own)

    def wanted(self, applied_index: int) -> list[tuple[str, Report]]:
        """Reports kept for later whose index is reached now; answer each with `on_report`."""
        reached: list[tuple[str, Report]] = []
        for peer, view in self.peers.items():
            if view.ahead is not None and view.ahead.index <= applied_index:
                reached.append((peer, view.ahead))
                view.ahead = None
        return reached

    def _compare(self, view: PeerView, report: Report, own: bytes) -> None:
        if report.index < view.at_index:
            return
        view.view = "agrees" if own == report.digest else "differs"
        view.at_index = report.index
        view.compared_total += 1

    def forget(self) -> None:
        """Our state was replaced by a snapshot: what was compared before says nothing any more."""
        self.peers.clear()
        self.differing_since = None

    def verdict(self, voters: tuple[str, ...], now: float) -> Verdict:
        """Whether this host may serve."""
        majority = len(voters) // 2 + 1
        agreeing = {peer for peer, view in self.peers.items() if view.view == "agrees"}
        differing = {peer for peer, view in self.peers.items() if view.view == "differs"}
        agreeing.add(self.host_id)
        if not differing.intersection(voters):
            self.differing_since = None
            return "in_service"
        if len(agreeing.intersection(voters)) >= majority:
            self.differing_since = None
            return "in_service"
        if len(differing.intersection(voters)) >= majority:
            return "out_of_service"
        if self.differing_since is None:
            self.differing_since = now
        return "out_of_service" if now - self.differing_since >= self.grace_s else "undecided"

    def describe(self) -> str:
        """Who agrees, who differs and where: for the status and the log."""
        return (
            ", ".join(
                f"{peer} {view.view} at index {view.at_index}"
                for peer, view in sorted(self.peers.items())
                if view.view is not None
            )
            or "nothing compared yet"
        )

    def statistics(self) -> dict[str, object]:
        return {
            "peers": {
                peer: {
                    "view": view.view,
                    "at_index": view.at_index,
                    "compared_total": view.compared_total,
                }
                for peer, view in sorted(self.peers.items())
            }
        }
