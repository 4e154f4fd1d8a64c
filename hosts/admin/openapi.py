"""The OpenAPI 3.1 page, made from the list of operations. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from quorate.hosts.admin.operation import Operation, Parameter

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `outcome` says whether the update happened.",
    "required": ["type", "title", "status", "outcome"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "outcome": {"enum": ["not_applied", "unknown", "applied"]},
        "leader": {
            "type": "object",
            "properties": {"host": {"type": "string"}, "admin": {"type": "string"}},
        },
    },
}


def document(operations: Iterable[Operation], version: str) -> dict[str, Any]:
    """The whole page as a JSON-able dict."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = operation.path.replace("+}", "}")
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "quorate admin API", "version": version},
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM_SCHEMA},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.identifier,
        "summary": operation.about,
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": {
            "200": {"description": "Done", "content": {operation.answer: {}}},
            "default": {
                "description": "A problem",
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                },
            },
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "description": operation.body,
            "content": {"application/json": {}},
        }
    if operation.open:
        described["security"] = []
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.type}
    if parameter.default is not None:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        "description": parameter.about,
        "schema": schema,
    }
