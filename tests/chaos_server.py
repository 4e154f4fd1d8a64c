"""A real Toxiproxy server for tests: found, or built once. In CI it must be there."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from quorate.chaos.toxiproxy.find import BINARY, find_server
from quorate.chaos.toxiproxy.install import install_server


@pytest.fixture(scope="session")
def toxiproxy_binary() -> Path:
    """The server's file. Fails, and never skips, where there is none and none can be built: a
    laboratory that was not tried has proven nothing."""
    found = find_server()
    if found is not None:
        return found
    if os.environ.get("QUORATE_NO_BUILD"):
        pytest.fail(f"there is no {BINARY} and QUORATE_NO_BUILD is set")
    return asyncio.run(install_server(say=print))
