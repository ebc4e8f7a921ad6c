"""A version of a model that is tried beside the one that serves: shares, copies, both ends, a killed engine."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from skerry.serve import push
from skerry.spec import ModelReference
from skerry.store.models import ModelRepository
from skerry.store.objects import open_store
from support.engine_process import Engine, wait_until, write_app

APP = """
app = skerry.App("models", imports=("numpy", "onnxruntime"))
app.serve("digits", model="digits@production", scale=skerry.Scale(initial=1, max=1))
"""


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(open_store(str(tmp_path / "models")))


@pytest.fixture
def rows(repository):
    """Push two versions that answer differently; the first is production."""
    images, labels = load_digits(return_X_y=True)
    images = images.astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for strength in (1.0, 0.00001):
            model = LogisticRegression(max_iter=50, C=strength).fit(images[:300], labels[:300])
            push("digits", model, sample=images[:2], repository=repository)
    repository.set_alias("digits", "production", 1)
    return images[:40].tolist()


@pytest.fixture
def engine(tmp_path, rows):
    variables = {"SKERRY_MODELS": str(tmp_path / "models"), "SKERRY_MODEL_CACHE": str(tmp_path / "cache")}
    engine = Engine(tmp_path / "home", environment=variables)
    engine.start(write_app(tmp_path / "app.py", APP))
    yield engine
    engine.close()


def ask(engine, row):
    answer = engine.call("digits", [row])
    assert answer.status == 200, answer
    return answer.json()["model"]


def traffic(engine, **asked):
    answer = engine.control("PUT", "/functions/digits/traffic", asked)
    assert answer.status == 200, answer
    return answer.json()


def described(engine):
    return engine.control("GET", "/functions/digits/traffic").json()


def test_a_candidate_gets_its_exact_share_and_is_promoted(engine, rows, repository):
    assert described(engine) == {"function": "digits", "serving": 1, "candidate": None}
    assert traffic(engine, candidate=2, weight_ratio=0.25)["serving"] == 1

    said = [ask(engine, row) for row in rows]

    assert (said.count("digits@1"), said.count("digits@2")) == (30, 10)
    promoted = engine.control("PUT", "/functions/digits/traffic/promote")
    assert promoted.status == 200, promoted
    assert {ask(engine, row) for row in rows[:8]} == {"digits@2"}
    assert repository.resolve(ModelReference.parse("digits@production")).version == 2
    assert repository.history("digits")[-1].action == "promote"
    assert described(engine) == {"function": "digits", "serving": 2, "candidate": None}


def test_a_candidate_that_is_withdrawn_leaves_everything_as_it_was(engine, rows, repository):
    traffic(engine, candidate=2, weight_ratio=0.5)
    assert {ask(engine, row) for row in rows[:4]} == {"digits@1", "digits@2"}

    traffic(engine)

    assert {ask(engine, row) for row in rows[:8]} == {"digits@1"}
    assert repository.resolve(ModelReference.parse("digits@production")).version == 1


def test_copies_are_compared_and_callers_get_the_stable_answer(engine, rows):
    traffic(engine, candidate=2, mirror=True)

    assert {ask(engine, row) for row in rows} == {"digits@1"}

    report = wait_until(
        lambda: (found := described(engine)["comparison"])["agreement_ratio"] is not None and found,
        what="a comparison",
    )
    assert report["sent"] + report["dropped"] == len(rows)
    assert report["agreement_ratio"] < 1
    assert report["differences"]


def test_an_alias_that_somebody_moves_ends_the_trial(engine, rows, repository):
    traffic(engine, candidate=2, weight_ratio=0.5)

    repository.set_alias("digits", "production", 2)

    wait_until(lambda: described(engine)["candidate"] is None, what="the end of the trial")
    assert {ask(engine, row) for row in rows[:8]} == {"digits@2"}


def test_a_deployment_ends_the_trial(engine, rows, tmp_path):
    traffic(engine, candidate=2, weight_ratio=0.5)

    changed = write_app(tmp_path / "app.py", APP.replace("max=1", "max=2"))
    assert engine.control("POST", "/apps", {"target": str(changed)}).status == 200

    wait_until(lambda: described(engine)["candidate"] is None, what="the end of the trial")
    assert {ask(engine, row) for row in rows[:8]} == {"digits@1"}


def test_an_engine_that_is_killed_goes_on_with_the_trial(engine, rows):
    traffic(engine, candidate=2, weight_ratio=0.5)
    engine.kill()
    engine.start()

    wait_until(lambda: described(engine)["candidate"] == 2, what="the trial's going on")

    assert {ask(engine, row) for row in rows[:8]} == {"digits@1", "digits@2"}


def test_a_function_that_follows_no_alias_has_no_traffic_to_divide(engine, tmp_path):
    pinned = write_app(tmp_path / "pinned" / "app.py", APP.replace("production", "1").replace('"digits"', '"fixed"'))
    pinned.write_text(pinned.read_text().replace('App("models"', 'App("pinned"'))
    assert engine.control("POST", "/apps", {"target": str(pinned)}).status == 200

    refused = engine.control("PUT", "/functions/fixed/traffic", {"candidate": 2, "weight_ratio": 0.5})

    assert refused.status == 400, refused
    assert "follows no alias" in refused.json()["detail"]
