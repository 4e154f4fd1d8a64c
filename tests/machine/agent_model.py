"""Agents again, as naively as possible: what the machine's answers and state should be.

The law of this file: nothing is shared with the machine. Everything is by name, everything is found
by looking at everything, and a death removes whatever names the dead.
"""

from __future__ import annotations

from typing import Any

from tests.machine.model import Model

NOT_FOUND = ["failed", "not_found", None]
LEASE_EXPIRED = ["failed", "lease_expired", None]


class AgentModel(Model):
    """agents: name -> fields of its record; links: pairs; monitors: (watcher, target); downs:
    [watcher, seq, target, reason]; reminders: (name, id) -> [due, period, data].
    """

    def __init__(self) -> None:
        super().__init__()
        self.agents: dict[str, dict[str, Any]] = {}
        self.links: set[tuple[str, str]] = set()
        self.monitors: set[tuple[str, str]] = set()
        self.downs: list[list[Any]] = []
        self.downs_ever = 0
        self.reminders: dict[tuple[str, str], list[Any]] = {}
        self.changes: list[tuple[str, list[Any] | None, str]] = []

    def row(self, name: str) -> list[Any]:
        """A record as answers have it."""
        agent = self.agents[name]
        reminders = sum(owner == name for owner, _ in self.reminders)
        return [
            *(name, agent["epoch"], agent["life"], agent["host"], agent["lease"], agent["status"]),
            *(agent["kind"], agent["spec"], agent["meta"], list(agent["owners"]), agent["orphan"]),
            *(reminders, agent["revision"], agent["begun"]),
        ]

    def changed(self, name: str, why: str, **fields: Any) -> None:
        self.agents[name].update(fields, revision=self.revision)
        self.changes.append((name, self.row(name), why))

    # --- leases

    def is_held(self, agent: dict[str, Any]) -> bool:
        """Its lease lives, and is the one it was bound to."""
        lease = self.leases.get(agent["lease"])
        return lease is not None and lease[1] < agent["epoch"]

    def lives(self, owner: str) -> bool:
        kind, _, which = owner.partition(":")
        return which in self.agents if kind == "agent" else int(which) in self.leases

    def lease_revoke(self, lease: int) -> list[Any]:
        answer = super().lease_revoke(lease)
        if answer[0] == "failed":
            return answer
        owner = f"lease:{lease}"
        owned = sorted(name for name, agent in self.agents.items() if owner in agent["owners"])
        for name in owned:
            work: list[tuple[str, str]] = []
            self.lose(name, owner, [], f"owner {owner} ended", work)
            self.end(work)
        return [self.revision, answer[1] + len(owned)]

    # --- deaths

    def end(self, work: list[tuple[str, str]]) -> int:
        died = 0
        for name, reason in work:  # which grows
            if name in self.agents:
                died += 1
                self.die(name, reason, work)
        return died

    def die(self, name: str, reason: str, work: list[tuple[str, str]]) -> None:
        agent = self.agents.pop(name)
        self.changes.append((name, None, f"stopped {reason}"))
        watchers = sorted(w for w, target in self.monitors if target == name)
        linked = sorted(b if a == name else a for a, b in self.links if name in (a, b))
        self.links = {pair for pair in self.links if name not in pair}
        self.monitors = {pair for pair in self.monitors if name not in pair}
        self.downs = [down for down in self.downs if down[0] != name]
        self.reminders = {at: row for at, row in self.reminders.items() if at[0] != name}
        work += [(other, f"linked: {name}: {reason}") for other in linked]
        for watcher in watchers:
            self.tell(watcher, name, reason)
        owner = f"agent:{name}"
        for child in sorted(n for n, other in self.agents.items() if owner in other["owners"]):
            self.lose(child, owner, agent["owners"], f"owner {owner} ended", work)

    def tell(self, watcher: str, target: str, reason: str) -> None:
        self.downs_ever += 1
        self.downs.append([watcher, self.downs_ever, target, reason])

    def lose(
        self, name: str, owner: str, above: list[str], reason: str, work: list[tuple[str, str]]
    ) -> None:
        agent = self.agents.get(name)
        if agent is None or owner not in agent["owners"]:
            return
        left = [other for other in agent["owners"] if other != owner]
        if not left and agent["orphan"] == "adopt":
            left = [one for one in above if self.lives(one) and one != f"agent:{name}"]
        if left or agent["orphan"] == "continue":
            self.changed(name, "updated", owners=left)
        else:
            work.append((name, reason))

    # --- commands

    def agent_start(
        self,
        name: str,
        kind: str,
        spec: bytes,
        meta: bytes,
        host: str,
        lease: int,
        status: str,
        owners: list[str],
        orphan: str,
        policy: str,
    ) -> list[Any]:
        present = self.agents.get(name)
        if present and policy == "fail":
            return ["failed", "name_taken", self.row(name)]
        if present and policy == "use_existing":
            new = [owner for owner in owners if owner not in present["owners"]]
            for owner in new:
                if not self.lives(owner):
                    return ["failed", "owner_dead", owner]
            if new:
                self.next()
                self.changed(name, "updated", owners=[*present["owners"], *new])
            return [self.revision, "existing", self.row(name)]
        if lease and lease not in self.leases:
            return LEASE_EXPIRED
        for owner in owners:
            if not self.lives(owner):
                return ["failed", "owner_dead", owner]
        if present:
            doomed = self.doomed_with(name)
            if any(owner in doomed for owner in owners):
                return ["failed", "owner_dead", ...]  # whichever is found first
        revision = self.next()
        if present:
            self.end([(name, "replaced")])
        self.agents[name] = {"epoch": revision, "life": revision, "host": host, "lease": lease}
        begun = status == "placed"
        about = {"kind": kind, "spec": spec, "meta": meta, "owners": owners, "orphan": orphan}
        self.changed(name, "started", status=status, begun=begun, **about)
        return [revision, "replaced" if present else "started", self.row(name)]

    def doomed_with(self, name: str) -> set[str]:
        """Owners that may end when this life does."""
        doomed = [name]
        for one in doomed:
            for other, agent in self.agents.items():
                owned = f"agent:{one}" in agent["owners"] and agent["orphan"] != "continue"
                linked = (one, other) in self.links or (other, one) in self.links
                if (owned or linked) and other not in doomed:
                    doomed.append(other)
        return {f"agent:{one}" for one in doomed}

    def agent_bind(self, name: str, epoch: int, host: str, lease: int, mode: str) -> list[Any]:
        agent = self.agents.get(name)
        if agent is None:
            return NOT_FOUND
        if agent["epoch"] != epoch:
            return ["failed", "stale_epoch", self.row(name)]
        if mode == "take" and self.is_held(agent):
            return ["failed", "still_held", self.row(name)]
        if lease and lease not in self.leases:
            return LEASE_EXPIRED
        status = "placed" if agent["begun"] else "starting"
        if not lease:
            status = "unplaced"
        elif agent["status"] == "failed":
            status = "failed"
        self.next()
        self.changed(name, "moved", epoch=self.revision, host=host, lease=lease, status=status)
        return [self.revision, self.row(name)]

    def agent_stop(self, name: str, epoch: int, life: int, reason: str) -> list[Any]:
        agent = self.agents.get(name)
        if agent is None:
            return [self.revision, 0, 0]
        if epoch not in (0, agent["epoch"]) or life not in (0, agent["life"]):
            return ["failed", "stale_epoch", self.row(name)]
        return [self.next(), self.end([(name, reason)]), 0]

    def agent_update(
        self, name: str, epoch: int, meta: bytes | None, status: str | None
    ) -> list[Any]:
        agent = self.agents.get(name)
        if agent is None:
            return NOT_FOUND
        if epoch not in (0, agent["epoch"]):
            return ["failed", "stale_epoch", self.row(name)]
        if status == "placed" and not agent["lease"]:
            return ["failed", "not_placed", None]
        new = dict(agent)
        if meta is not None:
            new["meta"] = meta
        if status == "failed":
            new["status"] = "failed"
        elif status == "placed":
            again = agent["status"] == "failed" and not agent["begun"]
            new |= {"status": "starting"} if again else {"status": "placed", "begun": True}
        if new != agent:
            self.next()
            self.changed(name, "updated", **new)
        return [self.revision, self.row(name)]

    def agent_commit(self, name: str, epoch: int, writes: list[Any], marks: list[Any]) -> list[Any]:
        agent = self.agents.get(name)
        if agent is None:
            return NOT_FOUND
        if agent["epoch"] != epoch:
            return ["failed", "stale_epoch", agent["epoch"]]
        if not self.is_held(agent):
            return LEASE_EXPIRED
        reminders = dict(self.reminders)
        for mark in marks:
            if mark[0] == "reminded":
                row = self.reminders.get((name, mark[1]))
                if row is None or row[0] != mark[2]:
                    return ["failed", "reminder_gone", mark[1]]
                self.fire(reminders, (name, mark[1]), row, mark[3] if len(mark) > 3 else 0)
        for mark in marks:
            if mark[0] == "remind":
                reminders[name, mark[1]] = list(mark[2:])
            elif mark[0] == "forget":
                reminders.pop((name, mark[1]), None)
        if not writes and not marks:
            return [self.revision]
        self.next()
        answer: list[Any] = [self.revision]
        for ns, key, value, stamp in writes:
            self.revision -= 1  # one revision for all
            answer += self.put_stamped(ns, key, value, stamp, -1)[1:]
        seqs = [mark[1] for mark in marks if mark[0] == "down"]
        self.downs = [d for d in self.downs if d[0] != name or d[1] not in seqs]
        count = len([at for at in reminders if at[0] == name])
        was = len([at for at in self.reminders if at[0] == name])
        self.reminders = reminders
        if ["started"] in marks and agent["status"] == "starting":
            self.changed(name, "updated", status="placed", begun=True)
        elif count != was:
            self.changed(name, "updated")
        return answer

    def fire(self, reminders: dict[Any, Any], at: Any, row: list[Any], next_due_ms: int) -> None:
        due, period, data = row
        if not period:
            reminders.pop(at, None)
            return
        due += period
        while due < next_due_ms:
            due += period
        if reminders.get(at) == row:
            reminders[at] = [due, period, data]

    def agent_own(self, name: str, owner: str, on: bool) -> list[Any]:
        agent = self.agents.get(name)
        if agent is None:
            return NOT_FOUND
        owners = agent["owners"]
        if on and owner not in owners:
            if not self.lives(owner):
                return ["failed", "owner_dead", owner]
            self.next()
            self.changed(name, "updated", owners=[*owners, owner])
        elif not on and owner in owners:
            self.next()
            self.changed(name, "updated", owners=[one for one in owners if one != owner])
        return [self.revision, self.row(name)]

    def agent_link(self, a: str, b: str, on: bool) -> list[Any]:
        pair = (min(a, b), max(a, b))
        if a not in self.agents or b not in self.agents:
            return NOT_FOUND if on else [self.revision, False]
        if on == (pair in self.links):
            return [self.revision, False]
        self.links ^= {pair}
        return [self.next(), True]

    def agent_monitor(self, watcher: str, target: str, on: bool) -> list[Any]:
        if watcher not in self.agents:
            return NOT_FOUND if on else [self.revision, False]
        if target not in self.agents and on:
            self.next()
            self.tell(watcher, target, "not_found")
            return [self.revision, True]
        if on == ((watcher, target) in self.monitors):
            return [self.revision, False]
        self.monitors ^= {(watcher, target)}
        return [self.next(), True]

    def agent_sweep(self) -> list[Any]:
        return [self.revision, 0, 0]
