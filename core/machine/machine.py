"""The replicated machine: entries in, results out, state in the store.

The law of this file: `apply` is the one door. It decodes the whole entry before it changes
anything, answers every command of a known session exactly once, and closes the entry with one event
record and one digest update. What a user did wrong is an answer; an exception out of `apply` means
that this host must stop: it then neither applies nor flushes any more.

The store may be flushed between entries only, and `before_flush` comes right before: then the
stored state is exactly the state at the stored applied index.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, Final

from quorate.core import codec
from quorate.core.errors import InvariantBroken
from quorate.core.machine import attachments as attached
from quorate.core.machine import ops
from quorate.core.machine.agent_commit import AgentCommit
from quorate.core.machine.agent_deaths import AgentDeaths
from quorate.core.machine.agent_links import AgentLinks
from quorate.core.machine.agent_owners import AgentOwners
from quorate.core.machine.agent_rows import AgentRows
from quorate.core.machine.agents import Agents
from quorate.core.machine.attachments import Attachments
from quorate.core.machine.checks import CHECKS
from quorate.core.machine.commands import COMMAND_VERSION, decode_batch
from quorate.core.machine.digest import NOTHING, RollingDigest
from quorate.core.machine.effects import CLOSED, Effects, LeaseChange
from quorate.core.machine.events import EventLog
from quorate.core.machine.kv import KvSpace
from quorate.core.machine.leases import Leases
from quorate.core.machine.limits import EVENTS_KEEP_REVISIONS, SESSION_RESULTS_MAX
from quorate.core.machine.names import Names
from quorate.core.machine.queues import Queues
from quorate.core.machine.reads import MachineReads
from quorate.core.machine.results import (
    ALREADY_ACKNOWLEDGED,
    MALFORMED,
    SESSION_EXPIRED,
    SESSION_WINDOW_FULL,
    Result,
)
from quorate.core.machine.sessions import Gone, Session, Sessions, when_unknown
from quorate.core.machine.stamped import Stamped
from quorate.core.machine.store import ELECTIONS, LOCKS, META, Store
from quorate.core.machine.txn import Transactions

META_KEY: Final = b"machine"
DIGESTS_KEY: Final = b"digests"
STATE_FORMAT: Final = 1

Applied = list[tuple[int, int, Any]]
"""[(session, sequence, result), ...] in the order of application"""


class Machine(MachineReads):
    """One host's copy of the replicated state.

    `events_keep_revisions`: how many revisions watches can look back on this host.
    """

    def __init__(self, store: Store, *, events_keep_revisions: int = EVENTS_KEEP_REVISIONS) -> None:
        self._events_keep_revisions = events_keep_revisions
        self.reload(store)

    # --- starting ---------------------------------------------------------------------------------

    def reload(self, store: Store | None = None) -> None:
        """Begin from what the store holds: at the start, and after a snapshot was installed
        beneath.

        Raises InvariantBroken for a state format this host does not know.
        """
        if store is not None:
            self._store = store
        data = self._store.get(META, META_KEY)
        meta: dict[str, Any] = {} if data is None else codec.loads(data)
        if meta.get("format", STATE_FORMAT) != STATE_FORMAT:
            raise InvariantBroken(
                f"the stored state has format {meta['format']}, not {STATE_FORMAT}"
            )
        self.applied_index: int = meta.get("applied_index", 0)
        self.applied_term: int = meta.get("applied_term", 0)
        self._applying = False
        self._saved_index = self.applied_index
        self._malformed_batches = 0
        self._build(meta)

    def _build(self, meta: dict[str, Any]) -> None:
        """The parts, each over the same effects."""
        store = self._store
        fx = self._fx = Effects(store, meta.get("revision", 0))
        hung = self._attachments = Attachments(fx)
        self._kv = KvSpace(fx, hung, meta.get("keys", 0))
        self._names = Names(fx, hung, meta.get("names", 0))
        locks = meta.get("locks", 0)
        self._locks = Queues(fx, hung, LOCKS, "lock", attached.LOCK, locks)
        elections = meta.get("elections", 0)
        self._elections = Queues(fx, hung, ELECTIONS, "election", attached.ELECTION, elections)
        self._build_agents(meta)
        on_gone = {
            attached.KEY: self._kv.on_lease_gone,
            attached.LOCK: self._locks.on_lease_gone,
            attached.ELECTION: self._elections.on_lease_gone,
            attached.NAME: self._names.on_lease_gone,
            attached.AGENT_OWNER: self._agent_deaths.on_lease_gone,
        }
        self._leases = Leases(fx, hung, on_gone, meta.get("leases", 0))
        self._sessions = Sessions(store, meta.get("use_ordinal", 0), meta.get("horizon", 0))
        self._events = EventLog(
            store,
            fx.revision,
            self._events_keep_revisions,
            meta.get("events_oldest", 1),
            meta.get("events_floor", 0),
        )
        self._digest = RollingDigest(
            meta.get("digest", NOTHING), store.get(META, DIGESTS_KEY) or b""
        )
        self._handlers = self._handler_table()

    def _build_agents(self, meta: dict[str, Any]) -> None:
        fx, hung = self._fx, self._attachments
        rows = self._agent_rows = AgentRows(
            fx, meta.get("agents", 0), meta.get("agent_downs", 0), meta.get("agents_dying", 0)
        )
        owners = self._agent_owners = AgentOwners(fx, hung, rows)
        deaths = self._agent_deaths = AgentDeaths(fx, rows, owners)
        self._agent_links = AgentLinks(fx, rows, deaths)
        self._agents = Agents(fx, hung, rows, owners, deaths)
        self._stamped = Stamped(fx, self._kv)
        self._agent_commit = AgentCommit(fx, hung, rows, self._stamped)

    def _handler_table(self) -> dict[int, Callable[[list[Any]], Result]]:
        return {
            ops.OPEN_SESSION: self._reopen_session,
            ops.CLOSE_SESSION: self._close_session,
            ops.PUT: self._kv.put,
            ops.DELETE: self._kv.delete,
            ops.DELETE_PREFIX: self._kv.delete_prefix,
            ops.COMPARE_AND_SET: self._kv.compare_and_set,
            ops.PUT_STAMPED: self._stamped.put,
            ops.TXN: Transactions(self._fx, self._kv).run,
            ops.LEASE_GRANT: self._leases.grant,
            ops.LEASE_REVOKE: self._leases.revoke,
            ops.LEASE_EXPIRE: self._leases.expire,
            ops.LOCK_ACQUIRE: self._locks.acquire,
            ops.LOCK_RELEASE: self._locks.release,
            ops.ELECTION_CAMPAIGN: self._elections.acquire,
            ops.ELECTION_RESIGN: self._elections.release,
            ops.ELECTION_PROCLAIM: self._elections.proclaim,
            ops.NAME_REGISTER: self._names.register,
            ops.NAME_UNREGISTER: self._names.unregister,
            ops.NAME_UPDATE_META: self._names.update_meta,
            ops.AGENT_START: self._agents.start,
            ops.AGENT_BIND: self._agents.bind,
            ops.AGENT_STOP: self._agent_deaths.stop,
            ops.AGENT_UPDATE: self._agents.update,
            ops.AGENT_COMMIT: self._agent_commit.commit,
            ops.AGENT_OWN: self._agent_owners.own,
            ops.AGENT_LINK: self._agent_links.link,
            ops.AGENT_MONITOR: self._agent_links.monitor,
            ops.AGENT_SWEEP: self._agent_deaths.sweep,
        }

    # --- applying ---------------------------------------------------------------------------------

    def apply(self, index: int, term: int, batches: list[bytes]) -> Applied:
        """Apply one committed entry; returns the result of every command in it that belongs to a
        session.

        Raises UnsupportedCommand for an entry of a newer version, InvariantBroken for one out of
        order: nothing was changed then, and this host must stop.
        """
        if index != self.applied_index + 1 and (self.applied_index or index < 1):
            raise InvariantBroken(
                f"entry {index} was handed to the machine after entry {self.applied_index}"
            )
        if self._applying:
            raise InvariantBroken(f"the machine failed inside entry {self.applied_index + 1}")
        decoded = [decode_batch(batch) for batch in batches]
        self._applying = True
        fx = self._fx
        fx.begin(index, term)
        applied: Applied = []
        for batch in decoded:
            if batch is None:
                self._malformed_batches += 1
            else:
                self._apply_batch(*batch, applied)
        self._close_entry(index, term, applied)
        self._applying = False
        return applied

    def _apply_batch(
        self, session_id: int, ack_low: int, commands: list[list[Any]], applied: Applied
    ) -> None:
        session = self._sessions.use(session_id, ack_low)
        self._fx.session = session_id
        if session is None:
            session, refused, commands = when_unknown(
                commands, lambda command: self._open_session(session_id, command)
            )
            applied += [(session_id, sequence, result) for sequence, result in refused]
            if session is None:
                return
        results = session.results
        low = session.ack_low
        roomy = len(results) + len(commands) < SESSION_RESULTS_MAX and not session.carried
        fx = self._fx
        checks = CHECKS
        handlers = self._handlers
        for command in commands:
            sequence = command[0]
            result = results.get(sequence)
            if result is None:
                if sequence < low:
                    result = ALREADY_ACKNOWLEDGED
                elif roomy or not session.is_full():
                    op = command[1]
                    try:
                        checks[op](command)
                    except (ValueError, TypeError):
                        result = MALFORMED
                    else:
                        result = handlers[op](command)
                    if fx.carried_bytes:
                        results = self._after_unusual(session, sequence)
                        roomy = False
                    results[sequence] = result
                else:
                    result, results = self._refuse_for_room(session, sequence)
            applied.append((session_id, sequence, result))

    def _after_unusual(self, session: Session, sequence: int) -> dict[int, Result]:
        """The command's answer carries much, or it closed the session. Returns where answers are
        kept from here on.
        """
        fx = self._fx
        carried_bytes, fx.carried_bytes = fx.carried_bytes, 0
        if carried_bytes == CLOSED:
            return Gone()
        session.carry(sequence, carried_bytes)
        return session.results

    def _refuse_for_room(self, session: Session, sequence: int) -> tuple[Result, dict[int, Result]]:
        """The window is full: a refusal that is kept; a client that goes on and on loses its
        session.
        """
        if len(session.results) < 2 * SESSION_RESULTS_MAX:
            session.results[sequence] = SESSION_WINDOW_FULL
            return SESSION_WINDOW_FULL, session.results
        self._sessions.close(session.id)
        return SESSION_EXPIRED, Gone()

    def _close_entry(self, index: int, term: int, applied: Applied) -> None:
        fx = self._fx
        parts = fx.parts
        if fx.events:
            parts.append(self._events.append(fx.events, fx.revision))
        if applied:
            results = [result for _, _, result in applied]  # flat: nested lists encode half as fast
            parts.append(bytes(map(len, results)))
            parts.append(codec.dumps(list(chain.from_iterable(results))))
        self._digest.update(index, term, parts)
        self.applied_index = index
        self.applied_term = term

    # --- sessions as commands ---------------------------------------------------------------------

    def _open_session(self, session_id: int, command: list[Any]) -> Session | None:
        """The new session of an unknown id, if the command is an opening that may open it."""
        if command[1] != ops.OPEN_SESSION:
            return None
        try:
            CHECKS[ops.OPEN_SESSION](command)
        except (ValueError, TypeError):
            return None
        return self._sessions.open(session_id, command[2], self._fx.index)

    def _reopen_session(self, command: list[Any]) -> Result:
        """[revision, session]; the session exists by now, so opening it is only confirmed."""
        return [self._fx.revision, self._fx.session]

    def _close_session(self, command: list[Any]) -> Result:
        """[revision, session]; copies of this command find no session."""
        self._sessions.close(self._fx.session)
        self._fx.carried_bytes = CLOSED
        return [self._fx.revision, self._fx.session]

    # --- saving -----------------------------------------------------------------------------------

    def before_flush(self) -> None:
        """Write what lives in memory to the store: the owner calls it just before each flush,
        between entries.

        Raises InvariantBroken when an entry failed half-way: what the store holds then must not
        become durable.
        """
        if self._applying:
            raise InvariantBroken(f"the machine failed inside entry {self.applied_index + 1}")
        if self._saved_index == self.applied_index:
            return
        self._sessions.save()
        meta = {
            "format": STATE_FORMAT,
            "command_version": COMMAND_VERSION,
            "applied_index": self.applied_index,
            "applied_term": self.applied_term,
            "revision": self._fx.revision,
            "digest": self._digest.value,
            "keys": self._kv.count,
            "names": self._names.count,
            "locks": self._locks.count,
            "elections": self._elections.count,
            "leases": self._leases.count,
            "agents": self._agent_rows.count,
            "agent_downs": self._agent_rows.downs,
            "agents_dying": self._agent_rows.dying,
            "use_ordinal": self._sessions.use_ordinal,
            "horizon": self._sessions.horizon,
            "events_oldest": self._events.oldest_revision,
            "events_floor": self._events.floor,
        }
        self._store.put(META, META_KEY, codec.dumps(meta))
        self._store.put(META, DIGESTS_KEY, self._digest.encode())
        self._saved_index = self.applied_index

    @property
    def lease_changes(self) -> list[LeaseChange]:
        """What the last applied entry did to leases, for the leader's `LeaseClock.on_changes`."""
        return self._fx.lease_changes
