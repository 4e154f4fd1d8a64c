"""What agents acknowledged, did outside and heard, kept outside the hosts, and the verdict over it.
Pure.

The law of this file: every sale of a shop gives the shop's next total, so the totals that callers
were told are unique, grow with time and with the epochs of the agent, and are all in the final
total. The record is also the resource outside of the cluster: it takes an act only if nothing newer
of that name has acted. It judges what was recorded and knows nothing else.

Lines of a worker that are taken here:
    calls   tries: [name, ...] before they are sent,
            acks: [[name, total, epoch, began, ended], ...],
            failed: [[name, error, outcome, text, began, ended], ...]
    effect  name, token, n, what: begin or end
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

EXAMPLES_MAX = 8


class Ack(NamedTuple):
    """A sale that somebody was told of. Times are the machine's monotonic clock."""

    total: int
    epoch: int
    began: float
    ended: float
    host: str
    """Of the caller."""


class Failure(NamedTuple):
    """A call that ended with an error."""

    name: str
    error: str
    outcome: str
    text: str
    began: float
    ended: float
    host: str


class Effect(NamedTuple):
    """An act at the resource outside, in the order it came."""

    name: str
    token: int
    host: str
    number: int
    what: str
    """begin, end"""
    accepted: bool


class Heard(NamedTuple):
    """A message that was taken, in the order it was."""

    sender: str
    epoch: int
    number: int


@dataclass
class AgentVerdict:
    """What is wrong; `held` when nothing is."""

    lost: int = 0
    """Acknowledged, and not there."""
    doubled: int = 0
    """Told twice, or there and certainly never done."""
    disordered: int = 0
    """Totals that go back in time, or from a newer epoch to an older one."""
    overlapping: int = 0
    """Acts of one name at the resource that went on at the same time."""
    outdated: int = 0
    """Acts or messages of an old epoch that were accepted after a newer one."""
    checked: int = 0
    examples: list[str] = field(default_factory=list[str])

    @property
    def held(self) -> bool:
        return not (
            self.lost or self.doubled or self.disordered or self.overlapping or self.outdated
        )

    def note(self, kind: str, text: str, count: int = 1) -> None:
        """One more of a kind of wrong."""
        setattr(self, kind, getattr(self, kind) + count)
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(f"{kind}: {text}")

    def counts(self) -> dict[str, int]:
        kinds = ("lost", "doubled", "disordered", "overlapping", "outdated", "checked")
        return {kind: getattr(self, kind) for kind in kinds}


class AgentLedger:
    """Everything that the workers of a run said of their shops."""

    def __init__(self) -> None:
        self.acks: dict[str, list[Ack]] = {}
        self.tries: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self.refused: Counter[str] = Counter()
        """Sales that certainly did not happen."""
        self.effects: list[Effect] = []
        self.highest: dict[str, int] = {}
        """The highest token that the resource has seen of a name."""
        self.acked_count = 0
        self.on_ack: Callable[[str, Ack], None] = _nothing

    # --- taking down ------------------------------------------------------------------------------

    def on_calls(self, host: str, event: Mapping[str, Any]) -> None:
        self.tries.update(event.get("tries", ()))
        for name, total, epoch, began, ended in event.get("acks", ()):
            ack = Ack(int(total), int(epoch), began, ended, host)
            self.acks.setdefault(name, []).append(ack)
            self.acked_count += 1
            self.on_ack(name, ack)
        for name, error, outcome, text, began, ended in event.get("failed", ()):
            failure = Failure(name, error, outcome, text, began, ended, host)
            self.failures.append(failure)
            if failure.outcome == "not_applied":
                self.refused[failure.name] += 1

    def on_effect(self, host: str, event: Mapping[str, Any]) -> bool:
        """The resource: whether it takes the act."""
        name, token = str(event["name"]), int(event["token"])
        accepted = token >= self.highest.get(name, 0)
        if accepted:
            self.highest[name] = token
        self.effects.append(
            Effect(name, token, host, int(event["n"]), str(event["what"]), accepted)
        )
        return accepted

    # --- looking ----------------------------------------------------------------------------------

    def epochs(self, names: Iterable[str]) -> dict[str, int]:
        """The highest epoch that anybody was told of, by name."""
        return {name: max((a.epoch for a in self.acks.get(name, ())), default=0) for name in names}

    def answered_again(
        self, epochs: Mapping[str, int], at: float, before: float = float("inf")
    ) -> dict[str, float | None]:
        """Seconds from `at` until each name was first answered by a newer epoch than in `epochs`
        (and before `before`); None for those that were not."""
        found: dict[str, float | None] = {}
        for name, epoch in epochs.items():
            times = [
                ack.ended
                for ack in self.acks.get(name, ())
                if ack.epoch > epoch and at < ack.ended < before
            ]
            found[name] = min(times) - at if times else None
        return found

    def failed_between(self, began: float, ended: float) -> list[Failure]:
        """Calls that ended badly in a time."""
        return [one for one in self.failures if began <= one.ended <= ended]

    @property
    def turned_away(self) -> int:
        """Acts that the resource refused, because their token was old."""
        return sum(not effect.accepted for effect in self.effects)

    # --- the verdict ------------------------------------------------------------------------------

    def verify(self, final: Mapping[str, int | None]) -> AgentVerdict:
        """Judge everything. `final`: the strong total of each name, read when all was quiet."""
        verdict = AgentVerdict()
        for name, acks in self.acks.items():
            verdict.checked += len(acks)
            judge_totals(name, acks, verdict)
        for name in {*self.tries, *self.acks, *final}:
            if name in final:
                self._judge_final(name, final[name], verdict)
            elif self.acks.get(name):
                verdict.note("lost", f"{name}: nobody could say its final total")
        judge_effects(self.effects, verdict)
        return verdict

    def _judge_final(self, name: str, final: int | None, verdict: AgentVerdict) -> None:
        acks = self.acks.get(name, [])
        last = max((ack.total for ack in acks), default=0)
        least = max(last, len(acks))
        most = self.tries[name] - self.refused[name]
        if final is None or final < least:
            text = f"{name}: {least} were acknowledged, its final total is {final}"
            verdict.note("lost", text, least - (final or 0) or 1)
        elif final > most:
            text = f"{name}: its final total is {final}, and {most} can have happened"
            verdict.note("doubled", text, final - most)


