import subprocess
import sys

import numpy as np
import onnx
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

from skerry.errors import DataError, ModelRejectedError
from skerry.serve.exporting import export, export_sklearn
from skerry.serve.publishing_session import open_session, run_session

NAMES = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])


def run(exported, rows):
    return run_session(open_session(exported.content), {next(iter(exported.feeds)): rows})


def test_a_pipeline_gives_what_the_original_gives_on_all_digits(digits):
    images, labels = digits
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(images, NAMES[labels])
    exported = export(pipeline, images[:50])
    results = run(exported, images)
    assert list(results) == ["label", "probabilities"]
    np.testing.assert_array_equal(results["label"], pipeline.predict(images))
    np.testing.assert_allclose(results["probabilities"], pipeline.predict_proba(images), atol=1e-5)
    assert exported.kind == "classifier"
    assert exported.labels == tuple(sorted(NAMES))
    assert exported.worst_difference <= 1e-5
    assert exported.describe()["compared_rows"] == 50


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_trees_behind_a_scaler_are_exact_where_single_precision_is_not(digits, dtype):
    """Scaled pixels lie on thresholds: what is rounded otherwise than scikit-learn does takes another branch."""
    images, labels = digits
    rows = images.astype(dtype)
    pipeline = make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)).fit(rows, labels)
    exported = export_sklearn(pipeline, rows[:5])
    given = next(iter(exported.feeds.values())).dtype
    results = run(exported, rows.astype(given))
    assert given == ("int64" if dtype == "uint8" else dtype)
    assert exported.arithmetic == "float64"
    np.testing.assert_allclose(results["probabilities"], pipeline.predict_proba(images.astype(float)), atol=1e-5)


def test_texts_are_split_as_the_original_splits_them():
    texts = ["Good Day to all", "bad NIGHT", "it's x GOOD Élan été", "日本 語 bad ١٢", "a b c", ""] * 2
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), MultinomialNB()).fit(texts, [1, 0, 1, 0, 1, 0] * 2)
    exported = export(pipeline, texts)
    results = run(exported, np.array(texts, dtype=object))
    np.testing.assert_allclose(results["probabilities"], pipeline.predict_proba(texts), atol=1e-5)
    assert list(exported.feeds) == ["text"]


@pytest.mark.parametrize(
    ("model", "outputs", "kind"),
    [
        (Ridge(), ["prediction"], "regressor"),
        (LinearSVC(max_iter=20000), ["label", "scores"], "classifier"),
        (SVC(), ["label", "scores"], "classifier"),
        (KMeans(3, n_init=1, random_state=0), ["label", "distances"], "other"),
        (StandardScaler(), ["features"], "other"),
    ],
)
def test_outputs_are_called_what_they_are(digits, model, outputs, kind):
    images, labels = digits
    exported = export(model.fit(images[:300], labels[:300] % 2), images[:300])
    assert list(run(exported, images[:1])) == outputs
    assert exported.kind == kind


@pytest.mark.parametrize("in_a_pipeline", [False, True])
@pytest.mark.parametrize("kind", [SVC, LinearSVC])
def test_scores_of_two_classes_have_the_sign_of_the_original(kind, in_a_pipeline):
    rows, classes = load_breast_cancer(return_X_y=True)
    rows = StandardScaler().fit_transform(rows).astype("float32")
    model = make_pipeline(StandardScaler(), kind()) if in_a_pipeline else kind()
    exported = export_sklearn(model.fit(rows, classes), rows)
    scores = run(exported, rows)["scores"]
    expected = model.decision_function(rows)
    assert np.allclose(scores, np.stack([-expected, expected], axis=1), rtol=1e-5, atol=1e-5)


def test_what_skl2onnx_does_not_know_is_refused_in_its_words(digits):
    images, labels = digits
    pipeline = make_pipeline(FunctionTransformer(np.sqrt), LogisticRegression(max_iter=1000))
    with pytest.raises(ModelRejectedError, match=r"cannot be exported by skl2onnx: .*FunctionTransformer"):
        export(pipeline.fit(images[:100], labels[:100]), images[:10])


def test_texts_split_by_a_function_are_refused():
    pipeline = make_pipeline(TfidfVectorizer(analyzer=str.split), MultinomialNB()).fit(["a b", "c d"], [0, 1])
    with pytest.raises(ModelRejectedError, match="splits texts with a Python function"):
        export(pipeline, ["a b"])


