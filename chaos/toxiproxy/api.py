"""Toxiproxy's HTTP API, whole and typed: proxies, toxics, reset, version, metrics.

The law of this file: one method per call of the API, each with a deadline, nothing tried again. An
API that does not answer in time is `ToxiproxyHung`: it is known to hang for good when a toxic
changes on a link whose reader stands still (Shopify/toxiproxy#558), and only a new server helps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast
from urllib.parse import quote

import aiohttp

from quorate.chaos.lab.children import LabError

DEADLINE_S: Final = 2.0
AGENT: Final = "quorate-laboratory"
"""The server refuses whoever calls itself a browser."""

Stream = Literal["upstream", "downstream"]
"""upstream: from who dials to who listens."""


class ToxiproxyError(LabError):
    """The server said no. `status` is its answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class ToxiproxyHung(ToxiproxyError):
    """No answer within the deadline, or nobody listens."""


@dataclass(frozen=True, slots=True)
class Toxic:
    """One toxic on one direction of one proxy."""

    type: str
    """latency, bandwidth, slow_close, timeout, reset_peer, slicer or limit_data"""
    attributes: Mapping[str, int] = field(default_factory=dict[str, int])
    stream: Stream = "upstream"
    toxicity: float = 1.0
    """The share of connections it is on."""
    name: str = ""

    @property
    def key(self) -> str:
        """Its name; the server names one without a name so."""
        return self.name or f"{self.type}_{self.stream}"

    def body(self) -> dict[str, Any]:
        return {
            "name": self.key,
            "type": self.type,
            "stream": self.stream,
            "toxicity": self.toxicity,
            "attributes": dict(self.attributes),
        }


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy: dialled at `listen`, it dials `upstream`."""

    name: str
    listen: str
    upstream: str
    enabled: bool = True
    toxics: tuple[Toxic, ...] = ()

    def body(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
        }


class ToxiproxyApi:
    """The API at `address`. Use it inside an event loop and `close` it. Every call raises
    `ToxiproxyError`, and `ToxiproxyHung` after `deadline_s`."""

    def __init__(self, address: str, *, deadline_s: float = DEADLINE_S) -> None:
        self.address = address
        self.deadline_s = deadline_s
        self.calls_made = 0
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # --- the server -------------------------------------------------------------------------------

    async def version(self) -> str:
        return str((await self._call("GET", "/version"))["version"])

    async def metrics(self) -> str:
        """In the text format of Prometheus."""
        return str(await self._call("GET", "/metrics"))

    async def reset(self) -> None:
        """Enable every proxy and take every toxic off."""
        await self._call("POST", "/reset")

    # --- proxies ----------------------------------------------------------------------------------

    async def proxies(self) -> dict[str, Proxy]:
        found = cast("dict[str, Any]", await self._call("GET", "/proxies"))
        return {name: _proxy(body) for name, body in found.items()}

    async def proxy(self, name: str) -> Proxy:
        return _proxy(await self._call("GET", f"/proxies/{_safe(name)}"))

    async def create_proxy(self, proxy: Proxy) -> Proxy:
        """As it then is: port 0 has become a port. Its toxics are not created with it."""
        return _proxy(await self._call("POST", "/proxies", proxy.body()))

    async def populate(self, proxies: Sequence[Proxy]) -> tuple[Proxy, ...]:
        """Create or replace many at once, without toxics; others stay."""
        bodies = [proxy.body() for proxy in proxies]
        answer = await self._call("POST", "/populate", bodies)
        return tuple(_proxy(body) for body in answer["proxies"])

    async def update_proxy(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        listen: str | None = None,
        upstream: str | None = None,
    ) -> Proxy:
        """Change what is given. Disabling refuses new connections and cuts those there are."""
        given = {"enabled": enabled, "listen": listen, "upstream": upstream}
        body = {key: value for key, value in given.items() if value is not None}
        return _proxy(await self._call("PATCH", f"/proxies/{_safe(name)}", body))

    async def delete_proxy(self, name: str) -> None:
        await self._call("DELETE", f"/proxies/{_safe(name)}")

    # --- toxics -----------------------------------------------------------------------------------

    async def toxics(self, proxy: str) -> tuple[Toxic, ...]:
        found = cast("list[Any]", await self._call("GET", f"/proxies/{_safe(proxy)}/toxics"))
        return tuple(_toxic(body) for body in found)

    async def toxic(self, proxy: str, name: str) -> Toxic:
        return _toxic(await self._call("GET", f"/proxies/{_safe(proxy)}/toxics/{_safe(name)}"))

    async def add_toxic(self, proxy: str, toxic: Toxic) -> Toxic:
        path = f"/proxies/{_safe(proxy)}/toxics"
        return _toxic(await self._call("POST", path, toxic.body()))

    async def update_toxic(
        self,
        proxy: str,
        name: str,
        *,
        attributes: Mapping[str, int] | None = None,
        toxicity: float | None = None,
    ) -> Toxic:
        """Change attributes and toxicity; the rest of a toxic cannot be changed."""
        body: dict[str, Any] = {}
        if attributes is not None:
            body["attributes"] = dict(attributes)
        if toxicity is not None:
            body["toxicity"] = toxicity
        path = f"/proxies/{_safe(proxy)}/toxics/{_safe(name)}"
        return _toxic(await self._call("PATCH", path, body))

    async def remove_toxic(self, proxy: str, name: str) -> None:
        await self._call("DELETE", f"/proxies/{_safe(proxy)}/toxics/{_safe(name)}")

    # --- the call ---------------------------------------------------------------------------------

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self.deadline_s),
                headers={"User-Agent": AGENT},
            )
        self.calls_made += 1
        url = f"http://{self.address}{path}"
        try:
            async with self._session.request(method, url, json=body) as answer:
                if answer.status >= 400:
                    text = (await answer.text()).strip()
                    raise ToxiproxyError(f"{method} {path}: {answer.status} {text}", answer.status)
                if answer.status == 204:
                    return None
                if answer.content_type == "application/json":
                    return await answer.json()
                return await answer.text()
        except (TimeoutError, aiohttp.ClientError) as error:
            why = str(error) or f"no answer within {self.deadline_s:g} s"
            raise ToxiproxyHung(f"{method} {path}: {why}") from error


def _safe(name: str) -> str:
    return quote(name, safe="")


def _toxic(body: Mapping[str, Any]) -> Toxic:
    return Toxic(
        type=str(body["type"]),
        attributes={str(key): int(value) for key, value in body["attributes"].items()},
        stream="downstream" if body["stream"] == "downstream" else "upstream",
        toxicity=float(body["toxicity"]),
        name=str(body["name"]),
    )


def _proxy(body: Mapping[str, Any]) -> Proxy:
    return Proxy(
        name=str(body["name"]),
        listen=str(body["listen"]),
        upstream=str(body["upstream"]),
        enabled=bool(body["enabled"]),
        toxics=tuple(_toxic(toxic) for toxic in body.get("toxics") or ()),
    )
