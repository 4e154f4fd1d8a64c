"""One exchange with one peer, on the side that asks: its steps in flight, its deadlines, its end.

The law of this file: at most `window_requests` requests are on their way or being used at any time,
and the next one leaves when the pacer allows; so the receiver of data sets the pace. A request may
be sent again (all are idempotent); whatever comes late or twice is ignored. It ends exactly once,
with a report that is complete only if every step was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from quorate.consistency.merkle import messages
from quorate.consistency.merkle.ports import Message, Send
from quorate.consistency.merkle.steps import Round, Step
from quorate.consistency.merkle.transfer import SyncStep
from quorate.core.clock import Clock, Scheduler, Timer
from quorate.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class ExchangeConfig:
    """Limits of all exchanges of one host."""

    window_requests: int = 2
    request_timeout_s: float = 2.0
    tries_max: int = 5
    busy_s: float = 0.1
    round_s: float = 120.0
    """The deadline of one exchange; what is left is for the next one."""
    rate_bytes_s: float = 32 * 2**20
    """Both directions together, over all exchanges begun here."""
    burst_bytes: int = 1 << 20
    sessions_per_peer_max: int = 2
    pushes_per_peer_max: int = 4


class Report(NamedTuple):
    """What came of one exchange. Bytes are those of both directions' messages, about."""

    peer: str
    complete: bool
    """Everything that the peer had at the start, in these stores and partitions, is here and
    durable, and the other way round."""
    why: str
    """Why it is not complete."""
    partitions: tuple[int, ...]
    actors: tuple[int, ...]
    """Whose updates the peer makes, and made before on its disk; empty before that was heard."""
    applied: Mapping[int, int]
    """What the peer had applied at the start; empty before that was heard."""
    others: Mapping[str, int]
    """Stores that the peer has and that were not asked for, with their numbers of replicas."""
    rounds: int
    keys_sent: int
    keys_received: int
    keys_changed: int
    keys_gone: int
    buckets_differing: int
    bytes_sent: int
    bytes_received: int
    took_s: float


class Pacer:
    """So many bytes a second, after a burst."""

    def __init__(self, clock: Clock, rate_bytes_s: float, burst_bytes: int) -> None:
        self._clock, self._rate = clock, rate_bytes_s
        self._burst_s = burst_bytes / rate_bytes_s
        self._paid_until = clock.monotonic() - self._burst_s

    def spend(self, size_bytes: int) -> None:
        earliest = self._clock.monotonic() - self._burst_s
        self._paid_until = max(self._paid_until, earliest) + size_bytes / self._rate

    def wait_s(self) -> float:
        """How long until something may be sent; 0.0 for now."""
        return max(0.0, self._paid_until - self._clock.monotonic())


class _Flight:
    """A request on its way."""

    __slots__ = ("message", "step", "timer", "tries")

    def __init__(self, step: Step, message: Message) -> None:
        self.step, self.message = step, message
        self.tries = 0
        self.timer: Timer | None = None


