"""What a heal had to reconcile: which keys diverged and how each was resolved. Pure.

The law of this file: a report is open from the moment a peer is reached again until everything
that was accepted on either side before then is on both; what is put into it is what the conflict
feed, the merges and the exchanges say, and nothing is guessed. Over its limits it counts on and
says so: a report never claims to be whole when it is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple, Protocol

Outcome = Literal["running", "complete", "interrupted"]
VERSIONS_SHOWN_MAX = 16


class Version(NamedTuple):
    """One of the values that met."""

    host: str
    actor: int
    seq: int
    at_ms: int
    """Wall time of its stamp."""
    value: Any


class Diverged(NamedTuple):
    """One key that was written on both sides."""

    store: str
    key: str
    resolver: str
    """lww, siblings, merge, or `crdt` and its kind."""
    reason: str
    winner: Version | None
    """None when there is none: the siblings are all kept, or everything was merged."""
    losers: tuple[Version, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            **self._asdict(),
            "winner": None if self.winner is None else self.winner._asdict(),
            "losers": [loser._asdict() for loser in self.losers],
        }


class ExchangeLike(Protocol):
    """The part of an exchange's report that counts here (`consistency.merkle.session.Report`)."""

    @property
    def peer(self) -> str: ...
    @property
    def bytes_sent(self) -> int: ...
    @property
    def bytes_received(self) -> int: ...


class Reconciliation:
    """One report being made. `peers`: who was away and is reached again."""

    def __init__(
        self,
        number: int,
        host: str,
        peers: tuple[str, ...],
        *,
        apart_s: float,
        healed_at: float,
        now: float,
        keys_max: int,
    ) -> None:
        self.number = number
        self.host = host
        self.peers = peers
        self.apart_s = apart_s
        self.healed_at = healed_at
        self.began_at = now
        """Monotonic."""
        self.outcome: Outcome = "running"
        self.keys_not_looked_at = 0
        """Changed keys of which too many were remembered."""
        self.why = ""
        self._keys_max = keys_max
        self._diverged: dict[tuple[str, str], Diverged] = {}
        self.diverged_keys = 0
        self._took_s: float | None = None
        self._pending = set(peers)
        names: tuple[str, ...] = ("keys_sent", "keys_received", "exchanges")
        names += ("bytes_sent", "bytes_received")
        self._traffic: dict[str, dict[str, int]] = {peer: dict.fromkeys(names, 0) for peer in peers}
        self._sent: dict[str, set[tuple[str, str]]] = {peer: set() for peer in peers}
        self._received: dict[str, set[tuple[str, str]]] = {peer: set() for peer in peers}

    # --- what is found ----------------------------------------------------------------------------

    def on_diverged(self, found: Diverged) -> None:
        """Versions of a key met. Meeting again in the same heal adds the losers to the first."""
        if self.outcome != "running":
            return
        place = (found.store, found.key)
        known = self._diverged.get(place)
        if known is not None:
            self._diverged[place] = _joined(known, found)
            return
        self.diverged_keys += 1
        if len(self._diverged) < self._keys_max:
            cut = found.losers[:VERSIONS_SHOWN_MAX]
            self._diverged[place] = found._replace(losers=cut)

    def on_merged(self, found: Diverged) -> None:
        """A key changed on both sides and was merged; a conflict that says more is kept."""
        if (found.store, found.key) not in self._diverged:
            self.on_diverged(found)

    def on_key(self, peer: str, place: tuple[str, str], *, sent: bool, received: bool) -> None:
        """A key was changed here while the peer was away (it is sent), or there (received); counted
        once, however often it is told."""
        for to, counts in ((self._sent, sent), (self._received, received)):
            if counts and peer in to and self.outcome == "running":
                to[peer].add(place)

    def on_exchange(self, report: ExchangeLike) -> None:
        """Digests were compared with a peer."""
        traffic = self._traffic.get(report.peer)
        if traffic is None or self.outcome != "running":
            return
        traffic["exchanges"] += 1
        for name in ("bytes_sent", "bytes_received"):
            traffic[name] += getattr(report, name)

    # --- the end ----------------------------------------------------------------------------------

    @property
    def pending(self) -> set[str]:
        """The peers with which something is still to be reconciled."""
        return set(self._pending) if self.outcome == "running" else set()

    def on_caught_up(self, peer: str, now: float) -> None:
        """What either side had before the heal is on both."""
        self._pending.discard(peer)
        if not self._pending and self.outcome == "running":
            self._close("complete", "", now)

    def interrupt(self, why: str, now: float) -> None:
        """It cannot be finished now."""
        if self.outcome == "running":
            self._close("interrupted", why, now)

    def _close(self, outcome: Outcome, why: str, now: float) -> None:
        self._count_keys()
        self._sent, self._received = {}, {}
        self.outcome, self.why = outcome, why
        self._took_s = now - self.began_at

    def _count_keys(self) -> None:
        for name, places in (("keys_sent", self._sent), ("keys_received", self._received)):
            for peer, found in places.items():
                self._traffic[peer][name] = len(found)

    def to_json(self, now: float) -> dict[str, Any]:
        """The report as plain values. In `traffic`, keys are those changed on one side that the
        other one needed; exchanges and bytes are comparisons of digests, beside what the logs
        sent."""
        self._count_keys()
        took_s = now - self.began_at if self._took_s is None else self._took_s
        return {
            "number": self.number,
            "host": self.host,
            "peers": list(self.peers),
            "outcome": self.outcome,
            "why": self.why,
            "pending": sorted(self.pending),
            "healed_at": self.healed_at,
            "apart_s": round(self.apart_s, 3),
            "took_s": round(took_s, 3),
            "diverged_keys": self.diverged_keys,
            "keys_not_looked_at": self.keys_not_looked_at,
            "shown_keys": len(self._diverged),
            "diverged": [found.to_json() for found in self._diverged.values()],
            "traffic": {peer: dict(counts) for peer, counts in self._traffic.items()},
        }


