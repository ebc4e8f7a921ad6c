"""Models as functions: what goes into the store, and what answers for it in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.serve.publishing import push
    from skerry.serve.server import ModelServer

__all__ = ["ModelServer", "push"]

# A worker that serves a model imports this package, and needs nothing of what publishes one.
_LAZY = {"ModelServer": "skerry.serve.server", "push": "skerry.serve.publishing"}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'skerry.serve' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
