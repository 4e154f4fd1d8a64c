"""The links between hosts, as the product's mesh promises them.

The law: a message arrives at most once, whole, in the order of its lane. What a broken connection
still held arrives late or never, but not once its successor is there; nobody can shake hands with a
process that stands still.
"""

from __future__ import annotations

from quorate.chaos.sim.network import Connection, Link, Network

SILENCE_S = 1.0
"""A link whose target answers nothing for so long is closed by its source."""


class AgentNetwork(Network):
    """See the law above."""

    def _arrive(self, link: Link, connection: Connection, data: bytes) -> None:
        if connection.closed and link.connection not in (None, connection):
            return
        super()._arrive(link, connection, data)

    def _dial(self, link: Link) -> None:
        target = self.hosts[link.target]
        if target.life is not None and target.life.paused:
            link.redialling = False
            self._plan_redial(link)
            return
        super()._dial(link)

    def on_paused(self, host_id: str) -> None:
        """The process of this host stands still: after a while others close their links to it."""
        life = self.hosts[host_id].life

        def look() -> None:
            if life is None or life.over or not life.paused:
                return
            for link in self.of(host_id):
                if link.target == host_id and link.up:
                    self.cut(link, notice_s=self.rng.random() * 0.1)

        self.queue.after(SILENCE_S, look)
