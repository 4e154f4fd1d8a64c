"""Classes of agents: a mistake is said when the class is registered."""

from __future__ import annotations

from typing import Any

import pytest

import quorate
from quorate.core.errors import UnknownClass, UsageError
from quorate.hosts.agents.classes import Classes, look_at


class Cart(quorate.Agent):
    version = 3

    async def on_start(self) -> None: ...

    async def add(self, sku: str) -> str:
        return sku

    @quorate.shared
    async def total(self) -> int:
        return 1

    def plain(self) -> int:
        return 2

    async def _private(self) -> None: ...


def test_the_table_of_a_class() -> None:
    found = look_at(Cart)
    assert found.kind == f"{__name__}:Cart"
    assert {name: (m.shared, m.waits) for name, m in found.methods.items()} == {
        "add": (False, True),
        "total": (True, True),
        "plain": (False, False),
    }
    assert found.overrides == {"on_start"}


def test_an_unknown_method_is_said_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="no method 'totl'; did you mean 'total'"):
        look_at(Cart).method("totl")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("partition", "pause", "pause_minority"),
        ("consistency", "weak", "strong, session, eventual"),
        ("mailbox_messages_max", 0, "above 0"),
        ("idle_after_s", -1, "above 0 or None"),
        ("migration", "teleport", "checkpoint_restore"),
        ("kind", "bad\x00kind", "printable"),
    ],
)
def test_a_wrong_option_is_said_at_once(name: str, value: Any, says: str) -> None:
    cls = type("Wrong", (quorate.Agent,), {name: value, "__module__": __name__})
    with pytest.raises(UsageError, match=says):
        look_at(cls)


def test_hooks_wait_and_messages_answer_once() -> None:
    plain_hook = type("Hook", (quorate.Agent,), {"on_start": lambda self: None})
    with pytest.raises(UsageError, match="on_start must be an async method"):
        look_at(plain_hook)

    class Stream(quorate.Agent):
        async def numbers(self) -> Any:
            yield 1

    with pytest.raises(UsageError, match="generator"):
        look_at(Stream)
    with pytest.raises(UsageError, match="no class that inherits"):
        look_at(int)


def test_twice_the_same_class_is_no_error_and_two_of_one_kind_are() -> None:
    classes = Classes()
    assert classes.register(Cart) is classes.register(f"{__name__}:Cart")
    other = type("Other", (quorate.Agent,), {"kind": f"{__name__}:Cart"})
    with pytest.raises(UsageError, match="already"):
        classes.register(other)
    assert classes.versions() == {f"{__name__}:Cart": 3}


@pytest.mark.parametrize("path", ["nowhere:Cart", f"{__name__}:Nobody", "Cart", "json:dumps"])
def test_a_class_that_cannot_be_loaded_is_said_to_be_unknown(path: str) -> None:
    with pytest.raises(UnknownClass, match="class"):
        Classes().register(path)
    with pytest.raises(UnknownClass, match="no class 'x' is registered"):
        Classes().find("x")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ask", "a proxy has `ask` of its own"),
        ("tell", "a proxy has `tell` of its own"),
        ("options", "a proxy has `options` of its own"),
        ("state", "every agent has `state` already"),
        ("stop", "every agent has `stop` already"),
    ],
)
def test_a_method_that_nobody_could_call_is_refused(name: str, says: str) -> None:
    async def method(self: Any) -> None: ...

    cls = type("Wrong", (quorate.Agent,), {name: method, "__module__": __name__})
    with pytest.raises(UsageError, match=says):
        look_at(cls)
