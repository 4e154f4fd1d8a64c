"""Cluster, members, names, locks, snapshots, probes and metrics."""

from __future__ import annotations

import aiohttp

from tests.admin.stub import StubPort, run


def test_the_cluster_is_shown_with_lag_and_where_the_leader_is_administered() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        body = await (await http.get(f"{url}/v1/cluster")).json()
        assert (body["leader"], body["leader_admin"]) == ("b", "127.0.0.1:7502")
        assert [(m["id"], m["lag"], m["admin"]) for m in body["members"]] == [
            ("a", 0, None),
            ("b", 2, "127.0.0.1:7502"),
        ]
        reach = await (await http.get(f"{url}/v1/cluster/reachability")).json()
        assert reach["a"]["b"]["rtt_ms"] == 0.2

    run(story)


def test_members_come_and_go_and_the_leadership_is_handed_over() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        new = {"id": "d", "address": "127.0.0.1:7404"}
        assert (await (await http.post(f"{url}/v1/members", json=new)).json())["role"] == "voter"
        learner = {**new, "role": "learner"}
        assert (await http.post(f"{url}/v1/members", json=learner)).status == 200
        assert (await http.delete(f"{url}/v1/members/d")).status == 200
        assert (await http.delete(f"{url}/v1/members/nobody")).status == 404
        answer = await http.post(f"{url}/v1/leader:transfer", json={"to": "b"})
        assert (await answer.json())["leader"] == "b"
        assert (await (await http.post(f"{url}/v1/leader:transfer")).json())["leader"] == "c"
        assert [call[0] for call in port.calls[:2]] == ["member_add", "member_add"]

    run(story)


def test_an_order_with_a_wrong_field_is_refused() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        for body in ({}, {"id": "d"}, {"id": 4, "address": "x:1"}, {"idd": "d"}, [], "text"):
            assert (await http.post(f"{url}/v1/members", json=body)).status == 400
        wrong_role = {"id": "d", "address": "x:1", "role": "king"}
        assert (await http.post(f"{url}/v1/members", json=wrong_role)).status == 400
        assert port.calls == []

    run(story)


def test_names_locks_elections_and_snapshots_are_listed() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        page = await (await http.get(f"{url}/v1/names?prefix=cart:&pattern=*7&limit=1")).json()
        assert page == {"names": [{"name": "cart:7", "value": {"$bytes": "AQ=="}}], "more": True}
        assert port.calls == [("names", "cart:", "*7", 2)]
        assert (await (await http.get(f"{url}/v1/names/cart/7")).json())["name"] == "cart/7"
        assert (await http.get(f"{url}/v1/names/cart/9")).status == 404
        assert (await (await http.get(f"{url}/v1/locks")).json())["locks"][0]["token"] == 5
        assert (await (await http.get(f"{url}/v1/elections")).json())["elections"][0]["term"] == 2
        assert (await (await http.get(f"{url}/v1/snapshots")).json())["snapshots"][0]["index"] == 9
        assert (await (await http.post(f"{url}/v1/snapshots")).json())["index"] == 10

    run(story)


def test_a_host_is_ready_only_while_it_can_serve() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        assert (await http.get(f"{url}/readyz")).status == 200
        port.status_more = {"in_service": False, "failure": "its digest differs"}
        async with http.get(f"{url}/readyz") as answer:
            assert answer.status == 503
            assert "its digest differs" in (await answer.json())["detail"]
        port.status_more, port.leader = {}, None
        async with http.get(f"{url}/readyz") as answer:
            assert answer.status == 503
            assert "no leader" in (await answer.json())["detail"]
        assert (await http.get(f"{url}/livez")).status == 200

    run(story)


def test_metrics_carry_status_and_statistics_with_labels() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        text = await (await http.get(f"{url}/metrics")).text()
        assert 'quorate_term{host="a"} 3.0' in text
        assert 'quorate_is_leader{host="a"} 0.0' in text
        assert 'quorate_member_lag_entries{host="a",member="b"} 2.0' in text
        assert 'quorate_wire_peers_frames_total{host="a",peer="b"} 7.0' in text
        assert "# TYPE quorate_wire_peers_frames_total counter" in text
        assert 'quorate_proposer_waiting{host="a"} 2.0' in text
        assert "state" not in text

    run(story)


def test_two_hosts_in_one_process_do_not_share_metrics() -> None:
    async def story(port: StubPort, http: aiohttp.ClientSession, url: str) -> None:
        assert "quorate_term" in await (await http.get(f"{url}/metrics")).text()

    run(story)
    run(story)
