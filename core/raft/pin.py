"""The engine's pin: which PySyncObj this package was audited against, and a refusal to run on
another.

`HardenedRaft` overrides private methods of PySyncObj. An override that silently stops being called
would bring a closed hazard back, so the source of every module we stand on is hashed at import and
compared with the audited one.
"""

from __future__ import annotations

import hashlib
import inspect

import pysyncobj.config
import pysyncobj.fast_queue
import pysyncobj.journal
import pysyncobj.node
import pysyncobj.serializer
import pysyncobj.syncobj
import pysyncobj.transport
import pysyncobj.version

from quorate.core.errors import InvariantBroken

AUDITED_VERSION = "0.3.17"
AUDITED_SHA256 = "e00862b71c004f5b3b74a1a9d2a258140311f0b169b4e513f025bbdf92ab7cdb"

_MODULES = (
    pysyncobj.config,
    pysyncobj.fast_queue,
    pysyncobj.journal,
    pysyncobj.node,
    pysyncobj.serializer,
    pysyncobj.syncobj,
    pysyncobj.transport,
)


def source_sha256() -> str:
    """The hash of the engine's source as installed here, hex."""
    digest = hashlib.sha256()
    for module in _MODULES:
        digest.update(module.__name__.encode())
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()


def require_audited_engine() -> None:
    """Raise `InvariantBroken` unless the installed PySyncObj is the audited one, byte for byte."""
    found = source_sha256()
    if pysyncobj.version.VERSION != AUDITED_VERSION or found != AUDITED_SHA256:
        raise InvariantBroken(
            f"PySyncObj {pysyncobj.version.VERSION} (sha256 {found[:16]}...) is not the audited "
            f"engine {AUDITED_VERSION} (sha256 {AUDITED_SHA256[:16]}...); install "
            f"pysyncobj=={AUDITED_VERSION} from the lock file, or audit the new one and run "
            "tests/contracts before changing core/raft/pin.py"
        )


require_audited_engine()
