"""The functions of an engine as an OpenAPI document, for clients and tools that know nothing of Skerry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from skerry.version import __version__

JSON = "application/json"
LINES = "application/x-ndjson"
DEFINITIONS = "#/$defs/"
COMPONENTS = "#/components/schemas/"
PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "description": "What went wrong (RFC 9457); compare `code`, read `detail`.",
    "required": ["code", "status", "detail", "retryable"],
    "properties": {
        "code": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "retryable": {"type": "boolean"},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the document says of one function.

    Args:
        name: The function's name.
        app: Its app's.
        schema: ``input`` and ``output`` as JSON schemas, and ``streams`` for a generator.
    """

    name: str
    app: str
    schema: Mapping[str, Any]


def openapi_document(functions: Iterable[Described]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of functions.

    Args:
        functions: What is deployed.

    Returns:
        Plain values. Definitions within a schema have moved to the document's components, under the function's name.

    Example:
        ``openapi_document([Described(name="greet", app="hello", schema={"input": {"type": "string"}})])``
    """
    schemas: dict[str, Any] = {"Problem": dict(PROBLEM)}
    paths = {f"/function/{found.name}": {"post": _operation(found, schemas)} for found in functions}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Skerry", "version": __version__, "description": "The functions deployed on this engine."},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(found: Described, schemas: dict[str, Any]) -> dict[str, Any]:
    given = _moved(found.schema.get("input", {}), f"{found.name}.input.", schemas)
    result = _moved(found.schema.get("output", {}), f"{found.name}.output.", schemas)
    kind, said = (LINES, "One result a line.") if found.schema.get("streams") else (JSON, "The result.")
    return {
        "operationId": found.name,
        "tags": [found.app],
        "requestBody": {"content": {JSON: {"schema": given}}},
        "responses": {
            "200": {"description": said, "content": {kind: {"schema": result}}},
            "default": {
                "description": "An error.",
                "content": {"application/problem+json": {"schema": {"$ref": f"{COMPONENTS}Problem"}}},
            },
        },
    }


def _moved(schema: Mapping[str, Any], prefix: str, schemas: dict[str, Any]) -> Any:
    """Return a schema without its definitions, which are put among those of the document."""
    for name, definition in schema.get("$defs", {}).items():
        schemas[prefix + name] = _pointed(definition, prefix)
    return _pointed({key: value for key, value in schema.items() if key != "$defs"}, prefix)


def _pointed(value: Any, prefix: str) -> Any:
    """Return a part of a schema whose references lead to where the definitions are now."""
    if isinstance(value, list):
        return [_pointed(item, prefix) for item in value]
    if not isinstance(value, Mapping):
        return value.replace(DEFINITIONS, COMPONENTS + prefix, 1) if _is_reference(value) else value
    return {key: _pointed(item, prefix) for key, item in value.items()}


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(DEFINITIONS)
