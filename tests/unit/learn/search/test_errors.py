import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skerry.errors import DataError
from skerry.learn.search import (
    Folds,
    Holdout,
    Model,
    Settings,
    Step,
    describe,
    open_dataset,
    search,
    share_arrays,
    share_texts,
)

NAN, INF = float("nan"), float("inf")


def never(_function, _tasks):
    raise AssertionError("work started")


def refuses(pattern, data, model="mnb", grid=None, **options):
    with pytest.raises(DataError, match=pattern):
        search(data, model, grid, map=never, **options)


@pytest.mark.parametrize(
    ("features", "labels", "pattern"),
    [
        ([[1.0], [NAN]], [0, 1], "x: NaN or infinite at row 1"),
        ([[INF], [1.0]], [0, 1], "x: NaN or infinite at row 0"),
        ([["a"], ["b"]], [0, 1], "expected a matrix of numbers"),
        ([1.0, 2.0], [0, 1], "rows and columns"),
        ([[1.0], [2.0]], [0, NAN], "y: missing or NaN at row 1"),
        ([[1.0], [2.0]], [0, INF], "y: infinite at row 1"),
        ([[1.0], [2.0]], ["a", None], "y: missing or NaN at row 1"),
        ([[1.0], [2.0]], ["a", 1], "all of the same kind"),
        ([[1.0], [2.0]], [[0], [1]], "one string or one number"),
        ([[1.0], [2.0]], [0, 1, 1], "3 labels for 2 rows"),
        ([[1.0], [2.0]], [1, 1], "two classes"),
        (np.zeros((0, 3)), [], "rows"),
    ],
)
def test_arrays_that_cannot_be_searched_are_refused(features, labels, pattern, tmp_path):
    with pytest.raises(DataError, match=pattern):
        share_arrays(features, labels, root=tmp_path)


@pytest.mark.parametrize(
    ("texts", "blank", "pattern"),
    [
        (["words", ""], "error", "empty document at row 1"),
        (["words", " \n"], "error", "empty document at row 1"),
        (["words", ""], "keep", "empty document at row 1"),
        (["words", 7], "error", "expected texts, got int at row 1"),
        ([""] * 9, "error", "rows 0, 1, 2, 3, 4 and 4 more"),
    ],
)
def test_texts_that_cannot_be_searched_are_refused(texts, blank, pattern, tmp_path):
    labels = [row % 2 for row in range(len(texts))]
    with pytest.raises(DataError, match=pattern):
        share_texts(texts, labels, root=tmp_path, blank=blank)


def test_data_that_were_not_shared_and_a_class_of_estimators_say_what_to_do(tmp_path):
    x, y = np.ones((6, 2)), [0, 1] * 3
    refuses("data is a tuple: share it first, as share_arrays", (x, y), "svc")
    refuses("data is a ndarray: share it first, as share_arrays", x, LogisticRegression(), {"C": [1.0]})
    data = share_arrays(x, y, root=tmp_path)
    refuses(r"the class LogisticRegression: give an estimator, like LogisticRegression\(\)", data, LogisticRegression)


def test_a_class_smaller_than_the_folds_is_refused(tmp_path):
    data = share_arrays(np.ones((12, 2)), ["rare"] * 2 + ["common"] * 10, root=tmp_path)
    refuses("class 'rare' has 2 .* fewer than the 3 folds", data, "svc", folds=Folds(splits=3))


def test_a_class_that_the_held_out_rows_take_away_is_refused(tmp_path):
    data = share_arrays(np.ones((10, 2)), [0] * 9 + [1], root=tmp_path)
    settings = Settings(holdout=Holdout(test_ratio=0.5, random_state=0))
    refuses("class", data, "svc", folds=Folds(splits=2), settings=settings)


def test_measures_are_no_classes(tmp_path):
    data = share_arrays(np.ones((8, 2)), [0.5, 1.5] * 4, root=tmp_path)
    refuses("0.5 is a measure, not a class", data, "svc", folds=Folds(splits=2))


def test_fewer_rows_than_folds_are_refused(tmp_path):
    data = share_arrays(np.ones((3, 2)), [0, 1, 1], root=tmp_path)
    refuses("3 rows cannot make 4 folds", data, "svc", folds=Folds(splits=4, stratified=False))


