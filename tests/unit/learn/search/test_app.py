import builtins

from skerry.learn.search import Folds, search
from skerry.learn.search.app import app, evaluate, train
from skerry.payload.file import use_port
from support.same_machine import SameMachine


def test_tasks_and_results_survive_the_wire(array_data):
    def over_the_wire(_function, tasks):
        for task in tasks:
            with use_port(SameMachine()):
                body = evaluate.signature.encode_call((task,), {})
                arguments, named = evaluate.signature.decode_call(body, "application/json")
            assert str(array_data.folder.parent) not in body.decode()
            answer, content_type, _headers = evaluate.signature.encode_result(evaluate.handler(*arguments, **named))
            yield evaluate.signature.decode_result(answer, content_type)

    grid = {"hidden_layer_sizes": [(3,), (4, 2)], "max_iter": [5]}
    ours = search(array_data, "mlpc", grid, folds=Folds(splits=2), map=over_the_wire)
    expected = search(array_data, "mlpc", grid, folds=Folds(splits=2), map=builtins.map)
    assert ours.cv_results["mean_test_score"].tolist() == expected.cv_results["mean_test_score"].tolist()


def test_tasks_may_be_repeated_when_a_worker_is_lost():
    assert evaluate.options["idempotent"]
    assert set(app.functions) == {"evaluate", "train"}


def test_the_public_function_takes_its_request_as_the_body(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("SKERRY_HOME", str(tmp_path))
    monkeypatch.delenv("SKERRY_ENGINE", raising=False)
    texts, labels = corpus
    keys = [str(key) for key in range(len(texts))]
    request = {
        "model": "mnb",
        "x_dict": dict(zip(keys, texts, strict=True)),
        "y_dict": dict(zip(keys, labels, strict=True)),
    }
    body = train.signature.encode_call((request,), {})
    arguments, _named = train.signature.decode_call(body, "application/json")
    assert train.handler(*arguments)["best parameters"].keys() == {"alpha", "fit_prior"}
    assert (tmp_path / "search").is_dir()
