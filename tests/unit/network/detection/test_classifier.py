import numpy as np
import pytest

from skerry.errors import ConfigError
from skerry.network.detection import FLOW_FEATURES, ClassifierDetector, Kind, flow_row
from skerry.serve import push
from skerry.store.models import ModelCache, ModelRepository
from skerry.store.objects import open_store
from support.traffic import amplification, clients, seeded, syn_flood, window

pytest.importorskip("onnxruntime")
linear_model = pytest.importorskip("sklearn.linear_model")


def publish(tmp_path, labels):
    random = seeded(3)
    attack = [flow_row(item) for item in [*syn_flood(random), *amplification(random)]]
    ordinary = [flow_row(item) for number in range(5, 40) for item in clients(20, packets=number)]
    rows = np.array([*attack, *ordinary], np.float32)
    classes = np.array([labels[0]] * len(attack) + [labels[1]] * len(ordinary))
    model = linear_model.LogisticRegression(max_iter=2000).fit(rows, classes)
    repository = ModelRepository(open_store(str(tmp_path / "models")))
    manifest = push("flows", model, sample=rows[:20], repository=repository)
    return ModelCache(tmp_path / "cache").fetch(repository, manifest)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("flows"), ["attack", "benign"])


def test_a_flow_is_told_without_names_and_times():
    assert len(flow_row(clients(1)[0])) == len(FLOW_FEATURES)
    assert flow_row(clients(1)[0]) == flow_row(clients(2)[1])


def test_a_trained_classifier_from_the_store_raises_alarms(folder):
    detector = ClassifierDetector(folder)

    verdict = detector.judge(window(clients(), syn_flood(seeded())))

    assert verdict.alarm
    assert Kind.OPENING in verdict.kinds
    assert not detector.judge(window(clients(50))).alarm
    assert not detector.judge(window()).alarm


def test_a_model_of_something_else_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no classifier of flows"):
        ClassifierDetector(publish(tmp_path, ["cat", "dog"]))