def test_a_training_fold_of_one_class_is_refused(tmp_path):
    data = share_arrays(np.ones((8, 2)), [0] * 4 + [1] * 4, root=tmp_path)
    refuses("fold 0 have one class only", data, "svc", folds=Folds(splits=2, stratified=False))


def test_a_training_fold_of_stop_words_is_refused(tmp_path):
    texts = ["the and of"] * 4 + ["tide rock", "gull kelp"]
    data = share_texts(texts, [0, 1] * 3, root=tmp_path)
    refuses("training texts of fold 1 hold no word", data, folds=Folds(splits=2, stratified=False))


@pytest.mark.parametrize(
    ("grid", "pattern"),
    [
        ({}, "at least one parameter"),
        ([], "no candidate"),
        ({"alpha": []}, "grid.alpha: the list of values is empty"),
        ({"alpha": 1.0}, "grid.alpha: expected a list"),
        ({"alpha": "abc"}, "grid.alpha: expected a list"),
        ({"alpa": [1.0]}, "alpa"),
        ({"alpha": [object()]}, "grid.alpha: object cannot travel"),
        ({"words__min_df": [1]}, "words"),
    ],
)
def test_a_grid_that_cannot_be_searched_is_refused(grid, pattern, text_data):
    refuses(pattern, text_data, "mnb", grid)


def test_an_unknown_model_is_refused(text_data):
    refuses("pac, log, mnb, mlpc, svc, dt, kn, rf", text_data, "gpt")


def test_a_model_of_no_family_needs_a_grid(array_data):
    refuses("grid: needed", array_data, LogisticRegression())


def test_texts_need_a_vectorizer(text_data):
    refuses("put a vectoriser", text_data, MultinomialNB(), {"alpha": [1.0]})


def test_shuffled_folds_need_a_seed(array_data):
    refuses("random_state", array_data, "kn", {"n_neighbors": [1]}, folds=Folds(splits=2, repeats=2))


@pytest.mark.parametrize("path", ["os.system", "subprocess.Popen", "sklearnx.Evil", "builtins.eval"])
def test_classes_from_elsewhere_are_not_built(array_data, path):
    refuses("outside the trusted modules", array_data, Model(steps=(Step(name="m", path=path),)), {"a": [1]})


@pytest.mark.parametrize("path", ["sklearn.utils.check_array", "sklearn.nowhere.Class", "sklearn.svm.Nothing"])
def test_what_is_no_estimator_class_is_not_built(array_data, path):
    refuses("no class|not a scikit-learn estimator", array_data, Model(steps=(Step(name="m", path=path),)), {"a": [1]})


def test_an_app_may_trust_more_modules(array_data):
    model = Model(steps=(Step(name="m", path=f"{Nearest.__module__}.Nearest"),), pipeline=False)
    refuses("outside the trusted", array_data, model, {"n_neighbors": [1]})
    settings = Settings(trusted=("sklearn.", f"{Nearest.__module__}."))
    assert search(array_data, model, {"n_neighbors": [1]}, settings=settings).best_score > 0.3


class Nearest(LogisticRegression):
    def __init__(self, n_neighbors=1):
        super().__init__()
        self.n_neighbors = n_neighbors


@pytest.mark.parametrize(
    "estimator",
    [
        Pipeline([("f", FunctionTransformer(func=np.log)), ("m", MultinomialNB())]),
        Pipeline([("s", StandardScaler()), ("m", MultinomialNB())], memory="cache"),
        Pipeline([("inner", Pipeline([("s", StandardScaler())])), ("m", MultinomialNB())]),
    ],
    ids=["a function", "a cache", "a nested pipeline"],
)
def test_what_would_need_a_pickle_is_refused(estimator):
    with pytest.raises(DataError, match="model"):
        describe(estimator)


def test_a_description_holds_what_differs_from_the_defaults():
    model = describe(Pipeline([("s", StandardScaler()), ("k", KMeans(n_clusters=3))]))
    assert [step.parameters for step in model.steps] == [{}, {"n_clusters": 3}]
    assert Model.model_validate_json(model.model_dump_json()) == model


def test_a_folder_without_a_data_set_is_refused(tmp_path):
    with pytest.raises(DataError, match="no shared data set"):
        open_dataset(str(tmp_path))