class Session:
    """See the law above."""

    def __init__(
        self,
        number: int,
        peer: str,
        whole: Round,
        steps: Sequence[Step],
        *,
        config: ExchangeConfig,
        clock: Clock,
        scheduler: Scheduler,
        pacer: Pacer,
        send: Send,
        finished: Callable[[Session, Report], None],
    ) -> None:
        self.number, self.peer = number, peer
        self._whole = whole
        self._waiting = deque(steps)
        self._config, self._clock, self._scheduler = config, clock, scheduler
        self._pacer, self._send, self._finished = pacer, send, finished
        self._flights: dict[int, _Flight] = {}
        self._using = 0
        self._requests = 0
        self._synced = False
        self._paced: Timer | None = None
        self._deadline: Timer | None = None
        self._began_at = clock.monotonic()
        self.ended = False
        self.rounds = self.bytes_sent = self.bytes_received = 0

    def begin(self) -> None:
        self._deadline = self._scheduler.call_later(
            self._config.round_s, lambda: self.end("the round took too long")
        )
        self._pump()

    def end(self, why: str = "") -> None:
        """Over, at once. `why` is empty when everything was done."""
        if self.ended:
            return
        self.ended = True
        for timer in (self._deadline, self._paced, *(f.timer for f in self._flights.values())):
            if timer is not None:
                timer.cancel()
        self._flights.clear()
        self._waiting.clear()
        self._finished(self, self._report(why))

    # --- asking ---------------------------------------------------------------------------------

    def _pump(self) -> None:
        while not self.ended and self._waiting:
            if len(self._flights) + self._using >= self._config.window_requests:
                return
            wait_s = self._pacer.wait_s()
            if wait_s > 0:
                if self._paced is None:
                    self._paced = self._scheduler.call_later(wait_s, self._on_paced)
                return
            step = self._waiting.popleft()
            body, rest = step.request(self._whole)
            if rest is not None:
                self._waiting.appendleft(rest)
            if body is not None:
                self._requests += 1
                request = messages.message(self.number, self._requests, step.what, body)
                self._flights[self._requests] = flight = _Flight(step, request)
                if body.get("states"):
                    self._launch_durably(self._requests, flight)
                else:
                    self._launch(self._requests, flight)
        if not self._flights and not self._using and not self.ended:
            self._last()

    def _last(self) -> None:
        """Nothing is left to compare: one last word about the disks, then the end."""
        if self._synced or not self._requests:
            self.end()
        else:
            self._synced = True
            self._waiting.append(SyncStep())
            self._pump()

    def _on_paced(self) -> None:
        self._paced = None
        self._pump()

    def _launch_durably(self, number: int, flight: _Flight) -> None:
        """States leave a host once they are on its disk, see `Answering`."""

        def durable() -> None:
            if number in self._flights:
                self._launch(number, flight)

        self._whole.data.barrier(durable)

    def _launch(self, number: int, flight: _Flight) -> None:
        """Send the request, the first time or again."""
        if flight.tries >= self._config.tries_max:
            self.end("the peer does not answer")
            return
        flight.tries += 1
        size = messages.size_of(flight.message)
        wait_s = self._config.request_timeout_s
        if self._send(self.peer, flight.message, True):
            self.bytes_sent += size
            self._pacer.spend(size)
        else:
            wait_s = self._config.busy_s * flight.tries
        flight.timer = self._scheduler.call_later(wait_s, lambda: self._launch(number, flight))

    # --- hearing --------------------------------------------------------------------------------

    def on_answer(self, answer: Message) -> None:
        """An answer of the peer. Raises UsageError for a malformed one; the exchange is over."""
        number = messages.number_of(answer, "n")
        flight = self._flights.get(number)
        if flight is None or self.ended:
            return
        if flight.timer is not None:
            flight.timer.cancel()
        try:
            self._use(number, flight, answer)
        except UsageError as error:
            self.end(f"a malformed answer: {error}")
            raise

    def _use(self, number: int, flight: _Flight, answer: Message) -> None:
        size = messages.size_of(answer)
        self.bytes_received += size
        self._pacer.spend(size)
        if answer.get("busy") is True:
            flight.tries = 0
            flight.timer = self._scheduler.call_later(
                self._config.busy_s, lambda: self._launch(number, flight)
            )
            return
        del self._flights[number]
        self.rounds += 1
        self._using += 1
        flight.step.on_answer(self._whole, answer, self._then, self.end)

    def _then(self, steps: list[Step]) -> None:
        self._using -= 1
        if not self.ended:
            self._waiting.extendleft(reversed(steps))
            self._pump()

    def _report(self, why: str) -> Report:
        whole = self._whole
        if not why and whole.keys_too_large:
            why = f"{whole.keys_too_large} states are too long for one message"
        return Report(
            peer=self.peer,
            complete=not why,
            why=why,
            partitions=whole.partitions,
            actors=whole.actors,
            applied=whole.applied or {},
            others=dict(whole.others),
            rounds=self.rounds,
            keys_sent=whole.keys_sent,
            keys_received=whole.keys_received,
            keys_changed=whole.keys_changed,
            keys_gone=whole.keys_gone,
            buckets_differing=whole.buckets_differing,
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            took_s=self._clock.monotonic() - self._began_at,
        )
