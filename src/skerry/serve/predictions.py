"""A model's outputs as plain values: labels and probabilities of a classifier, named lists of others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from skerry.errors import HandlerError
from skerry.payload.datatype import BYTES
from skerry.serve.ports import Port

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_WHOLE = re.compile(r"-?[0-9]{1,15}")


class Predictions:
    """How outputs are told to a person.

    Args:
        ports: The model's outputs.
        model: What answers call it, like ``digits@3``.
        kind: ``classifier`` or another.
        labels: Of a classifier: the word for each class, in the order of its probabilities.

    Attributes:
        labels_from: The output that names the class of each row, none where only scores exist.
        scores_from: The output with a score for each class, none without.
        scores_name: What answers call the scores.
    """

    def __init__(self, ports: Sequence[Port], *, model: str, kind: str, labels: Sequence[str] | None) -> None:
        self._model = model
        self._labels = None if not labels else _values(labels)
        self.labels_from: str | None = None
        self.scores_from: str | None = None
        self.scores_name = "probabilities"
        if kind == "classifier":
            self.labels_from = next((p.name for p in ports if _names_classes(p)), None)
            self.scores_from = next((p.name for p in ports if _scores_classes(p)), None)

    @property
    def is_classifier(self) -> bool:
        """Whether the outputs say which class each row belongs to."""
        return self.labels_from is not None or self.scores_from is not None

    def name_scores(self, outputs: Mapping[str, Array]) -> None:
        """Call the scores what they are, judged by those of the model's own sample: numbers of another sum are none."""
        if self.scores_from is None or not len(scores := outputs[self.scores_from]):
            return
        sums_to_one = bool((abs(scores.astype("float64").sum(axis=1) - 1) < 1e-3).all())
        self.scores_name = "probabilities" if sums_to_one and bool((scores >= 0).all()) else "scores"

    def plain(self, outputs: Mapping[str, Array]) -> dict[str, Any]:
        """Return the answer of a plain call.

        Raises:
            HandlerError: the model names a class that has no label.
        """
        if not self.is_classifier:
            named = {name: array.tolist() for name, array in outputs.items()}
            return {"outputs": named, "model": self._model}
        answer: dict[str, Any] = {"labels": self.labels(outputs)}
        if self.scores_from is not None:
            answer[self.scores_name] = outputs[self.scores_from].tolist()
        return {**answer, "model": self._model}

    def predictions(self, outputs: Mapping[str, Array]) -> Any:
        """Return the value of KServe v1's ``predictions``: labels, or rows, or rows of every output by name.

        Raises:
            HandlerError: the model names a class that has no label.
        """
        if self.is_classifier:
            return self.labels(outputs)
        columns = {name: array.tolist() for name, array in outputs.items()}
        if len(columns) == 1:
            return next(iter(columns.values()))
        counts = {len(array) if array.ndim else None for array in outputs.values()}
        if len(counts) > 1 or None in counts:
            return columns
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def labels(self, outputs: Mapping[str, Array]) -> list[Any]:
        """Return the class of each row.

        Raises:
            HandlerError: the model names a class that has no label.
        """
        if self.labels_from is None:
            return self._named(outputs[self.scores_from or ""].argmax(axis=1).tolist())
        found: list[Any] = outputs[self.labels_from].ravel().tolist()
        # Labels that are numbers themselves are the classes that the model names; others stand for their places.
        if self._labels is None or not found or isinstance(found[0], str) or isinstance(self._labels[0], int):
            return found
        return self._named(found)

    def _named(self, places: list[int]) -> list[Any]:
        if self._labels is None:
            return places
        if places and not (min(places) >= 0 and max(places) < len(self._labels)):
            raise HandlerError(
                f"model {self._model} names a class that its manifest has no label for: there are {len(self._labels)}; "
                "publish it again with all of them"
            )
        return [self._labels[place] for place in places]


def _values(labels: Sequence[str]) -> list[Any]:
    return [int(label) for label in labels] if all(map(_WHOLE.fullmatch, labels)) else list(labels)


def _names_classes(port: Port) -> bool:
    whole = port.datatype == BYTES or "INT" in port.datatype
    return whole and (len(port.shape) == 1 or (len(port.shape) == 2 and port.shape[1] == 1))


def _scores_classes(port: Port) -> bool:
    return port.datatype.startswith("FP") and len(port.shape) == 2 and port.shape[1] != 1
