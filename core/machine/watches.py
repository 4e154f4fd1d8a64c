"""Which events a watch wants. Pure; the delivering is done in `core/group`.

The law of this file: a filter says yes or no to one event and keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from quorate.core.machine.patterns import Pattern
from quorate.core.machine.records import Event

Space = Literal["kv", "name", "lock", "election", "lease", "agent"]


@dataclass(frozen=True, slots=True)
class WatchFilter:
    """Events of one `space` (None: of all), of kv in one namespace `ns` (None: in all), whose key
    is `key`, begins with `prefix`, or matches `pattern` (each None: any).
    """

    space: Space | None = "kv"
    ns: str | None = None
    key: str | None = None
    prefix: str | None = None
    pattern: str | None = None
    _pattern: Pattern | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        compiled = None if self.pattern is None else Pattern(self.pattern)
        object.__setattr__(self, "_pattern", compiled)

    def matches(self, event: Event) -> bool:
        key = event.key
        return (
            (self.space is None or event.kind.startswith(self.space + "."))
            and (self.ns is None or event.ns == self.ns)
            and (self.key is None or key == self.key)
            and (self.prefix is None or key.startswith(self.prefix))
            and (self._pattern is None or self._pattern.matches(key))
        )
