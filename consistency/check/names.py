"""The models by name, and what each promises. Cheap to import: the command line's help shows it.

The law of this file: a table of words; `models.py` has a judge for each.
"""

from __future__ import annotations

MODELS: dict[str, str] = {
    "register": "read, write and cas per key: linearizable",
    "append": "lists, transactions of append and r: strictly serializable",
    "kv": "get, put, delete, cas and txn: linearizable",
    "session": "read your writes, monotonic reads and writes, writes follow reads",
    "staleness": "reads not older than a bound",
    "set": "add and read: nothing lost, nothing twice",
    "counter": "increment, decrement and read: sums that can be",
    "crdt": "updates and final reads of every replica: converged, nothing lost",
    "locks": "acquire, release and effect: fencing tokens grow",
}
