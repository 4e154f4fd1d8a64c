"""Each rule catches its planted violation, and lets the honest neighbour through."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tidy import rules
from tests.tidy.source import Finding, Source

Rule = Callable[[Source], list[Finding]]

LAW = '"""The law."""\n'
PLANTED: list[tuple[Rule, str, str]] = [
    (rules.layers, "core/raft/engine.py", "from quorate.hosts.host import Host"),
    (rules.layers, "core/machine/kv.py", "import quorate.core.storage.state_store"),
    (rules.layers, "core/wire/mesh.py", "from quorate.core.raft.driver import RaftDriver"),
    (rules.layers, "core/raft/driver.py", "from quorate.core.group.proposer import Proposer"),
    (rules.layers, "consistency/crdt.py", "from quorate.hosts import host"),
    (rules.layers, "hosts/host.py", "from quorate import chaos"),
    (rules.layers, "hosts/host.py", "import quorate"),
    (rules.layers, "chaos/sim/world.py", "import quorate.bench.load"),
    (rules.layers, "bench/load.py", "from quorate.chaos.lab.links import Links"),
    (rules.layers, "chaos/toxiproxy/api.py", "from quorate.chaos.lab.links import Links"),
    (rules.layers, "core/errors.py", "def late():\n    from quorate.core.wire import mesh"),
    (rules.purity, "core/machine/leases.py", "import time"),
    (rules.purity, "core/raft/engine.py", "from asyncio import Future"),
    (rules.purity, "core/machine/kv.py", "import random\nx = random.random()"),
    (rules.purity, "consistency/clock.py", "from random import choice"),
    (rules.purity, "chaos/sim/world.py", "import asyncio"),
    (rules.homes, "core/raft/journal.py", "import lmdb"),
    (rules.homes, "core/storage/records.py", "from cbor2 import loads"),
    (rules.homes, "hosts/host.py", "import aiohttp"),
    (rules.homes, "hosts/host.py", "from pysyncobj import SyncObj"),
    (rules.homes, "core/group/group.py", "import prometheus_client"),
    (rules.bans, "hosts/host.py", "import pickle"),
    (rules.bans, "hosts/host.py", "from marshal import loads"),
    (rules.bans, "core/codec.py", "value = eval('1')"),
    (rules.absolute_imports, "core/raft/engine.py", "from core.errors import UsageError"),
    (rules.absolute_imports, "hosts/host.py", "from . import cluster"),
    (rules.length, "core/raft/engine.py", "x = 1\n" * 400),
    (rules.no_machine_paths, "hosts/host.py", "path = '/" + "tmp/data'"),
    (rules.no_machine_paths, "README.md", "see /" + "root/notes"),
    (rules.no_machine_paths, "requirements.lock", "--index-url https://" + "pypi" + ".org/simple"),
    (rules.no_sleeps, "tests/wire/test_mesh.py", "await asyncio.sleep(0.1)"),
    (rules.no_sleeps, "core/storage/lmdb_engine.py", "time.sleep(1)"),
    (rules.limits_name_their_unit, "core/wire/frames.py", "FRAME_MAX = 1 << 20"),
    (rules.limits_name_their_unit, "core/wire/frames.py", "class C:\n    timeout: float = 0.5"),
    (rules.limits_name_their_unit, "core/wire/frames.py", "def f(*, retry_delay=5): ..."),
]
HONEST: list[tuple[Rule, str, str]] = [
    (rules.layers, "core/raft/engine.py", "from quorate.core.errors import UsageError"),
    (rules.layers, "core/group/group.py", "from quorate.core.raft.driver import RaftDriver"),
    (rules.layers, "core/raft/journal.py", "from quorate.core import codec"),
    (rules.layers, "chaos/sim/world.py", "from quorate.core.raft import driver"),
    (rules.layers, "bench/load.py", "import quorate"),
    (rules.layers, "bench/delays.py", "from quorate.chaos.toxiproxy.api import Toxic"),
    (rules.layers, "chaos/toxiproxy/api.py", "from quorate.chaos.lab.children import LabError"),
    (rules.layers, "tests/hosts/test_host.py", "import quorate"),
    (
        rules.purity,
        "core/machine/leases.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import random",
    ),
    (rules.purity, "core/clock.py", "import time"),
    (rules.purity, "core/raft/driver.py", "import random\ndef f(rng: random.Random): ..."),
    (rules.purity, "hosts/host.py", "import asyncio"),
    (rules.homes, "core/storage/lmdb_engine.py", "import lmdb"),
    (rules.homes, "tests/contracts/test_s1.py", "import pysyncobj"),
    (rules.bans, "core/codec.py", "import re\nre.compile('x')"),
    (rules.absolute_imports, "hosts/host.py", "from quorate.core import errors"),
    (rules.length, "core/raft/engine.py", "x = 1\n" * 399),
    (rules.no_machine_paths, "README.md", "GET /v1/kv/home/x and ./tmp/x"),
    (rules.no_sleeps, "tests/live/test_kill.py", "time.sleep(1)"),
    (rules.no_sleeps, "tests/wire/test_mesh.py", "await asyncio.sleep(0)"),
    (rules.no_sleeps, "tests/wire/test_mesh.py", "await asyncio.sleep(1)  # tidy-ok: shown here"),
    (rules.limits_name_their_unit, "core/wire/frames.py", "FRAME_MAX_BYTES = 1 << 20"),
    (rules.limits_name_their_unit, "core/wire/frames.py", "inbox_messages_max = 10"),
    (rules.limits_name_their_unit, "core/codec.py", "def f(*, depth_max: int = 32): ..."),
]


def _name(case: object) -> str:
    return getattr(case, "__name__", str(case)[:40])


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED, ids=_name)
def test_a_planted_violation_is_found(rule: Rule, path: str, text: str) -> None:
    assert rule(Source(path, LAW + text)), f"{rule.__name__} missed it in {path}"


@pytest.mark.parametrize(("rule", "path", "text"), HONEST, ids=_name)
def test_the_honest_neighbour_passes(rule: Rule, path: str, text: str) -> None:
    assert rule(Source(path, LAW + text)) == []


def test_a_file_without_its_law_is_found() -> None:
    assert rules.opens_with_law(Source("core/x.py", "import re\n"))
    assert rules.opens_with_law(Source("core/x.py", '""""""\n'))
    assert not rules.opens_with_law(Source("core/x.py", LAW))


def test_every_rule_has_a_planted_violation() -> None:
    planted = {rule for rule, _, _ in PLANTED} | {rules.opens_with_law}
    assert planted == {*rules.PYTHON_RULES, *rules.TEXT_RULES}
