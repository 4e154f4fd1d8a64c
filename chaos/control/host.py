"""A host that is plain PySyncObj 0.3.17, with the few methods of a `Host` that the register
workload and the laboratory's worker use.

The law of this file: PySyncObj is used as its documentation says: one object with replicated
methods, callbacks, its own thread, its journal and its dump file on. Reads go through the log,
because what it has applied is not asked of anybody. Between its hosts is what is between ours: a
node is dialled where the laboratory says.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false
from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pysyncobj.config import FAIL_REASON
from pysyncobj.node import TCPNode
from pysyncobj.syncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.transport import TCPTransport

from quorate.core.errors import NotCommitted, OutcomeUnknown, QuorateError, Refused, Timeout

DEFINITE = {
    FAIL_REASON.QUEUE_FULL: "its queue is full",
    FAIL_REASON.MISSING_LEADER: "there is no leader",
    FAIL_REASON.REQUEST_DENIED: "it was denied",
}
"""What says for certain that a command was and will not be applied. Of a leader that changed this
cannot be said: the next one may have the entry."""
LOOK_S = 0.05
ROLES = {0: "follower", 1: "candidate", 2: "leader"}
HEARD_BYTES = 100
"""What one message counts; its length is not known where it is handed over."""


class DialledNode(TCPNode):
    """A node that is known by its address and dialled at another one."""

    dial: Mapping[str, str]

    @property
    def host(self) -> str:
        return self.dial.get(self.address, self.address).rpartition(":")[0]

    @property
    def port(self) -> int:
        return int(self.dial.get(self.address, self.address).rpartition(":")[2])

    @property
    def ip(self) -> str:
        return self.host


class CountingTransport(TCPTransport):
    """The base's transport; counts what arrives."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.heard: dict[str, int] = {}
        super().__init__(*arguments, **options)

    def _onMessageReceived(self, node: Any, message: Any) -> None:
        self.heard[str(node.id)] = self.heard.get(str(node.id), 0) + 1
        super()._onMessageReceived(node, message)


class Registers(SyncObj):
    """Keys and values."""

    def __init__(self, own: str, others: list[str], conf: SyncObjConf, node_class: Any) -> None:
        self.rows: dict[str, Any] = {}
        super().__init__(own, others, conf, nodeClass=node_class, transportClass=CountingTransport)

    @replicated
    def put(self, key: str, value: Any) -> bool:
        self.rows[key] = value
        return True

    @replicated
    def compare_and_set(self, key: str, value: Any, expected: Any) -> bool:
        if self.rows.get(key) != expected:
            return False
        self.rows[key] = value
        return True

    @replicated
    def look(self, key: str) -> Any:
        return self.rows.get(key)


class ControlKV:
    """`host.kv`, as far as the register workload goes."""

    def __init__(self, host: ControlHost) -> None:
        self._host = host

    async def get(self, key: str, *, timeout: float) -> Any:
        if self._host.reads_here:
            return self._host.rows.get(key)
        return await self._host.call("look", timeout, key)

    async def put(self, key: str, value: Any, *, timeout: float) -> Any:
        await self._host.call("put", timeout, key, value)
        return RECEIPT

    async def cas(self, key: str, value: Any, *, expected: Any, timeout: float) -> Any:
        if not await self._host.call("compare_and_set", timeout, key, value, expected):
            raise Refused(f"{key!r} has another value")
        return RECEIPT


RECEIPT = SimpleNamespace(term=0, index=0, revision=0)


