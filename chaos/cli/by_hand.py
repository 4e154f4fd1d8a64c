"""A cluster to be cut by hand: `up` runs one, `partition` and `heal` act on whichever runs.

The law of this file: the proxies are asked for what there is and nothing is remembered here, so it
does not matter who cut a link. A running laboratory says in its folder where its proxies are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from quorate.chaos.lab.links import Condition, proxy_name
from quorate.chaos.running.folder import running_lab
from quorate.chaos.running.options import RunOptions
from quorate.chaos.running.progress import Say
from quorate.chaos.running.runner import Run
from quorate.chaos.toxiproxy.api import ToxiproxyApi
from quorate.core.errors import UsageError

HOLE = Condition("black_hole")


async def up(hosts: int, folder: str, say: Say) -> int:
    """A cluster behind proxies, until it is cancelled."""
    options = RunOptions(hosts=hosts, folder=folder, settings={"admin": "127.0.0.1:0"})
    run = Run(options, say)
    with suppress(asyncio.CancelledError):
        async with run.opened() as cluster:
            for host in cluster.hosts:
                said = run.admins.get(host, "no admin API")
                say(f"{host}: {cluster.addresses[host]}, quorate status --admin {said}")
            say(f"cut it with: quorate chaos partition a / b,c --folder {folder}")
            say(f"heal it with: quorate chaos heal --folder {folder}; end it with Ctrl-C")
            await asyncio.Event().wait()
    run.folder.close()
    return 0


async def partition(folder: str, pairs: Sequence[tuple[str, str]], say: Say) -> int:
    """Cut these links and leave the others as they are. Raises `UsageError`, `ToxiproxyError`."""
    api = _api(folder)
    try:
        known = await api.proxies()
        for pair in pairs:
            if proxy_name(pair) not in known:
                there = sorted({name.partition("~")[0] for name in known})
                raise UsageError(
                    f"there is no link {pair[0]} -> {pair[1]}; hosts: {', '.join(there)}"
                )
        for pair in pairs:
            present = {toxic.key for toxic in known[proxy_name(pair)].toxics}
            for toxic in HOLE.toxics():
                if toxic.key not in present:
                    await api.add_toxic(proxy_name(pair), toxic)
    finally:
        await api.close()
    say(f"cut: {', '.join(f'{one} -> {other}' for one, other in pairs)}")
    return 0


async def heal(folder: str, say: Say) -> int:
    """All links as new."""
    api = _api(folder)
    healed: list[str] = []
    try:
        for name, proxy in (await api.proxies()).items():
            if proxy.enabled and not proxy.toxics:
                continue
            await api.update_proxy(name, enabled=False)  # nobody reads while toxics go
            for toxic in proxy.toxics:
                await api.remove_toxic(name, toxic.name)
            await api.update_proxy(name, enabled=True)
            healed.append(name.replace("~", " -> "))
    finally:
        await api.close()
    say(f"healed: {', '.join(healed)}" if healed else "nothing was cut")
    return 0


def _api(folder: str) -> ToxiproxyApi:
    state: dict[str, Any] | None = running_lab(Path(folder))
    if state is None:
        raise UsageError(
            f"nothing runs under {folder!r}: start `quorate chaos up` or a run there, or name its "
            f"--folder"
        )
    return ToxiproxyApi(str(state["toxiproxy"]))
