"""From one version of a model to a smaller or faster one, refused when it has become too bad."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.errors import ModelRejectedError, SpecError
from skerry.serve.checking import inspect_onnx
from skerry.serve.checking.inspection import MODEL_FILE
from skerry.serve.optimising.data import EvaluationData
from skerry.serve.optimising.methods import apply_method
from skerry.serve.optimising.profile import Profile, measure_costs, predict
from skerry.serve.optimising.scoring import choose_score, rate
from skerry.serve.publishing_session import open_session
from skerry.serve.sample import SAMPLE_FILE
from skerry.store.models import Manifest, ManifestDraft, ModelRepository

if TYPE_CHECKING:
    from skerry.serve.checking import ModelFacts

DEFAULT_RATIO = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimisedModel:
    """A version made from another, with the figures of both.

    Args:
        file: Its ONNX file.
        facts: What the inspection of that file found.
        method: How it was made.
        score: What `Profile.score` is: ``accuracy``, ``agreement`` or ``r2``.
        before: Figures of the original.
        after: Figures of the new model, measured in turns with those.
        rows: How many rows it was measured on.
        data_digest: Digest of these rows.
        ratio: Part of the weights that was pruned; None for other methods.
    """

    file: Path
    facts: ModelFacts
    method: str
    score: str
    before: Profile
    after: Profile
    rows: int
    data_digest: str
    ratio: float | None = None

    def describe(self) -> dict[str, Any]:
        """Return the profile as a manifest has it."""
        return {
            "method": self.method,
            **({} if self.ratio is None else {"ratio": self.ratio}),
            "score": self.score,
            "rows": self.rows,
            "data_digest": self.data_digest,
            "threads": 1,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
        }


def optimise(
    folder: Path,
    manifest: Manifest,
    *,
    method: str,
    data: EvaluationData,
    floor: float,
    target: Path,
    ratio: float = DEFAULT_RATIO,
) -> OptimisedModel:
    """Make a smaller or faster model of a version, measure both in turns, and refuse it below an accuracy floor.

    Args:
        folder: The version's files, as `ModelCache.fetch` returns them.
        manifest: The version.
        method: ``graph``, ``float16``, ``int8-dynamic``, ``int8-static`` or ``prune``.
        data: Rows, with labels where they are known; they calibrate and judge.
        floor: Lowest score that is accepted, 0 to 1.
        target: Where to write the new ONNX file.
        ratio: For ``prune``: the part of the weights that becomes zero.

    Returns:
        The new model with all figures.

    Raises:
        ModelRejectedError: the method cannot be applied, changes what goes in or out, or the score is below the floor;
            the message has all figures.
        SpecError: an option is wrong.
    """
    if not 0 <= floor <= 1:
        raise SpecError(f"floor {floor}: the lowest score that is accepted lies between 0 and 1", field="floor")
    source = folder / MODEL_FILE
    apply_method(method, source, target, data, ratio=ratio)
    _require_same_interface(source, target, method)
    kept_sample = folder / SAMPLE_FILE
    kept = kept_sample if kept_sample.is_file() else None
    facts = inspect_onnx(target, sample=kept, called=f"{manifest} after {method}")
    score, before, after = _measure(source, target, manifest, data)
    model = OptimisedModel(
        file=target,
        facts=facts,
        method=method,
        score=score,
        before=before,
        after=after,
        rows=len(data),
        data_digest=data.digest(),
        ratio=ratio if method == "prune" else None,
    )
    # Not a number is below every floor.
    if not after.score >= floor:
        raise ModelRejectedError(f"{manifest}: {method} falls below the floor of {floor:g}: {summarise(model)}")
    return model


def publish_optimised(
    repository: ModelRepository, folder: Path, manifest: Manifest, model: OptimisedModel, *, alias: str | None = None
) -> Manifest:
    """Publish an optimised model as the next version of the name that it comes from, which becomes its parent.

    Args:
        repository: Where to publish.
        folder: The files of the version that it was made from.
        manifest: That version.
        model: The optimised model.
        alias: Alias to move to the new version.
    """
    files: dict[str, Path | bytes] = {MODEL_FILE: model.file}
    if SAMPLE_FILE in manifest.files:
        files[SAMPLE_FILE] = folder / SAMPLE_FILE
    onnx = {"opsets": dict(model.facts.opsets), "ir_version": model.facts.ir_version, "producer": model.facts.producer}
    inherited = {key: value for key, value in manifest.about.items() if key not in ("onnx", "profile")}
    draft = ManifestDraft(
        kind=manifest.kind,
        inputs=manifest.inputs,
        outputs=manifest.outputs,
        labels=manifest.labels,
        metrics={model.score: model.after.score},
        data_digest=manifest.data_digest,
        code_digest=manifest.code_digest,
        parent=manifest.version,
        about={**inherited, "onnx": onnx, "profile": model.describe()},
    )
    published = repository.publish(manifest.name, files, draft)
    if alias is not None:
        repository.set_alias(manifest.name, alias, published.version, reason=f"optimised: {model.method}")
    return published


def summarise(model: OptimisedModel) -> str:
    """Return the figures before and after in one line."""
    before, after = model.before, model.after
    times = {"load": "load_ms", "latency of 1 row": "latency_1_ms", "latency of 32 rows": "latency_32_ms"}
    figures = [
        f"{model.score} {before.score:.4f} -> {after.score:.4f}",
        f"size {before.size_bytes:,} -> {after.size_bytes:,} bytes",
        *(f"{words} {getattr(before, key):.3g} -> {getattr(after, key):.3g} ms" for words, key in times.items()),
    ]
    return ", ".join(figures)


def _measure(source: Path, target: Path, manifest: Manifest, data: EvaluationData) -> tuple[str, Profile, Profile]:
    costs = measure_costs([source, target], data)
    original, outputs = predict(source, data), predict(target, data)
    kind = choose_score(manifest, data.targets, original)
    scores = [rate(kind, given, original, data.targets, manifest.labels) for given in (original, outputs)]
    sizes_bytes = (_weight_bytes(manifest), target.stat().st_size)
    before, after = (
        Profile(
            size_bytes=sizes_bytes[number],
            load_ms=costs.load_ms[number],
            latency_1_ms=costs.latency_1_ms[number],
            latency_32_ms=costs.latency_32_ms[number],
            score=scores[number] if math.isfinite(scores[number]) else 0.0,
        )
        for number in range(2)
    )
    return kind, before, after


def _weight_bytes(manifest: Manifest) -> int:
    """Return what the model's own files take, external data among them."""
    return sum(entry.size_bytes for name, entry in manifest.files.items() if name != SAMPLE_FILE)


def _require_same_interface(source: Path, target: Path, method: str) -> None:
    before, after = _interface(source), _interface(target)
    if before != after:
        raise ModelRejectedError(
            f"{method} changes what goes in or out: before {dict(before)}, after {dict(after)}; callers could not tell"
        )


def _interface(file: Path) -> Mapping[str, str]:
    session = open_session(file)
    return {end.name: end.type for end in (*session.get_inputs(), *session.get_outputs())}
