"""The handler of a function that serves a model: several callers' calls in, as many answers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from skerry.errors import ConfigError, HandlerError, InvalidPayloadError, UserError
from skerry.payload import Items, Signature
from skerry.payload.inference import InferenceRequest, InferenceResponse, classify
from skerry.serve.cache import ResponseCache
from skerry.serve.calls import CACHE_HEADER, Answer, PlainCall, PredictCall, TensorCall
from skerry.serve.model import LoadedModel
from skerry.serve.place import find_folder

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """What a function that serves a model was declared with.

    Args:
        model: ``NAME``, ``NAME@ALIAS`` or ``NAME@VERSION``.
        before: Makes the inputs of a plain call's arguments.
        after: Makes the result of a plain call's outputs.
        cache_bytes: Memory for answers that were given before, 0 for none.
    """

    model: str
    before: Callable[..., Any] | None = None
    after: Callable[..., Any] | None = None
    cache_bytes: int = 0


class ModelServer:
    """A handler's class; what it serves is said by a subclass, see :meth:`serving`.

    Attributes:
        settings: What is served, and how.
    """

    settings: ClassVar[ServeSettings | None] = None

    def __init__(self) -> None:
        if self.settings is None:
            raise ConfigError("a ModelServer needs settings: use App.serve, or ModelServer.serving(...)")
        self._settings = self.settings
        self._model: LoadedModel | None = None
        self._cache: ResponseCache | None = None

    @classmethod
    def serving(cls, name: str, settings: ServeSettings) -> type[ModelServer]:
        """Return the handler's class of a function.

        Args:
            name: The function's.
            settings: What it serves, and how.
        """
        return type(name, (cls,), {"settings": settings, "__doc__": f"Serve model {settings.model}."})

    @classmethod
    def __skerry_signature__(cls) -> Signature:
        """Return how its calls travel; see `Signature.of`."""
        from skerry.serve.signature import ModelSignature

        before = after = None
        if cls.settings is not None:
            before, after = cls.settings.before, cls.settings.after
        return ModelSignature(before=before, after=after, name=cls.__name__)

    def load(self) -> None:
        """Open the model and run its sample.

        Raises:
            SkerryError: there is no such model, or it cannot be opened or run.
        """
        self._model = LoadedModel.open(find_folder(self._settings.model, function=type(self).__name__))
        if self._settings.cache_bytes:
            self._cache = ResponseCache(self._settings.cache_bytes, self._model.manifest.digest)

    def unload(self) -> None:
        """Let go of the model; its memory returns with the end of the process at the latest."""
        self._model = self._cache = None

    def __call__(self, calls: Items[Any]) -> list[Any]:
        """Answer calls together: as many results, in their order, an exception for one that fails.

        Args:
            calls: What `ModelSignature` makes of bodies, or the values of plain calls in this process.
        """
        model = self._model
        if model is None:
            raise ConfigError(f"model {self._settings.model} is not loaded")
        results: list[Any] = [self._attempt(self._read, call, model) for call in calls]
        asked = {at: inputs for at, inputs in enumerate(results) if not isinstance(inputs, Exception)}
        keys, found = self._look_up(asked)
        missing = [at for at in asked if at not in found]
        computed = model.answer([asked[at] for at in missing], self._wanted(calls, missing))
        for at, outputs in zip(missing, computed, strict=True):
            if self._cache is not None and not isinstance(outputs, Exception):
                self._cache.put(keys[at], outputs)
            results[at] = outputs
        for at, call in enumerate(calls):
            outputs = found.get(at, results[at])
            is_hit = at in found
            results[at] = self._attempt(self._write, call, model, outputs, is_hit)
        return results

    def _attempt(self, step: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return step(*arguments)
        except Exception as error:
            return error

    def _read(self, call: Any, model: LoadedModel) -> Mapping[str, Array]:
        if isinstance(call, TensorCall):
            model.check_outputs([wish.name for wish in call.request.outputs or ()])
            return model.inputs.check(call.request.inputs)
        if isinstance(call, PredictCall):
            if call.instances is not None:
                return model.inputs.read_instances(call.instances)
            return model.inputs.read(call.inputs)
        args, kwargs = (call.args, call.kwargs) if isinstance(call, PlainCall) else ((call,), {})
        if self._settings.before is not None:
            return _fit(self._settings.before(*args, **kwargs), model)
        value = args[0]
        if isinstance(value, dict) and value.keys() == {"inputs"}:
            value = value["inputs"]
        return model.inputs.read(value)

    def _look_up(self, asked: Mapping[int, Mapping[str, Array]]) -> tuple[dict[int, bytes], dict[int, Any]]:
        if self._cache is None:
            return {}, {}
        keys = {at: self._cache.key(inputs) for at, inputs in asked.items()}
        found = {at: outputs for at, key in keys.items() if (outputs := self._cache.get(key)) is not None}
        return keys, found

    def _wanted(self, calls: Items[Any], places: list[int]) -> list[str] | None:
        """Return the outputs that calls need, none for all; a cache is given all, for whoever asks next."""
        wishes = [call.request.outputs if isinstance(call := calls[at], TensorCall) else None for at in places]
        if self._cache is not None or not all(wishes):
            return None
        return list(dict.fromkeys(wish.name for each in wishes for wish in each or ()))

    def _write(self, call: Any, model: LoadedModel, outputs: Any, is_hit: bool) -> Any:
        if isinstance(outputs, Exception):
            raise outputs
        headers = {CACHE_HEADER: "hit"} if is_hit else {}
        if isinstance(call, TensorCall):
            return Answer(value=_respond(type(self).__name__, call.request, model, outputs), headers=headers)
        if isinstance(call, PredictCall):
            return Answer(value={"predictions": model.predictions.predictions(outputs)}, headers=headers)
        after = self._settings.after
        if after is None:
            value = model.predictions.plain(outputs)
        else:  # it may write to what it gets, but not to what the cache keeps
            value = after({name: array.copy() if is_hit else array for name, array in outputs.items()})
        return Answer(value=value, headers=headers, is_typed=True) if isinstance(call, PlainCall) else value


def _fit(made: Any, model: LoadedModel) -> dict[str, Array]:
    """Return what ``before`` made as the model takes it; where it does not fit, its caller has done nothing wrong."""
    try:
        return model.inputs.read(made)
    except UserError as error:
        raise HandlerError(f"what the function's `before` returned does not fit the model: {error.message}") from error


def _respond(
    name: str, request: InferenceRequest, model: LoadedModel, outputs: Mapping[str, Array]
) -> InferenceResponse:
    """Return the answer of a request; on the wire a model has the name of its function."""
    names = model.outputs
    binary = frozenset(names) if request.binary else frozenset()
    chosen = {name: outputs[name] for name in names if name in outputs}
    if request.outputs is not None:
        chosen, labels = {}, model.manifest.labels
        for wish in request.outputs:
            array = outputs[wish.name]
            try:
                chosen[wish.name] = classify(array, wish.classes, labels) if wish.classes else array
            except InvalidPayloadError as error:
                raise InvalidPayloadError(f"output {wish.name!r}: {error.message}", field=wish.name) from error
        binary = frozenset(wish.name for wish in request.outputs if wish.binary)
    version = str(model.manifest.version)
    return InferenceResponse(model_name=name, model_version=version, outputs=chosen, binary=binary, id=request.id)
