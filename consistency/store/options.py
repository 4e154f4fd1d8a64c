"""The options of calls on stores, and their checks.

The law of this file: an unknown option, or a value that means nothing, is a `UsageError` that names
what there is; nothing was changed then.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict

from quorate.consistency.replica.definitions import SIBLINGS_MAX
from quorate.consistency.store import levels
from quorate.consistency.store.core import Core, Wanted
from quorate.consistency.store.levels import Bounded, OnPartition, ReadLevel, UpdateLevel
from quorate.consistency.store.session import Session
from quorate.core.errors import NotCommitted, UsageError


class UpdateOptions(TypedDict, total=False):
    """What every update takes."""

    consistency: UpdateLevel | None
    """strong, session, eventual, or (CRDTs) crdt; None: the store's own."""
    timeout: float | None
    """Seconds; the call ends by then. None: the host's default."""
    session: Session | None
    wait_for: int
    """Acknowledge only when so many hosts have it on disk; 1: this host (or the one that makes the
    update)."""
    durable: bool
    """False: acknowledge from memory."""
    on_partition: OnPartition
    replicas: int
    """Push to so many of the key's owners only, the first of their ranking."""


class ReadOptions(TypedDict, total=False):
    """What every read takes."""

    level: ReadLevel | None
    """linearizable, session, local or `bounded(ms=, versions=)`; None: what goes with the store's
    own consistency (session when a session is given)."""
    session: Session | None
    timeout: float | None
    on_partition: OnPartition


UPDATE_NAMES = tuple(UpdateOptions.__annotations__)
QUICK_NAMES = frozenset(("session", "timeout"))
READ_NAMES = tuple(ReadOptions.__annotations__)
READ_NAMES_SET = frozenset(READ_NAMES)
WAIT_FOR_HOSTS_MAX = 64


class Defaults(NamedTuple):
    """What a store's calls do unless they say otherwise."""

    consistency: UpdateLevel = "eventual"
    on_partition: OnPartition = "continue"
    durable: bool = True
    siblings_max: int = SIBLINGS_MAX


def check_names(options: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise UsageError(f"{what}: there is no option {name!r}; {hint}")


def check_session(session: object, what: str) -> Session | None:
    if session is None or isinstance(session, Session):
        return session
    raise UsageError(
        f"{what}: session= takes what host.session() or host.session(token) gives, not "
        f"{type(session).__name__}"
    )


def wanted(
    core: Core, defaults: Defaults, key: str, options: Mapping[str, Any], *, crdt: bool
) -> Wanted:
    """What an update asks for. Raises `UsageError`; `NotCommitted` when fewer hosts own the key
    than are to hold it."""
    if QUICK_NAMES.issuperset(options) and defaults.durable:
        given: Any = options.get("session")
        own = _default_level(defaults.consistency, given, crdt)
        if (
            own != "strong"
            and (crdt or own != "crdt")
            and (given is None or type(given) is Session)
        ):
            until = core.plane.until(options.get("timeout"))
            return Wanted(own, until, given, 1, True, defaults.on_partition)
    what = core.what(key)  # the text costs more than the look: only where there is much to look at
    check_names(options, UPDATE_NAMES, what)
    session = check_session(options.get("session"), what)
    level = options.get("consistency") or _default_level(defaults.consistency, session, crdt)
    level = levels.check_update_level(level, crdt=crdt, what=what)
    wait_for = levels.check_count("wait_for", options.get("wait_for", 1), WAIT_FOR_HOSTS_MAX, what)
    replicas = options.get("replicas")
    if replicas is not None:
        levels.check_count("replicas", replicas, core.definition.replicas, what)
    most = replicas or core.definition.replicas
    if wait_for > most:
        raise UsageError(f"{what}: wait_for={wait_for}, but only {most} hosts are to hold the key")
    durable = levels.check_flag("durable", options.get("durable", defaults.durable), what)
    if session is not None and not durable:
        raise UsageError(
            f"{what}: an update of a session must be durable, or a crash would leave the session "
            "waiting for it; leave durable= or session= away"
        )
    if wait_for > 1:
        if not durable:
            raise UsageError(f"{what}: wait_for= counts disks; it goes with durable=True only")
        homes = core.homes(key)
        if wait_for > len(homes):
            raise NotCommitted(
                f"{what}: wait_for={wait_for}, but its owners are only {', '.join(homes)}; nothing "
                "was changed"
            )
    policy = levels.check_on_partition(options.get("on_partition", defaults.on_partition), what)
    until = core.plane.until(options.get("timeout"))
    return Wanted(level, until, session, wait_for, durable, policy, replicas)


def _default_level(own: UpdateLevel, session: Session | None, crdt: bool) -> UpdateLevel:
    if crdt:
        return "session" if session is not None or own == "session" else "crdt"
    return "session" if session is not None and own == "eventual" else own


class WantedRead(NamedTuple):
    """What a read asks for."""

    level: ReadLevel
    session: Session | None
    on_partition: OnPartition
    until: float


def wanted_read(
    core: Core, defaults: Defaults, key: str, options: Mapping[str, Any], *, crdt: bool
) -> WantedRead:
    """Raises `UsageError`."""
    session: Any = options.get("session")
    level: Any = options.get("level")
    if level is None:
        own = "linearizable" if defaults.consistency == "strong" and not crdt else "local"
        level = own if session is None else "session"
    policy: Any = options.get("on_partition", defaults.on_partition)
    if (
        not READ_NAMES_SET.issuperset(options)
        or (session is not None and type(session) is not Session)
        or (level == "linearizable" and crdt)
        or (level == "session" and session is None)
        or not (type(level) is Bounded or level in levels.READ_LEVELS)
        or policy not in levels.ON_PARTITION
    ):
        _refuse_read(core.what(key), options, level, policy, crdt=crdt)
    return WantedRead(level, session, policy, core.plane.until(options.get("timeout")))


def _refuse_read(
    what: str, options: Mapping[str, Any], level: Any, policy: Any, *, crdt: bool
) -> None:
    """Say what is wrong: the text costs more than the look, so it is made only now."""
    check_names(options, READ_NAMES, what)
    session = check_session(options.get("session"), what)
    levels.check_read_level(level, crdt=crdt, what=what)
    if level == "session" and session is None:
        raise UsageError(f"{what}: level='session' needs session=, from host.session()")
    levels.check_on_partition(policy, what)
