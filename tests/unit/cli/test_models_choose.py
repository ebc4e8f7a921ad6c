import json

import pytest

from skerry.store.models import ManifestDraft, ModelRepository
from skerry.store.objects import open_store


def figures(latency_ms, score):
    return {
        "size_bytes": 1000,
        "load_ms": 10.0,
        "latency_1_ms": latency_ms,
        "latency_32_ms": latency_ms * 8,
        "score": score,
    }


@pytest.fixture
def repository(own_home, monkeypatch):
    monkeypatch.delenv("SKERRY_MODELS", raising=False)
    repository = ModelRepository(open_store(str(own_home / "models")))
    repository.publish("digits", {"model.onnx": b"1"}, ManifestDraft())
    profile = {"score": "accuracy", "before": figures(4.0, 0.98), "after": figures(1.0, 0.97)}
    repository.publish("digits", {"model.onnx": b"2"}, ManifestDraft(parent=1, about={"profile": profile}))
    return repository


def test_the_choice_is_shown_and_the_alias_moved(repository, skerry_command):
    code, out, err = skerry_command("models", "choose", "digits", "--floor", "0.95", "--alias", "candidate")

    assert code == 0, err
    assert "chosen" in out
    assert "chosen: digits@2, now digits@candidate" in err
    assert repository.aliases("digits") == {"candidate": 2}
    assert repository.history("digits")[-1].action == "choose"


def test_a_stricter_floor_chooses_the_original(repository, skerry_command):
    code, out, _ = skerry_command("models", "choose", "digits", "--floor", "0.975", "--json")

    assert (code, json.loads(out)["version"]) == (0, 1)


def test_what_cannot_be_met_is_told(repository, skerry_command):
    code, _, err = skerry_command("models", "choose", "digits", "--objective", "1us")

    assert code == 2
    assert "no version is good enough" in err
