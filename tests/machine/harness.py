"""What the machine's tests share: a log that grows, clients with sessions, images of a state.

The law of this file: no assertions; a `World` is one machine with the log it was fed.
"""

from __future__ import annotations

from typing import Any

from quorate.core.machine import commands
from quorate.core.machine.commands import Command
from quorate.core.machine.dict_store import DictStore
from quorate.core.machine.machine import Machine

Tables = dict[str, dict[bytes, bytes]]


class World:
    """One machine, one log. `run` proposes on a session that opens by itself and acknowledges
    nothing.
    """

    def __init__(self, machine_class: type[Machine] = Machine, **options: Any) -> None:
        self.machine_class = machine_class
        self.options = options
        self.store = DictStore()
        self.machine = machine_class(self.store, **options)
        self.log: list[list[bytes]] = []
        self._sequences: dict[int, int] = {}

    def entry(self, *batches: bytes) -> list[Any]:
        """Append one entry; returns its results."""
        self.log.append(list(batches))
        return [result for _, _, result in self.machine.apply(len(self.log), 1, list(batches))]

    def batch(self, *some: Command, session: int = 1, ack_low: int = 0) -> bytes:
        """A batch with the next sequences; the session opens with its first one."""
        sequence = self._sequences.get(session, 0)
        if not sequence:
            some = (commands.open_session(self.machine.applied_index), *some)
        numbered = [(sequence + at, *command) for at, command in enumerate(some, 1)]
        self._sequences[session] = sequence + len(some)
        return commands.encode_batch(session, ack_low, numbered)

    def run(self, *some: Command, session: int = 1) -> list[Any]:
        """The results of these commands, applied in one entry."""
        return self.entry(self.batch(*some, session=session))[-len(some) :]

    def do(self, command: Command, session: int = 1) -> Any:
        return self.run(command, session=session)[0]

    def restart(self) -> None:
        """Flush, forget, and begin again from the store."""
        self.machine.before_flush()
        self.store = self.store.copy()
        self.machine = self.machine_class(self.store, **self.options)

    def image(self) -> Tables:
        self.machine.before_flush()
        return self.store.copy().tables


def replay(log: list[list[bytes]], machine_class: type[Machine] = Machine) -> World:
    """Another machine, fed the same log."""
    world = World(machine_class)
    for batches in log:
        world.entry(*batches)
    return world
