"""How much memory an object keeps, roughly and in bounded time. Pure.

The law of this file: it looks at so many objects and no more; of large containers it looks at some
elements, evenly taken, and takes them for all. Classes, functions and modules weigh nothing: they
belong to everybody.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final, cast

OBJECTS_MAX: Final = 2000
ELEMENTS_MAX: Final = 64
"""Of one container."""
_SHARED: Final = (type, FunctionType, MethodType, BuiltinFunctionType, ModuleType)
_FLAT: Final = (str, bytes, bytearray, memoryview, int, float, bool, complex, type(None))


def weigh(values: Iterable[object], objects_max: int = OBJECTS_MAX) -> int:
    """Bytes that these values keep, everything in them included."""
    seen: set[int] = set()
    todo: deque[tuple[object, float]] = deque((value, 1.0) for value in values)
    total, left = 0.0, objects_max
    while todo and left > 0:
        one, times = todo.popleft()
        if isinstance(one, _SHARED) or id(one) in seen:
            continue
        seen.add(id(one))
        left -= 1
        total += times * sys.getsizeof(one, 64)
        if not isinstance(one, _FLAT):
            todo.extend(_inside(one, times))
    if todo and left <= 0:  # the rest is taken for what was seen
        total *= 1 + len(todo) / objects_max
    return int(total)


def _inside(one: object, times: float) -> Iterable[tuple[object, float]]:
    if isinstance(one, dict):
        rows = cast("dict[Any, Any]", one)
        for key, value in _some(rows.items(), len(rows)):
            share = times * max(1.0, len(rows) / ELEMENTS_MAX)
            yield key, share
            yield value, share
    elif isinstance(one, list | tuple | set | frozenset | deque):
        items = cast("list[Any]", one)
        for item in _some(items, len(items)):
            yield item, times * max(1.0, len(items) / ELEMENTS_MAX)
    else:
        own = getattr(one, "__dict__", None)
        if isinstance(own, dict):
            yield cast(object, own), times


def _some(items: Iterable[Any], count: int) -> Iterable[Any]:
    """At most `ELEMENTS_MAX` of them, evenly taken."""
    if count <= ELEMENTS_MAX:
        return items
    step = count / ELEMENTS_MAX
    wanted = {int(n * step) for n in range(ELEMENTS_MAX)}
    last = max(wanted) + 1
    return (item for n, item in enumerate(islice(items, last)) if n in wanted)
