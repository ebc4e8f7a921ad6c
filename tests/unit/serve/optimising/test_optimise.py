import warnings

import numpy as np
import onnx
import pytest
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from skerry.errors import DataError, ModelRejectedError, SpecError
from skerry.serve import push
from skerry.serve.optimising import METHODS, optimise, publish_optimised
from skerry.serve.optimising.data import make_data, read_data
from skerry.spec import ModelReference
from skerry.store.models import ModelCache, ModelRepository
from skerry.store.objects import open_store


@pytest.fixture(scope="module")
def network(digits):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Stochastic Optimizer")  # good enough after a few rounds
        return MLPClassifier((128,), max_iter=15, random_state=0).fit(*digits)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ModelRepository(open_store(str(tmp_path_factory.mktemp("store"))))


@pytest.fixture(scope="module")
def published(network, digits, store, tmp_path_factory):
    manifest = push("digits", network, sample=digits[0][:8], repository=store, about={"author": "Ada"})
    return manifest, ModelCache(tmp_path_factory.mktemp("cache")).fetch(store, manifest)


@pytest.fixture(scope="module")
def data(published, digits):
    return make_data(*digits, published[0].inputs)


def ends(file):
    graph = onnx.load(str(file)).graph
    return [(end.name, end.type.tensor_type.elem_type) for end in (*graph.input, *graph.output)]


@pytest.mark.parametrize("method", METHODS)
def test_each_method_keeps_the_interface_and_reports_the_figures(method, published, data, tmp_path):
    manifest, folder = published
    model = optimise(folder, manifest, method=method, data=data, floor=0.8, target=tmp_path / "small.onnx")
    assert ends(model.file) == ends(folder / "model.onnx")
    profile = model.describe()
    assert (profile["method"], profile["score"], profile["rows"]) == (method, "accuracy", len(data))
    for side in ("before", "after"):
        assert sorted(profile[side]) == ["latency_1_ms", "latency_32_ms", "load_ms", "score", "size_bytes"]
        assert all(figure > 0 for figure in profile[side].values())
    assert model.before.score > 0.9
    assert model.before.size_bytes == manifest.files["model.onnx"].size_bytes
    if method == "float16":
        assert model.after.size_bytes < 0.8 * model.before.size_bytes
    if method.startswith("int8"):
        assert model.after.size_bytes < 0.5 * model.before.size_bytes
    if method == "prune":
        weights = [tensor for tensor in onnx.load(str(model.file)).graph.initializer if min(tensor.dims, default=0) > 1]
        zeros = [np.mean(onnx.numpy_helper.to_array(tensor) == 0) for tensor in weights if tensor.data_type == 1]
        assert min(zeros) >= 0.49


def test_an_optimised_version_has_its_parent_and_profile(published, data, store, tmp_path):
    manifest, folder = published
    model = optimise(folder, manifest, method="int8-dynamic", data=data, floor=0.9, target=tmp_path / "small.onnx")
    new = publish_optimised(store, folder, manifest, model, alias="candidate")
    assert (new.version, new.parent) == (2, 1)
    assert (new.inputs, new.outputs, new.labels) == (manifest.inputs, manifest.outputs, manifest.labels)
    assert new.metrics == {"accuracy": model.after.score}
    assert new.about["author"] == "Ada"
    assert new.about["profile"]["after"]["size_bytes"] == new.files["model.onnx"].size_bytes
    assert store.resolve(ModelReference.parse("digits@candidate")) == new


def test_below_the_floor_it_is_refused_with_all_figures(published, data, tmp_path):
    manifest, folder = published
    with pytest.raises(ModelRejectedError) as caught:
        optimise(folder, manifest, method="prune", data=data, floor=0.97, target=tmp_path / "small.onnx", ratio=0.97)
    message = caught.value.message
    for words in ("digits@1: prune falls below the floor of 0.97: accuracy ", "size ", "load ", "latency of 32 rows "):
        assert words in message


def test_without_labels_the_original_is_what_is_right(published, digits, tmp_path):
    manifest, folder = published
    data = make_data(digits[0][:200], None, manifest.inputs)
    model = optimise(folder, manifest, method="float16", data=data, floor=0.9, target=tmp_path / "small.onnx")
    assert (model.score, model.before.score) == ("agreement", 1.0)


def test_a_model_in_which_there_is_nothing_to_change_is_refused(digits, repository, cache, tmp_path):
    tree = DecisionTreeClassifier(max_depth=9).fit(*digits)
    manifest = push("tree", tree, sample=digits[0][:8], repository=repository)
    data = make_data(*digits, manifest.inputs)
    folder = cache.fetch(repository, manifest)
    for method in ("int8-dynamic", "int8-static", "prune", "float16"):
        with pytest.raises(ModelRejectedError, match=f"{method} finds nothing to change"):
            optimise(folder, manifest, method=method, data=data, floor=0.9, target=tmp_path / "small.onnx")


@pytest.mark.parametrize("wrong", [{"method": "magic"}, {"floor": 1.5}, {"ratio": 1.0}])
def test_wrong_options_are_refused(published, data, tmp_path, wrong):
    manifest, folder = published
    options = {"method": "prune", "floor": 0.9, **wrong}
    with pytest.raises(SpecError):
        optimise(folder, manifest, data=data, target=tmp_path / "small.onnx", **options)


def test_rows_and_labels_are_read_from_files(published, digits, tmp_path):
    images, labels = digits
    inputs = published[0].inputs
    np.savez(tmp_path / "a.npz", X=images[:9], y=labels[:9])
    names = ",".join([*(f"p{n}" for n in range(64)), "label"])
    rows = "\n".join(",".join(map(str, [*row, label])) for row, label in zip(images[:9], labels[:9], strict=True))
    (tmp_path / "a.csv").write_text(f"{names}\n{rows}\n")
    for file in ("a.npz", "a.csv"):
        data = read_data(tmp_path / file, inputs)
        np.testing.assert_array_equal(data.feeds["input"], images[:9])
        assert [int(label) for label in data.targets] == labels[:9].tolist()


def test_files_that_hold_no_such_rows_are_refused(published, tmp_path):
    inputs = published[0].inputs
    np.savez(tmp_path / "pickled.npz", X=np.array([object()]))
    np.savez(tmp_path / "short.npz", X=np.zeros((3, 64)), y=np.zeros(2))
    np.savez(tmp_path / "narrow.npz", X=np.zeros((3, 5)))
    np.savez(tmp_path / "only-labels.npz", y=np.zeros(3))
    (tmp_path / "words.csv").write_text("a,b\n1,x\n")
    for file in tmp_path.glob("*.[nc][ps][zv]"):
        with pytest.raises(DataError):
            read_data(file, inputs)
