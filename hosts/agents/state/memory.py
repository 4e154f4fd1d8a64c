"""`self.state.local`: what an agent keeps in its host's memory only.

The law of this file: as a store's local layer, but of one activation, and a turn that is rolled
back takes back what it did here. It moves with `migration="checkpoint_restore"` and survives
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from quorate.consistency.layers.local import LocalLayer

ENTRIES_MAX: Final = 100_000
_MISSING: Final = object()
Undo = list[Callable[[], object]]


class AgentMemory(LocalLayer):
    """A dictionary with a limit. `undo()`: where the turn that runs keeps what would take its
    writes back; None outside of turns."""

    def __init__(self, undo: Callable[[], Undo | None]) -> None:
        super().__init__(entries_max=ENTRIES_MAX)
        self._undo = undo

    def put(self, key: str, value: Any) -> None:
        """Raises `LimitExceeded` when the layer is full, `UsageError` for a key that is no str."""
        before = self._values.get(key, _MISSING)
        super().put(key, value)
        self._remember(key, before)

    def delete(self, key: str) -> bool:
        """Whether it was there."""
        before = self._values.get(key, _MISSING)
        if before is _MISSING:
            return False
        del self._values[key]
        self._remember(key, before)
        return True

    def clear(self) -> None:
        for key in self.keys():
            self.delete(key)

    def _remember(self, key: str, before: Any) -> None:
        undo = self._undo()
        if undo is not None:
            undo.append(lambda: self._put_back(key, before))

    def _put_back(self, key: str, before: Any) -> None:
        if before is _MISSING:
            self._values.pop(key, None)
        else:
            self._values[key] = before

    def load(self, values: dict[str, Any]) -> None:
        """What a checkpoint has, in place of what is here."""
        self._values = dict(values)

    def dump(self) -> dict[str, Any]:
        return dict(self._values)
