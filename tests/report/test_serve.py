"""The server over a folder of runs: the list, each report, the latest, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from quorate.chaos.report.page import write_report
from quorate.chaos.report.serve import serve
from quorate.core.errors import ConfigError
from tests.report.tell import parse
from tests.report.world import Scene, make

Visit = Callable[[aiohttp.ClientSession, str], Awaitable[None]]


def visit(folder: Path, story: Visit) -> None:
    """Serve the folder, tell the story, end."""

    async def main() -> None:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server = asyncio.create_task(serve(folder, on_ready=ready.set_result))
        try:
            await asyncio.wait({server, ready}, return_when=asyncio.FIRST_COMPLETED)
            async with aiohttp.ClientSession() as session:
                await story(session, await ready)
        finally:
            server.cancel()
            await asyncio.wait({server})

    asyncio.run(asyncio.wait_for(main(), 30))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    scene = Scene(seconds=1.5, cuts=())
    for name in ("20260101-000000-register-none-1", "20260102-000000-register-none-2"):
        made = make(scene)
        made.run["verdict"] = "held" if name.endswith("1") else "broken"
        write_report(made.write(tmp_path / name))
    (tmp_path / "latest").symlink_to("20260102-000000-register-none-2")
    (tmp_path / "not-a-run").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path


async def text(session: aiohttp.ClientSession, url: str, status: int = 200, **more: str) -> str:
    async with session.get(url, headers=more) as answer:
        assert answer.status == status, url
        return await answer.text()


def test_the_list_shows_every_run_with_its_verdict_the_newest_first(runs: Path) -> None:
    async def story(session: aiohttp.ClientSession, url: str) -> None:
        assert url.startswith("http://127.0.0.1:")
        root = parse(await text(session, url))
        rows = [[cell.text for cell in row.all("td")] for row in root.all("tr")[1:]]
        assert [row[0] for row in rows] == ["✗ broken", "✓ held"]
        assert rows[0][1] == "20260102-000000-register-none-2"
        for link in root.all("a"):
            await text(session, url + link.attributes["href"].lstrip("/"))

    visit(runs, story)


def test_latest_follows_the_link(runs: Path) -> None:
    async def story(session: aiohttp.ClientSession, url: str) -> None:
        async def latest() -> tuple[str, str]:
            frame = parse(await text(session, f"{url}latest")).all("iframe")[0]
            return frame.attributes["src"], json.loads(await text(session, f"{url}state"))["latest"]

        first = "20260102-000000-register-none-2"
        assert await latest() == (f"/runs/{first}/", first)
        (runs / "next").symlink_to("20260101-000000-register-none-1")
        (runs / "next").replace(runs / "latest")
        second = "20260101-000000-register-none-1"
        assert await latest() == (f"/runs/{second}/", second)

    visit(runs, story)


def test_a_run_that_goes_on_has_a_page_made_anew(runs: Path) -> None:
    place = runs / "20260103-000000-register-none-3"
    place.mkdir()
    (place / "history.jsonl").write_text("")

    async def story(session: aiohttp.ClientSession, url: str) -> None:
        page = parse(await text(session, f"{url}runs/{place.name}/"))
        assert "Unknown" in page.by_id("verdict").text
        assert not (place / "report.html").exists()
        written = write_report(place)
        os.utime(written, ns=(1, 1))
        (place / "run.json").write_text('{"verdict": "held"}')
        page = parse(await text(session, f"{url}runs/{place.name}/"))
        assert "Held" in page.by_id("verdict").text

    visit(runs, story)


def test_only_files_of_runs_are_handed_out(runs: Path) -> None:
    name = "20260101-000000-register-none-1"
    (runs / name / "hosts").mkdir()
    (runs / name / "hosts" / "a.log").write_text("it says")
    (runs / name / "hosts" / "a.key").write_text("secret")

    async def story(session: aiohttp.ClientSession, url: str) -> None:
        assert '"invoke"' in await text(session, f"{url}runs/{name}/history.jsonl")
        assert await text(session, f"{url}runs/{name}/hosts/a.log") == "it says"
        for path in (
            f"runs/{name}/secret.txt",
            f"runs/{name}/hosts/a.key",
            f"runs/{name}/hosts/..%2Frun.json",
            f"runs/{name}/..%2F..%2Fsecret.txt",
            "runs/..%2F/",
            "runs/%2e%2e/secret.txt",
            "runs/latest/",
            "runs/not-a-run/",
            "secret.txt",
        ):
            await text(session, url + path, 404)
        await text(session, url, 403, Host="evil.example")

    visit(runs, story)


def test_a_folder_without_runs_says_how_to_make_one(tmp_path: Path) -> None:
    async def story(session: aiohttp.ClientSession, url: str) -> None:
        assert "quorate chaos run" in await text(session, url)
        assert "No run yet" in await text(session, f"{url}latest")

    visit(tmp_path, story)


def test_a_run_json_of_any_kind_leaves_the_list_whole(runs: Path) -> None:
    for number, body in enumerate(("[]", "{", "\x00", '{"options": [], "per_s": "x"}', "[" * 9999)):
        (runs / f"bad-{number}").mkdir()
        (runs / f"bad-{number}" / "run.json").write_text(body)

    async def story(session: aiohttp.ClientSession, url: str) -> None:
        assert len(parse(await text(session, url)).all("tr")) == 8

    visit(runs, story)


def test_no_folder_and_a_taken_port_are_told(tmp_path: Path) -> None:
    async def story(session: aiohttp.ClientSession, url: str) -> None:
        port = int(url.rsplit(":", 1)[1].strip("/"))
        with pytest.raises(ConfigError, match="another port"):
            await serve(tmp_path, port)

    visit(tmp_path, story)
    with pytest.raises(ConfigError, match="not a folder of runs"):
        asyncio.run(serve(tmp_path / "missing"))
