"""Functions of models on an engine: which version they serve, where they are called, and what is told of them."""

import itertools

import pytest
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from support.engine_process import Engine, wait_until
from support.model_store import ModelStore, tensors, write_model_app

COUNT = itertools.count(1)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """One engine for all tests here: each has a model and a function of its own."""
    folder = tmp_path_factory.mktemp("engine")
    engine = Engine(folder / "home", environment={"SKERRY_MODEL_CACHE": str(folder / "cache")}).start()
    yield engine
    engine.close()


@pytest.fixture
def store(engine):
    """The engine's own store, which is used when no other is named."""
    return ModelStore(engine.home / "models")


@pytest.fixture
def name():
    return f"digits{next(COUNT)}"


@pytest.fixture
def deployed(engine, store, tmp_path, name):
    """The engine, with a function that serves version 1 of a model of the same name."""
    store.publish(name, "one", alias="production")
    engine.deploy(write_model_app(tmp_path / "app.py", name=name))
    return engine


@pytest.fixture(scope="module")
def described(engine, tmp_path_factory):
    """The engine, with a model that no test changes."""
    ModelStore(engine.home / "models").publish("digits", "one", alias="production")
    engine.deploy(write_model_app(tmp_path_factory.mktemp("app") / "app.py", name="digits"))
    return engine


def served(engine, function):
    return engine.function(function)["model"]


def content(engine, function):
    answer = engine.call(function, {})
    assert answer.status == 200, answer
    return answer.json()["content"]


def wait_for(engine, function, version):
    wait_until(lambda: served(engine, function)["version"] == version, what=f"version {version}")


def test_a_function_of_a_model_answers_at_the_addresses_of_all_protocols(described):
    for path, body in (
        ("/function/digits", b"{}"),
        ("/v2/models/digits/infer", tensors(1, 2)),
        ("/v2/models/digits/versions/1/infer", tensors(1, 2)),
        ("/v1/models/digits:predict", b'{"instances": [[1, 2]]}'),
        ("/v2/models/digits/infer?query=is-left-alone", tensors(1, 2)),
    ):
        answer = described.tcp("POST", path, body)
        assert (answer.status, answer.json()["content"], answer.json()["model"]) == (200, "one", "digits@1"), path


def test_a_model_is_described_as_the_protocols_want_it(described):
    metadata = described.tcp("GET", "/v2/models/digits").json()

    assert metadata == {
        "name": "digits",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1]}],
    }
    assert described.tcp("GET", "/v2/models/digits/versions/1").json() == metadata
    assert described.tcp("GET", "/v2").json()["name"] == "skerry"
    assert "digits" in described.tcp("GET", "/v1/models").json()["models"]
    assert described.tcp("GET", "/v1/models/digits").json() == {"name": "digits", "ready": True}
    for path in (
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/digits/ready",
        "/v2/models/digits/versions/1/ready",
    ):
        assert described.tcp("GET", path).status == 200, path
    ready = {"name": "digits", "version": "1", "state": "READY", "reason": ""}
    assert ready in described.tcp("POST", "/v2/repository/index").json()


@pytest.mark.parametrize(
    ("method", "path", "status", "part"),
    [
        ("POST", "/v2/models/digits/versions/2/infer", 404, "version 2 of model 'digits' is not served here"),
        ("POST", "/v2/models/letters/infer", 404, "no model 'letters' is served here; there are: "),
        ("POST", "/v1/models/letters:predict", 404, "no model 'letters'"),
        ("POST", "/v1/models/digits:explain", 404, "predict at /v1/models/NAME:predict"),
        ("POST", "/v2/models/digits/infer/", 404, "write the address exactly: /v2/models/digits/infer"),
        ("POST", "/v2/models/%64igits/infer", 404, "write the address exactly"),
        ("POST", "/v2/models/digits/versions/01/infer", 404, "version 01"),
        ("GET", "/v2/models/digits/versions/7", 404, "served is: 1"),
        ("GET", "/v2/models/digits/infer", 405, "with POST, not GET"),
        ("POST", "/v2/models/digits/infer", 400, "not JSON"),
    ],
)
def test_errors_at_the_protocols_addresses_say_their_text_as_their_clients_read_it(
    described, method, path, status, part
):
    answer = described.tcp(method, path, b"{" if method == "POST" else None)

    assert answer.status == status, answer
    assert part in answer.json()["error"], answer
    assert answer.json()["detail"] == answer.json()["error"]


def test_an_error_of_a_functions_own_address_has_no_member_of_the_protocols(described):
    assert "error" not in described.tcp("POST", "/function/digits", b"{").json()


