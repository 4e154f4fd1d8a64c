"""CRDTs as delta states with causal contexts: `new(kind)`, `decode(wire)`, and what they give.

The law of this package: pure values. `operate` changes the state in place and returns the delta;
`merge` joins deltas and whole states in any order, any number of times.
"""

from __future__ import annotations

from typing import Any, Final

from quorate.consistency.crdt import counters, maps, registers, sequences, sets
from quorate.consistency.crdt.base import BY_CODE, BY_KIND, Crdt, UnknownType
from quorate.consistency.crdt.values import listed
from quorate.consistency.versions.context import CausalContext
from quorate.core.codec import Malformed

__all__ = ["KINDS", "Crdt", "UnknownType", "decode", "new"]

_MODULES = (counters, maps, registers, sequences, sets)
KINDS: Final[frozenset[str]] = frozenset(BY_KIND)


def new(kind: str) -> Crdt:
    """An empty CRDT. Raises UnknownType."""
    found = BY_KIND.get(kind) if type(kind) is str else None
    if found is None:
        raise UnknownType(f"no CRDT is called {kind!r:.60}: there are {', '.join(sorted(KINDS))}")
    return found()


def decode(wire: Any) -> Crdt:
    """The CRDT (state or delta) of what `wire()` gave. The bytes may be anybody's.

    Raises Malformed, or UnknownType if it is of a kind that is not known here.
    """
    parts = listed(wire, "a CRDT")
    if not parts:
        raise Malformed("a CRDT must not be an empty list")
    code = parts[0]
    kind = BY_CODE.get(code) if type(code) is int else None
    if kind is None:
        raise UnknownType(f"no CRDT has the code {code!r:.60}")
    if len(parts) != 3:
        parts = kind.from_brief(parts)
    _, context, body = parts
    found = kind(CausalContext.from_wire(context))
    found.load(listed(body, "the body of a CRDT"), list(found.context.spans), 1)
    return found
