"""What an agent was started with: kept with its name in the group, the same for all its places.

The law of this file: plain values, checked when made and when read. Pure.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, cast

from quorate.core import codec
from quorate.core.errors import LimitExceeded, UsageError

SPEC_BYTES_MAX: Final = 64 * 1024
META_BYTES_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Spec:
    """See the law above."""

    version: int = 1
    """The class must have at least this version where the agent runs."""
    args: dict[str, Any] = field(default_factory=dict[str, Any])
    demand: dict[str, Any] = field(default_factory=dict[str, Any])
    """What it needs of its place, as `placement.demand` writes it."""
    partition: str = ""
    """In place of the class's own policy, unless empty."""
    place_until: float = 0.0
    """Seconds since the epoch: without a place by then it is stopped; 0: it waits for ever."""

    def encoded(self) -> bytes:
        """As the group keeps it. Raises `UsageError`."""
        given = {key: value for key, value in asdict(self).items() if value}
        try:
            data = codec.encode_value(given)
        except UsageError as error:
            raise UsageError(f"args= cannot be encoded: {error}") from error
        if len(data) > SPEC_BYTES_MAX:
            raise LimitExceeded(
                f"args= and the options of an agent have {len(data)} bytes, {SPEC_BYTES_MAX} at "
                "most: give it what is large with its first message"
            )
        return data


_NAMES: Final = frozenset(one.name for one in fields(Spec))


def spec_of(data: bytes) -> Spec:
    """Read a spec; what a newer version added is left out."""
    plain: Any = codec.decode_value(data) if data else {}
    if not isinstance(plain, dict):
        raise UsageError("malformed spec of an agent")
    known = cast("dict[str, Any]", plain)
    return Spec(**{name: value for name, value in known.items() if name in _NAMES})


def encode_meta(meta: Any) -> bytes:
    """The metadata of a name. Raises `UsageError`, `LimitExceeded`."""
    if meta is None:
        return b""
    try:
        data = codec.encode_value(meta)
    except UsageError as error:
        raise UsageError(f"meta= cannot be encoded: {error}") from error
    if len(data) > META_BYTES_MAX:
        raise LimitExceeded(f"meta= has {len(data)} bytes, {META_BYTES_MAX} at most")
    return data


def meta_of(data: bytes) -> Any:
    """What `encode_meta` was given."""
    return codec.decode_value(data) if data else None
