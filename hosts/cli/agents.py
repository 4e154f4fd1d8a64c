"""`quorate agent ...`, `quorate hosts ...` and `quorate host drain`: one request, one answer."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from quorate.core.errors import UsageError
from quorate.hosts.admin.values import parse
from quorate.hosts.cli import agent_tables as tables
from quorate.hosts.cli.client import AdminClient

Answer = tuple[Any, str]


def _path(name: str, more: str = "") -> str:
    return f"/v1/agents/{quote(name, safe='')}{more}"


def _json(text: str, what: str) -> Any:
    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(f"{what}: {error}; write text in JSON quotes ('\"hello\"')") from error


async def _list(args: argparse.Namespace, client: AdminClient) -> Answer:
    names = ("prefix", "pattern", "host", "kind", "status", "after", "limit")
    query = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    body = await client.ask("GET", "/v1/agents", query=query)
    return body, tables.agents(body)


async def _start(args: argparse.Namespace, client: AdminClient) -> Answer:
    order: dict[str, Any] = {"class": args.class_, "name": args.name}
    for name in ("args", "meta"):
        if getattr(args, name):
            order[name] = _json(getattr(args, name), f"--{name}")
    if args.on_conflict:
        order["on_conflict"] = args.on_conflict
    hints = {name: getattr(args, name) for name in ("near", "host") if getattr(args, name)}
    if hints:
        order["hints"] = hints
    body = await client.ask("POST", "/v1/agents", body=order)
    return body, f"{args.name} runs on {body.get('host')}, epoch {body.get('epoch')}"


async def _call(args: argparse.Namespace, client: AdminClient) -> Answer:
    given = args.args if args.text else [_json(text, "argument") for text in args.args]
    order: dict[str, Any] = {"method": args.method, "args": given, "tell": args.verb == "tell"}
    if args.consistency:
        order["consistency"] = args.consistency
    body = await client.ask("POST", _path(args.name, "/call"), body=order)
    return body, "sent" if args.verb == "tell" else tables.value(body["answer"])


async def _move(args: argparse.Namespace, client: AdminClient) -> Answer:
    order = {"to": args.to, **({"strategy": args.strategy} if args.strategy else {})}
    body = await client.ask("POST", _path(args.name, "/move"), body=order)
    return body, f"{args.name} is on {body['host']}, epoch {body['epoch']}"


async def _stop(args: argparse.Namespace, client: AdminClient) -> Answer:
    query = {"reason": args.reason} if args.reason else {}
    body = await client.ask("DELETE", _path(args.name), query=query)
    return body, f"{args.name} is stopped"


async def _stop_matching(args: argparse.Namespace, client: AdminClient) -> Answer:
    order = {"text": args.text, **({"reason": args.reason} if args.reason else {})}
    body = await client.ask("POST", "/v1/agents:stop-matching", body=order)
    return body, f"{body['stopped']} agents are stopped"


async def _get(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("GET", _path(args.name))
    return body, tables.pairs(body)


async def _state(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("GET", _path(args.name, "/state"))
    return body, tables.pairs(body["keys"]) or "it keeps nothing"


async def _mailbox(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("GET", _path(args.name, "/mailbox"))
    return body, tables.pairs(body)


async def _log(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("GET", _path(args.name, "/log"))
    return body, tables.rows(body["log"], "nothing is remembered")


async def _classes(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("GET", "/v1/agent-classes")
    return body, tables.classes(body["classes"])


async def _dead_letters(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("GET", "/v1/dead-letters")
    return body, tables.rows(body["dead_letters"], "no dead letters")


async def _reports(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("GET", "/v1/agent-reports")
    return body, tables.rows(body["reports"], "no reports")


AGENT: Mapping[str, Callable[[argparse.Namespace, AdminClient], Awaitable[Answer]]] = {
    "list": _list,
    "start": _start,
    "call": _call,
    "tell": _call,
    "move": _move,
    "stop": _stop,
    "stop-matching": _stop_matching,
    "get": _get,
    "state": _state,
    "mailbox": _mailbox,
    "log": _log,
    "classes": _classes,
    "dead-letters": _dead_letters,
    "reports": _reports,
}


async def run(args: argparse.Namespace, client: AdminClient) -> Answer:
    """`quorate agent VERB ...`."""
    return await AGENT[args.verb](args, client)


async def hosts(args: argparse.Namespace, client: AdminClient) -> Answer:
    """`quorate hosts VERB ...`."""
    if args.verb == "list":
        body = await client.ask("GET", "/v1/hosts")
        return body, tables.hosts(body["hosts"])
    path = f"/v1/hosts/{quote(args.id, safe='')}"
    if args.verb in ("drain", "undrain"):
        undo = args.verb == "undrain"
        body = await client.ask("POST", f"{path}/drain", body={"undo": undo})
        text = "takes agents again" if undo else f"is drained: {body['moved']} agents moved"
        return body, f"{args.id} {text}"
    order = _pairs(args.pairs, numbers=args.verb == "capacity")
    body = await client.ask("PUT", f"{path}/{args.verb}", body=order)
    return body, tables.pairs(body[args.verb]) or f"{args.id} has no {args.verb}"


def _pairs(words: list[str], *, numbers: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals):
            raise UsageError(f"{word!r}: want name=value")
        try:
            found[name] = float(text) if numbers else text
        except ValueError as error:
            raise UsageError(f"{word!r}: {text!r} is no number") from error
    return found
