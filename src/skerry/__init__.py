"""Skerry: serverless machine learning for the edge."""

from typing import TYPE_CHECKING

from skerry.app import App, AsyncFunction, AsyncStreamFunction, Function, Job, RunningApp, StreamFunction
from skerry.errors import (
    CapacityError,
    ConfigError,
    FunctionError,
    InternalError,
    PlatformError,
    SkerryError,
    TransportError,
    UserError,
)
from skerry.platforms import Platform
from skerry.spec import Batch, Scale, Site
from skerry.version import __version__

if TYPE_CHECKING:
    from skerry.payload import Event, File, Folder, Items, Tensor
    from skerry.platforms.engine import EnginePlatform
    from skerry.platforms.transfer import Transfer, count_transfer
    from skerry.runtime.context import Context, context

__all__ = [
    "App",
    "AsyncFunction",
    "AsyncStreamFunction",
    "Batch",
    "CapacityError",
    "ConfigError",
    "Context",
    "EnginePlatform",
    "Event",
    "File",
    "Folder",
    "Function",
    "FunctionError",
    "InternalError",
    "Items",
    "Job",
    "Platform",
    "PlatformError",
    "RunningApp",
    "Scale",
    "Site",
    "SkerryError",
    "StreamFunction",
    "Tensor",
    "Transfer",
    "TransportError",
    "UserError",
    "__version__",
    "context",
    "count_transfer",
]

# These need the schema library, the HTTP client or what only a worker has: `import skerry` would take several times as
# long.
_LAZY = {
    "Context": "skerry.runtime.context",
    "EnginePlatform": "skerry.platforms.engine",
    "Event": "skerry.payload",
    "File": "skerry.payload",
    "Folder": "skerry.payload",
    "Items": "skerry.payload",
    "context": "skerry.runtime.context",
    "Tensor": "skerry.payload",
    "Transfer": "skerry.platforms.transfer",
    "count_transfer": "skerry.platforms.transfer",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'skerry' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
