"""The words of `quorate chaos`: what can be said, with help for each. Pure.

The law of this file: a word that is not here does not exist.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from quorate.chaos.running.options import EXIT_CODES, RunOptions
from quorate.core.errors import UsageError

EPILOG = """\
exit codes: {codes}, wrong usage 2, interrupted 130
Faults: one name, "a,b" for one after the other, "a+b" for random pairs; see `quorate chaos list`.
""".format(codes=", ".join(f"{word} {code}" for word, code in EXIT_CODES.items()))
Subparsers = Any
"""What `add_subparsers` gives; argparse keeps its class private."""


def build() -> argparse.ArgumentParser:
    """The parser of `quorate chaos`."""
    parser = argparse.ArgumentParser(
        prog="quorate chaos",
        description="Cut the network, kill hosts, and prove what held.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _run(commands)
    _suite(commands)
    _add(commands, "list", "the workloads and the faults")
    up = _add(commands, "up", "a cluster behind proxies, to be cut by hand, until Ctrl-C")
    up.add_argument("--hosts", type=int, default=3, help="how many (3)")
    _folder(up)
    cut = _add(commands, "partition", "cut a running cluster into groups: a,b / c")
    cut.add_argument("groups", nargs="+", help="hosts by comma, groups by slash")
    _folder(cut)
    _folder(_add(commands, "heal", "make all links of a running cluster as new"))
    serve = _add(commands, "serve", "show the runs in a browser")
    serve.add_argument("--port", type=int, default=8000, help="0: any that is free (8000)")
    _folder(serve)
    png = _add(commands, "png", "the page of a run as an image")
    png.add_argument("run", nargs="?", default="latest", help="its folder's name (latest)")
    _folder(png)
    _add(commands, "install-toxiproxy", "find the pinned Toxiproxy server, or build it")
    return parser


def _add(commands: Subparsers, name: str, about: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=about, description=about)


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", default="runs", help="where the runs are (runs)")


def _run(commands: Subparsers) -> None:
    run = _add(commands, "run", "one run: a workload under faults, and its verdict")
    run.add_argument("--workload", default="register", help="a name, or module:Class (register)")
    run.add_argument("--nemesis", default="none", help="the faults (none)")
    _common(run)
    run.add_argument("--plant", help="a known bug to be put into the hosts")
    run.add_argument("--json", action="store_true", help="print the result as JSON")


def _suite(commands: Subparsers) -> None:
    suite = _add(commands, "suite", "the matrix: every workload under every fault")
    suite.add_argument("--workloads", help="names by comma (all)")
    suite.add_argument(
        "--nemeses", help="faults by space or, if single ones, by comma (all, and three mixes)"
    )
    suite.add_argument("--page", default="RESULTS.md", help="where the table goes (RESULTS.md)")
    suite.add_argument(
        "--jobs", type=int, default=1, help="runs at once, each about half a core (1)"
    )
    suite.add_argument(
        "--resume", action="store_true", help="leave out what has held in the folder"
    )
    _common(suite)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hosts", type=int, default=3, help="how many (3)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of faults (20)")
    parser.add_argument("--seed", type=int, default=1, help="of all dice (1)")
    parser.add_argument("--rate", type=float, help="operations per second of a client")
    parser.add_argument("--clients", type=int, help="per host")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the hosts"
    )
    parser.add_argument("--no-report", action="store_true", help="make no page")
    _folder(parser)


def options_of(args: argparse.Namespace) -> RunOptions:
    """The options that were said. Raises `UsageError`."""
    return RunOptions(
        workload=getattr(args, "workload", "register"),
        nemesis=getattr(args, "nemesis", "none"),
        hosts=args.hosts,
        seconds=args.seconds,
        seed=args.seed,
        rate=args.rate,
        clients=args.clients,
        folder=args.folder,
        plant=getattr(args, "plant", None),
        settings=dict(_setting(text) for text in args.set),
        report=not args.no_report,
    )


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--set wants NAME=VALUE, not {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def groups_of(words: list[str]) -> list[tuple[str, ...]]:
    """`a,b / c` as [("a", "b"), ("c",)]. Raises `UsageError`."""
    groups = [
        tuple(host.strip() for host in group.replace(" ", ",").split(",") if host.strip())
        for group in " ".join(words).split("/")
    ]
    named = [host for group in groups for host in group]
    if len(groups) < 2 or not all(groups):
        raise UsageError("name at least two groups, with a slash between: a,b / c")
    if len(named) != len(set(named)):
        raise UsageError("a host is in one group only")
    return groups


def across(groups: list[tuple[str, ...]]) -> list[tuple[str, str]]:
    """The ordered pairs of hosts in different groups."""
    return [
        (one, other)
        for at, group in enumerate(groups)
        for place, rest in enumerate(groups)
        if at != place
        for one in group
        for other in rest
    ]