def test_a_wrong_export_is_caught_and_shown(digits, monkeypatch):
    import skl2onnx

    images, labels = digits
    model = LogisticRegression(max_iter=1000).fit(images[:200], labels[:200])
    convert = skl2onnx.to_onnx

    def convert_wrongly(*arguments, **options):
        proto = convert(*arguments, **options)
        (node,) = (node for node in proto.graph.node if node.op_type == "LinearClassifier")
        (intercepts,) = (attribute for attribute in node.attribute if attribute.name == "intercepts")
        intercepts.floats[3] += 0.01
        return proto

    monkeypatch.setattr(skl2onnx, "to_onnx", convert_wrongly)
    with pytest.raises(
        ModelRejectedError, match=r"output 'probabilities', row \d+, element \[\d\] is 0\.\d+ and should be"
    ):
        export(model, images[:50])


def test_a_model_that_is_not_fitted_or_has_other_columns_is_refused(digits):
    images, labels = digits
    with pytest.raises(ModelRejectedError, match="LogisticRegression"):
        export(LogisticRegression(), images[:2])
    with pytest.raises(ModelRejectedError, match="features"):
        export(Ridge().fit(images, labels), images[:2, :5])


@pytest.mark.parametrize("sample", [None, [], "text", np.zeros((0, 64)), [[1], [1, 2]], 3.0, [object()]])
def test_what_is_no_sample_is_refused(digits, sample):
    with pytest.raises(DataError, match="sample"):
        export(Ridge().fit(*digits), sample)


def test_what_no_exporter_knows_is_refused():
    with pytest.raises(ModelRejectedError, match=r"only scikit-learn estimators and torch modules"):
        export(object(), [[1.0]])
    with pytest.raises(ModelRejectedError, match="weights without the model"):
        export({"layer.weight": np.zeros(2)}, [[1.0]])


def test_the_package_imports_nothing_of_publishing_until_asked():
    code = (
        "import sys, skerry.serve; print([m for m in ('skerry.serve.publishing', 'numpy', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_exports_are_the_same_each_time(digits):
    model = Ridge().fit(*digits)
    first, second = (onnx.load_model_from_string(export(model, digits[0][:3]).content) for _ in range(2))
    assert first.graph == second.graph


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        KMeans(2),
        StandardScaler(),
        make_pipeline(StandardScaler(), Ridge()),
        RandomForestClassifier(),
        GridSearchCV(LogisticRegression(), {}),
    ],
    ids=lambda model: type(model).__name__,
)
def test_what_is_not_fitted_is_told_so(model):
    with pytest.raises(ModelRejectedError, match=r"is not fitted: call its fit before it is pushed"):
        export(model, np.ones((4, 3)))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("missing_ratio", [0.0, 0.1])
@pytest.mark.parametrize("learner", [HistGradientBoostingClassifier, HistGradientBoostingRegressor])
def test_histogram_gradient_boosting_is_exact_where_rows_lie_on_thresholds(learner, missing_ratio, scaled):
    """Thresholds lie between tenths: a row of hundredths is on one, and single precision may put it on either side."""
    rng = np.random.default_rng(0)
    known, asked = np.round(rng.uniform(size=(1000, 4)), 1), np.round(rng.uniform(size=(2000, 4)), 2)
    labels = (known[:, 0] + known[:, 1] > known[:, 2] + 0.5).astype(int) + (known[:, 3] > 0.6)
    for rows in (known, asked):
        rows[rng.uniform(size=rows.shape) < missing_ratio] = np.nan
    model = learner(max_iter=10)
    model = (make_pipeline(StandardScaler(), model) if scaled else model).fit(known, labels)
    asked = asked.astype(np.float32)
    results = run(export(model, asked[:20]), asked)
    output = "prediction" if learner is HistGradientBoostingRegressor else "probabilities"
    original = model.predict if learner is HistGradientBoostingRegressor else model.predict_proba
    expected = original(asked.astype(np.float64))
    np.testing.assert_allclose(results[output].reshape(expected.shape), expected, atol=1e-5)


def test_splits_by_sets_of_categories_are_refused_with_what_to_do():
    rows = np.arange(100).reshape(-1, 1) % 5
    model = HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]).fit(rows, rows[:, 0] % 2)
    with pytest.raises(ModelRejectedError, match=r"categorical_features.*OneHotEncoder"):
        export(model, rows[:10])


@pytest.mark.parametrize("in_a_pipeline", [False, True])
def test_a_soft_vote_is_exported_and_left_as_it_was(digits, in_a_pipeline):
    images, labels = digits
    vote = VotingClassifier([("a", LogisticRegression(max_iter=200)), ("b", MultinomialNB())], voting="soft")
    model = (make_pipeline(MinMaxScaler(), vote) if in_a_pipeline else vote).fit(images[:300], labels[:300])
    results = run(export(model, images[:20]), images)
    np.testing.assert_allclose(results["probabilities"], model.predict_proba(images), atol=1e-5)
    assert vote.flatten_transform
