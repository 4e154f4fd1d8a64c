"""Waiting for news of a log: something under its prefix changed in this host's copy.

The law of this file: a wake-up says nothing but "look again", and none is lost between looking and
waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.consistency.events.port import LogPort


class News:
    """Something under a prefix changed in this host's copy of the store."""

    def __init__(self, port: LogPort, prefix: str) -> None:
        self._port = port
        self._prefix = prefix
        self._event = asyncio.Event()
        self._cancel: Callable[[], None] | None = None

    def __enter__(self) -> News:
        self._cancel = self._port.on_change(self._on_change)
        return self

    def __exit__(self, *_: object) -> None:
        if self._cancel is not None:
            self._cancel()

    def _on_change(self, store: str, key: str) -> None:
        if key.startswith(self._prefix):
            self._event.set()

    def clear(self) -> None:
        self._event.clear()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self, other: Callable[[], Awaitable[None]]) -> None:
        """Until this, or the other thing, happens."""
        both: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._event.wait()),
            asyncio.ensure_future(other()),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
