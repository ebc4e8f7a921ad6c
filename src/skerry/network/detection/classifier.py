"""A trained classifier of flows, from the model store. Needs the extra ``serve``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from skerry.errors import ConfigError
from skerry.network.actions import Flag, Protocol
from skerry.network.detection.detector import Detector, Verdict
from skerry.network.detection.kind import Kind, kind_of
from skerry.network.detection.traffic import Slice, Traffic

if TYPE_CHECKING:
    from skerry.serve.model import LoadedModel

# What a model is told of each flow: nothing that names a machine, a time or a measurement. In this order.
FLOW_FEATURES = ("tcp", "udp", "fin", "syn", "rst", "ack", "log_packets", "length_bytes")
MOST_FLOWS = 2000
_KINDS = (Kind.OPENING, Kind.DATAGRAMS, Kind.FRAGMENTS, Kind.OTHER, Kind.CONNECTED)


def flow_row(item: Slice) -> tuple[float, ...]:
    """Return what a model is told of a flow, in the order of :data:`FLOW_FEATURES`."""
    flags = item.flags if item.flags is not None else Flag(0)
    return (
        float(item.protocol is Protocol.TCP),
        float(item.protocol is Protocol.UDP),
        *(float(flag in flags) for flag in (Flag.FIN, Flag.SYN, Flag.RST, Flag.ACK)),
        math.log1p(item.packets),
        float(item.length_bytes),
    )


class ClassifierDetector(Detector):
    """Raises an alarm when much of a destination's traffic is attack flows, as a model says.

    Args:
        folder: A version of a model, as the model store's cache holds it: a classifier that takes rows of
            :data:`FLOW_FEATURES` and has the class ``attack``.
        least_ratio: Share of the packets that has to belong to attack flows, in (0, 1].
        least_per_s: Packets per second that have to, at least.
        sure_ratio: Probability from which on a flow is taken for an attack, in (0, 1).

    Raises:
        ConfigError: ONNX Runtime is not installed, or the model is no such classifier.
        ModelRejectedError: the model cannot be opened.
    """

    name: ClassVar[str] = "classifier"

    def __init__(
        self, folder: Path, *, least_ratio: float = 0.5, least_per_s: float = 300.0, sure_ratio: float = 0.9
    ) -> None:
        from skerry.serve.model import LoadedModel

        if not 0 < least_ratio <= 1 or not 0 < sure_ratio < 1:
            raise ConfigError("least_ratio is in (0, 1], sure_ratio in (0, 1)")
        self._model = LoadedModel.open(folder, threads=1)
        self._column = _attack_column(self._model)
        self._least_ratio = least_ratio
        self._least_per_s = least_per_s
        self._sure_ratio = sure_ratio

    def judge(self, window: Traffic) -> Verdict:
        """Return how much of a window's traffic is attack flows."""
        flows = sorted(window.slices, key=lambda item: -item.packets)[:MOST_FLOWS]
        attack = self._attack_flows(flows) if flows else []
        packets = sum(item.packets for item in attack)
        # Flows beyond the largest are taken to be like those.
        seen = sum(item.packets for item in flows)
        ratio = packets / seen if seen else 0.0
        per_s = ratio * window.features["packets_per_s"]
        score = min(ratio / self._least_ratio, per_s / self._least_per_s)
        reason = f"{per_s:.0f} packets/s to {window.destination} belong to attack flows ({ratio:.0%})"
        kinds = tuple(kind for kind in _KINDS if any(kind_of(item) is kind for item in attack)) or _KINDS
        evidence = {"attack_per_s": per_s, "attack_ratio": ratio}
        return Verdict(alarm=score > 1.0, score=score, reason=reason, evidence=evidence, kinds=kinds)

    def learn(self, window: Traffic) -> None:
        """Learn nothing: the model was trained before."""

    def _attack_flows(self, flows: Sequence[Slice]) -> list[Slice]:
        import numpy as np

        rows = np.array([flow_row(item) for item in flows], np.float32)
        (name,) = (port.name for port in self._model.manifest.inputs)
        answer = self._model.answer([{name: rows}])[0]
        if isinstance(answer, Exception):
            raise answer
        scores = next(array for array in answer.values() if array.ndim == 2)[:, self._column]
        return [item for item, score in zip(flows, scores.tolist(), strict=True) if score >= self._sure_ratio]


def _attack_column(model: LoadedModel) -> int:
    labels = list(model.manifest.labels or ())
    if "attack" not in labels or len(model.manifest.inputs) != 1:
        raise ConfigError(
            f"model {model.manifest} is no classifier of flows: it needs one input with {len(FLOW_FEATURES)} columns "
            f"and the class 'attack', and its classes are {labels}"
        )
    return labels.index("attack")
