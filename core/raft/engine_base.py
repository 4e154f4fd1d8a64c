"""The ground of the hardened engine: PySyncObj's `SyncObj` with our journal, outbox, clock and
chance put in before its first tick.

What is kept of the base: its state (role, term, vote, leader, log, commit and applied index,
members, command queue), its transitions (`__setState`, `__setCurrentTerm`, `__onBecomeLeader`,
connection callbacks), `getStatus` and the queue with its reasons for refusal. What is replaced, and
why, stands at each override in `follower.py`, `elections.py`, `leader.py` and `engine.py`.

This file must not know any Raft rule.
"""

# The base is untyped, and its private fields are reached by their mangled names only here.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

import random
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from pysyncobj.config import FAIL_REASON, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.syncobj import SyncObj

from quorate.core.clock import Clock
from quorate.core.errors import InvariantBroken
from quorate.core.raft import pin
from quorate.core.raft.config import RaftConfig
from quorate.core.raft.journal import Journal
from quorate.core.raft.members import Configuration
from quorate.core.raft.outbox import Message, Outbox
from quorate.core.raft.refusals import FROM_FAIL_REASON, Refusal

FOLLOWER, CANDIDATE, LEADER = 0, 1, 2
ROLE_NAMES = {FOLLOWER: "follower", CANDIDATE: "candidate", LEADER: "leader"}

assert pin.AUDITED_VERSION  # importing the pin refuses every engine but the audited one


def _base(name: str) -> Any:
    """A property over a private field of `SyncObj`, read in C because every rule reads some."""
    mangled = f"_SyncObj__{name}"

    def put(self: Any, value: Any) -> None:
        self.__dict__[mangled] = value

    return property(attrgetter(mangled), put)


class NoPoller:
    """The base polls its own sockets; it has none here."""

    def poll(self, timeout: float) -> None: ...


