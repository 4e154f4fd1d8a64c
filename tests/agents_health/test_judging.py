"""What looks at an agent lead to, by hand."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from quorate.core.errors import CorruptStorage
from quorate.hosts.agents.health import backup, restart
from quorate.hosts.agents.health.backup import Backup, Row
from quorate.hosts.agents.health.health import (
    CLEAN_AGAIN_S,
    STUCK_LOOKS,
    THROTTLE_LONGEST_S,
    Look,
    Order,
    Track,
    judge,
)
from quorate.hosts.agents.health.meter import Meter
from quorate.hosts.agents.health.weigh import OBJECTS_MAX, weigh

MB = 1024 * 1024


class Watch:
    """Looks once a second at one agent."""

    def __init__(self) -> None:
        self.track = Track()
        self.at = 100.0
        self.turns = 0

    def look(self, times: int = 1, **seen: Any) -> list[tuple[str, float]]:
        """(remedy, throttle) of all orders of so many looks."""
        orders: list[Order] = []
        for _ in range(times):
            self.at += 1.0
            self.turns += 1
            given: dict[str, Any] = {
                "at": self.at,
                "late": False,
                "lag_s": 0.0,
                "turns": self.turns,
                "queued": 0,
                "running_s": 0.0,
                "turn_limit_s": 30.0,
                "may_run": True,
                "busy_ratio": 0.0,
                "used_bytes": 0,
                "allowed_bytes": 10 * MB,
                "corrupt": "",
                **seen,
            }
            orders += judge(self.track, Look(**given))
        return [(order.remedy, order.throttle_s) for order in orders]


# --- memory ---------------------------------------------------------------------------------------


def test_an_agent_that_uses_too_much_is_asked_to_clean_up_and_not_at_every_look() -> None:
    watch = Watch()
    assert watch.look(5, used_bytes=8 * MB) == []
    assert watch.look(20, used_bytes=9 * MB) == [("clean_up", 0.0)]
    assert watch.track.findings == ["high_memory"]
    assert watch.look(used_bytes=int(8.5 * MB)) == [] and watch.track.findings == ["high_memory"]
    assert watch.look(used_bytes=7 * MB) == [] and watch.track.findings == []
    assert watch.look(used_bytes=9 * MB) == [("clean_up", 0.0)]


def test_an_agent_that_goes_up_and_down_around_the_line_is_cleaned_once() -> None:
    watch = Watch()
    orders = [watch.look(used_bytes=(9 if n % 2 else 8.5) * MB) for n in range(20)]
    assert sum(map(len, orders)) == 1


def test_one_that_stays_above_what_it_may_is_started_anew_in_the_end() -> None:
    watch = Watch()
    seconds = int(CLEAN_AGAIN_S)
    orders = watch.look(4 * seconds, used_bytes=12 * MB)
    assert [remedy for remedy, _ in orders] == ["clean_up"] * 3 + ["restart"]
    assert watch.look(4 * seconds, used_bytes=int(9.5 * MB), allowed_bytes=10 * MB)
    assert "restart" not in [r for r, _ in watch.look(10 * seconds, used_bytes=int(9.5 * MB))]


# --- the loop's time ------------------------------------------------------------------------------


def test_one_that_holds_others_up_is_throttled_more_and_more_and_let_go_again() -> None:
    watch = Watch()
    hog = {"busy_ratio": 0.9, "lag_s": 0.2}
    assert watch.look(2, **hog) == []
    assert watch.look(1, **hog) == [("throttle", 0.02)]
    assert watch.look(6, **hog) == [("throttle", 0.04), ("throttle", 0.08)]
    assert watch.look(100, **hog)[-1] == ("throttle", THROTTLE_LONGEST_S)
    assert watch.track.findings == ["high_cpu"]
    assert watch.look(20, busy_ratio=0.4) == []  # neither high nor fine: it stays
    assert watch.look(3, busy_ratio=0.1) == [("throttle", THROTTLE_LONGEST_S / 2)]
    assert watch.look(100, busy_ratio=0.1)[-1] == ("throttle", 0.0)
    assert watch.track.findings == []


def test_one_that_uses_an_idle_host_harms_nobody() -> None:
    assert Watch().look(100, busy_ratio=1.0, lag_s=0.01) == []


def test_a_short_burst_is_no_finding() -> None:
    watch = Watch()
    for _ in range(20):
        assert watch.look(2, busy_ratio=0.9, lag_s=0.2) == []
        assert watch.look(1) == []


# --- answering ------------------------------------------------------------------------------------


def test_a_turn_that_does_not_end_though_interrupted() -> None:
    watch = Watch()
    assert watch.look(1, running_s=34.0) == []
    assert watch.look(1, running_s=36.0) == []
    assert watch.look(1, running_s=37.0) == [("restart", 0.0)]
    assert Watch().look(100, running_s=1e6, turn_limit_s=None) == []


def test_a_mailbox_that_does_not_move() -> None:
    watch = Watch()
    stuck: dict[str, Any] = {"queued": 3, "turns": 7}
    assert watch.look(STUCK_LOOKS, **stuck) == []
    assert watch.look(1, **stuck) == [("restart", 0.0)]
    assert Watch().look(100, **{**stuck, "may_run": False}) == []
    assert Watch().look(100, **{**stuck, "running_s": 5.0}) == []
    assert Watch().look(100, queued=3) == []  # it moves
    assert Watch().look(100, turns=7) == []  # nothing waits


def test_a_host_that_is_starved_itself_judges_nobody() -> None:
    watch = Watch()
    assert watch.look(50, late=True, running_s=1e6) == []
    assert watch.look(50, late=True, queued=3, turns=7) == []
    assert watch.look(50, late=True, busy_ratio=1.0, lag_s=5.0) == []
    assert watch.look(1, running_s=1e6) == []  # and one look afterwards is not enough


def test_corrupted_state_is_restored_before_anything_else() -> None:
    watch = Watch()
    orders = watch.look(corrupt="2 and 2 is 5", used_bytes=20 * MB, running_s=1e6)
    assert orders == [("restore", 0.0)]


# --- restarts -------------------------------------------------------------------------------------


def test_restarts_come_later_and_later_and_end() -> None:
    times: list[float] = []
    waits: list[float] = []
    now = 0.0
    while (wait := restart.delay_s(times, now, 5, 60.0)) is not None:
        waits.append(wait)
        times.append(now)
        now += wait + 0.01
    assert [round(wait, 1) for wait in waits] == [0.0, 0.2, 0.6, 1.8, 5.4]
    assert restart.delay_s(times, 61.0, 5, 60.0) is not None  # the window slid on
    assert restart.delay_s([], 0.0, 1, 60.0) == 0.0
    assert [restart.trouble_s(n) for n in (1, 2, 3, 100)] == [0.2, 0.4, 0.8, 15.0]


# --- weights --------------------------------------------------------------------------------------


def test_weights_are_near_the_truth() -> None:
    assert weigh(["x" * 1000]) == sys.getsizeof("x" * 1000)
    assert weigh([[b"y" * 100_000 for _ in range(50)]]) == pytest.approx(50 * 100_000, rel=0.02)
    large = {n: b"z" * 1000 + bytes([n % 256]) * (n % 7) for n in range(20_000)}
    assert weigh([large]) == pytest.approx(20_000 * 1100, rel=0.2)


def test_weighing_ends_whatever_it_meets() -> None:
    ring: list[Any] = []
    ring.append(ring)
    assert weigh([ring]) < 1000
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    weigh([deep], OBJECTS_MAX)

    class Thing:
        def __init__(self) -> None:
            self.data = "d" * 5000
            self.cls = Thing
            self.module = sys

    assert 5000 < weigh([Thing()]) < 10_000


# --- the meter ------------------------------------------------------------------------------------


def test_the_meter_counts_running_and_not_waiting() -> None:
    now = [0.0]
    seen: list[Any] = []

    class Later:
        def __await__(self) -> Any:
            return (yield "wanted")

    async def work() -> str:
        now[0] += 2.0
        seen.append(await Later())
        now[0] += 3.0
        try:
            await Later()
        except ValueError as error:
            seen.append(error)
        return "done"

    meter = Meter(lambda: now[0])
    driven: Any = meter.drive(work())
    assert driven.send(None) == "wanted"
    now[0] += 100.0
    assert driven.send("given") == "wanted"
    now[0] += 100.0
    with pytest.raises(StopIteration) as ended:
        driven.throw(ValueError("no"))
    assert ended.value.value == "done"
    assert meter.used_s == 5.0 and seen[0] == "given" and str(seen[1]) == "no"


def test_the_meter_lets_errors_and_ends_through() -> None:
    async def fails() -> None:
        raise KeyError("x")

    meter = Meter(lambda: 0.0)
    driven: Any = meter.drive(fails())
    with pytest.raises(KeyError):
        driven.send(None)
    closed: list[bool] = []

    class Later:
        def __await__(self) -> Any:
            yield "wanted"

    async def waits() -> None:
        try:
            await Later()
        finally:
            closed.append(True)

    driven = meter.drive(waits())
    driven.send(None)
    driven.close()
    assert closed == [True]


# --- backups --------------------------------------------------------------------------------------


def made(number: int) -> Backup:
    rows = [Row("a", True, b"\x01"), Row("b", False, b"\x02")]
    return Backup(number, 1.5, 7, rows, b"\xf6")


def test_a_backup_comes_back_as_it_was() -> None:
    assert backup.unpack(backup.pack(made(3))) == made(3)


def test_one_wrong_bit_anywhere_is_noticed() -> None:
    data = backup.pack(made(3))
    for at in range(len(data)):
        for bit in (1, 128):
            wrong = bytearray(data)
            wrong[at] ^= bit
            with pytest.raises(CorruptStorage):
                backup.unpack(bytes(wrong))
    for size in range(len(data)):
        with pytest.raises(CorruptStorage):
            backup.unpack(data[:size])


def test_the_last_whole_one_counts() -> None:
    old, new = backup.pack(made(4)), backup.pack(made(5))
    assert backup.newest([old, new]) == made(5)
    assert backup.newest([old, new[:-1]]) == made(4)
    assert backup.newest([old[:-1], None]) is None
    places = [backup.place_of(number) for number in range(4)]
    assert places[0] != places[1] and places[:2] == places[2:]
