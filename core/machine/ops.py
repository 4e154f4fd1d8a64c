"""The operation codes. The law of this file: a code is never given a second meaning; a new one
raises `COMMAND_VERSION`.
"""

from __future__ import annotations

from typing import Final

OPEN_SESSION: Final = 1
CLOSE_SESSION: Final = 2

PUT: Final = 10
DELETE: Final = 11
DELETE_PREFIX: Final = 12
COMPARE_AND_SET: Final = 13
TXN: Final = 14
GET: Final = 15
"""Inside a transaction only, like RANGE: reads do not travel through the log."""
RANGE: Final = 16
PUT_STAMPED: Final = 17
"""Since version 2."""

LEASE_GRANT: Final = 20
LEASE_REVOKE: Final = 21
LEASE_EXPIRE: Final = 22

LOCK_ACQUIRE: Final = 30
LOCK_RELEASE: Final = 31

ELECTION_CAMPAIGN: Final = 40
ELECTION_RESIGN: Final = 41
ELECTION_PROCLAIM: Final = 42

NAME_REGISTER: Final = 50
NAME_UNREGISTER: Final = 51
NAME_UPDATE_META: Final = 52

AGENT_START: Final = 60
"""All of agents: since version 3."""
AGENT_BIND: Final = 61
AGENT_STOP: Final = 62
AGENT_UPDATE: Final = 63
AGENT_COMMIT: Final = 64
AGENT_OWN: Final = 65
AGENT_LINK: Final = 66
AGENT_MONITOR: Final = 67
AGENT_SWEEP: Final = 68
