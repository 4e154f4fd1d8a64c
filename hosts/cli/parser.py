"""The words of the command line: what can be said, with help for each. Pure: text in, a namespace
out.

The law of this file: every subcommand takes `--json`, and every one that asks a host takes
`--admin`, `--token` and `--timeout`. A word that is not here does not exist.
"""

from __future__ import annotations

import argparse
from typing import Any

from quorate.consistency.check.names import MODELS
from quorate.hosts.cli import agent_words

ADMIN_DEFAULT = "127.0.0.1:7501"

EPILOG = """\
the laboratory, which cuts the network and judges what held: quorate chaos --help
exit codes: 0 done, 1 refused or unavailable, 2 wrong usage
environment: QUORATE_ADMIN (address of an admin API), QUORATE_TOKEN (its bearer token)
"""

CHECK_EPILOG = "\n".join(
    (
        "models:",
        *(f"  {name:9}  {promise}" for name, promise in MODELS.items()),
        "exit codes: 0 held, 1 broken, 2 wrong usage or malformed history, 3 unknown",
    )
)

Subparsers = Any
"""What `add_subparsers` gives; argparse keeps its class private."""


def build() -> argparse.ArgumentParser:
    """The parser of `quorate`."""
    parser = argparse.ArgumentParser(
        prog="quorate",
        description="One safe Raft group, its hosts, and what they hold.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _host(commands)
    _ask(commands, "status", "members, roles, leader, term, indices and lag")
    _kv(commands)
    names = _ask(commands, "names", "the registered names")
    names.add_argument("prefix", nargs="?", default="", help="only names that start with this")
    names.add_argument("--pattern", help="only names that match: * any text, ? any letter")
    names.add_argument("--limit", type=int, default=1000, help="at most so many (1000)")
    _ask(commands, "locks", "locks that are held, with their fencing tokens")
    _ask(commands, "elections", "elections and who leads them")
    _member(commands)
    transfer = _ask(commands, "transfer", "hand the leadership over")
    transfer.add_argument("to", nargs="?", help="the host that shall lead (any that is up to date)")
    _ask(commands, "snapshot", "make a snapshot on the host that is asked")
    _ask(commands, "snapshots", "the snapshots of the host that is asked")
    _ask(commands, "reachability", "who reaches whom, and round-trip times")
    _store(commands)
    agent_words.add(commands, _ask)
    _partition(commands)
    _check(commands)
    _demo(commands)
    return parser


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON")
    return common


def _asking() -> argparse.ArgumentParser:
    asking = argparse.ArgumentParser(add_help=False, parents=[_common()])
    asking.add_argument(
        "--admin",
        metavar="HOST:PORT",
        help=f"the admin API to ask ($QUORATE_ADMIN, or {ADMIN_DEFAULT})",
    )
    asking.add_argument("--token", help="its bearer token ($QUORATE_TOKEN)")
    asking.add_argument(
        "--timeout", type=float, default=5.0, metavar="SECONDS", help="deadline of the call (5)"
    )
    return asking


def _ask(commands: Subparsers, name: str, about: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=about, description=about, parents=[_asking()])


def _host(commands: Subparsers) -> None:
    about = "run one host until it is told to stop (SIGTERM or SIGINT)"
    host = commands.add_parser("host", help=about, description=about, parents=[_common()])
    host.add_argument(
        "words",
        nargs="*",
        metavar="drain ID",
        help="instead: move all agents off a host (--admin: whom to ask; see `quorate hosts`)",
    )
    host.add_argument("--token", help=argparse.SUPPRESS)
    host.add_argument("--timeout", type=float, default=30.0, help=argparse.SUPPRESS)
    host.add_argument(
        "--agents",
        action="append",
        default=[],
        metavar="MODULE:CLASS",
        help="a class of agents that this host runs; once for each",
    )
    host.add_argument(
        "--label", action="append", default=[], metavar="NAME=VALUE", help="a label of this host"
    )
    host.add_argument("--id", help="the host's id: a-z 0-9 . _ -")
    host.add_argument("--data", metavar="FOLDER", help="where its files live; one host each")
    host.add_argument("--listen", metavar="HOST:PORT", help="where peers dial in")
    host.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="ID=HOST:PORT",
        help="a host of the new cluster; once for each (itself may be left out)",
    )
    host.add_argument("--join", action="store_true", help="wait to be added to a running cluster")
    host.add_argument("--cluster", help="the cluster's name; hosts of another one are refused")
    secret = host.add_mutually_exclusive_group()
    secret.add_argument("--secret", help="shared secret, for loopback (visible to `ps`)")
    secret.add_argument("--secret-file", metavar="FILE", help="shared secret out of a file")
    host.add_argument("--tls-cert", metavar="FILE", help="this host's certificate (PEM)")
    host.add_argument("--tls-key", metavar="FILE", help="its key (PEM)")
    host.add_argument("--tls-ca", metavar="FILE", help="who signs the peers (PEM)")
    host.add_argument("--admin", metavar="HOST:PORT", help="where the admin API listens")
    host.add_argument("--admin-token-file", metavar="FILE", help="the admin API's bearer token")
    host.add_argument("--config", metavar="FILE", help="settings as TOML; options win over it")


