"""Small real models as ONNX files, published and fetched as a worker finds them."""

import functools

import numpy as np
import onnx
import orjson
from onnx import TensorProto, helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skerry.payload.datatype import datatype_of
from skerry.spec import ModelReference
from skerry.store.models import ManifestDraft, ModelCache, ModelRepository, TensorSpec
from skerry.store.objects import open_store

ELEMENT = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "string": TensorProto.STRING}
LABELS = tuple("0123456789")


@functools.cache
def digits():
    """Return a pipeline trained on the digits, their rows, and the pipeline as ONNX."""
    from skl2onnx import to_onnx

    rows, labels = load_digits(return_X_y=True)
    rows = rows.astype(np.float32)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    pipeline.fit(rows, labels)
    model = to_onnx(pipeline, rows[:1], options={"zipmap": False}, target_opset=18)
    return pipeline, rows, model.SerializeToString()


def digits_draft(**changes):
    """Return what a publisher says of the digits."""
    said = {
        "kind": "classifier",
        "inputs": (TensorSpec("X", "float32", (None, 64)),),
        "outputs": (TensorSpec("label", "int64", (None,)), TensorSpec("probabilities", "float32", (None, 10))),
        "labels": LABELS,
    }
    return ManifestDraft(**{**said, **changes})


def sample_of(**inputs):
    """Return the sample request of arrays."""
    tensors = [
        {"name": name, "datatype": datatype_of(array), "shape": list(array.shape), "data": array.ravel().tolist()}
        for name, array in inputs.items()
    ]
    return orjson.dumps({"inputs": tensors})


def publish(folder, name, model, draft, *, sample=None, alias="production"):
    """Publish a version into the store below a folder; return where it lies once fetched."""
    repository = ModelRepository(open_store(str(folder / "models")))
    files = {"model.onnx": model} | ({} if sample is None else {"sample.json": sample})
    manifest = repository.publish(name, files, draft)
    repository.set_alias(name, alias, manifest.version)
    found = repository.resolve(ModelReference.parse(f"{name}@{alias}"))
    return ModelCache(folder / "cache").fetch(repository, found)


def publish_digits(folder, *, name="digits", **changes):
    """Publish the digits, with a sample of three rows."""
    _, rows, model = digits()
    return publish(folder, name, model, digits_draft(**changes), sample=sample_of(X=rows[:3]))


def graph(nodes, inputs, outputs, weights=()):
    """Return an ONNX model.

    Args:
        nodes: As `onnx.helper.make_node` makes them.
        inputs: Name to dtype and shape.
        outputs: Name to dtype and shape.
        weights: Initializers.
    """

    def ports(described):
        return [helper.make_tensor_value_info(name, ELEMENT[kind], shape) for name, (kind, shape) in described.items()]

    made = helper.make_graph(nodes, "g", ports(inputs), ports(outputs), list(weights))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def draft_of(inputs, outputs, **said):
    """Return what a publisher says of a graph's ports."""

    def tensors(described):
        return tuple(TensorSpec(name, kind, tuple(shape)) for name, (kind, shape) in described.items())

    return ManifestDraft(inputs=tensors(inputs), outputs=tensors(outputs), **said)


def publish_graph(folder, name, nodes, inputs, outputs, *, weights=(), sample=None, **said):
    """Publish an ONNX model with the ports that it has; see :func:`graph`."""
    model = graph(nodes, inputs, outputs, weights)
    return publish(folder, name, model, draft_of(inputs, outputs, **said), sample=sample)


def publish_sum(folder):
    """Publish ``a + b``, which answers row by row."""
    ports = {"a": ("float32", [None, 2]), "b": ("float32", [None, 2])}
    return publish_graph(
        folder, "sum", [helper.make_node("Add", ["a", "b"], ["y"])], ports, {"y": ("float32", [None, 2])}
    )
