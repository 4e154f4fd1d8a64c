"""The register workload without what plain PySyncObj cannot tell.

The law of this file: the same operations, clients and judge as `workloads/register.py`; only the
place in the log is left out, so that the answers alone speak.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from quorate.chaos.workloads.register import RegisterWorkload

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client, Op


class ControlRegister(RegisterWorkload):
    """Registers of a host that is not ours."""

    name: ClassVar[str] = "control-register"

    async def invoke(self, client: Client) -> None:
        await super().invoke(cast("Client", _Unwitnessed(client)))


class _Unwitnessed:
    """A client whose operations leave their place in the log out."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def op(self, f: str, key: str, value: Any = None) -> Any:
        return _Op(self._client.op(f, key, value))


class _Op:
    def __init__(self, op: Op) -> None:
        self._op = op

    async def __aenter__(self) -> _Op:
        await self._op.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> bool:
        return await self._op.__aexit__(*raised)

    def ok(self, value: Any = None, **_: Any) -> None:
        self._op.ok(value)