class ControlHost:
    """See the law above. `host_id`, `data`, `peers`, `dial` are those of a `Host`; what else a
    `Host` can be told is left out. `reads_here`: from what this host has applied, as examples of
    PySyncObj do. `compact_entries`: the log is compacted when it has so many; None: as shipped."""

    def __init__(
        self,
        host_id: str,
        *,
        data: str,
        peers: Mapping[str, str],
        dial: Mapping[str, str],
        reads_here: bool = False,
        compact_entries: int | None = None,
        **_: Any,
    ) -> None:
        self.reads_here = reads_here
        self._compact_entries = compact_entries
        self.id = host_id
        self.address, self.admin_address = peers[host_id], None
        self.settings = SimpleNamespace(peers=dict(peers))
        self.partition = SimpleNamespace(state=None)
        self.failure: QuorateError | None = None
        self.state = "new"
        self.kv = ControlKV(self)
        self._data = Path(data)
        self._peers = dict(peers)
        self._ids = {address: peer for peer, address in peers.items()}
        self._dial = {peers[peer]: address for peer, address in dial.items()}
        self._object: Any = None

    async def start(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        often: dict[str, Any] = {}
        if self._compact_entries is not None:
            often = {"logCompactionMinEntries": self._compact_entries, "logCompactionMinTime": 1}
        conf = SyncObjConf(
            journalFile=str(self._data / "journal"),
            fullDumpFile=str(self._data / "dump"),
            **often,
        )
        node_class = type("Node", (DialledNode,), {"dial": self._dial})
        others = [address for peer, address in self._peers.items() if peer != self.id]
        self._object = Registers(self.address, others, conf, node_class)
        self.state = "running"

    async def stop(self, *, hand_over: bool = False) -> None:
        self.state = "stopped"
        if self._object is not None:
            self._object.destroy()

    async def ready(self, timeout: float = 10.0) -> None:
        """Return once a read through the log was answered."""
        until = time.monotonic() + timeout
        while True:
            try:
                await self.call("look", min(1.0, timeout), "ready")
                return
            except QuorateError:
                if time.monotonic() > until:
                    raise Timeout(f"host {self.id!r} is not ready after {timeout:g} s") from None
            await asyncio.sleep(LOOK_S)

    @property
    def rows(self) -> Mapping[str, Any]:
        """What this host has applied."""
        return self._object.rows

    def status(self) -> dict[str, Any]:
        if self._object is None:
            return {}
        said = self._object.getStatus()
        leader = said["leader"]
        return {
            "role": ROLES.get(said["state"], "?"),
            "leader": None if leader is None else self._ids.get(str(leader.id)),
            "term": said["raft_term"],
            "commit_index": said["commit_idx"],
            "applied_index": said["last_applied"],
            "last_index": said["commit_idx"],
        }

    def look(self) -> dict[str, Any]:
        """What it counts, in the shape of `quorate.chaos.lab.hurts.look`: about how many bytes came
        from each peer, and in how many messages. What it does not know is nought."""
        heard = dict(self._object._SyncObj__transport.heard)
        count = {
            peer: heard.get(address, 0) for peer, address in self._peers.items() if peer != self.id
        }
        nought = dict.fromkeys(count, 0)
        status = self.status()
        return {
            "heard": {peer: messages * HEARD_BYTES for peer, messages in count.items()},
            "reads": count,
            "connections": nought,
            "connects": nought,
            "rtt_ms": nought,
            "ahead_s": 0.0,
            "commits_hurt": 0,
            "base": 0,
            "role": status.get("role"),
            "term": status.get("term"),
            "members": [[peer, "voter"] for peer in self._peers],
        }

    async def call(self, method: str, timeout_s: float, *arguments: Any) -> Any:
        """Have a replicated method done. Raises `NotCommitted`, `OutcomeUnknown`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[Any, int]] = loop.create_future()

        def settle(result: Any, error: int) -> None:
            if not done.done():
                done.set_result((result, error))

        def answered(result: Any, error: int) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, error)

        getattr(self._object, method)(*arguments, callback=answered)
        try:
            async with asyncio.timeout(timeout_s):
                result, error = await done
        except TimeoutError:
            raise OutcomeUnknown(f"no answer within {timeout_s:g} s") from None
        if error in DEFINITE:
            raise NotCommitted(DEFINITE[error])
        if error != FAIL_REASON.SUCCESS:
            raise OutcomeUnknown(f"PySyncObj says {error}")
        return result
