"""`store.local`: state of this host only; fast, in memory, not replicated, survives nothing. Pure.

The law of this file: a value is kept as it was handed in and handed out as it is kept: no copy, no
encoding, no limit of type. It is state and not a cache: nothing is thrown away to make room, a
full layer refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from quorate.core.errors import LimitExceeded, UsageError

ENTRIES_MAX = 1_000_000


class LocalLayer:
    """A dictionary with a limit. Plain calls: there is nothing to wait for."""

    def __init__(self, *, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._values: dict[str, Any] = {}

    def put(self, key: str, value: Any) -> None:
        """Raises `LimitExceeded` when the layer is full, `UsageError` for a key that is no str."""
        if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"a key is a str, not {type(key).__name__}")
        if key not in self._values and len(self._values) >= self._entries_max:
            raise LimitExceeded(f"the local layer holds {self._entries_max} keys already")
        self._values[key] = value

    def get(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)

    def update(self, key: str, fn: Callable[[Any], Any], default: Any = None) -> Any:
        """Write `fn(present value or default)`; returns it. `fn` must not wait, so nobody comes in
        between."""
        value = fn(self._values.get(key, default))
        self.put(key, value)
        return value

    def delete(self, key: str) -> bool:
        """Whether it was there."""
        missing = object()
        return self._values.pop(key, missing) is not missing

    def clear(self) -> None:
        self._values.clear()

    def keys(self) -> list[str]:
        return list(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._values))

    def statistics(self) -> dict[str, object]:
        return {"keys": len(self._values)}
