"""A model's version in a worker: opened, warmed up, and asked for several callers at a time."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.errors import InvalidPayloadError, ModelRejectedError, SkerryError
from skerry.payload.inference import decode_request
from skerry.runtime.memory import return_memory
from skerry.serve.merging import UnevenError, run_alone, run_merged
from skerry.serve.model_session import ModelSession, quota_threads
from skerry.serve.place import MODEL_FILE, SAMPLE_FILE
from skerry.serve.ports import Inputs, Port
from skerry.serve.predictions import Predictions
from skerry.store.models import MANIFEST_FILE, Manifest

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MANY_ROWS = 1_000  # a request that takes so long that giving its memory back does not show in it
MOST_DIFFERENCE = 1e-3  # between a row alone and the same row among others; rounding makes less


class LoadedModel:
    """One version of a model, ready to answer; made by :meth:`open`.

    Args:
        manifest: What was published.
        session: The model itself.

    Attributes:
        manifest: What was published.
        inputs: What it takes.
        outputs: Names of its outputs, in the manifest's order.
        predictions: Its outputs as plain values.
        is_merged: Whether the rows of several callers go through it in one run.
    """

    def __init__(self, manifest: Manifest, session: ModelSession) -> None:
        self.manifest = manifest
        self._session = session
        model = str(manifest)
        ports = [Port.of(tensor, model=model) for tensor in manifest.inputs]
        results = [Port.of(tensor, model=model) for tensor in manifest.outputs]
        _compare(ports, session.inputs, "inputs", model)
        _compare(results, session.outputs, "outputs", model)
        self.inputs = Inputs(ports, model=model)
        self.outputs = tuple(port.name for port in results)
        self.predictions = Predictions(results, model=model, kind=manifest.kind, labels=manifest.labels)
        self.is_merged = bool(ports) and all(port.is_batched for port in (*ports, *results))

    @classmethod
    def open(cls, folder: Path, *, threads: int | None = None) -> LoadedModel:
        """Open the version whose files a folder holds, and run its sample, if it has one.

        Args:
            folder: With ``manifest.json``, ``model.onnx`` and maybe ``sample.json``.
            threads: Threads that a run may use; those of this worker by default.

        Raises:
            ConfigError: ONNX Runtime is not installed.
            ModelRejectedError: a file is missing or damaged, the model is not what the manifest says, or it fails on
                its own sample.
        """
        try:
            manifest = Manifest.from_json((folder / MANIFEST_FILE).read_bytes())
        except OSError as error:
            raise ModelRejectedError(f"{folder}: {MANIFEST_FILE} cannot be read: {error.strerror}") from error
        quota = quota_threads() if threads is None else threads
        model = cls(manifest, ModelSession(folder / MODEL_FILE, model=str(manifest), threads=quota))
        if (folder / SAMPLE_FILE).is_file():
            model.warm_up((folder / SAMPLE_FILE).read_bytes())
        return model

    def warm_up(self, sample: bytes) -> None:
        """Run a sample, and learn from it whether the model answers row by row.

        Args:
            sample: A request of the Open Inference Protocol v2, as JSON.

        Raises:
            ModelRejectedError: the model fails on it.
        """
        try:
            # Python's reader, because it knows NaN: a sample may hold what JSON has no word for.
            given = decode_request(sample, load=json.loads).inputs
            self.inputs.allow_none(name for name, array in given.items() if not array.size)
            inputs = self.inputs.check(given)
            outputs = self._session.run(inputs)
            self.predictions.name_scores(outputs)
            if self.is_merged and min(map(len, inputs.values())) > 1:
                first = self._session.run({name: array[:1] for name, array in inputs.items()})
                self.is_merged = all(_is_first_row(first[name], outputs[name]) for name in outputs)
        except SkerryError as error:
            raise ModelRejectedError(
                f"model {self.manifest} fails on its own sample ({SAMPLE_FILE}): {error.message}"
            ) from error

    def answer(
        self, requests: Sequence[Mapping[str, Array]], outputs: Sequence[str] | None = None
    ) -> list[dict[str, Array] | Exception]:
        """Return the outputs of each request, or what went wrong with it.

        Args:
            requests: Arrays that :attr:`inputs` has checked.
            outputs: Names of the outputs that any of them needs, none for all.
        """
        try:
            return self._answer(requests, self.outputs if outputs is None else outputs)
        finally:
            if max(map(_count_rows, requests), default=0) >= MANY_ROWS:
                return_memory()

    def _answer(
        self, requests: Sequence[Mapping[str, Array]], names: Sequence[str]
    ) -> list[dict[str, Array] | Exception]:
        def run(tensors: Mapping[str, Array]) -> dict[str, Array]:
            return self._session.run(tensors, names)

        if self.is_merged:
            try:
                return run_merged(run, requests)
            except UnevenError:
                self.is_merged = False
                sys.stderr.write(f"model {self.manifest} does not answer row by row: each request runs alone\n")
        return run_alone(run, requests)

    def check_outputs(self, names: Sequence[str]) -> None:
        """Refuse outputs that the model does not have.

        Raises:
            InvalidPayloadError: it has none of that name.
        """
        for name in names:
            if name not in self.outputs:
                raise InvalidPayloadError(
                    f"output {name[:100]!r}: model {self.manifest} has none of this name; it has "
                    f"{', '.join(map(repr, self.outputs))}",
                    field=name[:100],
                )


def _compare(ports: Sequence[Port], found: Sequence[str], side: str, model: str) -> None:
    named = [port.name for port in ports]
    if sorted(named) != sorted(found):
        raise ModelRejectedError(
            f"model {model}: its manifest names the {side} {', '.join(named) or 'none'}, but {MODEL_FILE} has "
            f"{', '.join(found) or 'none'}: publish it again"
        )


def _count_rows(tensors: Mapping[str, Array]) -> int:
    return max((len(array) for array in tensors.values() if array.ndim), default=0)


def _is_first_row(alone: Array, among_others: Array) -> bool:
    import numpy as np

    first = among_others[:1]
    if alone.shape != first.shape:
        return False
    if alone.dtype.kind != "f":
        return bool((alone == first).all())
    return bool(np.allclose(alone, first, rtol=MOST_DIFFERENCE, atol=MOST_DIFFERENCE, equal_nan=True))
