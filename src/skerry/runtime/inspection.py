"""What can be said of an app once it is imported: its functions, their options and schemas, the libraries it took."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from skerry.errors import AppImportError
from skerry.payload.quick import is_worth_it
from skerry.runtime.concurrency import check_concurrency, is_async
from skerry.runtime.sharing import load_kind
from skerry.runtime.starts import check_starts
from skerry.runtime.target import AppObject
from skerry.spec import Filter
from skerry.spec.chain import ChainPlan


def describe(app: AppObject, *, with_schemas: bool = True) -> dict[str, Any]:
    """Return an app's description as plain values: what `deploy` needs to know without importing the app itself.

    Args:
        app: The app.
        with_schemas: Whether to say the functions' schemas too; they are empty otherwise.

    Raises:
        AppImportError: the app has no function.
        SpecError: a plain handler declares a `concurrency` above 1, or a handler cannot take what starts it.
    """
    if not app.functions:
        raise AppImportError(f"app {app.name!r} has no function; decorate one with @app.function")
    for name, function in app.functions.items():
        declared = function.options.get("concurrency", 1)
        if isinstance(declared, int):  # another type is refused with the other options
            check_concurrency(name, declared, is_async=is_async(function.handler))
    needs = worker_needs(app)  # before the schemas are made, which needs more than to serve does
    schemas = {name: function.signature.schema() if with_schemas else {} for name, function in app.functions.items()}
    for name, function in app.functions.items():
        check_starts(name, function.options, function.signature, schemas[name].get("input", {}))
    functions = {
        name: {
            "options": _plain(dict(function.options)),
            "schema": schemas[name],
            "is_async": is_async(function.handler),
            "load": load_kind(function.handler),
            "streams": function.signature.streams,
            "takes_items": function.signature.takes_items,
        }
        for name, function in app.functions.items()
    }
    return {
        "name": app.name,
        "requirements": list(app.requirements),
        "imports": list(app.imports),
        "needs": needs,
        "states": sorted(app.states),
        "event_sources": {name: source.to_dict() for name, source in app.event_sources.items()},
        "functions": functions,
    }


def worker_needs(app: AppObject) -> list[str]:
    """Return what the workers of an app import of Skerry, one or another, besides what every worker has."""
    needs: dict[str, None] = {}
    for function in app.functions.values():
        if is_async(function.handler):
            needs |= dict.fromkeys(("uvloop", "skerry.runtime.tasks"))
        if function.signature.takes_items:
            needs |= {"skerry.runtime.grouping": None}
        if function.signature.streams:
            needs |= {"skerry.runtime.streaming": None}
    if not is_worth_it():  # to make a signature has taken pydantic
        needs |= {"skerry.payload.schema": None}
    return list(needs)


def installed_modules() -> list[str]:
    """Return the names of the imported modules that come from the environment, in the order of their import.

    The app's own modules are not among them: they change with each deploy and stay out of the zygote.
    """
    places = tuple({sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")})
    found = []
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        ours = name.partition(".")[0] == "skerry"  # an editable checkout lies elsewhere
        if name != "__main__" and isinstance(origin, str) and (ours or origin.startswith(places)):
            found.append(name)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Filter):
        return _plain(value.dialect)
    if isinstance(value, ChainPlan):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.init}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
