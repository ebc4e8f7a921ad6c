import json

import pytest

from skerry.errors import ModelRejectedError
from skerry.serve.choosing import choose_version, measured_variants
from skerry.store.models import ManifestDraft, ModelRepository
from skerry.store.objects import open_store


def figures(latency_ms, score, load_ms=10.0):
    return {
        "size_bytes": 1000,
        "load_ms": load_ms,
        "latency_1_ms": latency_ms,
        "latency_32_ms": latency_ms * 8,
        "score": score,
    }


@pytest.fixture
def repository(tmp_path):
    """A model whose second version is quicker, and its third quicker still and often wrong."""
    repository = ModelRepository(open_store(str(tmp_path / "models")))
    profiles = [
        None,
        {"score": "accuracy", "before": figures(4.0, 0.98), "after": figures(1.0, 0.97)},
        {"score": "accuracy", "before": figures(4.1, 0.98), "after": figures(0.5, 0.90)},
    ]
    for profile in profiles:
        about = {} if profile is None else {"profile": profile}
        draft = ManifestDraft(parent=None if profile is None else 1, about=about)
        repository.publish("digits", {"model.onnx": json.dumps(about).encode()}, draft)
    return repository


def test_versions_with_figures_are_variants_and_so_is_what_they_were_made_from(repository):
    found = measured_variants(repository, "digits")

    assert sorted(found) == [1, 2, 3]
    assert found[1].latency_s[1] == pytest.approx(0.0041)  # measured last


@pytest.mark.parametrize(
    ("objective_s", "floor", "chosen"), [(0.01, 0.975, 1), (0.01, 0.95, 2), (0.01, None, 3), (0.002, 0.95, 2)]
)
def test_the_cheapest_that_is_quick_and_right_enough_is_chosen(repository, objective_s, floor, chosen):
    assert choose_version(repository, "digits", objective_s=objective_s, floor=floor)[0] == chosen


def test_when_none_is_good_enough_the_error_says_what_each_lacks(repository):
    with pytest.raises(ModelRejectedError, match=r"digits@1: it takes 0\.0041 s.*digits@2: 0\.97 of its answers"):
        choose_version(repository, "digits", objective_s=0.002, floor=0.975)


def test_the_load_counts_where_the_first_answer_from_zero_is_meant(repository):
    with pytest.raises(ModelRejectedError, match=r"0\.01 s of it to load"):
        choose_version(repository, "digits", objective_s=0.005, is_loaded=False)


def test_versions_without_figures_or_with_others_cannot_be_chosen(repository):
    repository.publish("plain", {"model.onnx": b"x"}, ManifestDraft(about={"profile": {"after": "fast"}}))

    assert measured_variants(repository, "plain") == {}
    with pytest.raises(ModelRejectedError, match="no version has measured figures"):
        choose_version(repository, "plain", objective_s=1.0)
