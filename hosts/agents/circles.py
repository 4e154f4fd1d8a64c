"""Agents that wait for each other in a circle: found, and one of them told.

The law of this file: an ask that lies behind a turn which itself waits for asks may be part of a
circle. A probe follows who waits for whom, from host to host; when it comes back to an agent that
waits for the probed ask, nobody in the circle would ever go on, and the probed ask fails. Of the
asks of a circle that lie in mailboxes only the one whose asker has the greatest name fails.

Edge chasing after Chandy, Misra and Haas, "Distributed Deadlock Detection", 1983 (AND model). A
circle that has formed stays until somebody breaks it, so what a probe finds is never over.

    PROBE message: {"type": "agents.probe", "at": agent to look at, "host": where the ask lies,
                    "agent": its agent, "id": the ask, "path": who waits for whom, from the ask's
                    first waiter on, "asker": how many of these wait for the ask, "askers": [names]}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from quorate.core.errors import CircularAsk
from quorate.core.wire.frames import ProtocolError
from quorate.core.wire.limits import Lane

if TYPE_CHECKING:
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.engine import AgentEngine
    from quorate.hosts.agents.mailbox import Message

TYPE: Final = "agents.probe"
SUSPECT_S: Final = 0.1
"""A turn that waits for so long, with asks behind it, is looked at."""
AGAIN_S: Final = 1.0
PATH_NAMES_MAX: Final = 32
PROBES_PER_LOOK_MAX: Final = 256
ASKS_PER_AGENT_MAX: Final = 8


class Circles:
    """One per host. `look` is called a few times a second."""

    def __init__(self, engine: AgentEngine) -> None:
        self._engine = engine
        self._probed: dict[int, float] = {}
        self.found = 0

    def look(self, now: float) -> None:
        """Send probes for asks that lie behind a turn which waits itself."""
        left = PROBES_PER_LOOK_MAX
        for activation in list(self._engine.running):
            turn = activation.turn
            if turn is None or not turn.waits_for or not activation.queue:
                continue
            if now - turn.started_at < SUSPECT_S:
                continue
            for message in list(activation.queue)[:ASKS_PER_AGENT_MAX]:
                if message.kind != "ask" or not message.chain or message.ended or left <= 0:
                    continue
                key = id(message)
                if now - self._probed.get(key, -AGAIN_S) < AGAIN_S:
                    continue
                self._probed[key] = now
                left -= 1
                self._follow(activation, message, [*message.chain, activation.name])
        if len(self._probed) > 4 * PROBES_PER_LOOK_MAX:
            self._probed = {key: at for key, at in self._probed.items() if now - at < AGAIN_S}

    def _follow(self, activation: Activation, message: Message, path: list[str]) -> None:
        """From the agent whose mailbox holds the ask to whom its turn waits for."""
        probe: dict[str, Any] = {
            "type": TYPE,
            "host": self._engine.host_id,
            "agent": activation.name,
            "id": id(message),
            "path": path,
            "asker": len(message.chain),
            "askers": [message.chain[-1]],
        }
        self._spread(activation, probe)

    def _spread(self, activation: Activation, probe: dict[str, Any]) -> None:
        turn = activation.turn
        if turn is None:
            return
        for target in list(turn.waits_for):
            self._send(target, probe)

    def _send(self, target: str, probe: dict[str, Any]) -> None:
        engine = self._engine
        probe = {**probe, "at": target}
        if target in engine.here:
            self._arrive(probe)
            return
        record = engine.directory.look(target)
        if record is not None and record.host and record.host != engine.host_id:
            engine.world.send(record.host, probe, Lane.NORMAL)

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        """A probe of another host. Raises `ProtocolError` if it is malformed."""
        path, asker, askers = (message.get(name) for name in ("path", "asker", "askers"))
        texts = [message.get(name) for name in ("at", "host", "agent")]
        if (
            not isinstance(path, list)
            or not isinstance(askers, list)
            or not askers
            or not all(
                isinstance(name, str)
                for name in (*cast("list[Any]", path), *cast("list[Any]", askers), *texts)
            )
            or not isinstance(asker, int)
            or not isinstance(message.get("id"), int)
            or not 0 < asker <= len(cast("list[Any]", path)) <= PATH_NAMES_MAX + 64
        ):
            raise ProtocolError(f"host {peer!r} sent a malformed probe")
        self._arrive(message)

    def _arrive(self, probe: dict[str, Any]) -> None:
        """The probe is at an agent that somebody on its path waits for."""
        engine = self._engine
        at, path = str(probe["at"]), cast("list[str]", probe["path"])
        if at == probe["agent"] and probe["host"] == engine.host_id and probe.get("back"):
            self._break(probe)
            return
        activation = engine.here.get(at)
        turn = None if activation is None else activation.turn
        if activation is None or turn is None or not turn.waits_for:
            return
        askers = list(cast("list[str]", probe["askers"]))
        if turn.message.chain[-1:] != (path[-1],):  # that one's ask is not what runs: it lies here
            askers.append(path[-1])
        if at in path[: int(probe["asker"])]:  # it waits for the ask that is probed
            if max(askers) == askers[0]:
                self._report(probe, [*path, at])
            return
        if at in path or len(path) >= PATH_NAMES_MAX:
            return  # another circle: its own probe finds it
        self._spread(activation, {**probe, "path": [*path, at], "askers": askers})

    def _report(self, probe: dict[str, Any], circle: list[str]) -> None:
        """Tell the host where the ask lies."""
        back = {**probe, "at": probe["agent"], "path": circle, "back": True}
        if probe["host"] == self._engine.host_id:
            self._break(back)
        else:
            self._engine.world.send(str(probe["host"]), back, Lane.NORMAL)

    def _break(self, probe: dict[str, Any]) -> None:
        activation = self._engine.here.get(str(probe["agent"]))
        if activation is None:
            return
        for message in list(activation.queue):
            if id(message) == probe["id"] and message.kind == "ask" and not message.ended:
                self.found += 1
                circle = " > ".join(cast("list[str]", probe["path"]))
                activation.queue.remove(message)
                message.fail(
                    CircularAsk(
                        f"agent {activation.name!r} cannot answer {message.method!r}: these agents "
                        f"wait for each other: {circle}; ask from a @shared method, or tell"
                    )
                )
                return

    def statistics(self) -> dict[str, object]:
        return {"circles_broken_total": self.found}
