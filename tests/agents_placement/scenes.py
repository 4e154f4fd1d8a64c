"""Hosts and demands as values, and what must hold of every choice among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from quorate.hosts.agents.placement.choose import BOUND, Field
from quorate.hosts.agents.placement.counts import Counts
from quorate.hosts.agents.placement.demand import Demand, demand
from quorate.hosts.agents.placement.views import HostView, Load

ANY = demand("shop")
"""What an agent needs that needs nothing but its class."""


def host(name: str, **what: Any) -> HostView:
    """A host that runs shops and is idle; its lease is a number of its own."""
    lease = int.from_bytes(name.encode(), "big")
    given: dict[str, Any] = {"classes": {"shop": 1}, "load": Load(), **what}
    return HostView(name, lease, **given)


def hosts(number: int, **what: Any) -> list[HostView]:
    return [host(f"h{at}", **what) for at in range(number)]


def names(number: int, kind: str = "agent") -> list[str]:
    return [f"{kind}:{at}" for at in range(number)]


def place_all(
    wanted: Iterable[str],
    field: Field,
    counts: Counts,
    what: Demand = ANY,
) -> dict[str, HostView]:
    """Place them one after the other; each counts for the next."""
    placed: dict[str, HostView] = {}
    for name in wanted:
        found = field.find(name, what, counts)
        assert found is not None, f"no room for {name}"
        counts.take(found.lease, what)
        placed[name] = found
    return placed


def check_bound(field: Field, counts: Counts) -> None:
    """No host has more than its bounded share of all agents there are."""
    total = sum(counts.agents.values())
    weight = sum(one.weight for one in field.standings)
    for one in field.standings:
        share = BOUND * total * one.weight / weight
        assert counts.agents.get(one.lease, 0) <= share + 1, f"{one.id} has more than its share"


def check_quotas(field: Field, counts: Counts) -> None:
    """No host gave out more than it has."""
    for one in field.standings:
        for name, total in one.view.capacity.items():
            used = counts.used(one.lease, name)
            assert used <= total + 1e-6, f"{one.id} gave out {used} of {total} {name}"


# --- anything at all ------------------------------------------------------------------------------

ratios = st.floats(0, 1)
loads = st.none() | st.builds(
    Load, cpu=ratios, memory=ratios, lag_s=st.floats(0, 1), age_s=st.floats(0, 10)
)


@st.composite
def views(draw: st.DrawFn, name: str, *, always: bool = False) -> HostView:
    """Any host; `always`: one that can run shops."""
    return host(
        name,
        load=draw(loads),
        labels=draw(st.sampled_from([{}, {"zone": "east"}, {"zone": "west"}])),
        capacity=draw(st.sampled_from([{}, {"memory_mb": 4000}, {"slots": 40}, {"gpu": 2}])),
        classes={"shop": 1} if always else draw(st.sampled_from([{}, {"shop": 1}, {"shop": 2}])),
        draining=False if always else draw(st.booleans()),
        reachable=True if always else draw(st.sampled_from([True, True, False])),
        rtt_s=draw(st.none() | st.floats(0, 0.5)),
    )


@st.composite
def fields(draw: st.DrawFn, *, most: int = 8, always: bool = False) -> Field:
    number = draw(st.integers(1, most))
    return Field([draw(views(f"h{at}", always=always)) for at in range(number)])


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    return demand(
        "shop",
        draw(st.integers(1, 2)),
        resources=draw(
            st.sampled_from([{}, {"memory_mb": 100}, {"slots": 3}, {"gpu": 1}, {"slots": 0}])
        ),
        hints=draw(
            st.sampled_from(
                [
                    {},
                    {"host": "h0"},
                    {"near": "friend"},
                    {"avoid": ["h0", "friend"]},
                    {"spread": "group"},
                    {"avoid": "h1", "spread": "group"},
                ]
            )
        ),
        needs=draw(st.sampled_from([{}, {"zone": "east"}, {"host": "h1"}])),
    )
