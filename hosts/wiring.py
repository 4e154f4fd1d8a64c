"""The joints of a host: what lets its parts be written without knowing each other.

The law of this file: adapters only. Each turns one part's words into another's and decides nothing
but the lane a message travels in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import TYPE_CHECKING, Any

from quorate.core.clock import Timer
from quorate.core.errors import LimitExceeded
from quorate.core.raft import driver as raft
from quorate.core.raft.engine import MalformedMessage
from quorate.core.raft.members import Configuration
from quorate.core.wire.limits import Lane
from quorate.core.wire.mesh import Mesh

if TYPE_CHECKING:
    from quorate.hosts.runtime import Runtime

SMALL = frozenset(
    (
        "pre_vote",
        "pre_vote_reply",
        "vote",
        "vote_reply",
        "timeout_now",
        "append_ack",
        "read_index",
        "read_point",
        "submit_refused",
        "removed",
    )
)
"""Small messages that must not wait behind large ones. `append` is not among them, though it may be
small: appends to one follower keep their order."""


class RaftNet:
    """The driver's network on the mesh."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    def send(self, peer: str, message: dict[str, Any], *, bulk: bool = False) -> bool:
        lane = Lane.BULK if bulk else Lane.URGENT if message["type"] in SMALL else Lane.NORMAL
        try:
            return self._mesh.send(peer, message, lane)
        except LimitExceeded:
            return False


class RaftNews(raft.Hooks):
    """The driver's news to the host."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.malformed: MalformedMessage | None = None
        """Set while a message is handled that turns out to be malformed."""

    def on_applied(self, index: int, term: int, results: list[tuple[int, int, Any]]) -> None:
        self._runtime.on_applied(index, term, results)

    def on_leader(self, leader: str | None, term: int) -> None:
        self._runtime.on_leader(leader, term)

    def on_configuration(self, configuration: Configuration) -> None:
        self._runtime.on_configuration(configuration)

    def on_snapshot_installed(self, index: int) -> None:
        self._runtime.on_snapshot_installed()

    def on_fatal(self, error: BaseException) -> None:
        self._runtime.on_fatal(error)

    def on_malformed(self, peer: str, error: MalformedMessage) -> None:
        self.malformed = error


class PeerBook:
    """Keeps the mesh's peers in step with the members.

    A link that is up is never dialled anew because of an address in the log: a host that catches up
    reads old configurations with old addresses, and would cut itself off. A peer that cannot be
    reached is tried at the log's address and the configured one in turn. A removed member stays
    reachable for a while, because it must still be told that it is removed.
    """

    LINGER_S = 5.0
    TRY_S = 1.0

    def __init__(
        self,
        host_id: str,
        mesh: Mesh,
        configured: Mapping[str, str],
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self._host_id = host_id
        self._mesh = mesh
        self._configured = configured
        self._call_later = call_later
        self._members: dict[str, str] = {}
        self._timer: Timer | None = None
        self._stopped = False

    def follow(self, configuration: Configuration) -> None:
        """Dial who is a member now; forget who is none any more, a little later."""
        members = {member.id: member.address for member in configuration.members}
        members.pop(self._host_id, None)
        gone = self._members.keys() - members.keys()
        self._members = members
        for peer, address in members.items():
            if not self._mesh.is_up(peer):
                self._mesh.add_peer(peer, address)
        if gone:
            self._call_later(self.LINGER_S, lambda: self._forget(gone))
        if self._timer is None and not self._stopped:
            self._timer = self._call_later(self.TRY_S, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._stopped:
            return
        now_at = self._mesh.peers
        for peer, address in self._members.items():
            other = self._configured.get(peer, address)
            if not self._mesh.is_up(peer) and (other != address or now_at.get(peer) != address):
                self._mesh.add_peer(peer, other if now_at.get(peer) == address else address)
        self._timer = self._call_later(self.TRY_S, self._on_timer)

    def _forget(self, gone: Set[str]) -> None:
        if not self._stopped:
            for peer in gone - self._members.keys():
                self._mesh.drop_peer(peer)

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
