"""An agent as its callers see it: methods that are messages.

The law of this file: a proxy is a name and options, nothing more. It survives every move of the
agent, costs nothing to make, and may be made for a name that does not live (yet).
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

from quorate.core.errors import UsageError

if TYPE_CHECKING:
    from quorate.hosts.agents.calls import Calls, Sent

OPTIONS: Final = ("timeout", "consistency", "delivery")
LEVELS: Final = ("strong", "session", "eventual")
DELIVERIES: Final = ("at_most_once",)


class Pending:
    """An answer that is on its way: `await` it, once or often."""

    __slots__ = ("_message",)

    def __init__(self, message: Sent) -> None:
        self._message = message

    def __await__(self) -> Generator[Any, None, Any]:
        future = self._message.future
        assert future is not None
        return future.__await__()

    @property
    def future(self) -> asyncio.Future[Any]:
        assert self._message.future is not None
        return self._message.future

    def done(self) -> bool:
        """Whether the answer, or the error, is here."""
        return self.future.done()

    def cancel(self) -> bool:
        """Wait for it no longer; a turn that began goes on."""
        self._message.abandon()
        return self.future.cancel()

    @property
    def degraded(self) -> bool:
        """Whether it was answered by an agent that is cut off from the group."""
        return self._message.degraded

    def __repr__(self) -> str:
        return f"<Pending {self._message.target!r}.{self._message.method}>"


class _Names:
    """Attributes that are methods of the agent, made when first used."""

    def __init__(self, calls: Calls, name: str, options: dict[str, Any] | None) -> None:
        self._calls = calls
        self._name = name
        self._options = options

    def _method(self, method: str) -> Any:
        raise NotImplementedError

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        made = self._method(method)
        self.__dict__[method] = made
        return made


class Tells(_Names):
    """`proxy.tell.method(...)`: sends and returns None at once."""

    def _method(self, method: str) -> Any:
        tell, name, options = self._calls.tell, self._name, self._options

        def send(*args: Any, **kwargs: Any) -> None:
            tell(name, method, args, kwargs, options)

        return send


class Asks(_Names):
    """`proxy.ask.method(...)`: sends at once and returns a `Pending`."""

    def _method(self, method: str) -> Any:
        ask, name, options = self._calls.ask, self._name, self._options

        def send(*args: Any, **kwargs: Any) -> Pending:
            return Pending(ask(name, method, args, kwargs, options))

        return send


class AgentProxy(_Names):
    """`await proxy.method(...)`: sends and waits for the answer. See the law above."""

    def _method(self, method: str) -> Any:
        ask, name, options = self._calls.ask, self._name, self._options

        async def call(*args: Any, **kwargs: Any) -> Any:
            message = ask(name, method, args, kwargs, options)
            future = message.future
            assert future is not None
            try:
                return await future
            except asyncio.CancelledError:
                message.abandon()
                raise

        return call

    @property
    def name(self) -> str:
        """The name of the agent."""
        return self._name

    @property
    def tell(self) -> Tells:
        """The same methods, sent without waiting for anything."""
        return Tells(self._calls, self._name, self._options)

    @property
    def ask(self) -> Asks:
        """The same methods, giving a `Pending` at once."""
        return Asks(self._calls, self._name, self._options)

    def options(
        self,
        *,
        timeout: float | None = None,
        consistency: str | None = None,
        delivery: str | None = None,
    ) -> AgentProxy:
        """The same agent, called otherwise. `timeout`: seconds; `consistency`: of the turn's writes
        that name none; `delivery`: "at_most_once". Raises `UsageError`."""
        given = dict(self._options or {})
        if timeout is not None:
            if not timeout > 0:
                raise UsageError(f"timeout= must be seconds above 0, not {timeout!r}")
            given["timeout"] = float(timeout)
        if consistency is not None:
            if consistency not in LEVELS:
                raise UsageError(f"consistency={consistency!r}: use one of {', '.join(LEVELS)}")
            given["consistency"] = consistency
        if delivery is not None:
            if delivery not in DELIVERIES:
                raise UsageError(f"delivery={delivery!r}: use one of {', '.join(DELIVERIES)}")
            given["delivery"] = delivery
        return AgentProxy(self._calls, self._name, given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AgentProxy) and other._name == self._name

    def __hash__(self) -> int:
        return hash(("agent", self._name))

    def __repr__(self) -> str:
        return f"<agent {self._name!r}>"
