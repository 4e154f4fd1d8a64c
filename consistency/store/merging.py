"""Merge functions for concurrent values: the built-in one, and the checks that any one must pass.

The law of this file: a merge function takes the list of concurrent values (two or more, plain
values) and returns one. Every host calls it by itself, in any order and as often as it likes, and
all must end with the same bytes. So it must not depend on the order (commutative), nor on how the
values were grouped (associative), nor change what it has merged already (idempotent), nor on
anything else (deterministic). `check_merge` looks for a counterexample; `Merger` looks again while
at work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, cast

from quorate.core import codec
from quorate.core.errors import QuorateError, UsageError

MergeFunction = Callable[[list[Any]], Any]

CHECK_EVERY_CALLS: Final = 16
TRIPLES_MAX: Final = 200
SHOWN_CHARS_MAX: Final = 120

SAMPLES: Final[tuple[tuple[Any, ...], ...]] = (
    (
        {"qty": 2},
        {"qty": 3, "tags": ["a"]},
        {"tags": ["b", "a"], "note": "x"},
        {"qty": 2, "note": "y"},
    ),
    ([1, 2], [2, 3], [5], [1]),
    (["a", "b"], ["b"], ["c", "a"]),
    (1, 2, 5, -3),
    (1.5, 2.5, 0.25),
    ("a", "b", "ab"),
    (True, False),
    (b"x", b"y"),
)
"""Families of values that `check_merge` tries when none are given. A function that raises for a
family is not made for it."""


class MergeFailed(QuorateError):
    """The registered function raised, or gave different answers for the same values."""


def canonical(value: Any) -> bytes:
    """Bytes that are equal exactly when two values are the same to a store, whatever the order in
    which a map was built."""
    return codec.dumps(_ordered(value))


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value).items()
        return ["{", *sorted([canonical(key), _ordered(one)] for key, one in pairs)]
    if isinstance(value, list | tuple):
        return ["[", *(_ordered(one) for one in cast("Sequence[Any]", value))]
    return bytes(value) if isinstance(value, bytearray) else value


# --- the built-in one -----------------------------------------------------------------------------


def semantic_merge(values: list[Any]) -> Any:
    """Merge by meaning: maps key by key (recursively), lists as unions of their elements (in a
    fixed order), numbers and texts by the greater one; of values of different types the one that
    ranks higher: None, bool, number, text, bytes, other, list, map.

    Nothing that one side added is lost; what one side removed comes back if the other still had it
    (use a CRDT map where that matters)."""
    merged: Any = None
    for at, value in enumerate(sorted(values, key=canonical)):
        merged = value if at == 0 else _merged(merged, value)
    return merged


def _merged(one: Any, other: Any) -> Any:
    if canonical(one) == canonical(other):
        return one
    if isinstance(one, dict) and isinstance(other, dict):
        return _merged_maps(cast("dict[Any, Any]", one), cast("dict[Any, Any]", other))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        both = [*cast("Sequence[Any]", one), *cast("Sequence[Any]", other)]
        return [element for _, element in sorted({canonical(e): e for e in both}.items())]
    return max(cast("tuple[Any, Any]", (one, other)), key=_rank)


def _merged_maps(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> dict[Any, Any]:
    merged: dict[Any, Any] = {}
    for key in sorted({*one, *other}, key=canonical):
        if key in one and key in other:
            merged[key] = _merged(one[key], other[key])
        else:
            merged[key] = one[key] if key in one else other[key]
    return merged


def _rank(value: Any) -> tuple[int, Any, bytes]:
    """An order of all values: by sort, then by size or letters, then by bytes."""
    if value is None:
        return (0, 0, b"")
    if isinstance(value, bool):
        return (1, value, b"")
    if isinstance(value, int | float):
        return (2, value if value == value else float("-inf"), canonical(value))
    if isinstance(value, str):
        return (3, value, b"")
    if isinstance(value, bytes | bytearray):
        return (4, bytes(value), b"")
    sort = 7 if isinstance(value, dict) else 6 if isinstance(value, list | tuple) else 5
    return (sort, 0, canonical(value))


# --- the checks -----------------------------------------------------------------------------------


def check_merge(merge: MergeFunction, samples: Iterable[Any] | None = None) -> int:
    """Look for values for which `merge` breaks its law; returns how many groups were tried.

    `samples`: values of the kind the store will hold; without them families of small values are
    tried, and those the function raises for are left out. Raises `UsageError` with the
    counterexample."""
    if not callable(merge):
        raise UsageError(f"merge= must be a function of a list of values, not {merge!r}")
    families = SAMPLES if samples is None else (tuple(samples),)
    tried = 0
    for family in families:
        for group in _groups(family):
            try:
                broken = counterexample(merge, group)
            except Exception as error:  # a user's function may raise anything
                if samples is None:
                    break
                raise UsageError(
                    f"the merge function raised {type(error).__name__} for {_shown(group)}: {error}"
                ) from error
            tried += 1
            if broken:
                raise UsageError(f"the merge function {broken}")
    return tried


def _groups(family: Sequence[Any]) -> list[tuple[Any, ...]]:
    groups = (
        [(a, a) for a in family] + list(combinations(family, 2)) + list(combinations(family, 3))
    )
    return groups[:TRIPLES_MAX]


def counterexample(merge: MergeFunction, group: Sequence[Any]) -> str:
    """What is wrong with `merge` on these values, as a sentence without its subject; "" if nothing
    is. Lets the function's exceptions through."""
    values = list(group)
    first = merge(_copy(values))
    if canonical(first) != canonical(merge(_copy(values))):
        return f"is not deterministic: two answers for {_shown(values)}"
    turned = merge(_copy(values[::-1]))
    if canonical(first) != canonical(turned):
        return (
            f"is not commutative: {_shown(values)} gives {_shown(first)}, "
            f"the other way round {_shown(turned)}"
        )
    if canonical(merge(_copy([first, first]))) != canonical(first):
        return f"is not idempotent: {_shown(first)} merged with itself gives something else"
    if len(values) > 2:
        left = merge(_copy([merge(_copy(values[:-1])), values[-1]]))
        right = merge(_copy([values[0], merge(_copy(values[1:]))]))
        if not canonical(left) == canonical(right) == canonical(first):
            return (
                f"is not associative: {_shown(values)} gives {_shown(first)}, {_shown(left)} or "
                f"{_shown(right)}, depending on how it is grouped"
            )
    for value in values:
        again = merge(_copy([first, value]))
        if canonical(again) != canonical(first):
            return (
                f"is not idempotent: {_shown(first)}, which holds {_shown(value)}, merged with it "
                f"again gives {_shown(again)}"
            )
    return ""


