"""The admin API as the command sees it. Knows HTTP and JSON, nothing of a host's insides.

The law of this file: every call ends by its deadline, and every failure is a `Problem` with a
sentence, an outcome and an exit code. A host that does not lead is followed once to the leader it
names, and only when nothing was applied.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote

import aiohttp

SLACK_S = 1.0
"""How much longer than the host's own deadline the command waits for its answer."""


class Problem(Exception):
    """A call that did not succeed. `body` is the problem object, `exit_code` what the command ends
    with."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(str(body.get("detail") or body.get("title")))
        self.body = dict(body)
        wrong = body.get("status") in (400, 413)
        self.exit_code = 2 if wrong else 1

    @property
    def outcome(self) -> str:
        return str(self.body.get("outcome", "unknown"))


def unreachable(url: str, error: object, *, sent: bool) -> Problem:
    """Nobody answered at `url`. `sent`: the request may have been taken."""
    return Problem(
        {
            "type": "urn:quorate:problem:unreachable",
            "title": "Unreachable",
            "detail": f"no answer from the admin API at {url}: {error}",
            "outcome": "unknown" if sent else "not_applied",
        }
    )


class AdminClient:
    """One admin API. Use it as `async with AdminClient(address, token, timeout_s) as client`."""

    def __init__(self, address: str, token: str | None, timeout_s: float) -> None:
        self.address = address.removeprefix("http://").rstrip("/")
        self.timeout_s = timeout_s
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(total=self.timeout_s + SLACK_S)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON answer of `method path`. Raises `Problem`."""
        answer, _ = await self.ask_with(method, path, query=query, body=body, headers=headers)
        return answer

    async def ask_with(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        header: str = "",
    ) -> tuple[Any, str | None]:
        """Like `ask`, with a header of the answer; None if it has none."""
        try:
            return await self._ask(self.address, method, path, query, body, headers, header)
        except Problem as problem:
            leader = self._other_leader(problem)
            if leader is None:
                raise
            return await self._ask(leader, method, path, query, body, headers, header)

    def _other_leader(self, problem: Problem) -> str | None:
        """Where to try instead: the leader named by a host that only said it does not lead."""
        if not str(problem.body.get("type")).endswith(":not-leader"):
            return None
        hint = cast("dict[str, Any]", problem.body.get("leader") or {})
        admin = hint.get("admin")
        return admin if admin != self.address and problem.outcome == "not_applied" else None

    async def _ask(
        self,
        address: str,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        body: Any,
        headers: Mapping[str, str] | None,
        header: str,
    ) -> tuple[Any, str | None]:
        assert self._http is not None
        url = f"http://{address}{path}"
        asked = {k: str(v) for k, v in (query or {}).items() if v is not None}
        data = None if body is None else json.dumps(body)
        sent = dict(headers or {})
        if data is not None:
            sent["Content-Type"] = "application/json"
        asked["timeout"] = f"{self.timeout_s:g}"
        try:
            async with self._http.request(
                method, url, params=asked, data=data, headers=sent
            ) as answer:
                read = _read(address, answer.status, await answer.text())
                return read, answer.headers.get(header) if header else None
        except aiohttp.ClientConnectorError as error:
            raise unreachable(address, error.os_error, sent=False) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            said = str(error) or type(error).__name__
            raise unreachable(address, said, sent=method != "GET") from error

    async def events(
        self, prefix: str, from_revision: int | None, last_id: str | None
    ) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
        """(id, kind, data) of each change, until the stream breaks. Raises `Problem` when it cannot
        be opened or goes on."""
        assert self._http is not None
        query = {"prefix": prefix}
        if from_revision is not None:
            query["from_revision"] = str(from_revision)
        headers = {"Last-Event-ID": last_id} if last_id else {}
        waits = aiohttp.ClientTimeout(total=None, sock_connect=self.timeout_s, sock_read=60)
        url = f"http://{self.address}/v1/watch"
        try:
            async with self._http.get(url, params=query, headers=headers, timeout=waits) as answer:
                if answer.status != 200:
                    _read(self.address, answer.status, await answer.text())
                async for event in _events(answer.content):
                    if event[1] == "problem":
                        raise Problem(event[2])
                    yield event
        except (aiohttp.ClientError, TimeoutError) as error:
            raise unreachable(self.address, error, sent=False) from error


def kv_path(key: str) -> str:
    """The path of a key: slashes stay, everything else is quoted."""
    return f"/v1/kv/{quote(key, safe='/')}"


def _read(address: str, status: int, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        detail = f"{address} answered {status} with something that is not JSON: is it an admin API?"
        raise Problem({"title": "Not an admin API", "detail": detail}) from None
    if status >= 400:
        raise Problem(value if isinstance(value, dict) else {"detail": text, "status": status})  # pyright: ignore[reportUnknownArgumentType]
    return value


async def _events(
    content: aiohttp.StreamReader,
) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    fields: dict[str, str] = {}
    async for raw in content:
        line = raw.decode().rstrip("\r\n")
        if line and not line.startswith(":"):
            name, _, text = line.partition(":")
            fields[name] = text.removeprefix(" ")
        elif not line and "data" in fields:
            yield fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"])
            fields = {}
