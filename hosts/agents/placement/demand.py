"""What an agent needs of its place, checked when it is said.

The law of this file: needs are hard (class, version, labels, resources: a host that lacks one never
gets the agent), hints are wishes (a wish that nobody can keep is dropped). A mistake is said when
`start` is called, with what was probably meant. Plain values travel in the agent's spec; what a
newer version added to them is left out when read. Pure.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

from quorate.core.errors import LimitExceeded, UsageError

HINTS: Final = ("host", "near", "avoid", "spread")
SLOTS: Final = "slots"
"""The resource that every agent takes one of, unless it says otherwise."""
MEMORY_MB: Final = "memory_mb"
RESOURCES_MAX: Final = 16
NEEDS_MAX: Final = 16
AVOIDED_NAMES_MAX: Final = 64
NAME_CHARS_MAX: Final = 128
VALUE_CHARS_MAX: Final = 1024

Pairs = tuple[tuple[str, float], ...]
Shape = tuple[str, int, tuple[tuple[str, str], ...]]


class Demand(NamedTuple):
    """Needs and hints of one agent; two that are equal are treated alike."""

    kind: str = ""
    version: int = 1
    """The host's class must have at least this version."""
    resources: Pairs = ()
    """(name, amount above 0), sorted; `slots` only if it is another number than 1."""
    needs: tuple[tuple[str, str], ...] = ()
    """(label, value) that the host must have, sorted."""
    host: str = ""
    """Wish: on this host."""
    near: str = ""
    """Wish: on the host of the agent of this name."""
    avoid: tuple[str, ...] = ()
    """Wish: on none of these hosts, nor on the hosts of the agents of these names."""
    spread: str = ""
    """Wish: apart from the others of this group."""

    @property
    def shape(self) -> Shape:
        """What does not depend on how much a host has left."""
        return (self.kind, self.version, self.needs)

    @property
    def tracked(self) -> bool:
        """Whether more than its number counts where it is placed."""
        return bool(self.resources or self.spread)

    def to_plain(self) -> dict[str, Any]:
        """As it travels in the spec."""
        plain: dict[str, Any] = {"kind": self.kind, "version": self.version}
        hints: dict[str, Any] = {
            name: list(value) if name == "avoid" else value
            for name in HINTS
            if (value := getattr(self, name))
        }
        for name, value in (
            ("resources", dict(self.resources)),
            ("needs", dict(self.needs)),
            ("hints", hints),
        ):
            if value:
                plain[name] = value
        return plain

    @classmethod
    def from_plain(cls, plain: Any) -> Demand:
        """Read what `to_plain` wrote. Raises `UsageError` for what it cannot have written."""
        if not plain:
            return _ANY
        if not isinstance(plain, dict):
            raise UsageError("malformed demand of an agent")
        known = cast("dict[str, Any]", plain)
        hints = _map("hints", known.get("hints"))
        return demand(
            known.get("kind", ""),
            known.get("version", 1),
            resources=known.get("resources"),
            hints={name: value for name, value in hints.items() if name in HINTS},
            needs=known.get("needs"),
        )


_ANY: Final = Demand()


def demand(
    kind: Any,
    version: Any = 1,
    *,
    memory_mb: float | None = None,
    resources: Mapping[str, float] | None = None,
    hints: Mapping[str, Any] | None = None,
    needs: Mapping[str, str] | None = None,
) -> Demand:
    """What `start` was told. `memory_mb`: the quota of the class, unless `resources` names another.

    Agents are given by name or by proxy. Raises `UsageError`, `LimitExceeded`."""
    if not isinstance(kind, str) or type(version) is not int or version < 1:
        raise UsageError(f"kind={kind!r}, version={version!r}: want a name and a number above 0")
    if not (memory_mb or resources or hints or needs):
        return Demand(kind, version)
    wishes = _map("hints", hints)
    for name in wishes:
        if name not in HINTS:
            raise UsageError(f"hints= has no {name!r}; {_suggest(str(name), HINTS)}")
    return Demand(
        kind,
        version,
        _resources(_map("resources", resources), memory_mb),
        _needs(_map("needs", needs)),
        _name("hints['host']", wishes.get("host")),
        _name("hints['near']", wishes.get("near")),
        _names("hints['avoid']", wishes.get("avoid")),
        _name("hints['spread']", wishes.get("spread")),
    )


# --- checks ---------------------------------------------------------------------------------------


def _map(what: str, value: object) -> dict[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UsageError(f"{what}= must be a map, not {type(value).__name__}")
    return dict(cast("Mapping[Any, Any]", value))


def _suggest(name: str, known: Iterable[str]) -> str:
    names = tuple(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"it knows {', '.join(names)}"


def _resources(given: dict[Any, Any], memory_mb: float | None) -> Pairs:
    if memory_mb and MEMORY_MB not in given:
        given[MEMORY_MB] = memory_mb
    if len(given) > RESOURCES_MAX:
        raise LimitExceeded(f"resources= names {len(given)} of them, {RESOURCES_MAX} at most")
    found: list[tuple[str, float]] = []
    for name, amount in given.items():
        _check_label("resources=", name)
        if isinstance(amount, bool) or not isinstance(amount, int | float):
            raise UsageError(f"resources[{name!r}] must be a number, not {amount!r}")
        if not math.isfinite(amount) or amount < 0:
            raise UsageError(f"resources[{name!r}] must be 0 or more, not {amount!r}")
        usual = 1 if name == SLOTS else 0
        if amount != usual:
            found.append((name, amount))
    return tuple(sorted(found))


def _needs(given: dict[Any, Any]) -> tuple[tuple[str, str], ...]:
    if len(given) > NEEDS_MAX:
        raise LimitExceeded(f"needs= names {len(given)} labels, {NEEDS_MAX} at most")
    for name, value in given.items():
        _check_label("needs=", name)
        if not isinstance(value, str) or len(value) > VALUE_CHARS_MAX:
            raise UsageError(f"needs[{name!r}] must be the text of a label, not {value!r}")
    return tuple(sorted(given.items()))


def _check_label(what: str, name: object) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARS_MAX:
        raise UsageError(f"{what} {name!r} is no name of 1 to {NAME_CHARS_MAX} characters")


def _name(what: str, value: Any) -> str:
    """A name, or that of the proxy or host that was given instead."""
    if value is None:
        return ""
    given: object = value
    if not isinstance(given, str):
        given = getattr(value, "name", None)
    if not isinstance(given, str):
        given = getattr(value, "id", None)
    if not isinstance(given, str) or not 0 < len(given) <= VALUE_CHARS_MAX:
        raise UsageError(f"{what} must be a name, not {value!r}")
    return given


def _names(what: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    many: list[Any] = (
        list(cast("Iterable[Any]", value)) if isinstance(value, list | tuple | set) else [value]
    )
    if len(many) > AVOIDED_NAMES_MAX:
        raise LimitExceeded(f"{what} names {len(many)}, {AVOIDED_NAMES_MAX} at most")
    return tuple(sorted({_name(what, one) for one in many if one is not None}))
