import pytest

from skerry.errors import ModelNotFoundError, UnavailableError
from skerry.runtime.inference_routes import ServedModel, find_model, index, metadata
from skerry.store.models import FileEntry, Manifest, ManifestDraft, TensorSpec

DTYPES = [
    ("bool", "BOOL"),
    ("uint8", "UINT8"),
    ("int64", "INT64"),
    ("float16", "FP16"),
    ("float32", "FP32"),
    ("float64", "FP64"),
    ("string", "BYTES"),
    ("FP32", "FP32"),
]


def model(name="digits", *, versions=(3,), refusal=None, dtype="float32"):
    draft = ManifestDraft(
        framework="onnx",
        kind="other",
        inputs=(TensorSpec("x", dtype, (None, 8, 8)),),
        outputs=(TensorSpec("y", dtype, (None,)),),
    )
    file = FileEntry(size_bytes=1, sha256="0" * 64)
    manifests = {
        version: Manifest.seal(draft, name=name, version=version, created_at=1.0, files={"model.onnx": file})
        for version in versions
    }
    return ServedModel(name=name, versions=manifests, refusal=refusal)


@pytest.mark.parametrize(("dtype", "datatype"), DTYPES)
def test_tensors_are_described_in_the_protocols_words(dtype, datatype):
    described = metadata(model(dtype=dtype), 3)

    assert described["inputs"] == [{"name": "x", "datatype": datatype, "shape": [-1, 8, 8]}]
    assert described["outputs"] == [{"name": "y", "datatype": datatype, "shape": [-1]}]


def test_a_model_without_a_manifest_is_described_without_tensors():
    described = metadata(ServedModel(name="digits", versions={1: None}, refusal=None), 1)

    assert (described["versions"], described["inputs"], described["outputs"]) == (["1"], [], [])


def test_the_index_has_each_version_and_why_it_is_not_ready():
    models = [model("b", refusal=UnavailableError("unloaded")), model("a", versions=(4, 3))]

    assert index(models) == [
        {"name": "a", "version": "4", "state": "READY", "reason": ""},
        {"name": "a", "version": "3", "state": "READY", "reason": ""},
        {"name": "b", "version": "3", "state": "UNAVAILABLE", "reason": "unloaded"},
    ]


def test_the_main_version_is_meant_where_none_is_named():
    models = {"digits": model(versions=(4, 3))}

    assert [find_model(models, "digits", version)[1] for version in (None, "3", "4")] == [4, 3, 4]
    for version in ("5", "04", "x", ""):
        with pytest.raises(ModelNotFoundError, match="served is: 4, 3"):
            find_model(models, "digits", version)
    with pytest.raises(ModelNotFoundError, match="there are: none"):
        find_model({}, "digits", None)