def test_a_deployment_after_a_move_makes_a_revision_and_one_without_none(deployed, store, tmp_path, name):
    assert not deployed.deploy(tmp_path / "app.py")["changed"]
    pinned = served(deployed, name)

    assert (pinned["reference"], pinned["version"], pinned["failed"]) == (f"{name}@production", 1, None)
    assert pinned["digest"] == store.repository.manifest(name, 1).digest


def test_a_model_that_is_not_there_refuses_the_deployment(engine, tmp_path, name):
    answer = engine.try_deploy(write_model_app(tmp_path / "app.py", name=name))

    assert (answer.status, answer.code) == (404, "model_not_found")
    assert engine.tcp("GET", f"/function/{name}").status == 404


def test_a_moved_alias_is_followed_and_moved_back(deployed, store, name):
    store.publish(name, "two", alias="production")
    wait_for(deployed, name, 2)

    assert content(deployed, name) == "two"
    assert deployed.function(name)["revision"] == f"{name}-00002"
    assert deployed.tcp("POST", f"/v2/models/{name}/versions/1/infer", tensors(1)).status == 404
    assert deployed.tcp("POST", f"/v2/models/{name}/versions/2/infer", tensors(1)).json()["content"] == "two"
    store.repository.rollback(name)
    wait_for(deployed, name, 1)
    assert content(deployed, name) == "one"
    switched = [(event["from"], event["to"]) for event in deployed.events(name, "model_switched")]
    assert switched == [(f"{name}@1", f"{name}@2"), (f"{name}@2", f"{name}@1")]


def test_a_version_that_cannot_start_leaves_the_old_one_and_the_next_move_is_followed(deployed, store, name):
    store.publish(name, "broken", alias="production")

    failed = wait_until(lambda: served(deployed, name)["failed"], what="the failed switch")

    assert failed["version"] == 2
    assert "ValueError while it loaded" in failed["reason"]
    assert (served(deployed, name)["version"], content(deployed, name)) == (1, "one")
    assert [event["version"] for event in deployed.events(name, "model_switch_failed")] == [2]
    store.publish(name, "three", alias="production")
    wait_for(deployed, name, 3)
    assert served(deployed, name)["failed"] is None
    assert content(deployed, name) == "three"


def test_at_zero_a_moved_alias_is_tried_out_and_starts_no_worker(engine, store, tmp_path, name):
    store.publish(name, "one", alias="production")
    engine.deploy(write_model_app(tmp_path / "app.py", name=name, scale="skerry.Scale(initial=0)"))

    store.publish(name, "two", alias="production")
    wait_for(engine, name, 2)
    assert sum(engine.function(name)["workers"].values()) == 0
    store.publish(name, "broken", alias="production")
    wait_until(lambda: served(engine, name)["failed"], what="the failed switch")

    assert (served(engine, name)["version"], content(engine, name)) == (2, "two")


def test_a_version_that_loads_slowly_is_followed_though_a_deployment_starts_no_worker(engine, store, tmp_path, name):
    store.publish(name, "one", alias="production")
    scale = 'skerry.Scale(initial=0, window="60s", panic_window="1s")'
    engine.deploy(write_model_app(tmp_path / "app.py", name=name, scale=scale))
    assert content(engine, name) == "one"  # there is a worker, so that the next version starts beside it

    store.publish(name, "slow", alias="production")
    wait_for(engine, name, 2)

    assert content(engine, name) == "slow"


def test_a_function_of_a_numbered_version_follows_nothing(engine, store, tmp_path, name):
    store.publish(name, "one", alias="production")
    engine.deploy(write_model_app(tmp_path / "app.py", name=name, model=f"{name}@1"))

    store.publish(name, "two", alias="production")
    refreshed = engine.control("POST", "/models/refresh").json()

    assert [one["version"] for one in refreshed if one["function"] == name] == [1]
    assert content(engine, name) == "one"


def test_a_refresh_looks_at_once_and_answers_when_functions_have_followed(deployed, store, name):
    version = store.publish(name, "two")
    store.move(name, version)

    refreshed = deployed.control("POST", "/models/refresh").json()

    assert [one["version"] for one in refreshed if one["function"] == name] == [2]
    assert content(deployed, name) == "two"


def test_unloading_ends_the_workers_and_loading_starts_one(deployed, name):
    wait_until(lambda: len(deployed.live_workers(name)) == 1, what="a worker")

    deployed.control("POST", f"/v2/repository/models/{name}/unload", {"parameters": {"unload_dependents": False}})
    wait_until(lambda: not deployed.live_workers(name), what="the end of the workers")

    refused = deployed.tcp("POST", f"/v2/models/{name}/infer", tensors(1))
    assert refused.status == 503
    assert f"model {name!r} is unloaded" in refused.json()["error"]
    assert deployed.call(name, {}).status == 503
    assert deployed.tcp("GET", f"/v2/models/{name}/ready").status == 503
    assert deployed.tcp("GET", f"/v1/models/{name}").status == 503
    assert deployed.tcp("GET", "/v2/health/ready").status == 200
    entry = next(one for one in deployed.tcp("POST", "/v2/repository/index", {}).json() if one["name"] == name)
    assert (entry["state"], "unloaded" in entry["reason"]) == ("UNAVAILABLE", True)
    ready = deployed.tcp("POST", "/v2/repository/index", {"ready": True}).json()
    assert name not in [one["name"] for one in ready]
    assert deployed.control("POST", f"/v2/repository/models/{name}/load").status == 200
    wait_until(lambda: deployed.function(name)["workers"]["ready"] == 1, what="a worker")
    assert content(deployed, name) == "one"


