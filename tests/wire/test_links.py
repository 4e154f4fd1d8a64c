"""Links: lost, cut one way, led elsewhere, claimed twice, and found again."""

from __future__ import annotations

import asyncio
from typing import Any

from quorate.core.wire import WireLimits
from tests.wire.hosts import Proxy, cluster, connected, make, run, until


def test_a_restarted_host_is_met_again_at_once_and_nothing_old_is_delivered() -> None:
    async def story() -> None:
        a, b = make("a", limits=WireLimits()), make("b", limits=WireLimits())
        async with cluster(a, b):
            assert b.address is not None
            await b.close()
            await until(lambda: a.heard.downs == ["b"], "a sees b go")
            assert not a.send("b", {"lost": True})
            again = make("b", {"a": a.address or ""}, listen=b.address, limits=WireLimits())
            started = asyncio.get_running_loop().time()
            await again.start()
            try:
                await connected(a, again)
                assert asyncio.get_running_loop().time() - started < 2
                assert a.heard.ups == ["b", "b"]
                assert a.send("b", {"n": 1})
                await until(lambda: again.heard.messages, "a message")
                assert again.heard.messages == [("a", {"n": 1})]
                assert not a.heard.problems
            finally:
                await again.close()

    run(story())


def test_a_process_killed_without_a_word_is_replaced_by_its_restart() -> None:
    """The old connection is still there (nothing ends it): it is replaced once it is silent."""

    async def story() -> None:
        a, b = make("a"), make("b")
        async with cluster(a, b):
            proxy = await Proxy(a.address or "").start()
            try:
                b.set_override("a", proxy.address)
                await until(lambda: proxy.connections == 1 and b.is_up("a"), "through the proxy")
                proxy.cut()
                old = a._peers["b"].inbound
                await b.close()  # its connection to a hangs in the proxy
                again = make("b", {"a": a.address or ""}, listen=b.address)
                await again.start()
                try:
                    await connected(a, again)
                    assert a._peers["b"].inbound is not old
                    proxy.heal()  # the late bytes of the old connection
                    a_messages = len(a.heard.messages)
                    assert again.send("a", {"n": 2})
                    await until(lambda: len(a.heard.messages) > a_messages, "a new message")
                    assert a.heard.messages == [("b", {"n": 2})]
                finally:
                    await again.close()
            finally:
                await proxy.close()

    run(story())


def test_two_processes_with_one_id_are_found_and_both_are_told() -> None:
    async def story() -> None:
        a, b = make("a"), make("b")
        async with cluster(a, b):
            twin = make("b", {"a": a.address or ""})
            await twin.start()
            try:
                await until(lambda: twin.heard.problems, "the twin is told")
                await until(lambda: a.heard.problems, "the acceptor says so")
                await until(lambda: b.heard.problems, "the first one is told")
                for heard in (a.heard, b.heard, twin.heard):
                    assert "two processes run with the host id 'b'" in heard.problems[0][1]
                assert not twin.is_up("a")
                assert twin.heard.ups == []
                assert not twin.send("a", {"evil": 1})
                assert b.send("a", {"good": 1})
                await until(lambda: a.heard.messages, "the first one works on")
                assert a.heard.messages == [("b", {"good": 1})]
            finally:
                await twin.close()

    run(story())


def test_a_link_can_be_led_through_a_proxy_and_back() -> None:
    async def story() -> None:
        a, b = make("a"), make("b")
        async with cluster(a, b):
            proxy = await Proxy(b.address or "").start()
            try:
                a.set_override("b", proxy.address)
                await until(lambda: proxy.connections == 1 and a.is_up("b"), "through the proxy")
                assert a.reachability()["b"]["address"] == proxy.address
                assert a.peers["b"] == b.address
                a.send("b", {"by": "proxy"})
                await until(lambda: len(b.heard.messages) == 1, "a message through the proxy")
                a.set_override("b", None)
                await until(lambda: a.is_up("b"), "back on the direct way")
                a.send("b", {"by": "itself"})
                await until(lambda: len(b.heard.messages) == 2, "a message on the direct way")
                assert proxy.connections == 1
                assert b.is_up("a")
                assert b.heard.downs == []
            finally:
                await proxy.close()

    run(story())


def test_what_was_heard_of_a_peer_is_counted_over_all_its_connections() -> None:
    async def story() -> None:
        a, b = make("a"), make("b")

        def heard() -> dict[str, int]:
            counts: Any = b.statistics()["heard"]
            return counts["a"]

        async with cluster(a, b):
            assert a.send("b", {"body": "x" * 1000})
            await until(lambda: len(b.heard.messages) == 1, "the message")
            before = heard()
            assert before["bytes"] > 1000 and before["connections"] == 1
            proxy = await Proxy(str(b.address)).start()
            a.set_override("b", proxy.address)
            await until(lambda: heard()["connections"] == 2, "another connection")
            await connected(a, b)
            assert a.send("b", {"body": "x" * 1000})
            await until(lambda: len(b.heard.messages) == 2, "the message")
            after = heard()
            assert after["bytes"] > before["bytes"] + 1000 and after["reads"] > before["reads"]
            links: Any = a.statistics()["links"]
            assert links["b"]["rtt_last_ms"] > 0
            await proxy.close()

    run(story())


