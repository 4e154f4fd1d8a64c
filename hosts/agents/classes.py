"""The classes of agents that a host can run, by name and version.

The law of this file: a class is looked at once, when it is registered; a mistake in it is said then
and not when the first message comes. Which methods are messages, and which of them may overlap, is
a table from then on.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from quorate.core.errors import UnknownClass, UsageError
from quorate.hosts.agents.agent import HOOKS, SHARED, Agent
from quorate.hosts.agents.proxy import AgentProxy

KIND_BYTES_MAX: Final = 256
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "partition": ("pause_minority", "degraded", "split_brain"),
    "consistency": ("strong", "session", "eventual"),
    "mailbox_full": ("refuse", "wait"),
    "migration": ("checkpoint_restore", "state_transfer", "cold_start"),
}
POSITIVE: Final = (
    "mailbox_messages_max",
    "restarts_max",
    "restart_window_s",
    "state_bytes_max",
    "version",
)


PROXY_NAMES: Final = frozenset(name for name in vars(AgentProxy) if not name.startswith("_"))


def may_be_defined(name: str) -> bool:
    """Whether a class may have its own of what every agent has."""
    return name.startswith("on_") or name == "check_state"


@dataclass(frozen=True, slots=True)
class Method:
    """A message that the class understands."""

    name: str
    function: Callable[..., Any]
    shared: bool
    waits: bool
    """Whether it is a coroutine function; a plain one answers at once."""


@dataclass(slots=True)
class AgentClass:
    """A registered class."""

    kind: str
    cls: type[Agent]
    methods: dict[str, Method] = field(default_factory=dict[str, Method])
    overrides: frozenset[str] = frozenset()
    """The hooks that the class has of its own: those that it has not are not called."""

    def method(self, name: str) -> Method:
        """Raises `UsageError` for a message the class does not understand."""
        found = self.methods.get(name)
        if found is None:
            near = difflib.get_close_matches(name, self.methods, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(self.methods)}"
            raise UsageError(f"agents of class {self.kind!r} have no method {name!r}; {hint}")
        return found


class Classes:
    """The classes of one host. `listener()`: called when another one was registered."""

    def __init__(self) -> None:
        self._by_kind: dict[str, AgentClass] = {}
        self._by_class: dict[type[Agent], AgentClass] = {}
        self.listener: Callable[[], object] | None = None

    def register(self, wanted: type[Agent] | str) -> AgentClass:
        """Register a class, or the one that "module:Class" names. Twice the same is no error; a
        second class of the same name is a `UsageError`, an unknown one `UnknownClass`."""
        cls = load(wanted) if isinstance(wanted, str) else wanted
        known = self._by_class.get(cls)
        if known is not None:
            return known
        found = look_at(cls)
        other = self._by_kind.get(found.kind)
        if other is not None and not _same(other.cls, cls):
            raise UsageError(
                f"the kind {found.kind!r} is {other.cls.__module__}.{other.cls.__qualname__} "
                f"already: give {cls.__qualname__} another `kind`"
            )
        self._by_kind[found.kind] = found
        self._by_class[cls] = found
        if self.listener is not None:
            self.listener()
        return found

    def get(self, kind: str) -> AgentClass | None:
        return self._by_kind.get(kind)

    def find(self, kind: str) -> AgentClass:
        """Raises `UnknownClass`."""
        found = self._by_kind.get(kind)
        if found is None:
            known = ", ".join(sorted(self._by_kind)) or "none"
            raise UnknownClass(
                f"no class {kind!r} is registered on this host (registered: {known}): call "
                "host.agents.register(...) there"
            )
        return found

    def of(self, wanted: type[Agent] | str) -> AgentClass:
        """What `start` was given: a class (registered now if it was not), a kind, or
        "module:Class"."""
        if isinstance(wanted, str):
            found = self._by_kind.get(wanted)
            if found is None and ":" in wanted:
                return self.register(wanted)
            return found or self.find(wanted)
        return self.register(wanted)

    def versions(self) -> dict[str, int]:
        """Kind -> version of everything registered here."""
        return {kind: found.cls.version for kind, found in self._by_kind.items()}


def _same(one: type[Any], other: type[Any]) -> bool:
    """The same class, perhaps loaded twice."""
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)


def load(path: str) -> type[Agent]:
    """The class that "module:Class" names. Raises `UnknownClass`."""
    module, _, name = path.partition(":")
    if not module or not name:
        raise UnknownClass(f'{path!r} names no class: write it as "module:Class"')
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise UnknownClass(f"the class {path!r} cannot be loaded: {error}") from error
    if not (inspect.isclass(found) and issubclass(found, Agent)):
        raise UnknownClass(f"{path!r} is no class that inherits from quorate.Agent")
    return found


def look_at(cls: object) -> AgentClass:
    """Check a class and make its table. Raises `UsageError`."""
    if not (inspect.isclass(cls) and issubclass(cls, Agent)) or cls is Agent:
        raise UsageError(f"{cls!r} is no class that inherits from quorate.Agent")
    kind = cls.kind or f"{cls.__module__}:{cls.__qualname__}"
    if "<locals>" in kind and not cls.kind:
        kind = f"{cls.__module__}:{cls.__name__}"
    if not kind.isprintable() or len(kind.encode()) > KIND_BYTES_MAX:
        raise UsageError(
            f"the kind {kind[:60]!r} must be printable, {KIND_BYTES_MAX} bytes at most"
        )
    _check_options(cls, kind)
    found = AgentClass(kind, cls)
    for name, value in inspect.getmembers(cls, inspect.isfunction):
        if name.startswith("_"):
            continue
        if name in HOOKS:
            if not may_be_defined(name) and value is not getattr(Agent, name):
                raise UsageError(f"{kind}.{name}: every agent has `{name}` already: rename it")
            continue
        if name in PROXY_NAMES:
            raise UsageError(
                f"{kind}.{name}: a proxy has `{name}` of its own, so nobody could call the "
                "method: use another name"
            )
        waits = inspect.iscoroutinefunction(value)
        if inspect.isasyncgenfunction(value) or inspect.isgeneratorfunction(value):
            raise UsageError(f"{kind}.{name} is a generator: a message has one answer")
        found.methods[name] = Method(name, value, bool(getattr(value, SHARED, False)), waits)
    found.overrides = frozenset(
        name
        for name in HOOKS
        if name.startswith("on_") and getattr(cls, name, None) is not getattr(Agent, name)
    )
    for name in (*found.overrides, "check_state"):
        if not inspect.iscoroutinefunction(getattr(cls, name)):
            raise UsageError(f"{kind}.{name} must be an async method")
    return found


def _check_options(cls: type[Agent], kind: str) -> None:
    for name, choices in CHOICES.items():
        value = getattr(cls, name)
        if value not in choices:
            raise UsageError(f"{kind}.{name} = {value!r}: use one of {', '.join(choices)}")
    for name in POSITIVE:
        value = getattr(cls, name)
        if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            raise UsageError(f"{kind}.{name} must be a number above 0, not {value!r}")
    for name in ("idle_after_s", "turn_timeout_s", "memory_mb", "backup_s"):
        value = getattr(cls, name)
        if value is not None and (not isinstance(value, int | float) or value <= 0):
            raise UsageError(f"{kind}.{name} must be a number above 0 or None, not {value!r}")
