"""The control API of traffic: ``/functions/NAME/traffic``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from skerry.engine.traffic.plan import TrafficPlan
from skerry.engine.traffic.traffic import Traffic
from skerry.errors import ModelNotFoundError, SpecError
from skerry.runtime.front import Front
from skerry.runtime.message import Request, Response


class TrafficControl:
    """Answers what operators ask about the traffic of functions.

    Args:
        find: Returns the traffic of a function; raises `FunctionNotFoundError` where there is no such function.
        resolve: Returns the version that a function's candidate means, given as a version or an alias; raises
            `ModelNotFoundError` where there is none.
    """

    def __init__(self, *, find: Callable[[str], Traffic], resolve: Callable[[str, str], Awaitable[int]]) -> None:
        self._find = find
        self._resolve = resolve

    def add_routes(self, front: Front) -> None:
        """Serve the addresses on a front."""
        front.route("GET", "/functions/*/traffic", self.describe)
        front.route("PUT", "/functions/*/traffic", self.split)
        front.route("PUT", "/functions/*/traffic/promote", self.promote)

    def describe(self, request: Request) -> Response:
        """Answer ``GET /functions/NAME/traffic``: weights, statistics, the last decision, the comparison."""
        return Response.of_json(self._traffic(request).describe())

    async def split(self, request: Request) -> Response:
        """Answer ``PUT /functions/NAME/traffic``: try a candidate, or, with ``{}``, end what is tried.

        Raises:
            SpecError: the body asks for what cannot be.
            ModelNotFoundError: there is no such version.
            ModelInUseError: another candidate is being tried.
            SkerryError: the candidate cannot be started.
        """
        traffic, body = self._traffic(request), request.json_object()
        if not body:
            if traffic.to_dict() is not None:
                await traffic.withdraw()
            return Response.of_json(traffic.describe())
        plan = TrafficPlan.asked(body, candidate=await self._version(traffic.function, body))
        await traffic.begin(plan)
        return Response.of_json(traffic.describe())

    async def promote(self, request: Request) -> Response:
        """Answer ``PUT /functions/NAME/traffic/promote``: the candidate serves the function from now on.

        Raises:
            ModelNotFoundError: there is no candidate.
            SkerryError: it cannot be recorded.
        """
        traffic = self._traffic(request)
        plan = traffic.to_dict()
        if plan is None:
            raise ModelNotFoundError(f"function {traffic.function!r} has no candidate to promote")
        await traffic.promote()
        return Response.of_json({"function": traffic.function, "promoted": plan["candidate"]})

    def _traffic(self, request: Request) -> Traffic:
        return self._find(request.path.strip("/").split("/")[1])

    async def _version(self, function: str, body: dict[str, Any]) -> int:
        candidate = body.get("candidate")
        if isinstance(candidate, bool) or not isinstance(candidate, int | str):
            raise SpecError(
                f"traffic: candidate = {candidate!r}: must be a version, such as 4, or an alias", field="candidate"
            )
        return await self._resolve(function, str(candidate))
