"""Skerry: serverless machine learning for the edge."""

from typing import TYPE_CHECKING

from skerry.version import __version__

if TYPE_CHECKING:
    from skerry.app import (
        App,
        AsyncFunction,
        AsyncStreamFunction,
        Chain,
        ChainRun,
        Function,
        Job,
        RunningApp,
        StreamFunction,
        choice,
        each,
        parallel,
        step,
        wait,
    )
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
    from skerry.events.time.join import Join, Pair
    from skerry.events.time.window import Pane, Window
    from skerry.payload import Event, File, Folder, Items, Tensor
    from skerry.platforms import Platform
    from skerry.platforms.engine import EnginePlatform
    from skerry.platforms.transfer import Transfer, count_transfer
    from skerry.runtime.context import Context, context
    from skerry.spec import Batch, FileSource, Filter, MqttSource, NatsSource, Retry, Scale, Site
    from skerry.store.state import State

__all__ = [
    "App",
    "AsyncFunction",
    "AsyncStreamFunction",
    "Batch",
    "CapacityError",
    "Chain",
    "ChainRun",
    "ConfigError",
    "Context",
    "EnginePlatform",
    "Event",
    "File",
    "FileSource",
    "Filter",
    "Folder",
    "Function",
    "FunctionError",
    "InternalError",
    "Items",
    "Job",
    "Join",
    "MqttSource",
    "NatsSource",
    "Pair",
    "Pane",
    "Platform",
    "PlatformError",
    "Retry",
    "RunningApp",
    "Scale",
    "Site",
    "SkerryError",
    "State",
    "StreamFunction",
    "Tensor",
    "Transfer",
    "TransportError",
    "UserError",
    "Window",
    "__version__",
    "choice",
    "context",
    "count_transfer",
    "each",
    "parallel",
    "step",
    "wait",
]

if not TYPE_CHECKING:
    from skerry.lazily import names_of

    __getattr__ = names_of(
        __name__,
        {
            "skerry.app": (
                "App",
                "AsyncFunction",
                "AsyncStreamFunction",
                "Chain",
                "ChainRun",
                "Function",
                "Job",
                "RunningApp",
                "StreamFunction",
                "choice",
                "each",
                "parallel",
                "step",
                "wait",
            ),
            "skerry.errors": (
                "CapacityError",
                "ConfigError",
                "FunctionError",
                "InternalError",
                "PlatformError",
                "SkerryError",
                "TransportError",
                "UserError",
            ),
            "skerry.events.time.join": ("Join", "Pair"),
            "skerry.events.time.window": ("Pane", "Window"),
            "skerry.payload": ("Event", "File", "Folder", "Items", "Tensor"),
            "skerry.platforms": ("Platform",),
            "skerry.platforms.engine": ("EnginePlatform",),
            "skerry.platforms.transfer": ("Transfer", "count_transfer"),
            "skerry.runtime.context": ("Context", "context"),
            "skerry.spec": ("Batch", "FileSource", "Filter", "MqttSource", "NatsSource", "Retry", "Scale", "Site"),
            "skerry.store.state": ("State",),
        },
    )


def __dir__() -> list[str]:
    return sorted(__all__)
