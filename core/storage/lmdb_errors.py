"""What an LMDB or operating system error in a commit means: the disk is full (recovers) or failed
(fatal).

The law of this file: decisions over error values; the only thing it asks the world is how much
space is free, because LMDB reports a write that was cut short by a full disk as EIO.
"""

from __future__ import annotations

import errno
from pathlib import Path

import lmdb

from quorate.core.errors import LimitExceeded, QuorateError, StorageFailed, StorageFull
from quorate.core.storage.folder import free_bytes

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SLACK_BYTES = 1 << 20


def code_of(error: BaseException) -> int:
    """The errno or LMDB code of an error, or 0."""
    if isinstance(error, OSError):
        return error.errno or 0
    return int(getattr(error, "code", 0) or 0)


def explain(error: BaseException, folder: Path, wanted_bytes: int) -> QuorateError:
    """The error to hand to the caller of a commit that wanted to write about `wanted_bytes`."""
    code = code_of(error)
    if isinstance(error, lmdb.TxnFullError):
        return LimitExceeded(
            f"one storage transaction of {wanted_bytes} bytes is too large: commit in smaller ones"
        )
    if isinstance(error, lmdb.MapFullError):
        return map_is_full(folder)
    if code in _FULL or (code == errno.EIO and _is_nearly_full(folder, wanted_bytes)):
        return StorageFull(
            f"no space left for the store in {folder} ({error}): free space on its file system; "
            "writes resume by themselves"
        )
    return StorageFailed(
        f"a write or sync of the store in {folder} failed ({error}): what is on the disk is "
        "unknown. Check the disk, then start this host again"
    )


def map_is_full(folder: Path) -> StorageFull:
    return StorageFull(
        f"the store in {folder} has reached map_size_max_bytes: raise it, or let compaction "
        "free space"
    )


def _is_nearly_full(folder: Path, wanted_bytes: int) -> bool:
    try:
        return free_bytes(folder) < 2 * wanted_bytes + _SLACK_BYTES
    except OSError:
        return False
