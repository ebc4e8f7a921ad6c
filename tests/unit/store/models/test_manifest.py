import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import ModelRejectedError
from skerry.store.models import FileEntry, Manifest, ManifestDraft, TensorSpec

DRAFT = ManifestDraft(
    kind="classifier",
    inputs=(TensorSpec("x", "float32", (None, 64)),),
    outputs=(TensorSpec("label", "int64", (None,)), TensorSpec("probabilities", "float32", (None, 10))),
    labels=tuple("0123456789"),
    metrics={"accuracy": 0.97},
    data_digest="sha256:" + "a" * 64,
    parent=1,
    about={"author": "Ada", "notes": ["é", {"deep": None}]},
)
FILES = {"model.onnx": FileEntry(10, "0" * 64), "data/weights.bin": FileEntry(2**33, "1" * 64)}


def seal(draft=DRAFT, **changes):
    return Manifest.seal(draft, **{"name": "digits", "version": 2, "created_at": 1e9, "files": FILES, **changes})


SEALED = json.loads(seal().to_json())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_a_manifest_comes_back_from_its_json_as_it_was():
    manifest = seal()

    assert Manifest.from_json(manifest.to_json()) == manifest
    assert manifest.size_bytes == 10 + 2**33
    assert (str(manifest), manifest.inputs) == ("digits@2", DRAFT.inputs)
    assert json.dumps(json.loads(manifest.to_json())) == json.dumps(SEALED)


def test_the_digest_covers_every_field():
    digests = {
        seal().digest,
        seal(version=3).digest,
        seal(created_at=2e9).digest,
        seal(name="letters").digest,
        seal(files={"model.onnx": FileEntry(11, "0" * 64)}).digest,
        *(seal(ManifestDraft(**change)).digest for change in ({}, {"kind": "regressor"}, {"about": {"a": 1}})),
    }

    assert len(digests) == 8
    assert all(digest.startswith("sha256:") for digest in digests)


def test_whole_numbers_are_numbers_too():
    assert seal(ManifestDraft(metrics={"rows": 3}), created_at=5).metrics == {"rows": 3.0}


def test_a_changed_manifest_is_refused():
    with pytest.raises(ModelRejectedError, match="was changed after it was published"):
        Manifest.from_json(json.dumps({**SEALED, "created_at": 1e9 + 1}).encode())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "only format 1 is read"),
        ({"format": True}, "only format 1 is read"),
        ({"name": "../x"}, "manifest: name: '../x' is not of the form"),
        ({"version": 0}, "version: must be from 1"),
        ({"version": True}, "version: must be a whole number, not true or false"),
        ({"digest": "md5:0"}, "digest: 'md5:0' is not of the form"),
        ({"created_at": "now"}, "created_at: must be a number, not a string"),
        ({"created_at": -1}, "created_at: must be a time"),
        ({"framework": "ONNX!"}, "framework"),
        ({"kind": []}, "kind: must be one of classifier, regressor, other"),
        ({"inputs": {}}, "inputs: must be an array, not an object"),
        (
            {"inputs": [{"name": "x", "dtype": "f", "shape": [-1]}]},
            r"inputs\[0\].shape\[0\]: must be from 0 to 2147483647",
        ),
        ({"inputs": [{"name": "x", "dtype": "f", "shape": [2**31]}]}, r"inputs\[0\].shape\[0\]: must be from 0"),
        ({"inputs": [{"name": "x", "dtype": "f", "shape": [1] * 33}]}, "33 items are too many"),
        ({"inputs": [{"name": "x", "dtype": "f"}]}, "'shape' is missing"),
        ({"outputs": [{"name": "x", "dtype": "f", "shape": []}] * 2}, "outputs: two have the same name"),
        ({"outputs": [{"name": "x" * 256, "dtype": "f", "shape": []}]}, "must have 1 to 255 characters, not 256"),
        ({"outputs": [{"name": "x\n", "dtype": "f", "shape": []}]}, "cannot be printed"),
        ({"files": {}}, "give at least one file"),
        ({"files": {str(i): {} for i in range(1001)}}, "1001 files are too many"),
        ({"files": {"a": {"size_bytes": -1, "sha256": "0" * 64}}}, "files.a.size_bytes: must be from 0"),
        ({"files": {"a": {"size_bytes": 1, "sha256": "../" + "0" * 61}}}, "files.a.sha256"),
        ({"labels": "ab"}, "labels: must be an array, not a string"),
        ({"labels": [1]}, r"labels\[0\]: must be a string, not a number"),
        ({"metrics": {"a": None}}, "metrics.a: must be a number, not null"),
        ({"metrics": {"a": 10**400}}, "metrics.a: must be finite"),
        ({"parent": 0}, "parent: must be from 1"),
        ({"about": []}, "about: must be an object"),
        ({"surprise": 1}, "'surprise' is unknown"),
    ],
)
def test_a_wrong_field_is_named(change, message):
    with pytest.raises(ModelRejectedError, match=message):
        Manifest.from_json(json.dumps({**SEALED, **change}).encode())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[1]", "must be an object, not an array"),
        (b'{"a":1,"a":2}', "a member is there twice"),
        (b'{"a":NaN}', "NaN is no JSON number"),
        (b'{"a":' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 200_000, "nested too deeply|not JSON"),
        (b" " * (2**20 + 1), "1048577 bytes are too many"),
    ],
)
def test_what_is_no_manifest_is_refused(data, message):
    with pytest.raises(ModelRejectedError, match=message):
        Manifest.from_json(data)