def test_requests_that_run_or_wait_are_finished_before_an_unload(deployed, name):
    jobs = [deployed.submit(name, {"delay_s": 0.2}).json()["id"] for _ in range(3)]

    deployed.control("POST", f"/v2/repository/models/{name}/unload")

    assert [deployed.job_result(job).json()["content"] for job in jobs] == ["one"] * 3
    assert deployed.control("POST", f"/v2/repository/models/{name}/load").status == 200
    assert content(deployed, name) == "one"


def test_an_unloaded_function_follows_its_alias_and_stays_unloaded(deployed, store, name):
    deployed.control("POST", f"/v2/repository/models/{name}/unload")

    store.publish(name, "two", alias="production")
    wait_for(deployed, name, 2)

    assert deployed.call(name, {}).status == 503
    deployed.control("POST", f"/v2/repository/models/{name}/load")
    assert content(deployed, name) == "two"


def test_what_triton_would_take_from_a_load_is_refused(deployed, name):
    answer = deployed.control("POST", f"/v2/repository/models/{name}/load", {"parameters": {"config": "{}"}})

    assert (answer.status, "config: not taken" in answer.json()["error"]) == (400, True)
    assert deployed.control("POST", "/v2/repository/models/letters/load").status == 404


def test_loading_wants_the_token_over_tcp_and_predicting_does_not(deployed, name):
    for path in (f"/v2/repository/models/{name}/unload", f"/v2/repository/models/{name}/load", "/models/refresh"):
        refused = deployed.tcp("POST", path)
        assert refused.status == 401, path
    assert deployed.tcp("POST", f"/v2/models/{name}/infer", tensors(1)).status == 200


def test_on_an_address_of_others_only_health_is_open(make_engine, tmp_path, name):
    engine = make_engine(host="0.0.0.0", environment={"SKERRY_MODEL_CACHE": str(tmp_path / "cache")}).start()
    ModelStore(engine.home / "models").publish(name, "one", alias="production")
    engine.deploy(write_model_app(tmp_path / "app.py", name=name))
    engine.tcp("GET", "/v2")  # the token is made when it is first needed
    token = {"authorization": f"Bearer {(engine.home / 'token').read_text().strip()}"}

    for method, path in (
        ("POST", f"/v2/models/{name}/infer"),
        ("POST", f"/v1/models/{name}:predict"),
        ("GET", "/v2"),
        ("GET", f"/v2/models/{name}"),
        ("POST", "/v2/repository/index"),
    ):
        body = b"{}" if method == "POST" else None
        refused = engine.tcp(method, path, body)
        assert (refused.status, "token" in refused.json().get("error", refused.json()["detail"])) == (401, True), path
        assert engine.tcp(method, path, body, token).status == 200, path
    assert engine.tcp("GET", "/v2/health/ready").status == 200


def test_a_job_of_an_inference_address_runs(deployed, name):
    answer = deployed.tcp("POST", f"/v2/models/{name}/infer", tensors(1), {"prefer": "respond-async"})

    assert answer.status == 202
    assert deployed.job_result(answer.json()["id"]).json()["content"] == "one"


def test_a_client_that_others_wrote_reads_what_is_told_of_models(described):
    described.tcp("GET", "/engine")  # the token is made when it is first needed
    token = {"authorization": f"Bearer {(described.home / 'token').read_text().strip()}"}
    client = InferenceServerClient(f"127.0.0.1:{described.port}")
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("digits")
        assert not client.is_model_ready("digits", "7")
        assert client.get_server_metadata()["name"] == "skerry"
        assert client.get_model_metadata("digits", "1")["inputs"][0]["datatype"] == "FP32"
        assert "digits" in [entry["name"] for entry in client.get_model_repository_index()]
        with pytest.raises(InferenceServerException, match="served is: 1"):
            client.get_model_metadata("digits", "7")
        with pytest.raises(InferenceServerException, match="wants the engine's token"):
            client.unload_model("digits")
        client.unload_model("digits", headers=token)
        assert not client.is_model_ready("digits")
        client.load_model("digits", headers=token)
        assert client.is_model_ready("digits")
    finally:
        client.close()
