"""Every limit of the replicated machine, each named with its unit.

The law of this file: the limits that a command is checked against belong to the command version.
All hosts must answer the same, so changing one of them means raising `COMMAND_VERSION` in
`commands.py`.
"""

from __future__ import annotations

from typing import Final

NAMESPACE_BYTES_MAX: Final = 48
KEY_BYTES_MAX: Final = 448
"""Keys, names, locks and elections, as UTF-8. A stored key also carries its namespace or lease and
must fit LMDB's 511 bytes.
"""
VALUE_BYTES_MAX: Final = 1024 * 1024
LOCATION_BYTES_MAX: Final = 4096
"""The value of a registration (where the name lives) and the value an election leader proclaims."""
META_BYTES_MAX: Final = 4096
OWNER_BYTES_MAX: Final = 256

BATCH_COMMANDS_MAX: Final = 8192
TXN_OPS_MAX: Final = 128
"""Compares, then-operations and else-operations of one transaction: this many of each."""
TXN_RANGE_KEYS_MAX: Final = 1000
TXN_READ_BYTES_MAX: Final = 1024 * 1024
"""What the reads of one transaction may return; a read past it answers `too_large`."""
DELETE_PREFIX_KEYS_MAX: Final = 1000

LEASE_TTL_MS_MIN: Final = 1
LEASE_TTL_MS_MAX: Final = 7 * 24 * 3600 * 1000
LEASE_ATTACHMENTS_MAX: Final = 16_384
"""A lease dies in one command, which visits all that hangs on it: about 10 us each. More to hold:
use several leases.
"""
QUEUE_WAITERS_MAX: Final = 1024

SESSIONS_MAX: Final = 4096
SESSION_RESULTS_MAX: Final = 16_384
"""Results a session keeps until its client acknowledges them."""
SESSION_CARRIED_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of values in the results a session keeps (reads of transactions, holders of names)."""

AGENT_SPEC_BYTES_MAX: Final = 64 * 1024
AGENT_KIND_BYTES_MAX: Final = 256
AGENT_HOST_BYTES_MAX: Final = 256
AGENT_OWNERS_MAX: Final = 16
AGENT_ROWS_MAX: Final = 16_384
"""What may hang on one life: owned agents, links, monitors in both directions, news of deaths not
yet acknowledged. A life ends in one command, which visits them all.
"""
AGENT_REMINDERS_MAX: Final = 1024
REMINDER_ID_BYTES_MAX: Final = 256
REMINDER_BYTES_MAX: Final = 16 * 1024
AGENT_WRITES_MAX: Final = 128
AGENT_MARKS_MAX: Final = 256
"""Of one commit."""
REASON_BYTES_MAX: Final = 1024
REASON_CHARS_MAX: Final = 512
"""Of the reasons that the machine composes: longer ones are cut."""
CASCADE_THINGS_MAX: Final = 16_384
"""Lives and their rows that one command ends: about 10 us each. What is left is ended by
`agent_sweep`.
"""

IDS_MAX: Final = (1 << 63) - 1
STAMPS_MAX: Final = (1 << 62) - 1
"""Of a stamp that is handed in; a record's own may pass it by one for each write."""
DIGESTS_KEPT_ENTRIES: Final = 1024
AGENT_FENCES_KEPT: Final = 65_536
"""Of agents that commit: what the fence needs, kept in memory; and generations of leases."""
EVENTS_KEEP_REVISIONS: Final = 100_000
EVENTS_LUMP_REVISIONS: Final = 1024
EVENTS_RING_EVENTS: Final = 8192
EVENTS_RING_BYTES: Final = 16 * 1024 * 1024
"""The newest events kept in memory: as many and as much; up to twice that before it is trimmed."""
EVENTS_PAGE_BYTES: Final = 4 * 1024 * 1024
"""A page of events ends with the revision that reaches this many bytes of values."""
SCAN_PAGE_RECORDS: Final = 64
"""Records looked at in one go; a value may have a megabyte."""
NAMES_PAGE_RECORDS: Final = 512
READ_RECORDS: Final = 1000
"""What a read returns at most unless told."""
