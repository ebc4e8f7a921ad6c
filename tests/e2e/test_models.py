"""Models from the object of a library to answers over HTTP, read by a client that is not ours."""

import http.client
import json
import threading
import time
import warnings

import numpy as np
import pytest
import tritonclient.http as triton
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skerry.serve import push
from skerry.store.models import ModelRepository
from skerry.store.objects import open_store
from support.engine_process import Engine, wait_until, write_app

ROWS = 1000
APP = """
app = skerry.App("models", imports=("numpy", "onnxruntime"))
app.serve("digits", model="digits@production", scale=skerry.Scale(initial=0, max=1))
"""


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(open_store(str(tmp_path / "models")))


@pytest.fixture
def engine(tmp_path):
    variables = {"SKERRY_MODELS": str(tmp_path / "models"), "SKERRY_MODEL_CACHE": str(tmp_path / "cache")}
    engine = Engine(tmp_path / "home", environment=variables)
    yield engine
    engine.close()


@pytest.fixture
def digits():
    rows, labels = load_digits(return_X_y=True)
    return rows.astype(np.float32), labels


def quiet_push(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what exporters say of the libraries they convert
        return push(*arguments, **options)


def fitted(digits, **options):
    rows, labels = digits
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=200, **options)).fit(rows, labels)


def infer(engine, manifest, rows, *, binary, outputs):
    """Ask with NVIDIA's client, a few hundred rows at a time."""
    found = {name: [] for name in outputs}
    client = triton.InferenceServerClient(f"127.0.0.1:{engine.port}")
    try:
        for start in range(0, len(rows), 250):
            part = rows[start : start + 250]
            given = triton.InferInput(manifest.inputs[0].name, list(part.shape), "FP32")
            given.set_data_from_numpy(part, binary_data=binary)
            wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in outputs]
            answer = client.infer(manifest.name, [given], outputs=wanted)
            for name in outputs:
                found[name].append(answer.as_numpy(name))
    finally:
        client.close()
    return {name: np.concatenate(parts) for name, parts in found.items()}


@pytest.mark.parametrize("binary", [False, True], ids=["json", "binary"])
def test_a_pipeline_answers_a_foreign_client_as_it_did_in_python(engine, repository, digits, tmp_path, binary):
    model = fitted(digits)
    rows = digits[0][:ROWS]
    manifest = quiet_push("digits", model, sample=rows[:8], alias="production", repository=repository)
    engine.start(write_app(tmp_path / "app.py", APP))

    found = infer(engine, manifest, rows, binary=binary, outputs=["label", "probabilities"])

    assert np.abs(found["probabilities"] - model.predict_proba(rows)).max() <= 1e-5
    assert np.array_equal(found["label"].ravel(), model.predict(rows))


def test_a_torch_network_answers_a_foreign_client_as_it_did_in_python(engine, repository, digits, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torch.manual_seed(0)
    layers = torch.nn
    network = layers.Sequential(
        layers.Conv2d(1, 8, 3), layers.ReLU(), layers.Flatten(), layers.Linear(8 * 36, 10), layers.Softmax(dim=1)
    ).eval()
    images = digits[0][:ROWS].reshape(-1, 1, 8, 8) / np.float32(16)
    manifest = quiet_push("digits", network, sample=images[:4], alias="production", repository=repository)
    engine.start(write_app(tmp_path / "app.py", APP))
    output = manifest.outputs[0].name

    asked = {binary: infer(engine, manifest, images, binary=binary, outputs=[output]) for binary in (False, True)}

    with torch.no_grad():
        expected = network(torch.from_numpy(images)).numpy()
    assert np.abs(asked[False][output] - expected).max() <= 1e-5
    assert np.abs(asked[True][output] - expected).max() <= 1e-5


def test_a_foreign_client_sees_what_is_served(engine, repository, digits, tmp_path):
    quiet_push("digits", fitted(digits), sample=digits[0][:2], alias="production", repository=repository)
    engine.start(write_app(tmp_path / "app.py", APP))
    client = triton.InferenceServerClient(f"127.0.0.1:{engine.port}")
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("digits")
        metadata = client.get_model_metadata("digits")
        index = client.get_model_repository_index()
    finally:
        client.close()

    assert metadata["versions"] == ["1"]
    assert metadata["inputs"][0]["datatype"] == "FP32"
    assert metadata["inputs"][0]["shape"] == [-1, 64]
    assert [(one["name"], one["state"]) for one in index] == [("digits", "READY")]


class Callers:
    """Threads that ask for the same row over and over, and keep every answer's version with its numbers."""

    def __init__(self, port, row, count=4):
        self.port = port
        self.body = json.dumps([row.tolist()]).encode()
        self.answers = []
        self.faults = []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.ask) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)

    def ask(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            self.ask_over(connection)
        finally:
            connection.close()

    def ask_over(self, connection):
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                connection.request("POST", "/function/digits", self.body, {"content-type": "application/json"})
                response = connection.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.faults.append(repr(error))
                connection.close()
                continue
            if response.status != 200:
                self.faults.append(f"{response.status} {content[:200]}")
                continue
            answer = json.loads(content)
            self.answers.append((began, answer["model"], answer["probabilities"][0]))

    def wait_for(self, model):
        """Wait for an answer of a version that was asked for from now on."""
        since = time.monotonic()
        wait_until(
            lambda: any(began >= since and said == model for began, said, _ in self.answers[-200:]),
            what=f"an answer of {model}",
        )


def two_versions(repository, digits):
    """Push two versions that answer the same row differently; return what each says to it."""
    row = digits[0][:1]
    models = [fitted(digits, C=strength) for strength in (1.0, 0.001)]
    for model in models:
        quiet_push("digits", model, sample=row, repository=repository)
    repository.set_alias("digits", "production", 1)
    return row[0], {f"digits@{number}": model.predict_proba(row)[0] for number, model in enumerate(models, start=1)}


def test_promoting_and_rolling_back_under_load_fails_and_mixes_nothing(engine, repository, digits, tmp_path):
    row, expected = two_versions(repository, digits)
    engine.start(write_app(tmp_path / "app.py", APP))

    with Callers(engine.port, row) as callers:
        callers.wait_for("digits@1")
        for _ in range(3):
            repository.set_alias("digits", "production", 2, action="promote")
            callers.wait_for("digits@2")
            repository.rollback("digits")
            callers.wait_for("digits@1")

    assert callers.faults == []
    assert {model for _, model, _ in callers.answers} == set(expected)
    assert all(np.allclose(said, expected[model], atol=1e-5) for _, model, said in callers.answers)


def test_an_engine_that_is_killed_between_promotion_and_rollback_comes_back_with_the_right_version(
    engine, repository, digits, tmp_path
):
    row, expected = two_versions(repository, digits)
    engine.start(write_app(tmp_path / "app.py", APP))

    with Callers(engine.port, row) as callers:
        callers.wait_for("digits@1")
        repository.set_alias("digits", "production", 2, action="promote")
        callers.wait_for("digits@2")
        engine.kill()
        repository.rollback("digits")
        engine.start()
        callers.wait_for("digits@1")

    # Connections that break with the engine are no answers; what was answered was right.
    assert all("503" not in fault and "500" not in fault for fault in callers.faults)
    assert all(np.allclose(said, expected[model], atol=1e-5) for _, model, said in callers.answers)
