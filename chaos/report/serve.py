"""The list of runs in a browser, each report, and the latest one as it comes.

The law of this file: it reads run folders and changes nothing. It listens on this machine only,
answers only to this machine's names, and hands out the files of a run by a list of names.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from quorate.chaos.report import overview
from quorate.chaos.report.page import REPORT, page
from quorate.chaos.report.png import PNG
from quorate.chaos.report.recorded import read_folder
from quorate.chaos.running.folder import running_lab
from quorate.core.errors import ConfigError

ADDRESS = "127.0.0.1"
RUNS_LISTED_MAX = 500
RUN_BYTES_MAX = 32 * 1024 * 1024
FILES = ("run.json", "history.jsonl", "history.edn", "faults.jsonl", "effects.jsonl", REPORT, PNG)
LATEST = "latest"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


async def serve(
    folder: Path, port: int = 0, *, on_ready: Callable[[str], object] | None = None
) -> None:
    """Serve the runs in `folder` on 127.0.0.1 until cancelled. `on_ready` gets the address; port 0
    takes a free one. Raises `ConfigError` when there is no such folder or the port is taken."""
    runner = web.AppRunner(application(folder), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, ADDRESS, port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {ADDRESS}:{port}: {error.strerror}; give another port"
            ) from error
        taken = cast("tuple[str, int]", runner.addresses[0])
        if on_ready is not None:
            on_ready(f"http://{ADDRESS}:{taken[1]}/")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def application(folder: Path) -> web.Application:
    """The pages, without a socket. Raises `ConfigError` when there is no such folder."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder of runs: run `quorate chaos run` first")
    pages = Pages(folder)
    app = web.Application(middlewares=[_only_this_machine])
    app.router.add_get("/", pages.index)
    app.router.add_get("/state", pages.state)
    app.router.add_get("/latest", pages.latest)
    app.router.add_get("/runs/{name}/", pages.report)
    app.router.add_get("/runs/{name}/{file}", pages.file)
    app.router.add_get("/runs/{name}/hosts/{log}", pages.log)
    return app


@web.middleware
async def _only_this_machine(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page of the web that lets its name point here must not read the runs."""
    if request.host.rsplit(":", 1)[0] not in (ADDRESS, "localhost"):
        raise web.HTTPForbidden(text=f"ask for {ADDRESS}, not for {request.host[:80]}\n")
    response = await handler(request)
    response.headers.update(HEADERS)
    return response


@dataclass(frozen=True, slots=True)
class Pages:
    """The handlers over one folder of runs."""

    folder: Path

    async def index(self, request: web.Request) -> web.Response:
        runs = await asyncio.to_thread(self._runs)
        return _html(overview.index(runs, self._latest()))

    async def state(self, request: web.Request) -> web.Response:
        """What pages ask for, to see whether there is something new."""
        runs = await asyncio.to_thread(self._runs)
        said = [[run.name, run.word] for run in runs]
        return web.json_response({"latest": self._latest(), "runs": said})

    async def latest(self, request: web.Request) -> web.Response:
        return _html(overview.follower(self._latest()))

    async def report(self, request: web.Request) -> web.StreamResponse:
        """The page as it was written; made anew when the run went on since, or wrote none."""
        place = self._place(request)
        written = place / REPORT
        if written.is_file() and not _older(written, place):
            return web.FileResponse(written)
        return _html(await asyncio.to_thread(lambda: page(read_folder(place))))

    async def file(self, request: web.Request) -> web.StreamResponse:
        place, name = self._place(request), request.match_info["file"]
        if name not in FILES or not (place / name).is_file():
            raise web.HTTPNotFound(text=f"a run has {', '.join(FILES)}\n")
        response = web.FileResponse(place / name)
        if name.endswith((".jsonl", ".edn")):
            response.content_type = "text/plain"
        return response

    async def log(self, request: web.Request) -> web.StreamResponse:
        """What a host said."""
        path = self._place(request) / "hosts" / request.match_info["log"]
        if path not in set(path.parent.glob("*.log")):
            raise web.HTTPNotFound(text="no such log\n")
        response = web.FileResponse(path)
        response.content_type = "text/plain"
        return response

    def _place(self, request: web.Request) -> Path:
        """The folder of a run: one of those listed, never a path."""
        name = request.match_info["name"]
        if name not in {path.name for path in self._folders()}:
            raise web.HTTPNotFound(text="no such run\n")
        return self.folder / name

    def _folders(self) -> list[Path]:
        paths = [path for path in self.folder.iterdir() if not path.is_symlink() and path.is_dir()]
        paths = [path for path in paths if any((path / name).exists() for name in FILES)]
        return sorted(paths, key=lambda path: path.name, reverse=True)[:RUNS_LISTED_MAX]

    def _latest(self) -> str:
        """The name that the link points at; without one, the newest run."""
        link = self.folder / LATEST
        if link.is_symlink() and link.resolve().parent == self.folder.resolve():
            return link.resolve().name
        return next((path.name for path in self._folders()), "")

    def _runs(self) -> list[overview.Run]:
        return [
            overview.run_of(
                path.name, _run(path / "run.json"), running=running_lab(path) is not None
            )
            for path in self._folders()
        ]


def _older(written: Path, place: Path) -> bool:
    since = written.stat().st_mtime_ns
    sources = [place / name for name in ("run.json", "history.jsonl", "faults.jsonl")]
    return any(path.is_file() and path.stat().st_mtime_ns > since for path in sources)


def _run(path: Path) -> dict[str, Any]:
    """`run.json`, or nothing: a list of runs is no place to fail for one of them."""
    try:
        if path.stat().st_size > RUN_BYTES_MAX:
            return {}
        body: Any = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}


def _html(text: str) -> web.Response:
    return web.Response(
        body=text.encode("utf-8", "replace"), content_type="text/html", charset="utf-8"
    )
