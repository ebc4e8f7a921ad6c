"""What is said of models at the addresses of inference protocols: metadata, readiness, and the repository's index.

Source: Open Inference Protocol v2 (KServe, ``required_api.md``), Triton's model repository extension, and KServe's
protocol v1. Requests for predictions do not come here: they go the way of all calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skerry.errors import FunctionNotFoundError, ModelNotFoundError, SkerryError, UnavailableError
from skerry.runtime.front import Front
from skerry.runtime.inference_paths import inference_paths
from skerry.runtime.message import Request, Response
from skerry.version import __version__

if TYPE_CHECKING:
    from skerry.store.models import Manifest, TensorSpec

PLATFORM = "onnxruntime_onnx"
EXTENSIONS = ("binary_tensor_data", "model_repository")
# The protocol's names where they are not NumPy's in capitals.
DATATYPES = {
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "bfloat16": "BF16",
    "string": "BYTES",
    "str": "BYTES",
    "object": "BYTES",
}
PREDICT = ":predict"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model as the front serves it.

    Args:
        name: The function's name, which is the model's on the wire.
        versions: What is known of each version that is served, the main one first.
        refusal: What requests are told at the moment; none while they are taken.
    """

    name: str
    versions: Mapping[int, Manifest | None]
    refusal: SkerryError | None


Models = Callable[[], Mapping[str, ServedModel]]


class InferenceRoutes:
    """Answers for the models of one front.

    Args:
        models: Returns what is served now, by name.
        front: Where requests come from.
    """

    def __init__(self, front: Front, models: Models) -> None:
        self._front = front
        self._models = models

    def add_routes(self) -> None:
        """Serve the addresses."""
        route = self._front.route
        route("GET", "/v2", self._server)
        route("GET", "/v2/health/live", lambda _: Response.of_json({"live": True}))
        route("GET", "/v2/health/ready", self._server_ready)
        route("GET", "/v2/models/*", self._metadata)
        route("GET", "/v2/models/*/versions/*", self._metadata)
        route("GET", "/v2/models/*/ready", self._ready)
        route("GET", "/v2/models/*/versions/*/ready", self._ready)
        route("POST", "/v2/models/*/infer", self._not_served)
        route("POST", "/v2/models/*/versions/*/infer", self._not_served)
        route("POST", "/v2/repository/index", self._index)
        route("GET", "/v1/models", lambda _: Response.of_json({"models": sorted(self._models())}))
        route("GET", "/v1/models/*", self._status)
        route("POST", "/v1/models/*", self._not_served)

    def _server(self, _: Request) -> Response:
        return Response.of_json({"name": "skerry", "version": __version__, "extensions": list(EXTENSIONS)})

    def _server_ready(self, _: Request) -> Response:
        is_ready = self._front.is_ready()
        return Response.of_json({"ready": is_ready}, status=200 if is_ready else 503)

    def _metadata(self, request: Request) -> Response:
        model, version = self._find(request)
        return Response.of_json(metadata(model, version))

    def _ready(self, request: Request) -> Response:
        model, _ = self._find(request)
        is_ready = model.refusal is None
        return Response.of_json({"name": model.name, "ready": is_ready}, status=200 if is_ready else 503)

    def _status(self, request: Request) -> Response:
        model, _ = self._find(request)
        if model.refusal is not None:
            raise UnavailableError(f"model {model.name!r} is not ready: {model.refusal.message}")
        return Response.of_json({"name": model.name, "ready": True})

    def _index(self, request: Request) -> Response:
        only_ready = bool(request.json_object().get("ready")) if request.body.strip() else False
        entries = index(self._models().values())
        return Response.of_json([entry for entry in entries if not only_ready or entry["state"] == "READY"])

    def _not_served(self, request: Request) -> Response:
        """Tell what is wrong with the address of a call that is none: those of functions do not come to routes."""
        name, _, verb = request.path.strip("/").split("/")[2].partition(":")
        if request.path.startswith("/v1/") and verb != PREDICT[1:]:
            raise FunctionNotFoundError(f"nothing is served at {request.path}; predict at /v1/models/NAME{PREDICT}")
        model, _ = find_model(self._models(), name, _version_of(request))
        right = [address.path.decode() for address in inference_paths(model.name, model.versions)]
        raise FunctionNotFoundError(f"{request.path}: write the address exactly: {', '.join(right)}")

    def _find(self, request: Request) -> tuple[ServedModel, int]:
        return find_model(self._models(), request.path.strip("/").split("/")[2], _version_of(request))


def find_model(models: Mapping[str, ServedModel], name: str, version: str | None) -> tuple[ServedModel, int]:
    """Return a model and the version that is meant.

    Args:
        models: What is served, by name.
        name: The model's name on the wire.
        version: The version's number as text; none for the main one.

    Raises:
        ModelNotFoundError: no such model is served, or not in this version.
    """
    model = models.get(name)
    if model is None:
        raise ModelNotFoundError(f"no model {name!r} is served here; there are: {', '.join(sorted(models)) or 'none'}")
    served = list(model.versions)
    if version is None:
        return model, served[0]
    if version not in map(str, served):
        there = ", ".join(map(str, served))
        raise ModelNotFoundError(f"version {version} of model {name!r} is not served here; served is: {there}")
    return model, int(version)


def metadata(model: ServedModel, version: int) -> dict[str, Any]:
    """Return what the Open Inference Protocol says of a version of a model."""
    manifest = model.versions[version]
    return {
        "name": model.name,
        "versions": [str(number) for number in model.versions],
        "platform": PLATFORM,
        "inputs": [] if manifest is None else [_tensor(spec) for spec in manifest.inputs],
        "outputs": [] if manifest is None else [_tensor(spec) for spec in manifest.outputs],
    }


def index(models: Any) -> list[dict[str, str]]:
    """Return the repository's index: one entry for each version that is served, by the models' names."""
    return [
        {
            "name": model.name,
            "version": str(version),
            "state": "READY" if model.refusal is None else "UNAVAILABLE",
            "reason": "" if model.refusal is None else model.refusal.message,
        }
        for model in sorted(models, key=lambda model: model.name)
        for version in model.versions
    ]


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    datatype = DATATYPES.get(spec.dtype, spec.dtype.upper())
    return {"name": spec.name, "datatype": datatype, "shape": [-1 if size is None else size for size in spec.shape]}


def _version_of(request: Request) -> str | None:
    segments = request.path.strip("/").split("/")
    return segments[4] if len(segments) > 4 and segments[3] == "versions" else None
