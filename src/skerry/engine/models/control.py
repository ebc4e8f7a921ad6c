"""The control API of models: load, unload, look at aliases now; and what the inference addresses show."""

from __future__ import annotations

from collections.abc import Mapping

from skerry.engine.models.watch import ModelWatch
from skerry.engine.served import Served
from skerry.engine.supervisor import Supervisor
from skerry.errors import MalformedBodyError
from skerry.runtime.front import Front
from skerry.runtime.inference_routes import ServedModel, find_model
from skerry.runtime.message import Request, Response

IGNORED_PARAMETERS = frozenset({"unload_dependents"})  # of Triton's clients; nothing depends on a model here


class ModelControl:
    """Answers for the models of one engine.

    Args:
        supervisor: What serves them.
        watch: What follows their aliases.
    """

    def __init__(self, supervisor: Supervisor, watch: ModelWatch) -> None:
        self._supervisor = supervisor
        self._watch = watch

    def add_routes(self, front: Front) -> None:
        """Serve the control API of models on a front."""
        front.route("POST", "/models/refresh", self._refresh)
        front.route("POST", "/v2/repository/models/*/load", self._load)
        front.route("POST", "/v2/repository/models/*/unload", self._unload)

    def models(self) -> Mapping[str, ServedModel]:
        """Return the functions that serve a model, as the inference addresses show them."""
        return {
            name: ServedModel(
                name=name,
                versions={
                    one.pinned.version: one.pinned.manifest
                    for one in (served, *served.beside)
                    if one.pinned is not None
                },
                refusal=served.pool.dispatcher.refusal,
            )
            for name, served in self._supervisor.served.items()
            if served.pinned is not None
        }

    async def _refresh(self, _: Request) -> Response:
        await self._watch.refresh()
        described = {name: self._watch.describe(served) for name, served in sorted(self._supervisor.served.items())}
        return Response.of_json([{"function": name, **model} for name, model in described.items() if model is not None])

    async def _load(self, request: Request) -> Response:
        _refuse_parameters(request)
        name = self._name_of(request)
        await self._supervisor.load(name)
        return self._state(self._supervisor.find(name))

    def _unload(self, request: Request) -> Response:
        _refuse_parameters(request)
        name = self._name_of(request)
        self._supervisor.unload(name)
        return self._state(self._supervisor.find(name))

    def _name_of(self, request: Request) -> str:
        model, _ = find_model(self.models(), request.path.strip("/").split("/")[3], None)
        return model.name

    def _state(self, served: Served) -> Response:
        return Response.of_json({"name": served.revision.function, "loaded": served.is_loaded})


def _refuse_parameters(request: Request) -> None:
    """Refuse what Triton would do and Skerry does not: to take a model's files or options from the request."""
    if not request.body.strip():
        return
    given = request.json_object().get("parameters", {})
    wrong = sorted(set(given) - IGNORED_PARAMETERS) if isinstance(given, dict) else ["parameters"]
    if wrong:
        raise MalformedBodyError(
            f"{', '.join(wrong)}: not taken from a request; publish a version and move its alias instead"
        )
