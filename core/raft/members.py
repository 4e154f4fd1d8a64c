"""Who belongs to the group, as values. Knows nothing of time, messages or storage.

The law: one change at a time, and every change is a whole new configuration that travels in the log
as one entry. A configuration counts from the moment its entry is in a member's log (Ongaro's
dissertation, chapter 4), and a truncated entry takes its configuration with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from quorate.core.errors import InvariantBroken, MembershipRefused

Role = Literal["voter", "staging", "learner"]
"""`voter` counts; `learner` follows the log; `staging` is a learner that the leader promotes once
it has caught up."""

ROLES: tuple[Role, ...] = ("voter", "staging", "learner")
MEMBERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Member:
    """One host of the group. `address` is where its peers dial it, "host:port"."""

    id: str
    address: str
    role: Role = "voter"


@dataclass(frozen=True, slots=True)
class Change:
    """A wish to change the members. `kind`: add (as `role`), promote, remove, readdress."""

    kind: Literal["add", "promote", "remove", "readdress"]
    id: str
    address: str = ""
    role: Role = "staging"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The members in force from some log index on, sorted by id."""

    members: tuple[Member, ...] = ()
    voters: tuple[str, ...] = field(init=False, repr=False, compare=False)
    learners: tuple[str, ...] = field(init=False, repr=False, compare=False)
    ids: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        voters = tuple(member.id for member in self.members if member.role == "voter")
        learners = tuple(member.id for member in self.members if member.role != "voter")
        object.__setattr__(self, "voters", voters)
        object.__setattr__(self, "learners", learners)
        object.__setattr__(self, "ids", frozenset(member.id for member in self.members))

    @classmethod
    def of(cls, members: list[Member]) -> Configuration:
        return cls(tuple(sorted(members, key=lambda member: member.id)))

    @property
    def quorum(self) -> int:
        """How many voters make a majority."""
        return len(self.voters) // 2 + 1

    def get(self, host_id: str) -> Member | None:
        return next((member for member in self.members if member.id == host_id), None)

    def __contains__(self, host_id: object) -> bool:
        return host_id in self.ids

    def is_voter(self, host_id: str) -> bool:
        member = self.get(host_id)
        return member is not None and member.role == "voter"

    def to_wire(self) -> list[list[str]]:
        return [[member.id, member.address, member.role] for member in self.members]

    @classmethod
    def from_wire(cls, rows: Any) -> Configuration:
        try:
            members = [Member(str(i), str(address), role) for i, address, role in rows]
        except (TypeError, ValueError) as error:
            raise InvariantBroken(f"a configuration in the log is malformed: {rows!r}") from error
        if any(member.role not in ROLES for member in members):
            raise InvariantBroken(f"a configuration in the log has an unknown role: {rows!r}")
        return cls.of(members)


def changed(configuration: Configuration, change: Change) -> Configuration:
    """The configuration after `change`.

    Raises `MembershipRefused` when the change makes no sense here, saying why.
    """
    present = configuration.get(change.id)
    others = [member for member in configuration.members if member.id != change.id]
    if change.kind == "add":
        if present is not None:
            raise MembershipRefused(f"host {change.id!r} is a member already, as {present.role}")
        if not change.address:
            raise MembershipRefused(f"host {change.id!r} needs an address to be added")
        if len(configuration.members) >= MEMBERS_MAX:
            raise MembershipRefused(f"a group has at most {MEMBERS_MAX} members; remove one first")
        if change.role == "voter":
            raise MembershipRefused(
                "a host joins as staging or learner and is promoted when it has caught up"
            )
        return Configuration.of([*others, Member(change.id, change.address, change.role)])
    if present is None:
        raise MembershipRefused(
            f"host {change.id!r} is not a member; members are {list_ids(configuration)}"
        )
    if change.kind == "promote":
        if present.role == "voter":
            raise MembershipRefused(f"host {change.id!r} votes already")
        return Configuration.of([*others, replace(present, role="voter")])
    if change.kind == "readdress":
        return Configuration.of([*others, replace(present, address=change.address)])
    if present.role == "voter" and len(configuration.voters) == 1:
        raise MembershipRefused(
            f"host {change.id!r} is the last voter; add another before removing it"
        )
    return Configuration.of(others)


def list_ids(configuration: Configuration) -> str:
    return ", ".join(member.id for member in configuration.members) or "none"
