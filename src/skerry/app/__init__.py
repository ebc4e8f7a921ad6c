"""Apps: functions that were declared with a decorator, and calls to them on a platform."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.app.application import App
    from skerry.app.chain import Chain, ChainRun
    from skerry.app.chaining import choice, each, parallel, step, wait
    from skerry.app.function import AsyncFunction, Function
    from skerry.app.job import Job
    from skerry.app.running import RunningApp
    from skerry.app.stream import AsyncStreamFunction, StreamFunction
    from skerry.app.target import Target
else:
    from skerry.lazily import names_of

    __getattr__ = names_of(
        __name__,
        {
            "skerry.app.application": ("App",),
            "skerry.app.chain": (
                "Chain",
                "ChainRun",
            ),
            "skerry.app.chaining": (
                "choice",
                "each",
                "parallel",
                "step",
                "wait",
            ),
            "skerry.app.function": (
                "AsyncFunction",
                "Function",
            ),
            "skerry.app.job": ("Job",),
            "skerry.app.running": ("RunningApp",),
            "skerry.app.stream": (
                "AsyncStreamFunction",
                "StreamFunction",
            ),
            "skerry.app.target": ("Target",),
        },
    )

__all__ = [
    "App",
    "AsyncFunction",
    "AsyncStreamFunction",
    "Chain",
    "ChainRun",
    "Function",
    "Job",
    "RunningApp",
    "StreamFunction",
    "Target",
    "choice",
    "each",
    "parallel",
    "step",
    "wait",
]
