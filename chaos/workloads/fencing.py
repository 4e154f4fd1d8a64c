"""What was done to the resource outside, when nobody recorded who was granted which token.

The law of this file: tokens never fall along what the resource accepted. Whether a token had been
granted is not asked: the epochs of agents are granted by the group itself.
"""

from __future__ import annotations

from quorate.chaos.workloads.workload import part
from quorate.consistency.check import locks
from quorate.consistency.check.history import History
from quorate.consistency.check.verdict import Verdict, judged


def check_fencing(history: History) -> Verdict:
    """Judge the `effect` operations: key, token, and `witness` (0, place)."""
    effects = part(history, lambda op: op.f == "effect")
    found = locks.check(effects)
    anomalies = [anomaly for anomaly in found.anomalies if anomaly.kind != "phantom-token"]
    return judged("fencing", len(effects.operations), anomalies, history=effects)