class EngineBase(SyncObj):
    """State and plumbing shared by the files that hold the rules."""

    role: int = _base("raftState")
    term: int = _base("raftCurrentTerm")
    vote: str | None = _base("votedForNodeId")
    commit_index: int = _base("raftCommitIndex")
    applied_index: int = _base("raftLastApplied")
    election_deadline: float = _base("raftElectionDeadline")
    _leader_node: Node | None = _base("raftLeader")
    _other_nodes: set[Node] = _base("otherNodes")
    _readonly_nodes: set[Node] = _base("readonlyNodes")
    _connected_nodes: set[Node] = _base("connectedNodes")
    _waiting_commands: Any = _base("commandsQueue")

    _SyncObj__raftState = _SyncObj__raftCurrentTerm = _SyncObj__votedForNodeId = None
    _SyncObj__raftCommitIndex = _SyncObj__raftLastApplied = _SyncObj__raftElectionDeadline = None
    _SyncObj__raftLeader = _SyncObj__otherNodes = _SyncObj__readonlyNodes = None
    _SyncObj__connectedNodes = _SyncObj__commandsQueue = None
    # (the base's constructor looks at every attribute before it has set these)

    def __init__(
        self,
        *,
        host_id: str,
        journal: Journal,
        config: RaftConfig,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.host_id = host_id
        self.settings = config
        self.journal = journal
        self.outbox = Outbox()
        self._clock = clock
        self._rng = rng
        self.storage_full = False
        self.removed = False
        self.heard_at = -1e9
        self.on_configuration: Callable[[Configuration], None] = lambda _: None
        index, configuration = journal.configuration_at(journal.last_index)
        self.configuration_index, self.configuration = index, configuration
        super().__init__(
            Node(host_id),
            [Node(voter) for voter in configuration.voters if voter != host_id],
            self._base_settings(config),
            transport=self.outbox,
        )
        self._poller = NoPoller()
        self.__dict__["_SyncObj__raftLog"] = journal
        self.term = journal.getCurrentTerm()
        self.vote = journal.getVotedForNodeId()
        self.commit_index = journal.getRaftCommitIndex()
        self.applied_index = journal.base_index
        self.outbox.stamp_with(lambda: journal.term_seq)
        self._adopt(index, configuration)
        self.election_deadline = clock.monotonic() + self._election_timeout()

    @staticmethod
    def _base_settings(config: RaftConfig) -> SyncObjConf:
        return SyncObjConf(
            autoTick=False,
            useFork=False,
            appendEntriesUseBatch=True,
            dynamicMembershipChange=False,
            pollerType="select",
            raftMinTimeout=config.election_min_s,
            raftMaxTimeout=config.election_max_s,
            appendEntriesPeriod=config.heartbeat_s,
            connectionTimeout=config.election_max_s,
            leaderFallbackTimeout=config.election_max_s,
            commandsQueueSize=config.queue_batches_max,
            commandsWaitLeader=False,
        )

    # --- who is who -------------------------------------------------------------------------------

    @property
    def is_leader(self) -> bool:
        return self.role == LEADER

    @property
    def leader(self) -> str | None:
        """The leader as known here; None when none is."""
        return None if self._leader_node is None else str(self._leader_node.id)

    @property
    def is_voter(self) -> bool:
        return self.configuration.is_voter(self.host_id) and not self.removed

    def connected(self, peer: str) -> bool:
        return Node(peer) in self._connected_nodes

    def _is_majority(self, voters: set[str]) -> bool:
        return len(voters.intersection(self.configuration.voters)) >= self.configuration.quorum

    # --- small moves ------------------------------------------------------------------------------

    def _election_timeout(self) -> float:
        low, high = self.settings.election_min_s, self.settings.election_max_s
        return low + (high - low) * self._rng.random()

    def _SyncObj__generateRaftTimeout(self) -> float:
        """Replaced: the base draws from the process-wide generator, which no seed of ours could
        replay."""
        return self._election_timeout()

    def _set_term(self, term: int, vote: str | None) -> None:
        self._SyncObj__setCurrentTerm(term, vote)  # pyright: ignore[reportAttributeAccessIssue]

    def _set_role(self, role: int) -> None:
        self._SyncObj__setState(role)  # pyright: ignore[reportAttributeAccessIssue]

    def _send(self, peer: str, message: Message) -> None:
        self.outbox.post(peer, message)

    def _broken(self, text: str) -> InvariantBroken:
        return InvariantBroken(
            f"{text} (host {self.host_id}, term {self.term}, "
            f"log {self.journal.base_index}..{self.journal.last_index}, "
            f"commit {self.commit_index}, applied {self.applied_index})"
        )

    def _adopt(self, index: int, configuration: Configuration) -> None:
        """Put `configuration`, found at `index` of the log, in force."""
        self.configuration_index, self.configuration = index, configuration
        others = set(configuration.voters) - {self.host_id}
        self.__dict__["_SyncObj__otherNodes"] = {Node(peer) for peer in others}
        self.__dict__["_SyncObj__readonlyNodes"] = {
            Node(peer) for peer in configuration.learners if peer != self.host_id
        }
        if self.host_id in configuration:
            self.removed = False
        self.on_configuration(configuration)

    # --- commands that wait to be appended --------------------------------------------------------

    def enqueue(self, batch: bytes, on_refused: Callable[[Refusal], None]) -> None:
        """Take a command batch into the base's bounded queue, or refuse it."""

        def refused(_: object, reason: int) -> None:
            on_refused(FROM_FAIL_REASON[reason])

        self._applyCommand(batch, refused)

    def take_commands(self, bytes_max: int) -> list[tuple[bytes, Callable[[object, int], None]]]:
        """Up to `bytes_max` bytes of waiting batches (one always fits), oldest first."""
        taken: list[tuple[bytes, Callable[[object, int], None]]] = []
        size = 0
        while size < bytes_max and not self._queue_is_empty():
            batch, callback = self._waiting_commands.get_nowait()
            size += len(batch)
            taken.append((batch, callback))
        return taken

    def _queue_is_empty(self) -> bool:
        return not self._waiting_commands._FastQueue__queue

    def _refuse_waiting(self, reason: int = FAIL_REASON.NOT_LEADER) -> None:
        while not self._queue_is_empty():
            _, callback = self._waiting_commands.get_nowait()
            callback(None, reason)
