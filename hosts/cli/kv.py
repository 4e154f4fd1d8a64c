"""`quorate kv`: read, write, list and watch keys through the admin API."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import sys
from typing import Any

from quorate.core.errors import UsageError
from quorate.hosts.admin.values import parse
from quorate.hosts.cli import tables
from quorate.hosts.cli.client import AdminClient, Problem, kv_path

PAUSE_FIRST_S = 0.2
PAUSE_MAX_S = 2.0


async def run(args: argparse.Namespace, client: AdminClient) -> tuple[Any, str]:
    """(the answer for --json, the text for a person) of one `kv` command."""
    if args.verb == "get":
        body = await client.ask("GET", kv_path(args.key), query={"level": args.level})
        return body, json.dumps(body["value"], ensure_ascii=False, indent=2)
    if args.verb == "list":
        query = {
            "prefix": args.prefix,
            "after": args.after,
            "limit": args.limit,
            "level": args.level,
        }
        body = await client.ask("GET", "/v1/kv", query=query)
        last = body["records"][-1]["key"] if body["records"] else ""
        more = f"\n(there are more: --after {shlex.quote(last)})" if body["more"] else ""
        return body, tables.records(body["records"]) + more
    query = {"version": args.if_version, "revision": args.if_revision}
    if args.verb == "put":
        if args.if_absent:
            query["version"] = 0
        value = _value(args)
        body = await client.ask("PUT", kv_path(args.key), query=query, body=value)
    else:
        body = await client.ask("DELETE", kv_path(args.key), query=query)
    return body, f"revision {body['revision']}  term {body['term']}  index {body['index']}"


def _value(args: argparse.Namespace) -> Any:
    text = sys.stdin.read() if args.value == "-" else args.value
    if args.text:
        return text
    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(
            f"{error}; write text in JSON quotes ('\"hello\"'), or say --text"
        ) from error


async def watch(args: argparse.Namespace, client: AdminClient) -> int:
    """Print changes until `--count` or an interrupt. A broken stream is taken up behind the last
    event printed."""
    last_id: str | None = None
    seen, pause_s = 0, PAUSE_FIRST_S
    while True:
        try:
            async for id_, kind, data in client.events(args.prefix, args.from_revision, last_id):
                last_id, pause_s = id_, PAUSE_FIRST_S
                line = json.dumps({"event": kind, **data}, ensure_ascii=False)
                print(line if args.json else tables.event(kind, data), flush=True)
                seen += 1
                if args.count is not None and seen >= args.count:
                    return 0
        except Problem as problem:
            if not str(problem.body.get("type")).endswith(":unreachable") or last_id is None:
                raise
            print(f"quorate: {problem}; trying again", file=sys.stderr)
        await asyncio.sleep(pause_s)
        pause_s = min(PAUSE_MAX_S, pause_s * 2)
