"""How a key is written and read over HTTP: at our admin API, and at etcd's JSON gateway. Pure.

The law of this file: a dialect makes requests and reads answers, and sends nothing. Values are
bytes on both sides and are decoded, because a caller wants the value and not its text; an answer
without a value is a `LookupError`.
"""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

RAW = {"Content-Type": "application/octet-stream"}
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; `path` begins with a slash."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str]


class Dialect(ABC):
    """One API."""

    @abstractmethod
    def put(self, key: str, value: bytes) -> Request:
        """The request that writes `value`."""

    @abstractmethod
    def get(self, key: str) -> Request:
        """The request that reads `key`, linearizably."""

    @abstractmethod
    def value(self, body: bytes) -> bytes:
        """The value in the answer to a read. Raises `LookupError`, `ValueError`."""


class Admin(Dialect):
    """quorate's admin API: the value as raw bytes in, as JSON out."""

    def put(self, key: str, value: bytes) -> Request:
        return Request("PUT", f"/v1/kv/{key}", value, RAW)

    def get(self, key: str) -> Request:
        return Request("GET", f"/v1/kv/{key}", None, {})

    def value(self, body: bytes) -> bytes:
        found: Any = json.loads(body)["value"]
        return base64.b64decode(found["$bytes"])


class Gateway(Dialect):
    """etcd's gateway: JSON with base64 in and out, all by POST."""

    def put(self, key: str, value: bytes) -> Request:
        fields = {"key": _text(key.encode()), "value": _text(value)}
        return Request("POST", "/v3/kv/put", json.dumps(fields).encode(), JSON)

    def get(self, key: str) -> Request:
        fields = {"key": _text(key.encode())}
        return Request("POST", "/v3/kv/range", json.dumps(fields).encode(), JSON)

    def value(self, body: bytes) -> bytes:
        found: list[Any] = json.loads(body).get("kvs", [])
        if not found:
            raise LookupError("no such key")
        return base64.b64decode(found[0]["value"])


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


DIALECTS: dict[str, Dialect] = {"admin": Admin(), "gateway": Gateway()}
