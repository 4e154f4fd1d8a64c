"""The settings of a host: typed, with defaults, from keywords or a TOML file.

The law of this file: an unknown key, a wrong type or a contradiction is a `ConfigError` that says
what, where, and what was probably meant; nothing starts on a setting it does not understand. Every
limit's name ends in its unit."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from quorate.core.errors import ConfigError

LEASE_S_MIN = 0.5
HOST_ID = re.compile(r"^[a-z0-9][a-z0-9._-]{0,62}$")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Mutual TLS: the host's certificate (its id is the certificate's name), its key, and who
    signs its peers."""

    certificate: str
    key: str
    authority: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a host can be told beside its id, its folder and its peers."""

    cluster: str = "quorate"
    """The name of the cluster; hosts of different clusters refuse each other."""
    listen: str = "127.0.0.1:0"
    """Where peers dial in, "address:port"; port 0 lets the system choose."""
    peers: Mapping[str, str] = field(default_factory=dict[str, str])
    """The hosts of a new cluster, this one included: id -> "address:port". Empty: a cluster of
    this host alone."""
    join: bool = False
    """Start empty and wait to be added to a running cluster (peers then name it); never found a
    new one."""
    dial: Mapping[str, str] = field(default_factory=dict[str, str])
    """Addresses to dial instead of the members' own, per peer: a proxy or an address translation
    in between."""
    secret: str | None = None
    """The shared secret of a development cluster on loopback."""
    tls: TlsFiles | None = None
    admin: str | None = None
    """Where the admin API listens, "address:port"; None for no admin API."""
    admin_token: str | None = None
    """The bearer token of the admin API; demanded beyond loopback."""

    timeout_s: float = 5.0
    """The deadline of a call that names none."""
    leader_wait_s: float = 3.0
    """Calls fail with `NoLeader` or `NoQuorum` once no leader has been known for this long."""
    stop_timeout_s: float = 5.0
    """Stopping takes no longer than this."""
    session_lease_s: float = 10.0
    """The lease of this host: its registrations and locks without an own lease die with it."""

    heartbeat_s: float = 0.15
    election_min_s: float = 0.6
    election_max_s: float = 1.2
    digest_interval_s: float = 1.0
    """How often the hosts compare their state."""
    digest_grace_s: float = 5.0
    """How long a difference without a majority may last before the hosts that see it leave
    service."""

    clock_drift_max_ms: int = 1000
    """Updates of a host whose clock is further ahead than this are refused until it is not."""
    store_dead_after_s: float = 60.0
    """A host unheard for so long owns no keys any more; others take over."""

    agents: Sequence[str] = ()
    """Classes of agents that this host runs, as "module:Class"; a program may register more."""
    agent_lease_s: float = 1.5
    """The lease under which this host runs agents: so long after its death others take over."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """What `needs=` of an agent can ask for."""
    capacity: Mapping[str, float] = field(default_factory=dict[str, float])
    """What this host gives out to agents: memory_mb, cpu, slots, or any name that `resources=` use;
    memory_mb and cpu are measured where they are not named."""
    drain_timeout_s: float = 30.0
    """A host that is told to stop takes no longer to move its agents to others."""

    inflight_ops_max: int = 4096
    waiting_ops_max: int = 65_536
    log_map_bytes_max: int = 64 * 1024**3
    tune_interpreter: bool = True
    """Set the interpreter's thread switch interval to 0.5 ms once (`sys.setswitchinterval`).

    The storage thread hands the interpreter lock back and forth with the loop at every commit;
    with Python's default of 5 ms each hand-over can stall the loop for that long. """

    def __post_init__(self) -> None:
        for host_id in (*self.peers, *self.dial):
            check_host_id(host_id)
        for name in (
            "timeout_s",
            "leader_wait_s",
            "session_lease_s",
            "stop_timeout_s",
            "store_dead_after_s",
            "agent_lease_s",
            "drain_timeout_s",
        ):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)!r}")
        if self.session_lease_s < 1:
            raise ConfigError(
                f"session_lease_s = {self.session_lease_s} is shorter than an election may take; "
                "use at least 1"
            )
        if self.agent_lease_s < LEASE_S_MIN:
            raise ConfigError(
                f"agent_lease_s = {self.agent_lease_s} is too short to be renewed in time; use at "
                f"least {LEASE_S_MIN}"
            )
        for name, amount in self.capacity.items():
            if amount < 0:
                raise ConfigError(f"capacity of {name!r} must not be below 0, it is {amount!r}")
        if self.secret is not None and self.tls is not None:
            raise ConfigError("give either secret (loopback, development) or tls, not both")


