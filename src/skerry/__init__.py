"""Skerry: serverless machine learning for the edge."""

from typing import TYPE_CHECKING

from skerry.app import App, AsyncFunction, Function, Job, RunningApp
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
from skerry.spec import Scale
from skerry.version import __version__

if TYPE_CHECKING:
    from skerry.payload import Event, Tensor
    from skerry.platforms.engine import EnginePlatform

__all__ = [
    "App",
    "AsyncFunction",
    "CapacityError",
    "ConfigError",
    "EnginePlatform",
    "Event",
    "Function",
    "FunctionError",
    "InternalError",
    "Job",
    "Platform",
    "PlatformError",
    "RunningApp",
    "Scale",
    "SkerryError",
    "Tensor",
    "TransportError",
    "UserError",
    "__version__",
]

# These need the schema library or the HTTP client, which would make `import skerry` several times slower.
_LAZY = {
    "EnginePlatform": "skerry.platforms.engine",
    "Event": "skerry.payload",
    "Tensor": "skerry.payload",
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