def judge_totals(name: str, acks: Sequence[Ack], verdict: AgentVerdict) -> None:
    """Totals are unique, and grow with time and epochs."""
    ordered = sorted(acks)
    for one, other in pairwise(ordered):
        if one.total == other.total:
            verdict.note("doubled", f"{name}: {one.total} was told twice: {one}, {other}")
        if one.epoch > other.epoch:
            text = f"{name}: {other.total} of epoch {other.epoch} after {one.total} of {one.epoch}"
            verdict.note("disordered", text)
    first_end = float("inf")
    for ack in reversed(ordered):  # of those with greater totals, the first one that was told
        if first_end < ack.began:
            text = f"{name}: {ack.total} was asked for after a greater total had been told"
            verdict.note("disordered", text)
        first_end = min(first_end, ack.ended)


def judge_effects(effects: Iterable[Effect], verdict: AgentVerdict) -> None:
    """What the resource took of a name never went back to an older token, and never overlapped."""
    highest: dict[str, Effect] = {}
    open_: dict[str, Effect] = {}
    for effect in effects:
        if not effect.accepted:
            continue
        verdict.checked += 1
        name, newest = effect.name, highest.get(effect.name)
        if newest is not None and effect.token < newest.token:
            text = f"{name}: token {effect.token} was taken after {newest.token}"
            verdict.note("outdated", text)
        elif newest is not None and effect.token == newest.token and effect.host != newest.host:
            text = f"{name}: {effect.host} and {newest.host} both show token {effect.token}"
            verdict.note("overlapping", text)
        if newest is None or effect.token >= newest.token:
            highest[name] = effect
        _judge_span(effect, open_, verdict)


def _judge_span(effect: Effect, open_: dict[str, Effect], verdict: AgentVerdict) -> None:
    """An act that is open is ended by its own end, or cut off by a newer token's begin."""
    name, present = effect.name, open_.get(effect.name)
    if effect.what == "begin":
        if present is not None and present.token >= effect.token:
            text = f"{name}: act {effect.number} began while {present.number} went on"
            verdict.note("overlapping", f"{text}, tokens {effect.token} and {present.token}")
        open_[name] = effect
    elif present is not None and (present.token, present.number) == (effect.token, effect.number):
        del open_[name]
    elif present is not None:
        text = f"{name}: act {effect.number} ended while {present.number} went on"
        verdict.note("overlapping", f"{text}, tokens {effect.token} and {present.token}")


def judge_heard(heard: Iterable[Heard], verdict: AgentVerdict) -> None:
    """Nothing of an old epoch is taken after a newer one; what an epoch says stays in order, and
    comes once."""
    last: dict[str, Heard] = {}
    for one in heard:
        verdict.checked += 1
        before = last.get(one.sender)
        if before is not None and one.epoch < before.epoch:
            text = f"{one.sender}: a message of epoch {one.epoch} was taken after {before.epoch}"
            verdict.note("outdated", text)
            continue
        if before is not None and one.epoch == before.epoch and one.number <= before.number:
            kind = "doubled" if one.number == before.number else "disordered"
            verdict.note(kind, f"{one.sender}: {one.number} was taken after {before.number}")
        last[one.sender] = one


def judge_lines(
    lines: Iterable[Sequence[Any]], answered: Mapping[str, Iterable[int]], verdict: AgentVerdict
) -> None:
    """What an agent wrote down, as [sender, number]: each sender's numbers in order, each once, and
    all that were answered."""
    seen: dict[str, list[int]] = {}
    for sender, number in lines:
        verdict.checked += 1
        before = seen.setdefault(str(sender), [])
        if before and number <= before[-1]:
            kind = "doubled" if number in before else "disordered"
            verdict.note(kind, f"line {number} of {sender} after {before[-1]}")
        before.append(int(number))
    for sender, numbers in answered.items():
        missing = set(numbers) - set(seen.get(sender, ()))
        if missing:
            text = f"lines of {sender} that were answered are missing: {sorted(missing)[:5]}"
            verdict.note("lost", text, len(missing))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which so many percent are; 0.0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _nothing(name: str, ack: Ack) -> None:
    return None
