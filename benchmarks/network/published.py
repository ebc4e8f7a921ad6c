"""A classifier of flows from the model store, and what it and the other detectors say of recorded packets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from benchmarks.network.data import Rows
from benchmarks.network.figures import SEED, judge, ratio
from benchmarks.network.recordings import recorded_windows
from skerry.network.actions import Address
from skerry.network.detection import (
    BaselineDetector,
    ClassifierDetector,
    Detector,
    SlowDetector,
    StrayDetector,
    make_traffic,
)
from skerry.serve import push
from skerry.serve.model import LoadedModel
from skerry.store.models import ModelCache, ModelRepository
from skerry.store.objects import open_store

NAME = "flow-attacks"
# From which probability on the detector takes a flow for an attack.
SURE_RATIO = 0.9
QUIET = ("pcap_normal", "pcap_iot_normal")


def publish(train: Rows, store: str, cache: Path, *, benign: str = "BENIGN", trees: int = 60) -> Path:
    """Train a random forest on flows, push it to a model store as ONNX, and fetch it from there.

    Args:
        train: Rows as ``flow_row`` makes them.
        store: The model store's address.
        cache: The folder of the cache that the version is fetched into.
        benign: The class that is no attack.
        trees: How many trees.

    Returns:
        The folder of the version.
    """
    classes = np.where(train.classes == benign, "benign", "attack")
    model = RandomForestClassifier(trees, min_samples_leaf=3, random_state=SEED).fit(train.features, classes)
    repository = ModelRepository(open_store(store))
    manifest = push(NAME, model, sample=train.features[:20].astype(np.float32), repository=repository)
    return ModelCache(cache).fetch(repository, manifest)


def judge_published(folder: Path, tests: Mapping[str, Rows], *, benign: str = "BENIGN") -> dict[str, Any]:
    """Return how often a published version is right, where it has to be as sure as the detector wants it."""
    model = LoadedModel.open(folder, threads=1)
    column = list(model.manifest.labels or ()).index("attack")
    (port,) = model.manifest.inputs
    results = {}
    for name, rows in tests.items():
        answer = model.answer([{port.name: rows.features.astype(np.float32)}])[0]
        if isinstance(answer, Exception):
            raise answer
        scores = next(array for array in answer.values() if array.ndim == 2)[:, column]
        results[name] = judge(rows, scores >= SURE_RATIO, benign)
    return results


def detectors(folder: Path) -> dict[str, Callable[[], Detector]]:
    """Return what makes each detector."""
    return {
        "baseline": BaselineDetector,
        "strays": StrayDetector,
        "slow": SlowDetector,
        "classifier": lambda: ClassifierDetector(folder, sure_ratio=SURE_RATIO),
    }


def false_alarms(data: Path, make: Callable[[], Detector]) -> dict[str, float]:
    """Return how many windows of ordinary recordings raise an alarm, each recording by itself."""
    windows = alarms = 0
    for path in (path for name in QUIET for path in sorted((data / name).glob("*.pcap.gz"))):
        detector = make()
        for window in recorded_windows(path):
            windows += 1
            alarms += detector.judge(window).alarm
            detector.learn(window)
    return ratio(alarms, windows)


def found_attacks(data: Path, make: Callable[[], Detector]) -> dict[str, float | None]:
    """Return for each recorded attack after how many seconds of it there is an alarm; None where there is none.

    Five seconds in which nothing comes are before it, so nothing was learned: the hardest case for those that learn.
    """
    found: dict[str, float | None] = {}
    for path in sorted((data / "pcap_ddos").glob("*.gz")):
        detector = make()
        began_s = alarmed_s = None
        seen: set[Address] = set()
        for window in recorded_windows(path):
            began_s = window.ended_s - window.length_s if began_s is None else began_s
            if window.destination not in seen:
                seen.add(window.destination)
                detector.judge(make_traffic(window.destination, (), ended_s=began_s - 5, length_s=window.length_s))
            if detector.judge(window).alarm:
                alarmed_s = window.ended_s - began_s
                break
        found[path.name.split(".pcap")[0]] = alarmed_s
    return found
