"""The words of `quorate agent` and `quorate hosts`. Pure: see `parser.py`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Ask = Callable[[Any, str, str], argparse.ArgumentParser]
"""(verbs, name, about): a subcommand that asks a host."""


def add(commands: Any, ask: Ask) -> None:
    """Both commands."""
    _agent(commands, ask)
    _hosts(commands, ask)


def _agent(commands: Any, ask: Ask) -> None:
    agent = commands.add_parser("agent", help="named agents: list, start, call, move, stop")
    verbs = agent.add_subparsers(dest="verb", metavar="VERB", required=True)
    listing = ask(verbs, "list", "living agents, in the order of their names")
    listing.add_argument("prefix", nargs="?", default="", help="only names that start with this")
    for option in ("pattern", "host", "kind", "status", "after"):
        listing.add_argument(f"--{option}", help=f"only with this {option}")
    listing.add_argument("--limit", type=int, default=1000, help="at most so many (1000)")
    start = ask(verbs, "start", "start an agent")
    start.add_argument("class_", metavar="CLASS", help='a registered kind, or "module:Class"')
    start.add_argument("name")
    start.add_argument("--args", metavar="JSON", help="what self.args is to be")
    start.add_argument("--meta", metavar="JSON", help="shown by list and find")
    start.add_argument("--on-conflict", choices=("fail", "use_existing", "replace"))
    start.add_argument("--near", metavar="AGENT", help="on the host of that agent, if it can be")
    start.add_argument("--host", metavar="ID", help="on that host, if it can be")
    for verb, about in (("call", "send a message and print the answer"), ("tell", "send only")):
        one = ask(verbs, verb, about)
        one.add_argument("name")
        one.add_argument("method")
        one.add_argument("args", nargs="*", metavar="JSON", help="arguments, each as JSON")
        one.add_argument("--text", action="store_true", help="take the arguments as plain text")
        one.add_argument("--consistency", choices=("strong", "session", "eventual"))
    move = ask(verbs, "move", "move an agent to another host")
    move.add_argument("name")
    move.add_argument("to", metavar="HOST")
    move.add_argument("--strategy", choices=("checkpoint_restore", "state_transfer", "cold_start"))
    stop = ask(verbs, "stop", "end an agent's life")
    stop.add_argument("name")
    matching = ask(verbs, "stop-matching", "end all agents whose name contains a text")
    matching.add_argument("text")
    for one in (stop, matching):
        one.add_argument("--reason", help="told to whom it concerns")
    for verb, about in (
        ("get", "how an agent is"),
        ("state", "what an agent keeps"),
        ("mailbox", "what waits for an agent, and its dead letters"),
        ("log", "what happened to a name"),
    ):
        ask(verbs, verb, about).add_argument("name")
    ask(verbs, "classes", "which host can run which class and version")
    ask(verbs, "dead-letters", "messages that found nobody, as the asked host saw them")
    ask(verbs, "reports", "what failovers and heals lost or reconciled")


def _hosts(commands: Any, ask: Ask) -> None:
    hosts = commands.add_parser("hosts", help="the hosts that run agents: list, drain, labels")
    verbs = hosts.add_subparsers(dest="verb", metavar="VERB", required=True)
    ask(verbs, "list", "the hosts that run agents, their load and room")
    for verb, about in (
        ("drain", "move all agents off a host and place none there"),
        ("undrain", "let agents be placed there again"),
    ):
        ask(verbs, verb, about).add_argument("id")
    for verb in ("labels", "capacity"):
        one = ask(verbs, verb, f"set the {verb} of a host")
        one.add_argument("id")
        one.add_argument("pairs", nargs="*", metavar="NAME=VALUE")
