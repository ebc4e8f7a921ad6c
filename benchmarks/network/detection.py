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
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.measuring import RESULTS, facts
from benchmarks.network.data import NslKdd, Rows, read_cic
from benchmarks.network.figures import SEED, judge
from benchmarks.network.published import detectors, false_alarms, found_attacks, judge_published, publish

MODELS: dict[str, Callable[[], Any]] = {
    "boosted trees": lambda: HistGradientBoostingClassifier(random_state=SEED),
    "random forest": lambda: RandomForestClassifier(100, random_state=SEED),
    "logistic regression": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
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
    early = early_part(data)
    later = evaluate(data.chosen(early), {"later part": data.chosen(~early)}, "BENIGN")
    unseen = np.isin(data.classes, ["DDoS", "Portscan", "Infiltration - Portscan", "Botnet"])
    new = evaluate(
        data.chosen(early & ~unseen), {"attacks never seen": data.chosen(~early & (unseen | _benign(data)))}, "BENIGN"
    )
    return {name: {**results[name], **later[name], **new[name]} for name in MODELS}


def early_part(data: Rows) -> Any:
    """Return which rows are among the first 70 % of their class: a model is asked about what came later."""
    early = np.zeros(len(data.classes), bool)
    for name in set(data.classes):
        places = np.flatnonzero(data.classes == name)
        early[places[np.argsort(data.order[places], kind="stable")][: int(0.7 * len(places))]] = True
    return early


def from_the_store(data: Path, flows: Rows, store: str, cache: Path) -> dict[str, Any]:
    """Return the figures of a version that was pushed and fetched, and those of all detectors on recorded packets."""
    early = early_part(flows)
    folder = publish(flows.chosen(early), store, cache)
    made = detectors(folder)
    return {
        "flows": judge_published(folder, {"later part": flows.chosen(~early)}),
        "false_alarms": {name: false_alarms(data, make) for name, make in made.items()},
        "seconds_to_alarm": {name: found_attacks(data, make) for name, make in made.items()},
    }


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


def recording_table(results: dict[str, Any]) -> str:
    """Return what the detectors say of recordings as a table for people."""
    attacks = results["seconds_to_alarm"]
    lines = [f"{'recording':<48}" + "".join(f"{name:>24}" for name in attacks)]
    alarms = [f"{found['ratio'] * found['of']:.0f} of {found['of']}" for found in results["false_alarms"].values()]
    lines.append(f"{'ordinary windows with an alarm':<48}" + "".join(f"{word:>24}" for word in alarms))
    for recording in next(iter(attacks.values())):
        times = [found[recording] for found in attacks.values()]
        words = ["-" if time_s is None else f"{time_s:.2f} s" for time_s in times]
        lines.append(f"{recording:<48}" + "".join(f"{word:>24}" for word in words))
    return "\n".join(lines)


def _words(found: dict[str, float]) -> str:
    return f"{100 * found['ratio']:.1f} % ({100 * found['low']:.1f}-{100 * found['high']:.1f})"


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with nsl_kdd, cicids2017_improved_sample and the recordings")
    parser.add_argument("--store", help="model store to push the classifier of flows to; a temporary one by default")
    asked = parser.parse_args()
    data = asked.data
    kdd = nsl_kdd(data / "nsl_kdd")
    print("NSL-KDD, attack or not (the paper: 99.7 %)\n" + table(kdd))
    print(class_table(kdd, ["KDDTest+"]))
    path = data / "cicids2017_improved_sample" / "cicids2017_improved_rnd5000.csv.gz"
    flows = cic(path)
    print("\nCIC-IDS 2017, what a flow exporter tells\n" + table(flows))
    print(class_table(flows, ["later part", "attacks never seen"]))
    with TemporaryDirectory() as folder:
        stored = from_the_store(data, read_cic(path), asked.store or f"{folder}/models", Path(folder) / "cache")
    print("\nFrom the model store, where it is 90 % sure\n" + table({"random forest": stored["flows"]}))
    print("\nRecorded packets, in windows of 250 ms: seconds until the first alarm\n" + recording_table(stored))
    found = {"facts": facts(["numpy", "scikit-learn", "onnxruntime"]), "nsl_kdd": kdd, "cic_ids_2017": flows}
    (RESULTS / "ddos_detection.json").write_text(json.dumps({**found, "from_the_store": stored}, indent=1) + "\n")


if __name__ == "__main__":
    main()