def _kv(commands: Subparsers) -> None:
    kv = commands.add_parser("kv", help="read, write and watch keys")
    verbs = kv.add_subparsers(dest="verb", metavar="VERB", required=True)
    get = _ask(verbs, "get", "read a key")
    get.add_argument("key")
    put = _ask(verbs, "put", "write a key")
    put.add_argument("key")
    put.add_argument("value", help="JSON, or - to read it from standard input")
    put.add_argument("--text", action="store_true", help="take the value as plain text, not JSON")
    delete = _ask(verbs, "del", "delete a key")
    delete.add_argument("key")
    listing = _ask(verbs, "list", "the keys under a prefix, in order")
    listing.add_argument("prefix", nargs="?", default="")
    listing.add_argument("--after", metavar="KEY", help="only keys behind this one")
    listing.add_argument("--limit", type=int, default=1000, help="at most so many (1000)")
    for reading in (get, listing):
        reading.add_argument(
            "--level",
            choices=("linearizable", "local"),
            default="linearizable",
            help="local: at once, and possibly stale",
        )
    for writing in (put, delete):
        only = writing.add_mutually_exclusive_group()
        only.add_argument("--if-version", type=int, metavar="N", help="only if it has version N")
        only.add_argument("--if-revision", type=int, metavar="N", help="only if last changed at N")
        if writing is put:
            only.add_argument("--if-absent", action="store_true", help="only if there is none")
    watch = _ask(verbs, "watch", "print every change under a prefix, and go on after a failure")
    watch.add_argument("prefix", nargs="?", default="")
    watch.add_argument("--from-revision", type=int, metavar="N", help="start with revision N (now)")
    watch.add_argument("--count", type=int, metavar="N", help="stop after N events")


def _store(commands: Subparsers) -> None:
    store = commands.add_parser("store", help="the stores: list, read, write, conflicts")
    verbs = store.add_subparsers(dest="verb", metavar="VERB", required=True)
    _ask(verbs, "list", "the stores, and how replication goes")
    keys = _ask(verbs, "keys", "the keys of a store under a prefix, in order")
    get = _ask(verbs, "get", "read a key at a level, with its version")
    put = _ask(verbs, "put", "write a key and show the receipt")
    delete = _ask(verbs, "del", "delete a key and show the receipt")
    promote = _ask(verbs, "promote", "write a key strongly as it is on the asked host")
    conflicts = _ask(verbs, "conflicts", "concurrent updates that met on the asked host")
    for verb in (keys, get, put, delete, promote, conflicts):
        verb.add_argument("store")
    keys.add_argument("prefix", nargs="?", default="")
    keys.add_argument("--after", metavar="KEY", help="only keys behind this one")
    conflicts.add_argument("--after", metavar="POSITION", help="only behind this position")
    for listing in (keys, conflicts):
        listing.add_argument("--limit", type=int, default=1000, help="at most so many (1000)")
    for one in (get, put, delete, promote):
        one.add_argument("key")
    get.add_argument("--level", choices=("linearizable", "session", "local"))
    get.add_argument("--staleness-ms", type=int, metavar="MS", help="nothing older than this")
    put.add_argument("value", help="JSON, or - to read it from standard input")
    put.add_argument("--text", action="store_true", help="take the value as plain text, not JSON")
    put.add_argument("--if-version", type=int, metavar="N", help="strong, and only at version N")
    for writing in (put, delete):
        writing.add_argument("--consistency", choices=("strong", "session", "eventual"))
        writing.add_argument("--wait-for", type=int, metavar="N", help="on disk at N hosts")
        writing.add_argument(
            "--from-memory", action="store_true", help="answer before it is on disk"
        )
    for using in (get, put, delete):
        using.add_argument("--session", metavar="TOKEN", help="go on with a session")


def _partition(commands: Subparsers) -> None:
    partition = commands.add_parser("partition", help="whom a host reaches; what heals reconciled")
    verbs = partition.add_subparsers(dest="verb", metavar="VERB", required=True)
    _ask(verbs, "status", "whom the asked host reaches, and the changes it kept")
    report = _ask(verbs, "report", "which keys diverged, and how each was resolved")
    report.add_argument(
        "--limit", type=int, default=1, help="so many reports, the newest first (1)"
    )


def _member(commands: Subparsers) -> None:
    member = commands.add_parser("member", help="add, remove and list members")
    verbs = member.add_subparsers(dest="verb", metavar="VERB", required=True)
    add = _ask(verbs, "add", "add a host (start it with --join first)")
    add.add_argument("id")
    add.add_argument("address", metavar="HOST:PORT")
    add.add_argument("--learner", action="store_true", help="it follows and never votes")
    remove = _ask(verbs, "remove", "remove a host")
    remove.add_argument("id")
    _ask(verbs, "list", "the members")


def _check(commands: Subparsers) -> None:
    about = "judge a recorded history: held, broken or unknown"
    check = commands.add_parser(
        "check",
        help=about,
        description=about,
        parents=[_common()],
        epilog=CHECK_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("history", help="JSON lines, one event each; - reads standard input")
    check.add_argument("--model", required=True, metavar="NAME", help="one of the models below")
    check.add_argument("--steps", type=int, metavar="N", help="search so far, then say unknown")
    check.add_argument("--bound-ms", type=float, metavar="MS", help="staleness: how old")
    check.add_argument("--bound-versions", type=int, metavar="N", help="staleness: how far behind")
    check.add_argument(
        "--clock-error-ms", type=float, default=0.0, metavar="MS", help="staleness: to forgive (0)"
    )
    check.add_argument(
        "--remove-wins", action="store_true", help="crdt: what was removed never comes back (2P)"
    )


def _demo(commands: Subparsers) -> None:
    about = "three hosts, the leader killed in full load, every acknowledged write counted"
    demo = commands.add_parser("demo", help=about, description=about, parents=[_common()])
    demo.add_argument("--seconds", type=float, default=5.0, help="load before the kill (5)")
    demo.add_argument("--data", metavar="FOLDER", help="keep the hosts' files here")
    demo.add_argument("--plain", action="store_true", help="plain lines instead of the live view")
