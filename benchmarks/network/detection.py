"""How well trained classifiers find attacks: ``python -m benchmarks.network.detection DATA``.

Each figure has a Wilson interval of 95 %. The paper says 99.7 %; that is what a random part of the training file gives.
The held-out files have attacks that the training file does not have, and give what is true.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.measuring import RESULTS, facts
from benchmarks.network.data import NslKdd, Rows, read_cic
from skerry.scaling.evidence import wilson_bounds

SEED = 8
SURE_Z = 1.96
MODELS: dict[str, Callable[[], Any]] = {
    "boosted trees": lambda: HistGradientBoostingClassifier(random_state=SEED),
    "random forest": lambda: RandomForestClassifier(100, random_state=SEED),
    "logistic regression": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
}


def ratio(hits: int, trials: int) -> dict[str, float]:
    """Return a ratio with its interval."""
    low, high = wilson_bounds(hits, trials, SURE_Z)
    return {"ratio": hits / trials if trials else 0.0, "low": low, "high": high, "of": trials}


def judge(rows: Rows, found: Any, normal: str) -> dict[str, Any]:
    """Return how often a model that tells attacks from the rest is right.

    Args:
        rows: What it was asked.
        found: Whether it said attack, for each row.
        normal: The class that is no attack.
    """
    is_normal = rows.classes == normal
    right = found != is_normal
    recalls = {
        str(name): ratio(int(found[rows.classes == name].sum()), int((rows.classes == name).sum()))
        for name in sorted(set(rows.classes))
        if name != normal
    }
    return {
        "accuracy": ratio(int(right.sum()), len(right)),
        "attack_recall": ratio(int(found[~is_normal].sum()), int((~is_normal).sum())),
        "false_positives": ratio(int(found[is_normal].sum()), int(is_normal.sum())),
        "recall_by_class": recalls,
    }


def evaluate(train: Rows, tests: dict[str, Rows], normal: str) -> dict[str, Any]:
    """Fit each model on the training rows, and judge it on each of the test sets."""
    results: dict[str, Any] = {}
    for name, make in MODELS.items():
        began_s = time.perf_counter()
        model = make().fit(train.features, train.classes != normal)
        fit_s = time.perf_counter() - began_s
        results[name] = {"fit_s": round(fit_s, 2)}
        for test, rows in tests.items():
            results[name][test] = judge(rows, model.predict(rows.features), normal)
    return results


def nsl_kdd(folder: Path) -> dict[str, Any]:
    """Return the figures of NSL-KDD: a random part of the training file, and both held-out files."""
    data = NslKdd(folder)
    rest, part = train_test_split(np.arange(len(data.train.classes)), test_size=0.2, random_state=SEED)
    optimistic = evaluate(data.train.chosen(rest), {"part of the training file": data.train.chosen(part)}, "normal")
    held_out = {name: data.test(name) for name in ("KDDTest+", "KDDTest-21")}
    honest = evaluate(data.train, held_out, "normal")
    return {name: {**optimistic[name], **honest[name]} for name in MODELS}


def cic(path: Path) -> dict[str, Any]:
    """Return the figures of CIC-IDS 2017: a random part, the later part of each class, and attacks never trained on."""
    data = read_cic(path)
    rest, part = train_test_split(np.arange(len(data.classes)), test_size=0.3, random_state=SEED)
    results = evaluate(data.chosen(rest), {"random part": data.chosen(part)}, "BENIGN")
    early = np.zeros(len(data.classes), bool)
    for name in set(data.classes):
        places = np.flatnonzero(data.classes == name)
        early[places[np.argsort(data.order[places], kind="stable")][: int(0.7 * len(places))]] = True
    later = evaluate(data.chosen(early), {"later part": data.chosen(~early)}, "BENIGN")
    unseen = np.isin(data.classes, ["DDoS", "Portscan", "Infiltration - Portscan", "Botnet"])
    new = evaluate(
        data.chosen(early & ~unseen), {"attacks never seen": data.chosen(~early & (unseen | _benign(data)))}, "BENIGN"
    )
    return {name: {**results[name], **later[name], **new[name]} for name in MODELS}


def _benign(rows: Rows) -> Any:
    return rows.classes == "BENIGN"


def table(results: dict[str, Any]) -> str:
    """Return the figures as a table for people."""
    lines = [f"{'model':<20} {'asked about':<26} {'accuracy':>20} {'attack recall':>20} {'false positives':>20}"]
    for model, tests in results.items():
        for test, found in tests.items():
            if isinstance(found, dict):
                words = [_words(found[name]) for name in ("accuracy", "attack_recall", "false_positives")]
                lines.append(f"{model:<20} {test:<26} {words[0]:>20} {words[1]:>20} {words[2]:>20}")
    return "\n".join(lines)


def class_table(results: dict[str, Any], tests: Sequence[str], model: str = "boosted trees") -> str:
    """Return one model's recall of each class as a table for people."""
    lines = []
    for test in tests:
        for name, found in results[model][test]["recall_by_class"].items():
            lines.append(f"{test:<26} {name:<28} {_words(found):>20} of {found['of']}")
    return "\n".join(lines)


def _words(found: dict[str, float]) -> str:
    return f"{100 * found['ratio']:.1f} % ({100 * found['low']:.1f}-{100 * found['high']:.1f})"


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with nsl_kdd and cicids2017_improved_sample")
    data = parser.parse_args().data
    kdd = nsl_kdd(data / "nsl_kdd")
    print("NSL-KDD, attack or not (the paper: 99.7 %)\n" + table(kdd))
    print(class_table(kdd, ["KDDTest+"]))
    flows = cic(data / "cicids2017_improved_sample" / "cicids2017_improved_rnd5000.csv.gz")
    print("\nCIC-IDS 2017, what a flow exporter tells\n" + table(flows))
    print(class_table(flows, ["later part", "attacks never seen"]))
    found = {"facts": facts(["numpy", "scikit-learn"]), "nsl_kdd": kdd, "cic_ids_2017": flows}
    (RESULTS / "ddos_detection.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
