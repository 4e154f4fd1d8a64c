"""What waits to be sent on one link: three lanes of bytes, each bounded.

The law of this file: pure. URGENT leaves before NORMAL before BULK, order is kept inside a lane,
and a long message is cut only when its turn comes, so that a short urgent one waits behind one
piece and not behind the whole.
"""

from __future__ import annotations

from collections import deque
from typing import Final, cast

from quorate.core.errors import LimitExceeded
from quorate.core.wire.frames import HEADER, HEADER_BYTES, Kind, chunk_frame
from quorate.core.wire.limits import Lane, WireLimits

CONTROL_FRAMES_MAX: Final = 64
OVERHEAD_BYTES: Final = 64
"""What a queued message costs beside its bytes: many tiny ones must not hide from the limits."""
_MESSAGE: Final = int(Kind.MESSAGE)


class _Long:
    """A message that leaves in pieces; `at` is the first byte not yet taken."""

    __slots__ = ("at", "message_id", "payload")

    def __init__(self, message_id: int, payload: bytes) -> None:
        self.message_id = message_id
        self.payload = payload
        self.at = 0


class Lanes:
    """The outgoing queues of one link. Sizes are in bytes, with what the queue itself costs."""

    def __init__(self, limits: WireLimits) -> None:
        self._limits = limits
        self._max = tuple(limits.queue_bytes_max(lane) for lane in Lane)
        self._queues: tuple[deque[bytes | _Long], ...] = (deque(), deque(), deque())
        self._control: deque[bytes] = deque()
        self._next_id = 0
        self._long_messages = [0, 0, 0]
        self.queued_bytes = [0, 0, 0]
        self.dropped_messages = [0, 0, 0]
        self.refused_messages = [0, 0, 0]

    def put(self, payload: bytes, lane: Lane) -> bool:
        """Queue one encoded message; False when its lane is full.

        Raises LimitExceeded when it is longer than any message may be.
        """
        size = len(payload)
        cost = size + OVERHEAD_BYTES
        queued = self.queued_bytes
        if queued[lane] and queued[lane] + cost > self._max[lane]:
            self.refused_messages[lane] += 1
            return False
        if size > self._limits.chunk_bytes:
            if size > self._limits.message_bytes_max:
                raise LimitExceeded(
                    f"a message of {size} bytes is over message_bytes_max "
                    f"({self._limits.message_bytes_max}): send it in parts"
                )
            self._next_id = (self._next_id + 1) & 0xFFFFFFFF
            self._queues[lane].append(_Long(self._next_id, payload))
            self._long_messages[lane] += 1
        else:
            self._queues[lane].append(HEADER.pack(size + 1, _MESSAGE) + payload)
        queued[lane] += cost
        return True

    def put_control(self, whole_frame: bytes) -> None:
        """Queue a ready frame ahead of everything; when too many wait it is dropped."""
        if len(self._control) < CONTROL_FRAMES_MAX:
            self._control.append(whole_frame)

    def take(self, bytes_max: int) -> list[bytes]:
        """Frames to write now, best first: at least one if any waits, then up to `bytes_max`."""
        frames: list[bytes] = []
        control = self._control
        while control:
            frames.append(control.popleft())
        taken = 0
        queued = self.queued_bytes
        for lane, queue in enumerate(self._queues):
            if not self._long_messages[lane] and taken + queued[lane] <= bytes_max:
                frames += cast("deque[bytes]", queue)
                queue.clear()
                taken += queued[lane]
                queued[lane] = 0
            while queue:
                head = queue[0]
                if type(head) is bytes:
                    queue.popleft()
                    size = len(head) - HEADER_BYTES + OVERHEAD_BYTES
                    frames.append(head)
                else:
                    assert isinstance(head, _Long)
                    piece = self._piece(head)
                    size = len(piece) - HEADER_BYTES - 5
                    frames.append(piece)
                    if head.at >= len(head.payload):
                        queue.popleft()
                        self._long_messages[lane] -= 1
                        size += OVERHEAD_BYTES
                queued[lane] -= size
                taken += size
                if taken >= bytes_max:
                    return frames
        return frames

    def room(self, lane: Lane) -> bool:
        """Whether the lane is at most half full: the point at which a waiting sender goes on."""
        return self.queued_bytes[lane] * 2 <= self._max[lane]

    def clear(self) -> None:
        """Drop everything, counted: a link that comes back starts empty."""
        for lane, queue in enumerate(self._queues):
            self.dropped_messages[lane] += len(queue)
            queue.clear()
            self.queued_bytes[lane] = self._long_messages[lane] = 0
        self._control.clear()

    def __bool__(self) -> bool:
        urgent, normal, bulk = self._queues
        return bool(urgent or normal or bulk or self._control)

    def _piece(self, long: _Long) -> bytes:
        start = long.at
        long.at = end = min(start + self._limits.chunk_bytes, len(long.payload))
        piece = memoryview(long.payload)[start:end]
        return chunk_frame(long.message_id, piece, last=end == len(long.payload))
