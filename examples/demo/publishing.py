"""The best model as plain files: exported to ONNX, compared with the original on held-out rows, then published."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import sklearn
from news_app import Weights
from training import FOLDS, HOLDOUT

from skerry.learn.models import ModelFolder, ModelVersion
from skerry.learn.search import Dataset, SearchResult, fit_best, split_rows


class ExportRefusedError(Exception):
    """The exported model does not answer as the original does, or cannot be exported at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The held-out rows, which no search has seen: what to send, the true labels, and the original's predictions."""

    rows: Any
    truth: list[str]
    predicted: list[str]

    @property
    def score(self) -> float:
        """Share of the predictions that are true, in [0, 1]."""
        return sum(p == t for p, t in zip(self.predicted, self.truth, strict=True)) / len(self.truth)


def held_out(data: Dataset, fitted: Any) -> Held:
    """Return the held-out rows with the fitted model's predictions."""
    _used, held = split_rows(data.labels, FOLDS, HOLDOUT)[-1]
    rows: Any
    if data.features is None:
        texts = data.read_texts()
        rows = [texts[row] for row in held]
        predicted = fitted.predict(rows)
    else:
        rows = np.asarray(data.features[held], dtype=np.float32)
        predicted = fitted.predict(np.asarray(data.features[held]))
    return Held(rows=rows, truth=_texts(data.labels[held]), predicted=_texts(predicted))


def publish(
    folder: ModelFolder, name: str, data: Dataset, title: str, result: SearchResult
) -> tuple[ModelVersion, Held]:
    """Fit the winner on all rows of the search, export it, check the export, and publish it.

    Args:
        folder: Where models are published.
        name: The model's name.
        data: The data set.
        title: What kind of model it is, for the manifest.
        result: What the search found.

    Returns:
        The published version, and the held-out rows.

    Raises:
        ExportRefusedError: the export failed, or one held-out row gets another label from it.
    """
    fitted = fit_best(data, result, holdout=HOLDOUT)
    held = held_out(data, fitted)
    width = data.features.shape[1] if data.features is not None else len(fitted[0].vocabulary_)
    try:
        model = _to_onnx(fitted if data.features is not None else fitted[1:], width)
    except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise ExportRefusedError(f"it cannot be written as ONNX: {error}") from error
    files = {"model.onnx": model}
    if data.features is None:
        files["words.json"] = _words(fitted[0])
    # Texts become numbers by the code that serves, so that the whole way from text to label is compared.
    given = held.rows if data.features is not None else Weights(files["words.json"]).rows(held.rows)
    different = _differences(model, given, held.predicted)
    if different:
        raise ExportRefusedError(f"as ONNX it gives {different} of {len(held.truth)} held-out rows another label")
    about = {
        "model": title,
        "parameters": {key.removeprefix("model__"): value for key, value in result.best_parameters.items()},
        "classes": sorted(set(_texts(data.labels))),
        "width": width,
        "validation_score": result.best_score,
        "test_score": held.score,
        "rows": data.rows,
        "data_sha256": data.digest,
        "search_sha256": result.digest,
        "scikit_learn": sklearn.__version__,
    }
    return folder.publish(name, files, about=about), held


def _to_onnx(fitted: Any, width: int) -> bytes:
    from onnx.utils import Extractor
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    with warnings.catch_warnings():
        # skl2onnx 1.20 reads two attributes of SVC that scikit-learn 1.9 deprecates; without probabilities their
        # values are not used.
        warnings.filterwarnings("ignore", message="Attribute `prob[AB]_` was deprecated", category=FutureWarning)
        exported = to_onnx(
            fitted, initial_types=[("rows", FloatTensorType([None, width]))], options={id(fitted): {"zipmap": False}}
        )
    # Only the label is served; what computes the scores is most of some graphs, and of the time to load them.
    content: bytes = Extractor(exported).extract_model(["rows"], ["label"]).SerializeToString()
    return content


def _words(vectorizer: Any) -> bytes:
    """Write what a TF-IDF vectoriser with default settings has learnt: its words in order, and their weights."""
    words = {
        "pattern": vectorizer.token_pattern,
        "words": vectorizer.get_feature_names_out().tolist(),
        "weights": vectorizer.idf_.tolist(),
    }
    return json.dumps(words).encode()


def _differences(model: bytes, rows: Any, expected: Sequence[str]) -> int:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (labels,) = session.run(["label"], {"rows": rows})
    return sum(given != wanted for given, wanted in zip(_texts(labels), expected, strict=True))


def _texts(labels: Any) -> list[str]:
    return [str(label) for label in np.asarray(labels).tolist()]
