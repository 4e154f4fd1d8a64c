"""The key of the cluster's session tokens: from its secret, or made once and kept by the group.

The law of this file: one key for a cluster, for ever. Without a secret the first host that needs
the key writes a random one with a compare-and-set, so that all read the same; it is then read from
this host's copy, also in a minority.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quorate.consistency.store.tokens import KEY_BYTES, Past, TokenMint, key_of_secret
from quorate.core.errors import Refused, Unavailable
from quorate.core.group.kv import KV

KEY_NAME = "session-key"


class Keyring:
    """Makes and reads the tokens of one host's cluster. `kv`: the namespace `quorate`. `peek()`:
    the kept key as this host has it."""

    def __init__(
        self,
        cluster: str,
        secret: str | None,
        kv: KV,
        *,
        peek: Callable[[], object],
        fresh_bytes: Callable[[int], bytes],
        stable: Callable[[], Mapping[int, int]],
    ) -> None:
        self._cluster = cluster
        self._kv = kv
        self._peek = peek
        self._fresh_bytes = fresh_bytes
        self._stable = stable
        self._mint = None if secret is None else TokenMint(cluster, key_of_secret(secret))

    def is_ready(self) -> bool:
        if self._mint is None:
            key = self._peek()
            if isinstance(key, bytes) and len(key) == KEY_BYTES:
                self._mint = TokenMint(self._cluster, key)
        return self._mint is not None

    async def ready(self, timeout: float | None = None) -> None:
        """Make sure the key is here, `timeout` in seconds. Raises `Unavailable`."""
        if self.is_ready():
            return
        try:
            key: object = self._fresh_bytes(KEY_BYTES)
            await self._kv.cas(KEY_NAME, key, version=0, timeout=timeout)
        except Refused:
            key = await self._kv.get(KEY_NAME, timeout=timeout)
        if isinstance(key, bytes) and len(key) == KEY_BYTES:
            self._mint = TokenMint(self._cluster, key)

    def token(self, past: Past) -> bytes:
        return self._ready_mint().make(past)

    def read(self, token: bytes) -> Past:
        return self._ready_mint().read(token)

    def _ready_mint(self) -> TokenMint:
        if not self.is_ready() or self._mint is None:
            raise Unavailable(
                "the cluster's session key was never fetched here: use `async with host.session()`"
            )
        return self._mint

    def prune(self, past: Past) -> Past:
        """Without what every owner has on its disk: no host can be behind it."""
        stable = self._stable()
        vector = {a: seq for a, seq in past.vector.items() if seq > stable.get(a, 0)}
        return past._replace(vector=vector)
