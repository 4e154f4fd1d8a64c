"""What the linearizability judge asks of a sequential model.

The law of this file: shapes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from quorate.consistency.check.history import Operation
from quorate.consistency.check.verdict import Anomaly
from quorate.consistency.check.wgl import Call, Code, State, Step


class Compiled(NamedTuple):
    """Operations as a search needs them. `reads[i]`: operation i changes nothing whatever the
    state. Those that constrain nothing are left out."""

    operations: list[Operation]
    codes: list[Code]
    reads: list[bool]
    initial: State
    step: Step
    needs: Sequence[State | None] | None = None
    gives: Sequence[State | None] | None = None
    """As in `Call`, where the model can tell."""

    def calls(self) -> list[Call]:
        nothing = [None] * len(self.codes)
        needs, gives = self.needs or nothing, self.gives or nothing
        return [
            Call(op.invoked, op.ended, self.codes[i], self.reads[i], needs[i], gives[i])
            for i, op in enumerate(self.operations)
        ]


Rounds = list[list[list[Operation]]]


class Model(Protocol):
    """A sequential specification."""

    name: str

    def partition(self, operations: Sequence[Operation]) -> list[tuple[str, list[Operation]]]:
        """Named parts that can be judged alone. Raises `MalformedHistory`."""
        ...

    def compile(self, operations: Sequence[Operation]) -> Compiled: ...

    def signs(self, operations: Sequence[Operation]) -> tuple[list[Anomaly], bool]:
        """(anomalies that are seen without search, whether finding none is a proof)."""
        ...

    def removable(self, operations: Sequence[Operation]) -> Rounds:
        """Groups that can be left out of any linearizable history and leave it linearizable, in
        rounds: what is to be tried first, what then. Groups of a round do not overlap."""
        ...
