"""The laboratory: experiments on engines and clusters, from outside.

result = await chaos.run(workload="register", nemesis="isolate-leader", seconds=20, seed=7)
assert result.verdict == "held", result.text()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quorate.chaos.running.options import RunResult


async def run(**options: Any) -> RunResult:
    """One run through real processes and a real Toxiproxy; `options` are those of
    `quorate.chaos.running.options.RunOptions`, and `say`, which is told how it goes. Raises
    `UsageError`; a laboratory that fails is an `invalid` result."""
    from quorate.chaos.running.options import RunOptions
    from quorate.chaos.running.progress import quiet
    from quorate.chaos.running.runner import run as run_one

    say = options.pop("say", quiet)
    return await run_one(RunOptions(**options), say)
