"""The law suite as a Hypothesis machine over `Story`, for real kinds and planted ones alike."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from quorate.consistency.crdt.base import Crdt
from tests.crdt.story import Story

WHO = st.integers(0, 2)
SMALL = st.integers(0, 3)
WHAT = st.integers(0, 7)
NUMBER = st.integers(0, 6)


def machine_of(make: Callable[..., Crdt]) -> type[RuleBasedStateMachine]:
    """The machine for CRDTs that `make` gives."""

    class Laws(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.story = Story(make)

        @initialize(whats=st.lists(st.tuples(WHO, WHAT, SMALL), min_size=3, max_size=5))
        def begin(self, whats: list[tuple[int, int, int]]) -> None:
            for who, what, small in whats:
                self.story.operate(who, what, small, 1)

        @rule(who=WHO, a=WHAT, b=SMALL, stamp=st.integers(1, 3))
        def operate(self, who: int, a: int, b: int, stamp: int) -> None:
            self.story.operate(who, a, b, stamp)

        @rule(who=WHO, a=WHAT, b=SMALL, stamp=st.integers(1, 3))
        def operate_again(self, who: int, a: int, b: int, stamp: int) -> None:
            self.story.operate(who, a, b, stamp)

        @rule(to=WHO, number=NUMBER)
        def deliver(self, to: int, number: int) -> None:
            self.story.deliver(to, number)

        @rule(to=WHO, first=NUMBER, second=NUMBER)
        def deliver_group(self, to: int, first: int, second: int) -> None:
            self.story.deliver_group(to, first, second)

        @rule(to=WHO, source=WHO)
        def sync(self, to: int, source: int) -> None:
            self.story.sync(to, source)

        @rule(one=WHO, two=WHO, a=WHAT, b=SMALL, c=WHAT, d=SMALL)
        def race(self, one: int, two: int, a: int, b: int, c: int, d: int) -> None:
            """Two that know the same act apart, one collects, they meet."""
            self.story.sync(one, two)
            self.story.sync(two, one)
            self.story.operate(one, a, b, 1)
            self.story.operate(two, c, d, 1)
            self.story.collect(two)
            self.story.sync(one, two)

        @rule(to=WHO, number=NUMBER)
        def late(self, to: int, number: int) -> None:
            """The newer delta first, and a collection between the two."""
            self.story.deliver(to, number)
            self.story.collect(to)
            self.story.deliver(to, number + 1)

        @rule(who=WHO)
        def wipe(self, who: int) -> None:
            self.story.wipe(who)

        @rule(who=WHO, a=WHAT, b=SMALL)
        def forget(self, who: int, a: int, b: int) -> None:
            """A guest's copy is dropped once everybody has what it did; then it is asked again."""
            for other in range(3):
                self.story.sync(other, who)
            self.story.forget(who)
            self.story.operate(who, a, b, 2)

        @rule(who=WHO)
        def collect(self, who: int) -> None:
            self.story.collect(who)

        @rule()
        def laws(self) -> None:
            self.story.check_laws()

        def teardown(self) -> None:
            self.story.end()

    return Laws
