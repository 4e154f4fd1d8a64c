"""One operation of the API as a value: the routes and the OpenAPI page are both made from these.
Pure.

The law of this file: a resource file lists its operations once; what is not listed is neither
served nor documented.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Handler = Callable[[Any], Awaitable[Any]]
"""async (aiohttp request) -> aiohttp response"""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation; `where` is `query`, `path` or `header`."""

    name: str
    about: str
    where: str = "query"
    type: str = "string"
    default: Any = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. A path parameter written `{key+}` takes slashes too."""

    method: str
    path: str
    handler: Handler
    about: str
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    """What the request body is, if there is one."""
    answer: str = "application/json"
    open: bool = False
    """Needs no token: probes."""
    stream: bool = False
    """Ends when the client goes, not by a deadline."""
    problems: tuple[int, ...] = field(default=(503, 504))

    @property
    def identifier(self) -> str:
        """The operation's id in the OpenAPI page: `put_v1_kv_key`."""
        words = "".join(c if c.isalnum() else " " for c in f"{self.method.lower()} {self.path}")
        return "_".join(words.split())


TIMEOUT = Parameter("timeout", "Deadline of the call in seconds", type="number", default=5)
LEVEL = Parameter("level", "linearizable, or local: at once and possibly stale")
