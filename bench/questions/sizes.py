"""What does the size of a value do to writes and reads?

The law of this file: one group, one size after the other; everything is asked at the leader. Fewer
calls are in flight and fewer keys are written where values are large (`in_flight_of`, `keys_of`),
so that neither a queue's limit in bytes nor the disk's cache is what is measured. A size above the
product's own limit of a value is not asked and is named.
"""

from __future__ import annotations

from typing import Any

from quorate.bench.load import Load, summary_of
from quorate.bench.questions.base import Context
from quorate.bench.systems.growth_group import GrowthGroup
from quorate.core.machine.limits import VALUE_BYTES_MAX

IN_FLIGHT = 64
IN_FLIGHT_BYTES_MAX = 8_000_000
KEYS_MIN, KEYS_MAX = 16, 4_000
KEYS_BYTES_MAX = 16_000_000
CODED_BYTES_MAX = 16
"""What the encoding adds to a value at most."""

OPS = (
    ("strong write", "keys"),
    ("linearizable read", "keys"),
    ("eventual write", "store"),
    ("local read", "store"),
)
"""(operation, what is filled for it)."""


def in_flight_of(size: int) -> int:
    """Calls in flight with values of `size` bytes."""
    return max(1, min(IN_FLIGHT, IN_FLIGHT_BYTES_MAX // size))


def keys_of(size: int) -> int:
    """Keys with values of `size` bytes."""
    return max(KEYS_MIN, min(KEYS_MAX, KEYS_BYTES_MAX // size))


async def ask(context: Context) -> None:
    """Every size; one caller for the time of a call, many for the rate."""
    found: dict[str, Any] = {"rows": [], "limit_bytes": VALUE_BYTES_MAX, "not_asked": []}
    context.found["sizes"] = found
    async with context.growth_group() as group:
        await group.prepare(agents=False)
        for size in context.plan.value_sizes:
            if size + CODED_BYTES_MAX > VALUE_BYTES_MAX:
                found["not_asked"].append(size)
                continue
            await of_size(context, group, size, found)


async def of_size(context: Context, group: GrowthGroup, size: int, found: dict[str, Any]) -> None:
    """All operations with values of `size` bytes."""
    leader, many, keys = await group.leader(), in_flight_of(size), keys_of(size)
    for thing in ("keys", "store"):
        await group.fill(thing, 0, keys, in_flight=max(1, many // 3), value_bytes=size)
    await group.even()
    for op, _ in OPS:
        places = (0,) if op == "local read" else tuple(dict.fromkeys((1, many)))
        for in_flight in places:
            loads: list[Load] = []
            for _ in range(context.plan.repetitions):
                work = {"op": op, "count": keys, "value_bytes": size, "in_flight": in_flight}
                load, _ = await group.use(leader, **work, **context.plan.brief)
                loads.append(load)
            if op == "eventual write":
                await group.even()
            row = _row(op, size, in_flight, loads)
            found["rows"].append(row)
            context.say(
                f"sizes: {size:,} bytes: {op}, {in_flight or 'bursts'} in flight: "
                f"{row['ops_per_s']:,.0f}/s, p50 {row['p50_us']:,.0f} us"
            )


def _row(op: str, size: int, in_flight: int, loads: list[Load]) -> dict[str, Any]:
    found = summary_of(loads)
    return {
        "op": op,
        "value_bytes": size,
        "in_flight": in_flight,
        "mb_per_s": found["ops_per_s"] * size / 1e6,
        **found,
    }
