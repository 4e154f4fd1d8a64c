"""A host's status as plain values: what the admin API and the CLI show.

The law of this file: it reads, without asking anybody and without changing anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quorate.hosts.host import Host


def status_of(host: Host) -> dict[str, Any]:
    """{host, cluster, state, ready, in_service, failure, role, leader, term, ... members: [...]}"""
    base: dict[str, Any] = {
        "host": host.id,
        "cluster": host.settings.cluster,
        "state": host.state,
        "failure": None if host.failure is None else str(host.failure),
        "in_service": host.state == "running" and host.failure is None,
        "ready": False,
        "admin_address": host.admin_address,
        "members": [],
    }
    if host.state == "new" or host.runtime.driver is None:
        return base
    raft = host.driver.engine.statistics()
    machine = host.machine
    leader = host.group.leader
    base.update(
        address=host.address,
        ready=base["in_service"]
        and leader is not None
        and host.group.submitter.proposer.quorum_reachable,
        storage_full=host.driver.engine.storage_full,
        role=raft.get("role"),
        leader=leader,
        term=host.group.term,
        commit_index=host.driver.engine.commit_index,
        applied_index=machine.applied_index,
        last_index=host.driver.journal.last_index,
        revision=machine.revision,
        digest=machine.digest.hex(),
        members=[
            _member(host, row.id, row.address, row.role) for row in host.configuration.members
        ],
    )
    return base


def _member(host: Host, host_id: str, address: str, role: str) -> dict[str, Any]:
    own = host_id == host.id
    rtt_s = None if own else host.mesh.rtt(host_id)
    progress: Any = host.driver.engine.progress.get(host_id) if host.group.leads else None
    return {
        "id": host_id,
        "address": address,
        "role": role,
        "leader": host_id == host.group.leader,
        "connected": own or host.mesh.is_up(host_id),
        "rtt_ms": None if rtt_s is None else round(rtt_s * 1000, 3),
        "match_index": host.driver.journal.last_index
        if own
        else None
        if progress is None
        else progress.match,
    }