def test_a_missing_field_is_named():
    for name in SEALED:
        with pytest.raises(ModelRejectedError, match="is missing" if name != "format" else "only format 1"):
            Manifest.from_json(json.dumps({k: v for k, v in SEALED.items() if k != name}).encode())


@pytest.mark.parametrize(
    "about",
    [{"model": object()}, {"a": math.nan}, {"a": "\ud800"}, {1: 2, "1": 3}, {"deep": json.loads("[" * 40 + "]" * 40)}],
)
def test_what_json_cannot_carry_is_refused(about):
    with pytest.raises(ModelRejectedError):
        seal(ManifestDraft(about=about))


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("", "1 to 255 bytes"),
        ("/etc/passwd", "must be relative"),
        ("a/../b", "empty, . or .."),
        ("../b", "empty, . or .."),
        ("a//b", "empty, . or .."),
        ("a/", "empty, . or .."),
        (".", "empty, . or .."),
        ("a\\b", "backslash"),
        ("a\nb", "cannot be printed"),
        ("a\x7fb", "cannot be printed"),
        ("\ud800", "cannot be printed|surrogates"),
        ("é" * 128, "1 to 255 bytes"),
        ("manifest.json", "what the repository writes"),
        ("Manifest.JSON", "what the repository writes"),
        ("model.pkl", "export the model to ONNX"),
        ("deep/MODEL.Pickle.gz", "export the model to ONNX"),
        ("model.pt", "export the model to ONNX"),
        ("x.npy", "export the model to ONNX"),
    ],
)
def test_names_that_would_leave_the_folder_or_hold_code_are_refused(file, message):
    with pytest.raises(ModelRejectedError, match=message):
        seal(files={"model.onnx": FileEntry(1, "0" * 64), file: FileEntry(1, "0" * 64)})


def test_a_file_cannot_be_a_folder_too():
    with pytest.raises(ModelRejectedError, match="'a/b' cannot be a file and a folder at once"):
        seal(files={"a/b": FileEntry(1, "0" * 64), "a/b/c": FileEntry(1, "0" * 64)})


def test_common_names_are_fine():
    names = ["model.onnx", "data/weights 1.bin", "sample.json", "a/manifest.json", ".hidden", "v1.pt.onnx", "größe.txt"]

    assert sorted(seal(files={name: FileEntry(1, "0" * 64) for name in names}).files) == sorted(names)


@given(data=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_bytes_give_a_manifest_or_a_refusal(data):
    with pytest.raises(ModelRejectedError):
        Manifest.from_json(data)


@given(data=st.data())
def test_a_mutated_manifest_is_refused(data):
    document = json.loads(seal().to_json())
    places = [(document, name) for name in document]
    places += [(document["inputs"][0], name) for name in document["inputs"][0]]
    places += [(document["files"]["model.onnx"], name) for name in document["files"]["model.onnx"]]
    holder, name = data.draw(st.sampled_from(places))
    old, holder[name] = holder[name], data.draw(JSON)

    try:
        assert Manifest.from_json(json.dumps(document).encode()) == seal()
        assert holder[name] == old
    except ModelRejectedError:
        pass


@given(position=st.integers(0, len(seal().to_json()) - 1), byte=st.integers(0, 255))
def test_a_manifest_with_one_changed_byte_is_itself_or_refused(position, byte):
    content = bytearray(seal().to_json())
    content[position] = byte

    with contextlib.suppress(ModelRejectedError):
        assert Manifest.from_json(bytes(content)) == seal()