def test_a_one_way_cut_shows_on_both_sides_and_the_good_way_does_not_flap() -> None:
    async def story() -> None:
        limits = WireLimits(ping_interval_s=0.05, link_silence_max_s=0.4, dial_deadline_s=0.3)
        a, b = make("a", limits=limits), make("b", limits=limits)
        async with cluster(a, b):
            proxy = await Proxy(b.address or "").start()
            try:
                a.set_override("b", proxy.address)
                await until(lambda: proxy.connections == 1 and a.is_up("b"), "through the proxy")
                await connected(a, b)
                connects = b._links["a"].connects
                proxy.cut()
                await until(lambda: not a.is_up("b"), "a gives its silent link up")

                def age(mesh: Any, peer: str, name: str) -> float:
                    return float(mesh.reachability()[peer][name] or 0.0)

                await until(lambda: age(b, "a", "last_heard_s") > 0.4, "b hears nothing of a")
                assert age(a, "b", "last_heard_s") < 0.3
                assert not a.reachability()["b"]["connected"]
                assert b.reachability()["a"]["connected"]
                # b's own link carries (acks come back on it): it stays although no pong comes
                await until(lambda: age(b, "a", "rtt_age_s") > 1.0, "b's round trips end")
                assert age(b, "a", "acknowledged_s") < 0.4
                assert b._links["a"].connects == connects
                assert b.heard.downs == []
                assert b.send("a", {"still": "carried"})
                await until(lambda: a.heard.messages, "b's message")
                proxy.heal()
                await connected(a, b)
                await until(lambda: age(b, "a", "rtt_age_s") < 0.3, "round trips again")
            finally:
                await proxy.close()

    run(story())


def test_a_peer_that_is_dropped_is_cut_off_and_may_not_come_back() -> None:
    async def story() -> None:
        a, b = make("a"), make("b")
        async with cluster(a, b):
            a.drop_peer("b")
            assert a.heard.downs == ["b"]
            assert not a.send("b", {})
            await until(
                lambda: any("not a known peer" in text for _peer, text in b.heard.problems),
                "b is told",
            )
            assert not b.is_up("a")
            a.add_peer("b", b.address or "")
            await connected(a, b)

    run(story())


def test_a_name_that_resolves_to_nothing_is_said_and_tried_again() -> None:
    async def story() -> None:
        a, b = make("a"), make("b")
        async with cluster(a, b):
            a.add_peer("ghost", "no-such-host.invalid:7000")
            problem = ""

            def said() -> bool:
                nonlocal problem
                problem = str(a.reachability()["ghost"]["problem"])
                return "does not resolve" in problem

            await until(said, "the problem is said")
            assert "no-such-host.invalid" in problem
            assert a.send("b", {"n": 1})
            await until(lambda: b.heard.messages, "others go on")

    run(story())


def test_a_resolver_that_hangs_is_asked_once() -> None:
    async def story() -> None:
        limits = WireLimits(dial_deadline_s=0.02, backoff_max_s=0.06)
        a = make("a", limits=limits)
        loop = asyncio.get_running_loop()
        asked: list[str] = []
        answer = loop.create_future()

        async def getaddrinfo(host: str, *_: Any, **__: Any) -> Any:
            asked.append(host)
            return await answer

        async with cluster(a):
            loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
            a.add_peer("slow", "slow.example:1")
            tries = a._shared.sequence if a._shared else 0
            await until(lambda: a._shared and a._shared.sequence > tries + 5, "six tries")
            assert asked == ["slow.example"]
            answer.set_result([])

    run(story())


def test_a_host_that_itself_slept_does_not_blame_its_links() -> None:
    async def story() -> None:
        class Jumping:
            ahead_s = 0.0

            def monotonic(self) -> float:
                return asyncio.get_running_loop().time() + self.ahead_s

            def wall(self) -> float:
                return 0.0

        clock = Jumping()
        a, b = make("a", clock=clock), make("b")
        async with cluster(a, b):
            for _ in range(10):  # an ack that was on its way when it slept would hide one of them
                clock.ahead_s += 60.0
                await until(lambda: (a.reachability()["b"]["acknowledged_s"] or 9) < 1, "an ack")
            assert a.heard.downs == []

    run(story())
