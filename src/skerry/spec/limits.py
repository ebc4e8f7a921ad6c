"""What a platform allows at most, checked before anything is deployed there."""

from __future__ import annotations

from dataclasses import dataclass

from skerry.spec.function import FunctionSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformLimits:
    """The limits of one platform; none means that there is no such limit.

    Args:
        max_package_bytes: Size of the app with the libraries that it needs, unpacked.
        max_memory_bytes: Memory of one worker.
        max_time_s: Longest run of one request, seconds.

    Example:
        AWS Lambda: ``PlatformLimits(max_package_bytes=250 * 2**20, max_memory_bytes=10_240 * 2**20, max_time_s=900)``
    """

    max_package_bytes: int | None = None
    max_memory_bytes: int | None = None
    max_time_s: float | None = None

    def check(self, spec: FunctionSpec, package_bytes: int | None) -> list[str]:
        """Return why a function cannot run there: what it is, what is allowed, what to do; empty when it can.

        Args:
            spec: The function's options.
            package_bytes: Size of its app with libraries; none where it is not known, and not checked.
        """
        return [*self.check_package(package_bytes), *self._check_memory(spec), *self._check_time(spec)]

    def check_package(self, package_bytes: int | None) -> list[str]:
        """Return why an app is too large, or nothing."""
        allowed = self.max_package_bytes
        if allowed is None or package_bytes is None or package_bytes <= allowed:
            return []
        over = f"{_mb(package_bytes - allowed)} above the {_mb(allowed)} that are allowed"
        return [f"the package has {_mb(package_bytes)}, {over}; leave libraries out"]

    def _check_memory(self, spec: FunctionSpec) -> list[str]:
        allowed = self.max_memory_bytes
        if allowed is None:
            return []
        if spec.memory_bytes is None:
            return [f"function {spec.name!r} declares no memory, and {_mb(allowed)} are allowed; set memory"]
        if spec.memory_bytes <= allowed:
            return []
        return [f"function {spec.name!r}: memory is {spec.memory}, and {_mb(allowed)} are allowed; lower memory"]

    def _check_time(self, spec: FunctionSpec) -> list[str]:
        allowed = self.max_time_s
        if allowed is None or spec.timeout_s <= allowed:
            return []
        return [f"function {spec.name!r}: timeout is {spec.timeout}, and {allowed:g} s are allowed; lower timeout"]


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.4g} MB"
