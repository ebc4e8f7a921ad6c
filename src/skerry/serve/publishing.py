"""``push``: from a model in any form that can be trusted to a published version."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.errors import ModelRejectedError
from skerry.serve.checking import Limits, ModelFacts, inspect_onnx
from skerry.serve.checking.facts import CLASSIFIER, OTHER
from skerry.serve.checking.inspection import MODEL_FILE, find_model_file
from skerry.serve.exporting import ExportedModel, export
from skerry.serve.sample import MOST_SAMPLE_BYTES, SAMPLE_FILE, encode_sample, fit_sample
from skerry.store.models import Manifest, ManifestDraft, ModelRepository, publishing_url

if TYPE_CHECKING:
    from skerry.store.models import TensorSpec

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedModel:
    """A model that may be published.

    Args:
        files: Content or place of each file, by its name in the version.
        facts: What the inspection found.
        exported: How it was made, when it was exported from Python.
        code_digest: What made it, when that is known.
    """

    files: Mapping[str, Path | bytes]
    facts: ModelFacts
    exported: ExportedModel | None = None
    code_digest: str | None = None


def push(  # noqa: PLR0913  # each is a member of the manifest
    name: str,
    model: Any,
    *,
    sample: Any = None,
    repository: ModelRepository | None = None,
    labels: Sequence[str] | None = None,
    metrics: Mapping[str, float] | None = None,
    data_digest: str | None = None,
    parent: int | None = None,
    about: Mapping[str, Any] | None = None,
    alias: str | None = None,
    limits: Limits | None = None,
) -> Manifest:
    """Check a model, export it where it is a Python object, and publish it as the next version of a name.

    No pickle is ever loaded and no archive unpacked: what is a file must be ONNX, what is a Python object is exported
    and compared with the original on the sample.

    Args:
        name: The model's name: lower-case letters, digits, - and _, a letter first, no - or _ last, at most 63.
        model: Path of an ``.onnx`` file or of a folder with one and its external data, the bytes of such a file, a
            fitted scikit-learn estimator or pipeline, or a ``torch.nn.Module``.
        sample: Rows that the model takes: an array, a list of strings, or a mapping of input names to those. Needed for
            Python objects; the first four rows are kept to warm the model up.
        repository: Where to publish; ``$SKERRY_MODELS`` or the engine's folder by default.
        labels: Names of the classes in the order of the probabilities; by default those that the model knows.
        metrics: How good the model is, by the metric's name.
        data_digest: What it was trained on.
        parent: Version of the same name that it was made from.
        about: Whatever else readers should know, as JSON can carry it.
        alias: Alias to move to the new version, such as ``production``.
        limits: What the model may take while it is checked.

    Returns:
        The manifest of the new version.

    Raises:
        ModelRejectedError: the model is refused, with the reason and the way out.
        DataError: the sample is no sample.
        StorageError: the store cannot be written.

    Example:
        ``push("digits", pipeline, sample=X[:200], metrics={"accuracy": 0.97}, alias="production")``
    """
    repository = repository or _default_repository()
    with tempfile.TemporaryDirectory(prefix="skerry-push-") as folder:
        checked = check(model, sample, Path(folder), limits)
        draft = ManifestDraft(
            kind=_kind(checked, labels),
            inputs=checked.facts.inputs,
            outputs=checked.facts.outputs,
            labels=_labels(checked, labels),
            metrics={key: float(value) for key, value in (metrics or {}).items()},
            data_digest=data_digest,
            code_digest=checked.code_digest,
            parent=parent,
            about={**_describe(checked), **(about or {})},
        )
        manifest = repository.publish(name, checked.files, draft)
    if alias is not None:
        repository.set_alias(name, alias, manifest.version, reason="pushed")
    return manifest


def check(model: Any, sample: Any, folder: Path, limits: Limits | None) -> CheckedModel:
    """Return a model that may be published, whatever form it came in.

    Args:
        model: As `push` takes it.
        sample: As `push` takes it.
        folder: A temporary folder, which must last until the files are published.
        limits: What the model may take.

    Raises:
        ModelRejectedError: the model is refused.
        DataError: the sample is no sample.
    """
    if isinstance(model, str | os.PathLike):
        return _check_path(Path(model), sample, folder, limits, called="")
    if isinstance(model, bytes | bytearray):
        file = folder / MODEL_FILE
        file.write_bytes(model)
        return _check_path(file, sample, folder, limits, called="the model's bytes")
    exported = export(model, sample)
    file, sample_file = folder / MODEL_FILE, folder / SAMPLE_FILE
    file.write_bytes(exported.content)
    sample_file.write_bytes(encode_sample(exported.feeds))
    facts = inspect_onnx(file, limits=limits, sample=sample_file, called=f"{type(model).__name__} as ONNX")
    files: dict[str, Path | bytes] = {MODEL_FILE: file, SAMPLE_FILE: sample_file}
    return CheckedModel(files=files, facts=facts, exported=exported, code_digest=digest_code(model))


def digest_code(model: Any) -> str:
    """Return a digest of what a Python model is: its class, its structure or parameters, and its source if it has one.

    Two models of one digest were made by the same code, whatever data they have seen.
    """
    kind = type(model)
    described = repr(sorted(model.get_params().items())) if hasattr(model, "get_params") else repr(model)
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        source = ""
    # Where a function lies in memory is no part of what it is.
    text = "\n".join((f"{kind.__module__}.{kind.__qualname__}", _ADDRESS.sub("", described), source))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _check_path(path: Path, sample: Any, folder: Path, limits: Limits | None, *, called: str) -> CheckedModel:
    beside = path / SAMPLE_FILE if path.is_dir() else None
    kept = beside if sample is None and beside is not None and beside.is_file() else None
    if kept is not None and kept.stat().st_size > MOST_SAMPLE_BYTES:
        raise ModelRejectedError(
            f"{kept}: a sample may have {MOST_SAMPLE_BYTES:,} bytes at most; a few rows are enough"
        )
    facts = inspect_onnx(path, limits=limits, sample=kept, called=called)
    file = find_model_file(path)
    files: dict[str, Path | bytes] = {MODEL_FILE: file, **{name: file.parent / name for name in facts.external_files}}
    if kept is not None:
        files[SAMPLE_FILE] = kept
    if sample is not None:
        # Once more with rows that are known to be good: with them the model has to work.
        kept = folder / SAMPLE_FILE
        kept.write_bytes(encode_sample(fit_sample(sample, facts.inputs)))
        files[SAMPLE_FILE] = kept
        facts = inspect_onnx(path, limits=limits, sample=kept, called=called)
    return CheckedModel(files=files, facts=facts)


def _kind(checked: CheckedModel, labels: Sequence[str] | None) -> str:
    kind = checked.exported.kind if checked.exported is not None else checked.facts.kind
    return CLASSIFIER if labels and kind == OTHER else kind


def _labels(checked: CheckedModel, labels: Sequence[str] | None) -> tuple[str, ...] | None:
    known = checked.facts.labels if checked.exported is None else checked.exported.labels
    if labels is None:
        return known
    given = tuple(map(str, labels))
    widths = {width for tensor in checked.facts.outputs if (width := _width(tensor)) is not None}
    if widths and len(given) not in widths:
        raise ModelRejectedError(
            f"{len(given)} labels do not fit the model: its outputs have {', '.join(map(str, sorted(widths)))} columns"
        )
    return given


def _width(tensor: TensorSpec) -> int | None:
    return tensor.shape[-1] if len(tensor.shape) == 2 else None


def _describe(checked: CheckedModel) -> dict[str, Any]:
    facts = checked.facts
    onnx = {"opsets": dict(facts.opsets), "ir_version": facts.ir_version, "producer": facts.producer}
    return {"onnx": onnx} if checked.exported is None else {"onnx": onnx, "export": checked.exported.describe()}


def _default_repository() -> ModelRepository:
    from skerry.store.objects import open_store

    home = os.environ.get("SKERRY_HOME")
    folder = Path(home).expanduser() if home else Path.home() / ".skerry"
    return ModelRepository(open_store(publishing_url(folder)))
