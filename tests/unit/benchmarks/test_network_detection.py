"""The evaluation of trained classifiers: what they are told, how they are judged, and that they come from the store."""

import csv
import gzip

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("sklearn")

from benchmarks.network.data import NslKdd, Rows, read_cic
from benchmarks.network.figures import judge, ratio
from benchmarks.network.published import detectors, judge_published, publish
from skerry.network.detection import FLOW_FEATURES, flow_row
from support.traffic import amplification, clients, seeded, syn_flood, window

FLOW = {
    "id": "1",
    "Flow ID": "10.0.0.1-10.0.0.2-1000-80-6",
    "Src IP": "10.0.0.1",
    "Src Port": "1000",
    "Dst IP": "10.0.0.2",
    "Dst Port": "80",
    "Timestamp": "2017-07-05 09:00:00",
    "Protocol": "6",
    "Total Fwd Packet": "10",
    "Total Length of Fwd Packet": "500",
    "Fwd Header Length": "200",
    "FIN Flag Count": "1",
    "SYN Flag Count": "1",
    "RST Flag Count": "0",
    "ACK Flag Count": "9",
    "Label": "DDoS",
}
NAMES_AND_TIMES = {"id", "Flow ID", "Src IP", "Src Port", "Dst IP", "Dst Port", "Timestamp"}


def read(tmp_path, flows):
    path = tmp_path / "flows.csv.gz"
    with gzip.open(path, "wt", newline="") as text:
        writer = csv.DictWriter(text, list(FLOW))
        writer.writeheader()
        writer.writerows(flows)
    return read_cic(path)


def test_a_model_is_told_nothing_that_names_a_machine_or_a_time(tmp_path):
    other = {name: f"9{value}" if name in NAMES_AND_TIMES else value for name, value in FLOW.items()}

    rows = read(tmp_path, [FLOW, other, {**FLOW, "Total Fwd Packet": "11"}, {**FLOW, "Total Fwd Packet": "0"}])

    assert rows.features.shape == (3, len(FLOW_FEATURES))
    assert (rows.features[0] == rows.features[1]).all()
    assert (rows.features[0] != rows.features[2]).any()


def test_how_hard_a_sample_was_for_others_is_not_told(tmp_path):
    (tmp_path / "attack_types.csv").write_text("neptune,dos\nnormal,normal\n")
    row = ["0", "tcp", "http", "SF", *["0"] * 37]
    for name, hardness in (("KDDTrain+_20Percent", "21"), ("KDDTest+", "3")):
        with gzip.open(tmp_path / f"{name}.txt.gz", "wt") as text:
            text.write("\n".join([",".join([*row, label, hardness]) for label in ("neptune", "normal", "mscan")]))

    data = NslKdd(tmp_path)

    assert (data.train.features == data.test("KDDTest+").features).all()
    assert list(data.test("KDDTest+").classes) == ["dos", "normal", "probe"]


def test_a_ratio_has_an_interval_that_few_trials_make_wide():
    few, many = ratio(9, 10), ratio(900, 1000)

    assert few["low"] < many["low"] < 0.9 < many["high"] < few["high"] <= 1
    assert ratio(0, 0)["of"] == 0


def test_each_class_is_judged_by_itself():
    classes = np.array(["dos"] * 4 + ["probe"] * 2 + ["normal"] * 4)
    rows = Rows(features=np.zeros((10, 1)), classes=classes, order=np.arange(10))
    found = np.array([True] * 3 + [False] * 3 + [True] + [False] * 3)

    judged = judge(rows, found, "normal")

    recalls = {name: each["ratio"] for name, each in judged["recall_by_class"].items()}
    assert recalls == {"dos": 0.75, "probe": 0.0}
    assert (judged["false_positives"]["ratio"], judged["accuracy"]["ratio"]) == (0.25, 0.6)


def test_what_is_trained_is_pushed_fetched_and_used_by_the_detector(tmp_path):
    random = seeded(3)
    flows = [("SYN flood", item) for item in syn_flood(random)] + [("DNS", item) for item in amplification(random)]
    flows += [("BENIGN", item) for number in range(5, 40) for item in clients(20, packets=number)]
    rows = Rows(
        features=np.array([flow_row(item) for _, item in flows], np.float32),
        classes=np.array([name for name, _ in flows]),
        order=np.arange(len(flows)),
    )

    folder = publish(rows, str(tmp_path / "models"), tmp_path / "cache", trees=20)

    judged = judge_published(folder, {"the same": rows})["the same"]
    assert judged["false_positives"]["ratio"] == 0
    assert set(judged["recall_by_class"]) == {"SYN flood", "DNS"}
    assert judged["attack_recall"]["ratio"] > 0.95
    detector = detectors(folder)["classifier"]()
    assert detector.judge(window(clients(), syn_flood(seeded(5)))).alarm
    assert not detector.judge(window(clients(50))).alarm
