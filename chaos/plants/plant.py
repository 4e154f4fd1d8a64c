"""What a plant is: names of the product's modules that stand for something else.

The law of this file: a plant changes one rule and nothing else, in the process that calls `put_in`
and only there; the product has no switch for it. It is put in before a `Host` is built and can be
taken out again, so that a test can try many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Change(NamedTuple):
    """`name` of `owner` (a module, or a class) is `instead` from now on."""

    owner: Any
    name: str
    instead: Any


@dataclass(frozen=True, slots=True)
class Plant:
    """One fault."""

    name: str
    does: str
    """In a sentence."""
    workload: str
    nemesis: str
    """Under which it should be found."""
    finds: tuple[str, ...]
    """Words of which at least one is in what the laboratory says of it."""
    changes: tuple[Change, ...]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Keywords of the hosts under which it is looked for."""

    def put_in(self) -> Callable[[], None]:
        """Plant it; returns what takes it out again."""
        before = [(owner, name, own_of(owner, name)) for owner, name, _ in self.changes]
        for owner, name, instead in self.changes:
            setattr(owner, name, instead)

        def take_out() -> None:
            for owner, name, own in before:
                if own is None:
                    delattr(owner, name)
                else:
                    setattr(owner, name, own)

        return take_out


def own_of(owner: Any, name: str) -> Any:
    """What the owner itself has under the name; None for what a class has inherited."""
    return dict[str, Any](owner.__dict__).get(name)
