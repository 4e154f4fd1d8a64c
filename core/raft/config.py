"""The settings of one Raft member: times in seconds, sizes in bytes, counts in entries. Every limit
has its unit in its name."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class RaftConfig:
    """What may be tuned. The defaults suit hosts with a round trip of up to about 20 ms."""

    heartbeat_s: float = 0.15
    """The leader speaks to every follower at least this often."""
    election_min_s: float = 0.6
    """A follower that heard no leader for this long may stand for election."""
    election_max_s: float = 1.2
    """The end of the range the election timeout is drawn from; also the check-quorum bound of a
    leader."""
    link_down_grace_s: float = 0.05
    """A follower whose link to the leader broke waits one to three of these before it asks for pre-
    votes."""
    commit_notice_s: float = 0.002
    """A follower nobody waits on hears of a commit with the next entries, or this much later."""
    probe_retry_s: float = 0.3
    """An unanswered probe or snapshot chunk is sent again after this long."""

    append_bytes_max: int = 512 * 1024
    """One append message carries about this many bytes of entries at most (one entry always fits).
    """
    in_flight_messages_max: int = 32
    """Append messages on their way to one follower."""
    in_flight_bytes_max: int = 8 * 1024 * 1024
    """Bytes of entries on their way to one follower."""
    entry_bytes_max: int = 512 * 1024
    """Command batches are packed into entries of about this size."""
    batch_bytes_max: int = 4 * 1024 * 1024
    """The largest single command batch that is taken."""
    queue_batches_max: int = 20_000
    """Command batches that wait to be appended; more are refused with `QUEUE_FULL`."""
    queue_bytes_max: int = 64 * 1024 * 1024
    """Bytes of command batches that wait to be appended."""

    snapshot_chunk_bytes: int = 256 * 1024
    snapshot_window_chunks: int = 8
    """Snapshot chunks on their way to one follower."""

    trailing_entries: int = 20_000
    """Entries kept behind the newest durable snapshot point, so that a short absence needs no
    snapshot."""
    trailing_bytes_max: int = 256 * 1024 * 1024
    """Bytes of entries kept at most behind that point."""
    compact_slack_entries: int = 5_000
    """Compaction runs when this many entries more than the trailing ones could go."""
    cache_bytes_max: int = 32 * 1024 * 1024
    """The newest entries kept in memory; older ones are read from disk."""

    apply_bytes_max: int = 512 * 1024
    """Bytes of entries applied in one turn of the loop before others get their turn."""
    disk_stall_max_s: float = 10.0
    """A leader whose disk has not finished a write for this long gives up its leadership."""
    transfer_timeout_s: float = 1.0
    """A leadership transfer that is not done by then is given up, and the leader takes commands
    again."""
    staging_lag_entries_max: int = 1_000
    """A staging learner is promoted once it lags by no more than this."""

    def __post_init__(self) -> None:
        if not 0 < self.heartbeat_s * 3 < self.election_min_s:
            raise ConfigError(
                f"election_min_s ({self.election_min_s}) must be more than three times heartbeat_s "
                f"({self.heartbeat_s}), or healthy leaders are deposed; raise the first"
            )
        if not self.election_min_s < self.election_max_s:
            raise ConfigError(
                f"election_max_s ({self.election_max_s}) must be above election_min_s "
                f"({self.election_min_s}), or members stand at the same time"
            )
