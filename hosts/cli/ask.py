"""The commands that ask a running host: one request, one answer, shown as JSON or as text."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.hosts.cli import agents, kv, stores, tables
from quorate.hosts.cli.client import AdminClient
from quorate.hosts.cli.parser import ADMIN_DEFAULT

Answer = tuple[Any, str]
"""(the value for --json, the text for a person)"""
Command = Callable[[argparse.Namespace, AdminClient], Awaitable[Answer]]


async def status(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("GET", "/v1/cluster")
    return body, tables.status(body)


async def names(args: argparse.Namespace, client: AdminClient) -> Answer:
    query = {"prefix": args.prefix, "pattern": args.pattern, "limit": args.limit}
    body = await client.ask("GET", "/v1/names", query=query)
    return body, tables.things(body["names"], "no names")


async def locks(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("GET", "/v1/locks")
    return body, tables.things(body["locks"], "no lock is held")


async def elections(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("GET", "/v1/elections")
    return body, tables.things(body["elections"], "no elections")


async def member(args: argparse.Namespace, client: AdminClient) -> Answer:
    if args.verb == "list":
        body = await client.ask("GET", "/v1/members")
        return body, tables.members(body["members"], body["leader"])
    if args.verb == "remove":
        body = await client.ask("DELETE", f"/v1/members/{args.id}")
        return body, f"{args.id} is removed"
    role = "learner" if args.learner else "voter"
    order = {"id": args.id, "address": args.address, "role": role}
    body = await client.ask("POST", "/v1/members", body=order)
    return body, f"{args.id} is a {role}"


async def transfer(args: argparse.Namespace, client: AdminClient) -> Answer:
    order = {"to": args.to} if args.to else {}
    body = await client.ask("POST", "/v1/leader:transfer", body=order)
    return body, f"{body.get('leader') or 'another host'} leads"


async def snapshot(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("POST", "/v1/snapshots")
    return body, tables.things([body], "done")


async def snapshots(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("GET", "/v1/snapshots")
    return body, tables.things(body["snapshots"], "no snapshots")


async def reachability(args: argparse.Namespace, client: AdminClient) -> Answer:
    body = await client.ask("GET", "/v1/cluster/reachability")
    return body, tables.reachability(body)


COMMANDS: dict[str, Command] = {
    "status": status,
    "kv": kv.run,
    "names": names,
    "locks": locks,
    "elections": elections,
    "member": member,
    "transfer": transfer,
    "snapshot": snapshot,
    "snapshots": snapshots,
    "reachability": reachability,
    "store": stores.run,
    "agent": agents.run,
    "hosts": agents.hosts,
    "partition": stores.partition,
}


async def run(args: argparse.Namespace) -> int:
    """Ask, print, exit code. Raises `Problem`."""
    address = args.admin or os.environ.get("QUORATE_ADMIN") or ADMIN_DEFAULT
    token = args.token or os.environ.get("QUORATE_TOKEN")
    async with AdminClient(address, token, args.timeout) as client:
        if args.command == "kv" and args.verb == "watch":
            return await kv.watch(args, client)
        body, text = await COMMANDS[args.command](args, client)
    print(json.dumps(body, ensure_ascii=False) if args.json else text)
    return 0