def _joined(known: Diverged, found: Diverged) -> Diverged:
    """Later news of the same key: its winner is the winner now, what lost has lost."""
    winner = found.winner or known.winner
    dots = {(winner.actor, winner.seq)} if winner is not None else set[tuple[int, int]]()
    losers: list[Version] = []
    before = () if known.winner is None or found.winner is None else (known.winner,)
    for one in (*known.losers, *before, *found.losers):
        if (one.actor, one.seq) not in dots and len(losers) < VERSIONS_SHOWN_MAX:
            dots.add((one.actor, one.seq))
            losers.append(one)
    resolver = found.resolver if found.reason != "merged" else known.resolver
    return Diverged(known.store, known.key, resolver, found.reason, winner, tuple(losers))


class ChangedKeys:
    """The keys that changed while somebody was away, up to a limit: then the oldest goes."""

    def __init__(self, keys_max: int) -> None:
        self._keys_max = keys_max
        self._places: dict[tuple[str, str], None] = {}
        self.dropped = 0

    def add(self, store: str, key: str) -> None:
        place = (store, key)
        if place not in self._places and len(self._places) >= self._keys_max:
            del self._places[next(iter(self._places))]
            self.dropped += 1
        self._places[place] = None

    def take(self, limit: int) -> list[tuple[str, str]]:
        """The first `limit`; they are forgotten here."""
        places = list(islice(self._places, limit))
        for place in places:
            del self._places[place]
        return places

    def clear(self) -> None:
        self._places.clear()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._places)


Vector = Mapping[int, int]


class Apart(NamedTuple):
    """What this host had when a peer went away."""

    here: Vector
    """Of everybody's updates, what the other side has for certain: what was here some seconds
    before it was noticed, and what the peer said it has."""
    there: Vector
    """Of everybody's updates, when it was noticed: nothing came from the other side since."""
    actors: frozenset[int]
    """Of the peers that went away."""

    def went(self, highs: Vector) -> bool:
        """Whether a key whose state has seen `highs` was changed on this side meanwhile. May be
        true for one changed in the last seconds before; never false for one that was."""
        return any(seq > self.here.get(a, 0) for a, seq in highs.items() if a not in self.actors)

    def came(self, highs: Vector) -> bool:
        """Whether it was changed on the other side meanwhile."""
        return any(self.is_news(actor, seq) for actor, seq in highs.items())

    def is_news(self, actor: int, seq: int) -> bool:
        """Whether the update was made on the other side meanwhile."""
        return actor in self.actors and seq > self.there.get(actor, 0)
