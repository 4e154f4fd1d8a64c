"""The folder of one run: everything a reader, a judge or a report needs, and nothing else.

    history.jsonl   the events, in the order of their times; history.edn for Jepsen's tools
    faults.jsonl    what the nemesis did
    effects.jsonl   what the resource outside accepted
    run.json        options, versions, verdicts, figures
    hosts/*.log     what the hosts complained of
    data/           the hosts' disks, kept when the run did not hold
    report.html     the page

The law of this file: what is told is on paper at once, so that a killed run leaves what it saw; at
the end the history is put in order. `latest` beside the folder points to the newest.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import IO, Any

from quorate.chaos.running.edn import edn_lines
from quorate.consistency.check.history import Event, History, Process, merge, pair
from quorate.consistency.check.lines import dump, read

UNSAFE = re.compile(r"[^A-Za-z0-9.,+-]+")
STATE = "lab.json"


class RunFolder:
    """Open while the run lasts."""

    def __init__(self, root: Path, name: str) -> None:
        self.path = root / UNSAFE.sub("_", name)
        self.path.mkdir(parents=True)
        (self.path / "hosts").mkdir()
        self._history = self._open("history.jsonl")
        self._faults = self._open("faults.jsonl")
        self._effects = self._open("effects.jsonl")
        self.closed = False
        _point(root / "latest", self.path)

    @classmethod
    def make(cls, root: Path, workload: str, nemesis: str, seed: int) -> RunFolder:
        """`<time>-<workload>-<nemesis>-<seed>`, with a number behind it where that is taken."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        name = f"{stamp}-{workload}-{nemesis}-{seed}"
        for number in range(1, 1000):
            try:
                return cls(root, name if number == 1 else f"{name}-{number}")
            except FileExistsError:
                continue
        raise FileExistsError(name)

    def _open(self, name: str) -> IO[str]:
        return (self.path / name).open("w", encoding="utf-8", buffering=1)

    def event(self, body: dict[str, Any]) -> None:
        """An event of the history, as a worker told it."""
        self._line(self._history, body)

    def fault(self, body: dict[str, Any]) -> None:
        self._line(self._faults, body)

    def effect(self, body: dict[str, Any]) -> None:
        self._line(self._effects, body)

    def _line(self, file: IO[str], body: dict[str, Any]) -> None:
        if not self.closed:
            file.write(json.dumps(body, ensure_ascii=False) + "\n")

    def state(self, body: dict[str, Any] | None) -> None:
        """Where the running laboratory can be reached, for `quorate chaos partition`; None: it is
        over."""
        path = self.path / STATE
        if body is None:
            path.unlink(missing_ok=True)
        else:
            _write(path, json.dumps(body, indent=1))

    def history(self) -> History:
        """What was told so far, in order."""
        history = pair(self._ordered(notes := []))
        history.notes += notes
        return history

    def _ordered(self, notes: list[str]) -> list[Event]:
        recordings: dict[Process, list[Event]] = {}
        with (self.path / "history.jsonl").open(encoding="utf-8") as file:
            for event in read(file, notes):
                recordings.setdefault(event.process, []).append(event)
        return merge(*recordings.values())

    def close(self) -> History:
        """Put the history in order, write it as EDN too, and give it."""
        notes: list[str] = []
        for file in (self._history, self._faults, self._effects):
            file.flush()
        events = self._ordered(notes)
        self.closed = True
        for file in (self._history, self._faults, self._effects):
            file.close()
        _write(self.path / "history.jsonl", "".join(map(dump, events)))
        _write(self.path / "history.edn", "".join(edn_lines(events)))
        with (self.path / "history.jsonl").open(encoding="utf-8") as file:
            history = pair(read(file, notes))  # with the numbers of its lines
        history.notes += notes
        return history

    def result(self, body: dict[str, Any]) -> None:
        """Write `run.json`."""
        _write(self.path / "run.json", json.dumps(body, indent=1, ensure_ascii=False, default=str))

    def drop_data(self) -> None:
        """The hosts' disks are of no use after a run that held."""
        shutil.rmtree(self.path / "data", ignore_errors=True)


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def _point(link: Path, target: Path) -> None:
    beside = link.with_name("latest.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target.name)
    os.replace(beside, link)


def running_lab(root: Path) -> dict[str, Any] | None:
    """The state of the laboratory that runs under `root` (or in that very folder), if one does."""
    for path in (root / STATE, *sorted(root.glob(f"*/{STATE}"), reverse=True)):
        try:
            body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            os.kill(int(body["pid"]), 0)
        except (OSError, ValueError, KeyError):
            continue
        return body
    return None