def _copy(values: list[Any]) -> list[Any]:
    """Fresh values, so that a function that changes its arguments is found out."""
    return [codec.decode_value(codec.encode_value(value)) for value in values]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS_MAX else text[: SHOWN_CHARS_MAX - 3] + "..."


class Merger:
    """A merge function at work: every now and then it is looked at whether it still keeps its law.

    Raises `MergeFailed` whatever the function raises; the caller then keeps the values apart.
    """

    def __init__(self, merge: MergeFunction, *, check_every_calls: int = CHECK_EVERY_CALLS) -> None:
        self.merge = merge
        self._check_every_calls = check_every_calls
        self._calls = 0
        self._failed = 0

    def __call__(self, values: list[bytes]) -> bytes:
        """The merged value of encoded values, encoded."""
        self._calls += 1
        try:
            decoded = [codec.decode_value(value) for value in values]
            if self._calls % self._check_every_calls == 1 or self._check_every_calls == 1:
                broken = counterexample(self.merge, decoded)
                if broken:
                    raise MergeFailed(f"the merge function {broken}")
            return codec.encode_value(self.merge(decoded))
        except MergeFailed:
            self._failed += 1
            raise
        except Exception as error:  # a user's function may raise anything
            self._failed += 1
            raise MergeFailed(
                f"the merge function raised {type(error).__name__}: {error}"
            ) from error

    def statistics(self) -> dict[str, object]:
        return {"merges_total": self._calls, "merges_failed_total": self._failed}
