import json
import warnings

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skerry.errors import DataError, HandlerError, WorkerLostError
from skerry.learn.search import (
    Folds,
    Holdout,
    Settings,
    Task,
    evaluate_task,
    family_grid,
    fit_best,
    list_candidates,
    load_digits,
    make_splitter,
    over,
    search,
    share_arrays,
)
from skerry.learn.search.families import FAMILIES, describe_family, translate
from skerry.learn.search.pipeline import build
from skerry.payload.file import use_port
from support.same_machine import SameMachine

FOLDS = [
    Folds(splits=3),
    Folds(splits=2, repeats=2, random_state=1),
    Folds(splits=3, shuffle=True, random_state=4),
    Folds(splits=3, stratified=False, shuffle=True, random_state=2),
    Folds(splits=2, repeats=2, stratified=False, random_state=3),
]


def serial(estimator, grid, folds, features, labels, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GridSearchCV(estimator, grid, cv=make_splitter(folds), **options).fit(features, labels)


def assert_same_answer(ours, theirs):
    for name, expected in theirs.cv_results_.items():
        if name.endswith("_test_score"):
            assert np.array_equal(ours.cv_results[name], expected, equal_nan=True), name
            assert ours.cv_results[name].dtype == expected.dtype
        elif name.startswith("param_"):
            assert ours.cv_results[name].dtype == expected.dtype
            assert ours.cv_results[name].tolist() == expected.tolist(), name
    assert ours.cv_results.keys() == theirs.cv_results_.keys()
    assert ours.cv_results["params"] == theirs.cv_results_["params"]
    assert ours.best_index == theirs.best_index_
    assert ours.best_score == theirs.best_score_
    assert ours.best_parameters == theirs.best_params_


def through_json(function, tasks):
    for task in tasks:
        with use_port(SameMachine()):
            body = json.dumps(json.loads(task.model_dump_json()))
            sent = Task.model_validate_json(body)
        result = function(sent)
        yield type(result).model_validate_json(result.model_dump_json())


@pytest.mark.parametrize("folds", FOLDS, ids=str)
def test_a_pipeline_on_numbers_gives_the_serial_answer(array_data, folds):
    pipeline = Pipeline([("scale", StandardScaler()), ("pca", PCA(random_state=0)), ("model", SVC())])
    grid = [{"pca__n_components": [2, 3], "model__C": [0.1, 1.0]}, {"model__kernel": ["linear"]}]
    theirs = serial(pipeline, grid, folds, array_data.features, array_data.labels)
    assert_same_answer(search(array_data, pipeline, grid, folds=folds, map=through_json), theirs)


@pytest.mark.parametrize(
    ("pipeline", "grid"),
    [
        (
            Pipeline([("words", TfidfVectorizer(stop_words="english")), ("model", LogisticRegression())]),
            {"words__min_df": [1, 2], "words__max_df": [0.9, 1.0], "model__C": [0.1, 10]},
        ),
        (
            Pipeline([("words", TfidfVectorizer()), ("best", SelectKBest(k=5)), ("model", MultinomialNB())]),
            {"best__k": [3, "all"], "words__ngram_range": [(1, 1), (1, 2)]},
        ),
        (
            Pipeline([("words", CountVectorizer()), ("weigh", TfidfTransformer()), ("model", MultinomialNB())]),
            {"words__max_features": [4, None], "weigh__norm": ["l1", "l2"]},
        ),
        (
            Pipeline([("words", TfidfVectorizer(binary=True)), ("model", SGDClassifier(random_state=0))]),
            {"model__alpha": [1e-4, 1e-2], "model__average": [False, True]},
        ),
    ],
    ids=["cuts", "selection", "counts", "raw texts"],
)
def test_a_pipeline_on_texts_gives_the_serial_answer(text_data, corpus, pipeline, grid):
    folds = Folds(splits=2, repeats=2, random_state=1)
    theirs = serial(pipeline, grid, folds, *corpus)
    assert_same_answer(search(text_data, pipeline, grid, folds=folds, map=through_json), theirs)


@pytest.mark.parametrize("group", [1, 2, 5, 100])
def test_the_answer_does_not_depend_on_the_grouping_or_the_order_of_work(text_data, group):
    seen = []

    def backwards(function, tasks):
        results = [function(task) for task in reversed(list(tasks))]
        seen.extend(results)
        return reversed(results)

    grid = {"C": [0.1, 1], "loss": ["hinge", "squared_hinge"]}
    expected = search(text_data, "pac", grid)
    found = search(text_data, "pac", grid, map=backwards, settings=Settings(group=group))
    for name in expected.cv_results:
        if name.endswith("test_score"):
            assert np.array_equal(found.cv_results[name], expected.cv_results[name])
    assert max(len(result.outcomes) for result in seen) == min(group, 4)


def test_a_scorer_and_a_regressor_are_searched_as_well(tmp_path):
    random = np.random.default_rng(0)
    features = random.normal(size=(40, 3))
    target = features @ [1.0, 2.0, 3.0] + random.normal(size=40)
    data = share_arrays(features, target, root=tmp_path, classify=False)
    folds, grid = Folds(splits=4, stratified=False), {"alpha": [0.1, 1.0, 10.0]}
    for scoring in (None, "neg_mean_absolute_error"):
        theirs = serial(Ridge(), grid, folds, features, target, scoring=scoring)
        ours = search(data, Ridge(), grid, folds=folds, settings=Settings(scoring=scoring))
        assert_same_answer(ours, theirs)


def test_candidates_that_cannot_be_fitted_are_named_and_rank_last(array_data):
    grid = {"penalty": ["l2", "elasticnet"], "l1_ratio": [None, 0.5], "solver": ["saga"], "C": [0.1]}
    model = LogisticRegression(random_state=0, max_iter=50)
    theirs = serial(model, grid, Folds(splits=3), array_data.features, array_data.labels)
    ours = search(array_data, model, grid, folds=Folds(splits=3))
    assert np.isnan(theirs.cv_results_["mean_test_score"]).any()
    assert_same_answer(ours, theirs)
    (failure,) = [each for each in ours.failed if each.parameters["penalty"] == "elasticnet"]
    assert failure.folds == (0, 1, 2)
    assert "l1_ratio" in failure.reason
    assert ours.ranking[-1] in {each.candidate for each in ours.failed}


def test_a_value_that_scikit_learn_refuses_fails_its_candidate_on_the_short_way_too(text_data, corpus):
    pipeline = build(describe_family("pac", text=True), {})
    grid = {"model__eta0": [0.1, -1.0]}
    theirs = serial(pipeline, grid, Folds(splits=2), *corpus)
    ours = search(text_data, pipeline, grid, folds=Folds(splits=2))
    assert_same_answer(ours, theirs)
    assert "eta0" in ours.failed[0].reason


def test_a_grid_of_which_nothing_can_be_fitted_says_why(array_data):
    with pytest.raises(DataError, match=r"no candidate could be fitted.*InvalidParameterError"):
        search(array_data, "svc", {"C": [-1.0]})


def test_held_out_rows_are_scored_by_the_winner_fitted_on_all_others(text_data, corpus):
    from sklearn.model_selection import train_test_split

    holdout = Holdout(test_ratio=0.25, random_state=6)
    grid = {"model__alpha": [0.1, 1.0]}
    pipeline = Pipeline([("tfidf", TfidfVectorizer()), ("model", MultinomialNB())])
    train, test, train_labels, test_labels = train_test_split(*corpus, test_size=0.25, random_state=6)
    theirs = serial(pipeline, grid, Folds(splits=3), train, train_labels)
    ours = search(text_data, pipeline, grid, folds=Folds(splits=3), settings=Settings(holdout=holdout))
    assert_same_answer(ours, theirs)
    assert ours.holdout_score == theirs.score(test, test_labels)
    fitted = fit_best(text_data, ours, holdout=holdout)
    assert np.array_equal(fitted.predict_proba(test), theirs.predict_proba(test))


def test_fits_on_the_same_fold_do_not_disturb_each_other(text_data):
    # A support vector machine sorts its input in place; a fit that follows on the same fold must not notice.
    before = search(text_data, "pac", {"C": [0.1]})
    search(text_data, "svc", {"C": [1.0]})
    after = search(text_data, "pac", {"C": [0.1]})
    assert np.array_equal(before.cv_results["mean_test_score"], after.cv_results["mean_test_score"])


def test_a_deployed_function_is_an_executor_and_a_lost_task_is_sent_again():
    class Remote:
        def __init__(self):
            self.again = []

        def map(self, tasks, in_flight, return_errors):
            assert return_errors
            for task in tasks:
                yield WorkerLostError("the worker died") if task == 2 else task * 10

        def remote(self, task):
            self.again.append(task)
            return task * 10

    remote = Remote()
    assert list(over(remote)(evaluate_task, [1, 2, 3])) == [10, 20, 30]
    assert remote.again == [2]


def test_an_executor_that_loses_a_worker_is_given_what_is_missing(array_data):
    calls = []

    def fragile(function, tasks):
        for number, task in enumerate(tasks):
            calls.append(task.number)
            if len(calls) == 3:
                raise WorkerLostError("the worker died")
            yield function(task)
            assert number < 100

    expected = search(array_data, "kn", {"n_neighbors": [1, 3]})
    found = search(array_data, "kn", {"n_neighbors": [1, 3]}, map=fragile)
    assert np.array_equal(found.cv_results["mean_test_score"], expected.cv_results["mean_test_score"])
    assert calls == [0, 1, 2, 2, 3, 4]


def test_an_executor_whose_function_raises_ends_the_search(array_data):
    def broken(_function, _tasks):
        raise HandlerError("the handler raised")
        yield

    with pytest.raises(HandlerError):
        search(array_data, "kn", {"n_neighbors": [1]}, map=broken)


def test_a_fault_of_the_place_is_no_failure_of_the_candidate(array_data, monkeypatch):
    def full(*_args):
        raise MemoryError

    monkeypatch.setattr("skerry.learn.search.evaluate.shortcut.fit", full)
    with pytest.raises(MemoryError):
        search(array_data, "kn", {"n_neighbors": [1]})


def test_images_are_searched_with_grids_of_the_caller(tmp_path):
    data = load_digits(root=tmp_path)
    assert data.features.shape == (1797, 64)
    result = search(data, "kn", {"n_neighbors": [1, 3]}, folds=Folds(splits=2))
    assert result.best_score > 0.9
    assert fit_best(data, result).predict(data.features[:5]).tolist() == data.labels[:5].tolist()


SLOW_FAMILIES = ("mlpc", "rf")  # of these each value is fitted, not each combination of values


def _family_grid(family, documents, classes):
    grid = FAMILIES[family].grid(documents, classes)
    if family not in SLOW_FAMILIES:
        return grid
    rows = max(len(values) for values in grid.values())
    return [{name: [values[row % len(values)]] for name, values in grid.items()} for row in range(rows)]


def _family_reference(family, text, chosen):
    described = describe_family(family, text=text)
    candidates = list_candidates(chosen)
    grid = [{name: [value] for name, value in translate(family, each, pipeline=text).items()} for each in candidates]
    return build(described, {}), grid


@pytest.mark.slow
@pytest.mark.timeout(400)  # forests and networks take long on a busy machine
@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_gives_the_serial_answer_on_a_part_of_the_sample(family, sample, tmp_path):
    from skerry.learn.search import share_texts

    keys = list(sample["x_dict"])[:40]
    texts = [sample["x_dict"][key][:200] for key in keys]
    labels = [sample["y_dict"][key] for key in keys]
    data = share_texts(texts, labels, root=tmp_path, blank="keep")
    folds = Folds(splits=2, repeats=1, shuffle=True, random_state=1)
    chosen = _family_grid(family, len(texts), 2)
    pipeline, grid = _family_reference(family, True, chosen)
    theirs = serial(pipeline, grid, folds, texts, labels, refit=False)
    ours = search(data, family, chosen if family in SLOW_FAMILIES else None, folds=folds, map=through_json)
    assert family_grid(ours.model, data) == FAMILIES[family].grid(len(texts), 2)
    assert len(ours.candidates) == len(list_candidates(chosen))
    for name, expected in theirs.cv_results_.items():
        if name.endswith("_test_score"):
            assert np.array_equal(ours.cv_results[name], expected, equal_nan=True), name
    assert ours.best_index == theirs.best_index_


def test_a_forest_searched_twice_gives_the_same_answer(array_data):
    grid = {"n_estimators": [3, 5]}
    folds = Folds(splits=3)
    theirs = serial(RandomForestClassifier(random_state=0), grid, folds, array_data.features, array_data.labels)
    for _ in range(2):
        assert_same_answer(search(array_data, "rf", grid, folds=folds), theirs)
