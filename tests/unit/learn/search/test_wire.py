import pytest
from pydantic import ValidationError

from skerry.errors import DataError
from skerry.learn.search import TrainRequest, train_request


def request(texts, labels, model="mnb"):
    return TrainRequest(
        model=model,
        x_dict={str(key): text for key, text in enumerate(texts)},
        y_dict={str(key): label for key, label in enumerate(labels)},
    )


def test_the_answer_has_the_public_functions_words(corpus, tmp_path):
    answer = train_request(request(*corpus), root=tmp_path)
    assert answer.keys() == {"best parameters", "accuracy (validation)", "accuracy (test)", "failed", "blank texts"}
    assert answer["best parameters"].keys() == {"alpha", "fit_prior"}
    assert 0 <= answer["accuracy (test)"] <= 1
    assert answer["failed"] == []


def test_a_perceptron_s_layers_are_written_as_the_public_function_writes_them(corpus, tmp_path):
    grid = {"hidden_layer_sizes": [(3, 2)], "learning_rate_init": [0.1], "max_iter": [3]}
    answer = train_request(request(*corpus, model="mlpc"), grid=grid, root=tmp_path)
    layers = {"first_hidden_layer": "3", "second_hidden_layer": "2"}
    assert answer["best parameters"] == {"hidden_layer_sizes": layers, "learning_rate": 0.1, "max_iter": 3}


def test_candidates_that_cannot_be_fitted_are_in_the_answer(corpus, tmp_path):
    grid = {"penalty": ["elasticnet", "l2"], "l1_ratio": [None], "solver": ["saga"]}
    answer = train_request(request(*corpus, model="log"), grid=grid, root=tmp_path)
    (failed,) = [each for each in answer["failed"] if each["parameters"]["penalty"] == "elasticnet"]
    assert "l1_ratio" in failed["reason"]


def test_texts_and_labels_need_the_same_keys(corpus, tmp_path):
    body = request(*corpus)
    body.y_dict["99"] = body.y_dict.pop("3")
    with pytest.raises(DataError, match="2 keys are in one only, such as '3', which is in x_dict and not in y_dict"):
        train_request(body, root=tmp_path)


def test_an_unknown_model_is_refused_with_the_eight(corpus, tmp_path):
    with pytest.raises(DataError, match="pac, log, mnb, mlpc, svc, dt, kn, rf"):
        train_request(request(*corpus, model="bert"), root=tmp_path)


def test_blank_texts_are_kept_and_named_but_empty_ones_are_refused(corpus, tmp_path):
    texts, labels = corpus
    answer = train_request(request([" ", *texts[1:]], labels), root=tmp_path)
    assert answer["blank texts"] == ["0"]
    with pytest.raises(DataError, match="empty document at row 0"):
        train_request(request(["", *texts[1:]], labels), root=tmp_path)


def test_a_request_with_unknown_members_is_refused():
    with pytest.raises(ValidationError):
        TrainRequest.model_validate({"model": "pac", "x_dict": {}, "y_dict": {}, "n_jobs": -1})


@pytest.mark.slow
def test_the_sample_gives_the_accuracies_of_the_serial_grid_search(sample, tmp_path):
    answer = train_request(TrainRequest.model_validate(sample), root=tmp_path)
    assert answer["best parameters"] == {"alpha": 0.1, "fit_prior": False}
    assert answer["accuracy (validation)"] == pytest.approx(0.779100529100529, abs=1e-15)
    assert answer["accuracy (test)"] == pytest.approx(55 / 63, abs=1e-15)
    assert answer["blank texts"] == ["106"]
