"""Whether a handler can take what is said to start it: a list of events, or a moment of a timer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skerry.errors import SpecError
from skerry.payload.signature import Signature


def check_starts(name: str, options: Mapping[str, Any], signature: Signature, schema: Mapping[str, Any]) -> None:
    """Refuse triggers and timers whose every event the handler would refuse.

    Args:
        name: The function's name.
        options: Its options, as the app declares them.
        signature: That of its handler.
        schema: JSON schema of the handler's body; empty where that may be anything, or is not known.

    Raises:
        SpecError: the handler takes one event of a batch, or wants something that a timer does not say.
    """
    batch = max((one.batch for one in options.get("triggers", ())), default=1)
    if batch > 1 and signature.parameters and not _may_be("array", schema):
        raise SpecError(
            f"function {name!r}: app.on(..., batch={batch}) gives it a list of events: annotate its one parameter as "
            "list[skerry.Event], or as a list of what their data are",
            field="triggers",
        )
    takes_any = signature.takes_event or signature.takes_events or _may_be("object", schema)
    needed = set(schema.get("required", ())) if len(signature.parameters) > 1 else set()
    if options.get("timers") and signature.requires_any and (not takes_any or needed - {"schedule"}):
        raise SpecError(
            f"function {name!r}: a timer says no more than its schedule: give each parameter a default, or take a "
            "skerry.Event as the only one",
            field="timers",
        )


def _may_be(kind: str, schema: Mapping[str, Any]) -> bool:
    """Whether a schema has room for an array, or for an object; a reference means a class with fields."""
    if "$ref" in schema:
        return kind == "object"
    found = schema.get("type")
    return found is None or found == kind
