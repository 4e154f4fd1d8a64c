"""`quorate store` and `quorate partition`: the stores at their levels, conflicts, cuts and heals.

The law of this file: words to requests, answers to text. A session token is printed with what it
belongs to, so that the next command can go on with it.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

from quorate.core.errors import UsageError
from quorate.hosts.admin.values import parse
from quorate.hosts.cli import store_tables as tables
from quorate.hosts.cli.client import AdminClient

SESSION = "Session-Token"


def path(args: argparse.Namespace, rest: str) -> str:
    """The path of something of a store."""
    return f"/v1/stores/{quote(args.store, safe='')}/{rest}"


def key_path(args: argparse.Namespace) -> str:
    return path(args, f"keys/{quote(args.key, safe='/')}")


async def run(args: argparse.Namespace, client: AdminClient) -> tuple[Any, str]:
    """(the answer for --json, the text for a person) of one `store` command."""
    if args.verb == "list":
        body = await client.ask("GET", "/v1/stores")
        return body, tables.stores(body)
    if args.verb == "keys":
        query = {"prefix": args.prefix, "after": args.after, "limit": args.limit}
        body = await client.ask("GET", path(args, "keys"), query=query)
        last = shlex.quote(body["keys"][-1]) if body["keys"] else ""
        more = f"\n(there are more: --after {last})" if body["more"] else ""
        return body, ("\n".join(body["keys"]) or "no keys") + more
    if args.verb == "conflicts":
        query = {"after": args.after, "limit": args.limit}
        body = await client.ask("GET", path(args, "conflicts"), query=query)
        return body, tables.conflicts(body)
    if args.verb == "promote":
        body = await client.ask("POST", path(args, "promote"), body={"key": args.key})
        return body, tables.receipt(body)
    return await _key(args, client)


async def _key(args: argparse.Namespace, client: AdminClient) -> tuple[Any, str]:
    headers = None if args.session is None else {SESSION: args.session}
    if args.verb == "get":
        query: dict[str, object] = {"level": args.level, "staleness_ms": args.staleness_ms}
        body, token = await client.ask_with(
            "GET", key_path(args), query=query, headers=headers, header=SESSION
        )
        return _with(body, token), tables.entry(body) + tables.session(token)
    query = {
        "consistency": args.consistency,
        "wait_for": args.wait_for,
        "durable": "false" if args.from_memory else None,
    }
    method, value = "DELETE", None
    if args.verb == "put":
        method, value, query["version"] = "PUT", _value(args), args.if_version
    body, token = await client.ask_with(
        method, key_path(args), query=query, body=value, headers=headers, header=SESSION
    )
    return _with(body, token), tables.receipt(body) + tables.session(token)


def _with(body: Any, token: str | None) -> Any:
    return body if token is None else {**cast("Mapping[str, Any]", body), "session": token}


def _value(args: argparse.Namespace) -> Any:
    text = sys.stdin.read() if args.value == "-" else args.value
    if args.text:
        return text
    try:
        return parse(text)
    except UsageError as error:
        hint = "write text in JSON quotes ('\"hello\"'), or say --text"
        raise UsageError(f"{error}; {hint}") from error


async def partition(args: argparse.Namespace, client: AdminClient) -> tuple[Any, str]:
    """`quorate partition status` and `quorate partition report`."""
    if args.verb == "status":
        body = await client.ask("GET", "/v1/partition")
        return body, tables.partition(body)
    body = await client.ask("GET", "/v1/partition/reports", query={"limit": args.limit})
    return body, tables.reports(body["reports"])
