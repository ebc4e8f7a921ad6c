import numpy as np
import pytest

import skerry
from skerry.errors import ConfigError, DataError
from skerry.learn.federated import Client, Config, Evaluation, Update
from skerry.learn.federated.secure.messages import Terms, read_reply, write
from skerry.learn.federated.secure.server import SecureServer
from skerry.learn.federated.wire.coding import pack, unpack
from skerry.learn.federated.wire.messages import Enclosed, EvaluateTask, FitTask, StartTask
from skerry.learn.federated.wire.parameters import digest_of


@pytest.fixture
def calls():
    return []


@pytest.fixture
def app(tmp_path, calls):
    app = skerry.App("clients")

    def data(name):
        calls.append(f"data {name}")
        return len(name)

    def start(settings):
        return {"w": np.full(2, settings["value"], np.float32)}

    client = Client(app, data=data, start=start, state=tmp_path)

    @client.fit(memory="200MiB", cpu=1)
    def fit(parameters, data, config):
        calls.append(f"fit {config.client} {config.round}")
        return Update(parameters={"w": parameters["w"] + data}, examples=data)

    @client.evaluate
    def evaluate(parameters, data, config):
        return Evaluation(examples=data, metrics={"sum": parameters["w"].sum()})

    assert fit({"w": np.zeros(2)}, 1, Config(client="x", round=1, seed=0)).examples == 1  # it stays a plain function
    calls.clear()
    return app


@pytest.fixture
def task(app):
    reply = app.functions["start"](StartTask(settings={"value": 3}))
    model = unpack(reply.model)
    return FitTask(
        job="j", round=1, client="ab", token="t", layout=reply.layout, model_digest=digest_of(model), model=reply.model
    )


def test_an_app_gets_four_functions_with_the_options_that_were_given(app):
    assert sorted(app.functions) == ["evaluate", "fit", "secure", "start"]
    assert app.functions["fit"].options["memory"] == "200MiB"
    assert app.functions["fit"].options["idempotent"] is True
    assert "memory" not in app.functions["evaluate"].options


def test_training_runs_once_for_a_task_that_comes_twice_and_data_are_loaded_once(app, task, calls):
    fit = app.functions["fit"]
    first = fit(task)
    assert unpack(first.update).tolist() == [2, 2]
    assert fit(task.model_copy(update={"token": "again"})) == first.model_copy(update={"token": "again"})
    fit(task.model_copy(update={"round": 2, "model": None}))  # it holds the model
    assert calls == ["data ab", "fit ab 1", "fit ab 2"]
    fit(task.model_copy(update={"client": "abc"}))
    assert calls[3:] == ["data abc", "fit abc 1"]


def test_a_model_that_was_evaluated_need_not_be_sent_for_training(app, task):
    model = np.ones(2, np.float32)
    evaluation = EvaluateTask(
        job="j",
        round=1,
        client="ab",
        layout=task.layout,
        model_digest=digest_of(model),
        model=pack(model, "float32")[0],
    )
    assert app.functions["evaluate"](evaluation).metrics == {"sum": 2.0}
    missing = evaluation.model_copy(update={"client": "other", "model": None})
    assert app.functions["evaluate"](missing).status == "base-missing"
    held = task.model_copy(update={"model": None, "model_digest": digest_of(model)})
    assert app.functions["fit"](held).status == "done"
    assert app.functions["fit"](held.model_copy(update={"client": "other"})).status == "base-missing"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"accuracy": 0.5}, "client 'ab': evaluate returned dict; return federated.Evaluation"),
        (Evaluation(examples=1, metrics={"accuracy": [0.5, 0.6]}), "metric 'accuracy' is a list; give one number"),
    ],
)
def test_an_evaluation_that_is_none_says_what_it_is(tmp_path, task, found, message):
    app = skerry.App("wrong")
    client = Client(app, data=lambda: None, start=lambda settings: {}, state=tmp_path)
    client.evaluate(lambda parameters, data, config: found)
    with pytest.raises(DataError, match=message):
        app.functions["evaluate"](
            EvaluateTask(
                job="j", round=1, client="ab", layout=task.layout, model_digest=task.model_digest, model=task.model
            )
        )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ([np.zeros(2)], "arrays by name.* this is a list"),
        ({}, "arrays by name.* there is none"),
        ({"w": [0.0, 0.0]}, "parameter 'w' is of type list; make it an array"),
        ({"w": np.full(2, np.nan)}, "parameter 'w': 2 of its 2 numbers are not finite, the first is nan$"),
    ],
)
def test_a_first_model_that_is_none_says_what_it_is(tmp_path, model, message):
    app = skerry.App("wrong")
    Client(app, data=lambda: None, start=lambda settings: model, state=tmp_path)
    with pytest.raises(DataError, match=message):
        app.functions["start"](StartTask(settings={}))


def test_data_may_take_no_argument_and_never_two():
    app = skerry.App("clients")
    client = Client(app, data=lambda: 5, start=lambda settings: {})
    assert client._data_of("a") == client._data_of("b") == 5
    with pytest.raises(ConfigError, match="takes 2 arguments"):
        Client(skerry.App("two"), data=lambda a, b: 5, start=lambda settings: {})
    with pytest.raises(ConfigError, match="give a function"):
        Client(skerry.App("none"), data=[1], start=lambda settings: {})


def test_an_update_that_is_summed_in_secret_is_only_told_under_its_masks(app, task):
    terms = Terms(size=2, value_range=4.0, max_examples=9, max_clients=3, threshold=3)
    names = ("a", "bb", "ccc")
    for name in names:
        reply = app.functions["fit"](task.model_copy(update={"client": name, "secure": terms.model_dump()}))
        assert (reply.update, reply.examples) == (None, 0)
    server = SecureServer(terms, job="j", round=1, ceremony="j-1-1", clients=names)
    while server.phase is not None:
        for asked in server.tasks().values():
            answer = app.functions["secure"](Enclosed(message=write(asked)))
            server.receive(read_reply(answer.message))
        server.advance()
    assert server.total().examples == 6
    assert server.total().mean == pytest.approx(np.full(2, (1 + 4 + 9) / 6))