def check_host_id(host_id: str) -> str:
    """The id itself if it can name a host; `ConfigError` otherwise."""
    if not HOST_ID.match(host_id):
        raise ConfigError(
            f"host id {host_id!r} is not usable: 1 to 63 of a-z 0-9 . _ - "
            "starting with a letter or a digit"
        )
    return host_id


def make_settings(values: Mapping[str, Any], *, where: str = "settings") -> Settings:
    """`Settings` out of plain values. Raises `ConfigError` for unknown keys and wrong types."""
    hints = typing.get_type_hints(Settings)
    known: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            raise ConfigError(f"{where}: unknown setting {key!r}{suggestion(key, hints)}")
        known[key] = _checked(f"{where}: {key}", value, hints[key])
    return Settings(**known)


def suggestion(key: str, known: Iterable[str]) -> str:
    """ "; did you mean 'x'?" or the list of what there is."""
    names = sorted(known)
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(names)}"


def _checked(where: str, value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
    if hint is TlsFiles:
        return _tls(where, value)
    if hint == Sequence[str]:
        return _names(where, value)
    if hint == Mapping[str, float]:
        return _amounts(where, value)
    if typing.get_origin(hint) is not None:
        return _texts(where, value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"{where} must be {hint.__name__}, not {type(value).__name__} {value!r}")
    return value


def _texts(where: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} must map host ids to addresses, not {value!r}")
    pairs = cast(Mapping[Any, Any], value)
    if not all(isinstance(key, str) and isinstance(text, str) for key, text in pairs.items()):
        raise ConfigError(f"{where} must map host ids to addresses, both texts, not {pairs!r}")
    return dict(pairs)


def _names(where: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(f"{where} must be a list of texts, not {value!r}")
    names = tuple(cast(Sequence[Any], value))
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{where} must be a list of texts, not {value!r}")
    return names


def _amounts(where: str, value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} must map names to amounts, not {value!r}")
    found: dict[str, float] = {}
    for name, amount in cast(Mapping[Any, Any], value).items():
        if not isinstance(name, str) or not isinstance(amount, int | float) or amount is True:
            raise ConfigError(f"{where} must map names to numbers, not {name!r} to {amount!r}")
        found[name] = float(amount)
    return found


def _tls(where: str, value: Any) -> TlsFiles:
    if isinstance(value, TlsFiles):
        return value
    names = [field.name for field in dataclasses.fields(TlsFiles)]
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} must have {', '.join(names)}, not {value!r}")
    parts = cast(Mapping[Any, Any], value)
    for key in parts:
        if key not in names:
            raise ConfigError(f"{where}: unknown key {key!r}{suggestion(str(key), names)}")
    missing = [name for name in names if not isinstance(parts.get(name), str)]
    if missing:
        raise ConfigError(f"{where} needs the file name {missing[0]!r}")
    return TlsFiles(**{name: parts[name] for name in names})


def load_toml(path: str | Path) -> dict[str, Any]:
    """The values of a TOML file: `id`, `data` and everything in `Settings`. Raises
    `ConfigError`."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the settings file {path} is not TOML: {error}") from error
    known = {"id", "data", *typing.get_type_hints(Settings)}
    for key in values:
        if key not in known:
            raise ConfigError(f"{path}: unknown setting {key!r}{suggestion(key, known)}")
    return values
