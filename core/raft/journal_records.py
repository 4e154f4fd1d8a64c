"""The journal's records: how they lie in the tables, and what is read back from them at start.

The law: what is found must form one chain (each entry names the term of the one before it). A break
above every commit index ever stored is a write that nobody was told of, and is cut; a break below
one is damage, and the host refuses to start.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from quorate.core import codec
from quorate.core.errors import CorruptStorage
from quorate.core.raft.members import Configuration
from quorate.core.storage.engine import Engine

TABLES = ("log", "meta", "terms", "config")
BASE_INDEX = 1
"""PySyncObj's first entry has index 1 and term 0: the empty log's base."""

HEAD = struct.Struct(">QQQ")
"""The head of an entry: its term, the term of the entry before it, the commit index
then on disk.
"""
KEY = struct.Struct(">Q")
REPLACE = "this host must not vote with it; remove it, empty its data folder and add it again"

_VERIFY_TAIL_ENTRIES = 512


@dataclass(slots=True)
class Recovered:
    """What the tables hold. `chained_to`: the last entry before the first break, `last_index`
    without one.
    """

    base: tuple[int, int, str]
    term: int
    vote: str | None
    commit: int
    term_starts: list[int]
    terms: list[int]
    configurations: dict[int, Configuration]
    last_index: int
    chained_to: int


def recover(engine: Engine) -> Recovered:
    """Read everything but the entries' bodies. Raises `CorruptStorage`."""
    base, hard = engine.get("meta", b"base"), engine.get("meta", b"hard")
    index, base_term, generation = (BASE_INDEX, 0, "") if base is None else _load(base, 3)
    term, vote, commit = (0, None, 0) if hard is None else _load(hard, 3)
    runs = [(KEY.unpack(k)[0], KEY.unpack(v)[0]) for k, v in engine.scan("terms", b"", None)]
    newest = engine.last("log")
    found = Recovered(
        base=(index, base_term, generation),
        term=term,
        vote=vote,
        commit=commit,
        term_starts=[start for start, _ in runs],
        terms=[run_term for _, run_term in runs],
        configurations={
            KEY.unpack(key)[0]: Configuration.from_wire(codec.loads(value))
            for key, value in engine.scan("config", b"", None)
        },
        last_index=max(index, KEY.unpack(newest[0])[0] if newest else 0),
        chained_to=index,
    )
    _follow_chain(engine, found, dict(runs))
    return found


def _follow_chain(engine: Engine, found: Recovered, starts: dict[int, int]) -> None:
    """Follow the chain through the newest entries; note where it breaks and the highest commit
    index.
    """
    base_index, base_term, _ = found.base
    first = max(base_index + 1, found.last_index - _VERIFY_TAIL_ENTRIES + 1)
    expected, previous = first, base_term if first == base_index + 1 else None
    chained = True
    for key, value in engine.scan("log", KEY.pack(first), None):
        index, (term, before, commit) = KEY.unpack(key)[0], HEAD.unpack_from(value)
        found.commit = max(found.commit, commit)
        chained = chained and index == expected and previous in (None, before) and term >= before
        chained = chained and starts.get(index, before) == term
        if chained:
            expected, previous = index + 1, term
    found.chained_to = expected - 1
    if found.chained_to < min(found.last_index, found.commit):
        raise CorruptStorage(
            f"the journal breaks at entry {expected}, yet entries up to {found.commit} were "
            f"committed on this disk: {REPLACE}"
        )


def _load(data: bytes, length: int) -> Any:
    row: Any = codec.loads(data)
    if not isinstance(row, list) or len(row) != length:  # pyright: ignore[reportUnknownArgumentType]
        raise CorruptStorage(f"a record of the journal's meta table is malformed: {REPLACE}")
    return row  # pyright: ignore[reportUnknownVariableType]
