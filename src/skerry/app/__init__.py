"""Apps: functions that were declared with a decorator, and calls to them on a platform."""

from skerry.app.application import App
from skerry.app.function import AsyncFunction, Function
from skerry.app.job import Job
from skerry.app.running import RunningApp
from skerry.app.stream import AsyncStreamFunction, StreamFunction
from skerry.app.target import Target

__all__ = ["App", "AsyncFunction", "AsyncStreamFunction", "Function", "Job", "RunningApp", "StreamFunction", "Target"]
