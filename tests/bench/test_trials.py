"""Single calls at a slow pace: what is answered, what is raised, and when."""

from __future__ import annotations

import asyncio
import json

from quorate.bench.trials import Trial, together, trial

MS = 1_000_000


def test_an_error_is_no_fast_success() -> None:
    async def call(n: int) -> None:
        if n % 4 == 0:
            raise ValueError("no")

    found = asyncio.run(trial(call, per_s=1000, seconds=0.02))
    assert (found.calls, found.answered.count) == (20, 15)
    assert found.share == 0.75
    assert {kind: one.count for kind, one in found.errors.items()} == {"ValueError": 5}


def test_a_call_that_hangs_holds_up_no_other_and_is_waited_for() -> None:
    async def story() -> Trial:
        released = asyncio.Event()

        async def call(n: int) -> None:
            if n == 0:
                await released.wait()
                raise TimeoutError
            if n == 19:
                released.set()

        return await trial(call, per_s=1000, seconds=0.02)

    found = asyncio.run(story())
    assert found.answered.count == 19
    assert found.errors["TimeoutError"].max_ns >= 19 * MS


def test_trials_of_several_hosts_are_joined_as_histograms() -> None:
    one = Trial.of([("", 2 * MS), ("NoQuorum", 5 * MS)])
    other = Trial.of([("", 4 * MS), ("OutcomeUnknown", 9 * MS), ("NoQuorum", 7 * MS)])
    rows = [Trial.from_json(json.loads(json.dumps(each.to_json()))) for each in (one, other)]
    found = together(rows)
    assert (found.calls, found.answered.count, found.answered.max_ns) == (5, 2, 4 * MS)
    assert {kind: each.count for kind, each in found.errors.items()} == {
        "NoQuorum": 2,
        "OutcomeUnknown": 1,
    }
    assert found.share == 0.4
