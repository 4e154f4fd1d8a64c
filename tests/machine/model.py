"""The machine again, as naively as possible: what its answers and its state should be.

The law of this file: nothing is shared with the machine but the command constructors' shapes.
Leases are found by looking at everything; there are no indices, no counters, no bytes.
"""

from __future__ import annotations

import operator
from typing import Any

from quorate.core import codec
from quorate.core.machine import ops

SIGNS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt}


class Model:
    """kv: (ns, key) -> [value, create, mod, version, lease]; queues: (kind, name) -> [[lease,
    owner, value, token], ...] with the holder first; names: name -> [epoch, revision, value, meta,
    lease]; leases: id -> [ttl, generation].
    """

    def __init__(self) -> None:
        self.revision = 0
        self.kv: dict[tuple[str, str], list[Any]] = {}
        self.queues: dict[tuple[str, str], list[list[Any]]] = {}
        self.names: dict[str, list[Any]] = {}
        self.leases: dict[int, list[int]] = {}

    def run(self, command: tuple[Any, ...]) -> list[Any]:
        op, *args = command
        name = next(name for name, value in vars(ops).items() if value == op).lower()
        return getattr(self, name)(*args)

    def next(self) -> int:
        self.revision += 1
        return self.revision

    # --- kv

    def put(self, ns: str, key: str, value: bytes, lease: int) -> list[Any]:
        if lease and lease not in self.leases:
            return ["failed", "lease_expired", None]
        return [self.next(), self.write(ns, key, value, lease)]

    def write(self, ns: str, key: str, value: bytes, lease: int) -> int:
        old = self.kv.get((ns, key), [b"", self.revision, 0, 0, 0])
        self.kv[ns, key] = [value, old[1], self.revision, old[3] + 1, lease]
        return old[3] + 1

    def delete(self, ns: str, key: str, version: int) -> list[Any]:
        row = self.kv.get((ns, key))
        if version >= 0 and (row[3] if row else 0) != version:
            return ["failed", "compare_failed", [row[3], row[2]] if row else [0, 0]]
        if row is None:
            return [self.revision, 0]
        del self.kv[ns, key]
        return [self.next(), row[3]]

    def keys(self, ns: str) -> list[str]:
        return sorted((key for space, key in self.kv if space == ns), key=str.encode)

    def delete_prefix(self, ns: str, prefix: str, keys_max: int) -> list[Any]:
        keys = [key for key in self.keys(ns) if key.startswith(prefix)]
        for key in keys[:keys_max]:
            del self.kv[ns, key]
        if keys:
            self.next()
        return [self.revision, len(keys[:keys_max]), len(keys) > keys_max]

    def holds(self, ns: str, key: str, target: str, sign: str, operand: Any) -> bool:
        row = self.kv.get((ns, key))
        if target == "exists":
            return SIGNS[sign](row is not None, operand)
        if target == "value":
            value = row[0] if row else None
            if sign in ("=", "!="):
                return SIGNS[sign](value, operand)
            return value is not None and SIGNS[sign](value, operand)
        at = {"create": 1, "mod": 2, "version": 3, "lease": 4}[target]
        return SIGNS[sign](row[at] if row else 0, operand)

    def compare_and_set(
        self, ns: str, key: str, value: bytes, lease: int, target: str, sign: str, operand: Any
    ) -> list[Any]:
        if not self.holds(ns, key, target, sign, operand):
            row = self.kv.get((ns, key))
            return ["failed", "compare_failed", [row[3], row[2]] if row else [0, 0]]
        return self.put(ns, key, value, lease)

    def put_stamped(
        self, ns: str, key: str, value: bytes | None, stamp: int, version: int
    ) -> list[Any]:
        row = self.kv.get((ns, key))
        if version >= 0 and (row[3] if row else 0) != version:
            return ["failed", "compare_failed", [row[3], row[2]] if row else [0, 0]]
        if row and len(row[0]) > 1:  # shorter ones were written by another command
            stamp = max(stamp, codec.loads(row[0])[0] + 1)
        elif row:
            stamp = max(stamp, 1)
        self.next()
        return [self.revision, self.write(ns, key, codec.dumps([stamp, value]), 0), stamp]

    def txn(self, compares: list[Any], then: list[Any], otherwise: list[Any]) -> list[Any]:
        held = all(self.holds(*compare) for compare in compares)
        branch = then if held else otherwise
        puts = [op for op in branch if op[0] == ops.PUT]
        if any(op[4] and op[4] not in self.leases for op in puts):
            return ["failed", "lease_expired", None]
        before = dict(self.kv)
        self.next()
        results = [self.txn_op(op) for op in branch]
        if self.kv == before and not puts:
            self.revision -= 1
        return [self.revision, held, results]

    def txn_op(self, op: tuple[Any, ...]) -> Any:
        if op[0] == ops.PUT:
            return [self.write(*op[1:])]
        if op[0] == ops.DELETE:
            row = self.kv.pop((op[1], op[2]), None)
            return [row[3] if row else 0]
        if op[0] == ops.GET:
            return self.kv.get((op[1], op[2]))
        _, ns, start, stop, keys_max = op
        keys = [key for key in self.keys(ns) if key >= start and (stop is None or key < stop)]
        return [[key, *self.kv[ns, key]] for key in keys[:keys_max]]

    # --- leases

    def lease_grant(self, ttl_ms: int, lease: int) -> list[Any]:
        if lease in self.leases:
            return ["failed", "lease_exists", None]
        self.leases[lease] = [ttl_ms, self.next()]
        return [self.revision, lease, ttl_ms, self.revision]

    def lease_revoke(self, lease: int) -> list[Any]:
        if lease not in self.leases:
            return ["failed", "lease_expired", None]
        del self.leases[lease]
        self.next()
        died = 0
        for at in [at for at, row in self.kv.items() if row[4] == lease]:
            died += 1
            del self.kv[at]
        for at in [name for name, row in self.names.items() if row[4] == lease]:
            died += 1
            del self.names[at]
        for at, line in list(self.queues.items()):
            if any(claim[0] == lease for claim in line):
                died += 1
                self.keep(at, [claim for claim in line if claim[0] != lease])
        return [self.revision, died]

    def lease_expire(self, lease: int, generation: int, term: int) -> list[Any]:
        if term > 1:  # everything here happens in term 1
            return ["failed", "stale_term", None]
        if lease in self.leases and self.leases[lease][1] != generation:
            return ["failed", "stale_generation", None]
        return self.lease_revoke(lease)

    # --- locks and elections

    def keep(self, at: tuple[str, str], line: list[list[Any]]) -> None:
        """The line after somebody left it: whoever is first now and has no token gets one."""
        if not line:
            del self.queues[at]
            return
        if not line[0][3]:
            line[0] = [*line[0][:3], self.revision]
        self.queues[at] = line

    def acquire(self, at: Any, lease: int, owner: bytes, value: bytes, wait: bool) -> list[Any]:
        if lease not in self.leases:
            return ["failed", "lease_expired", None]
        line = self.queues.get(at, [])
        for place, claim in enumerate(line):
            if claim[:2] == [lease, owner]:
                return [self.revision, claim[3], place]
        if line and not wait:
            return [self.revision, 0, -1]
        self.next()
        self.keep(at, [*line, [lease, owner, value, 0]])
        return [self.revision, 0 if line else self.revision, len(line)]

    def release(self, at: Any, lease: int, owner: bytes, token: int) -> list[Any]:
        line = self.queues.get(at, [])
        for place, claim in enumerate(line):
            if claim[:2] == [lease, owner] and token in (0, claim[3]):
                self.next()
                self.keep(at, line[:place] + line[place + 1 :])
                return [self.revision, 0 if place else 1]
        return ["failed", "not_holder", None]

    def lock_acquire(self, name: str, *args: Any) -> list[Any]:
        return self.acquire(("lock", name), *args)

    def lock_release(self, name: str, *args: Any) -> list[Any]:
        return self.release(("lock", name), *args)

    def election_campaign(self, name: str, *args: Any) -> list[Any]:
        return self.acquire(("election", name), *args)

    def election_resign(self, name: str, *args: Any) -> list[Any]:
        return self.release(("election", name), *args)

    def election_proclaim(self, name: str, term: int, value: bytes) -> list[Any]:
        line = self.queues.get(("election", name))
        if not line or line[0][3] != term:
            return ["failed", "not_holder", None]
        line[0][2] = value
        return [self.next(), term]

    # --- names

    def name_register(
        self, name: str, value: bytes, meta: bytes, lease: int, policy: str
    ) -> list[Any]:
        old = self.names.get(name)
        if old and policy == "use_existing":
            return [self.revision, "existing", [name, *old]]
        if old and policy == "fail":
            return ["failed", "name_taken", [name, *old]]
        if lease and lease not in self.leases:
            return ["failed", "lease_expired", None]
        revision = self.next()
        self.names[name] = [revision, revision, value, meta, lease]
        return [revision, "replaced" if old else "registered", [name, *self.names[name]]]

    def name_unregister(self, name: str, epoch: int) -> list[Any]:
        old = self.names.get(name)
        if not old:
            return [self.revision, 0]
        if epoch and epoch != old[0]:
            return ["failed", "stale_epoch", [name, *old]]
        del self.names[name]
        return [self.next(), old[0]]

    def name_update_meta(self, name: str, meta: bytes, epoch: int) -> list[Any]:
        old = self.names.get(name)
        if not old:
            return ["failed", "not_found", None]
        if epoch and epoch != old[0]:
            return ["failed", "stale_epoch", [name, *old]]
        self.names[name] = [old[0], self.next(), old[2], meta, old[4]]
        return [self.revision, [name, *self.names[name]]]
