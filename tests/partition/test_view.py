"""What a host makes of its links: changes that last, and nothing else."""

from __future__ import annotations

import pytest

from quorate.hosts.partition_view import Links, PartitionEvent, PartitionView

VOTERS = ("a", "b", "c", "d", "e")


class Story:
    """Host a of five; `cut` and `heal` change links, `wait` looks every tenth of a second."""

    settle_s = 0.5

    def __init__(self, voters: tuple[str, ...] = VOTERS) -> None:
        self.view = PartitionView("a", settle_s=self.settle_s, wall=1000.0)
        self.voters = voters
        self.to = dict.fromkeys((v for v in voters if v != "a"), True)
        self.back = dict(self.to)
        self.now = 0.0
        self.told: list[PartitionEvent] = []

    def cut(self, *peers: str, one_way: str = "") -> Story:
        for peer in peers:
            self.to[peer] = one_way == "to"
            self.back[peer] = one_way == "from"
        return self

    def heal(self, *peers: str) -> Story:
        for peer in peers:
            self.to[peer] = self.back[peer] = True
        return self

    def wait(self, seconds: float) -> Story:
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            links = Links(dict(self.to), dict(self.back), self.voters)
            self.told += self.view.observe(links, self.now, 1000 + self.now)
        return self

    @property
    def kinds(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(event.kind, event.peers) for event in self.told]


def test_a_reconnect_is_not_a_partition() -> None:
    story = Story().wait(1)
    for _ in range(20):
        story.cut("b").wait(0.3).heal("b").wait(0.3)
    assert story.told == []
    assert story.view.status().state == "whole"


def test_a_cut_that_lasts_is_told_once_with_its_peers_and_time() -> None:
    story = Story().wait(1).cut("d", "e").wait(5)
    assert story.kinds == [("partitioned", ("d", "e"))]
    event = story.told[0]
    assert event.at == pytest.approx(1001.1)
    status = event.status
    assert (status.state, status.reaches_quorum) == ("majority_side", True)
    assert (status.reachable, status.unreachable) == (("b", "c"), ("d", "e"))


def test_the_other_side_is_the_minority_and_alone_is_isolated() -> None:
    story = Story().wait(1).cut("b", "c", "d").wait(1)
    assert story.view.status().state == "minority"
    assert not story.view.status().reaches_quorum
    story.cut("e").wait(1)
    assert story.view.status().state == "isolated"
    assert story.kinds[1] == ("partitioned", ("e",))


def test_two_equal_halves_are_both_minorities() -> None:
    story = Story(("a", "b", "c", "d")).cut("c", "d").wait(1)
    assert story.view.status().state == "minority"


def test_one_way_is_no_way_and_says_which() -> None:
    story = Story().cut("b", one_way="to").cut("c", one_way="from").wait(1)
    assert story.view.status().one_way == {"b": "to", "c": "from"}
    assert story.kinds == [("partitioned", ("b", "c"))]


def test_a_heal_says_how_long_it_lasted() -> None:
    story = Story().wait(1).cut("d", "e").wait(10).heal("d").wait(2).heal("e").wait(2)
    assert story.kinds[1:] == [("healed", ("d",)), ("healed", ("e",))]
    assert story.told[1].lasted_s == pytest.approx(10.5, abs=0.11)
    assert [event.number for event in story.told] == [1, 2, 3]
    assert story.view.status().state == "whole"
    assert story.view.status().since == pytest.approx(1000 + story.now, abs=2)


def test_a_blip_of_the_link_is_not_a_heal() -> None:
    story = Story().cut("b").wait(1).heal("b").wait(0.3).cut("b").wait(2)
    assert story.kinds == [("partitioned", ("b",))]


def test_who_is_no_member_any_more_is_not_away() -> None:
    story = Story().cut("e").wait(1)
    story.voters = ("a", "b", "c", "d")
    del story.to["e"], story.back["e"]
    story.wait(1)
    assert story.view.status().state == "whole"


def test_a_host_alone_is_whole() -> None:
    status = Story(("a",)).wait(1).view.status()
    assert (status.state, status.reaches_quorum) == ("whole", True)


def test_without_settling_a_flapping_link_floods(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: every change counts at once."""
    monkeypatch.setattr(Story, "settle_s", 0.0)
    with pytest.raises(AssertionError):
        test_a_reconnect_is_not_a_partition()
    with pytest.raises(AssertionError):
        test_a_blip_of_the_link_is_not_a_heal()
