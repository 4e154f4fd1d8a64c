"""What the Raft driver asks of snapshots: one protocol over real files and over the simulator's
memory.

The law of this file: values and decisions only. A snapshot is the whole state of a machine as of
one log index, described by a manifest; its id is made from its contents, so that a transfer can
only be resumed with the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

from quorate.core.errors import UsageError

SNAPSHOT_FORMAT = 1
SNAPSHOTS_KEPT = 2
SNAPSHOT_BYTES_MAX = 1 << 42

Manifest = dict[str, Any]
"""{"id": str, "index": int, "term": int, "size_bytes": int, "sha256": str (hex), "format": int,
"config": dict}; `config` is the caller's own (CBOR-able), such as the members as of the index.
"""

ExportDone = Callable[[Manifest | None, Exception | None], object]
InstallDone = Callable[[str | None, Exception | None], object]
Done = Callable[[Exception | None], object]

_ID = re.compile(r"[0-9a-f]{1,16}-[0-9a-f]{1,16}-[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KINDS: dict[str, type] = {
    "id": str,
    "index": int,
    "term": int,
    "size_bytes": int,
    "sha256": str,
    "format": int,
    "config": dict,
}


class Snapshots(Protocol):
    """The snapshots of one host. All use, and every callback, on the owning thread."""

    def export(self, index: int, term: int, config: dict[str, Any], done: ExportDone) -> None:
        """Makes a snapshot of what the state's engine has committed now; `index` must be what that
        reflects.

        Refuses with Overloaded while another export runs, with StorageFull when the disk would run
        full.
        """
        ...

    def latest(self) -> Manifest | None:
        """The complete snapshot with the highest index: exported here, or received."""
        ...

    def read(self, snapshot_id: str, offset: int, length: int) -> bytes | None:
        """Bytes of a complete snapshot (fewer at its end), or None when it is gone: start again
        with `latest()`.
        """
        ...

    def begin_receive(self, manifest: Manifest) -> int:
        """Prepares to receive and gives the offset to go on from (a partial of the same id survives
        a restart).

        At most one partial is kept: another one is thrown away. Raises UsageError (a malformed
        manifest), StorageFull.
        """
        ...

    def write(self, snapshot_id: str, offset: int, data: bytes) -> int:
        """Takes the bytes if `offset` is the next one, and gives the next offset wanted either way.

        Raises UsageError when this id is not being received or the bytes go past its size;
        StorageFull.
        """
        ...

    def finish(self, snapshot_id: str, done: Done) -> None:
        """Checks size and hash; `done(None)`: complete and durable. Otherwise the partial is thrown
        away.
        """
        ...

    def install(self, snapshot_id: str, done: InstallDone) -> None:
        """Makes a new state generation from a complete snapshot: `done(its name, None)`. Nothing is
        switched.
        """
        ...

    def drop_partial(self, snapshot_id: str) -> None: ...

    def statistics(self) -> dict[str, object]: ...


def snapshot_id(index: int, term: int, sha256: str) -> str:
    return f"{index:x}-{term:x}-{sha256[:32]}"


def manifest_of(
    *, index: int, term: int, size_bytes: int, sha256: str, config: dict[str, Any]
) -> Manifest:
    return {
        "id": snapshot_id(index, term, sha256),
        "index": index,
        "term": term,
        "size_bytes": size_bytes,
        "sha256": sha256,
        "format": SNAPSHOT_FORMAT,
        "config": config,
    }


def check_manifest(manifest: object) -> Manifest:
    """The manifest, if it is one. Raises UsageError: it comes from another host, so nothing is
    believed.
    """
    if not isinstance(manifest, dict):
        raise UsageError("a snapshot manifest must be a map")
    found: Manifest = {str(name): value for name, value in manifest.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    for name, kind in _KINDS.items():
        if type(found.get(name)) is not kind:
            raise UsageError(f"the snapshot manifest's {name!r} must be of type {kind.__name__}")
    if len(found) != len(_KINDS):
        raise UsageError(f"a snapshot manifest has exactly the fields {', '.join(_KINDS)}")
    if found["format"] != SNAPSHOT_FORMAT:
        raise UsageError(
            f"the snapshot has format {found['format']}, this program reads {SNAPSHOT_FORMAT}: "
            "update the older of the two hosts"
        )
    if not _ID.fullmatch(found["id"]) or not _SHA256.fullmatch(found["sha256"]):
        raise UsageError("the snapshot manifest's id or sha256 is malformed")
    if found["index"] < 0 or found["term"] < 0:
        raise UsageError("the snapshot manifest's index and term must not be negative")
    if found["id"] != snapshot_id(found["index"], found["term"], found["sha256"]):
        raise UsageError("the snapshot manifest's id does not fit its index, term and sha256")
    if not 0 < found["size_bytes"] <= SNAPSHOT_BYTES_MAX:
        raise UsageError(f"a snapshot must have 1 to {SNAPSHOT_BYTES_MAX} bytes")
    return found


def surplus(manifests: list[Manifest], keep: int = SNAPSHOTS_KEPT) -> list[str]:
    """The ids to remove so that the `keep` snapshots with the highest index stay."""
    ordered = sorted(manifests, key=lambda m: (m["index"], m["term"], m["id"]), reverse=True)
    return [manifest["id"] for manifest in ordered[keep:]]
