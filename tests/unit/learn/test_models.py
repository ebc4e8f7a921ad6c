import json
import os
import threading

import pytest

from skerry.errors import DataError
from skerry.learn.models import ModelFolder


@pytest.fixture
def folder(tmp_path):
    return ModelFolder(tmp_path / "models")


def test_a_published_version_can_be_opened_and_read(folder):
    published = folder.publish("digits", {"model.onnx": b"weights", "words.json": b"{}"}, about={"score": 0.5})
    opened = folder.open("digits")
    assert (str(published), str(opened)) == ("digits/0001", "digits/0001")
    assert opened.read("model.onnx") == b"weights"
    assert opened.about == {"score": 0.5}
    assert opened.manifest["files"]["model.onnx"]["bytes"] == 7
    assert sorted(os.listdir(opened.folder)) == ["manifest.json", "model.onnx", "words.json"]


def test_versions_count_up_and_the_newest_is_opened_unless_told(folder):
    for content in (b"a", b"b", b"c"):
        folder.publish("digits", {"model.onnx": content}, about={})
    assert folder.versions("digits") == [1, 2, 3]
    assert folder.open("digits").read("model.onnx") == b"c"
    assert folder.open("digits", 1).read("model.onnx") == b"a"


def test_a_number_that_was_left_out_is_not_filled(folder):
    first = folder.publish("digits", {"model.onnx": b"a"}, about={})
    first.folder.rename(first.folder.with_name("0007"))
    assert folder.publish("digits", {"model.onnx": b"b"}, about={}).number == 8


def test_publishers_at_the_same_time_never_overwrite_each_other(folder):
    start = threading.Barrier(8)

    def publish(number):
        start.wait()
        folder.publish("digits", {"model.onnx": b"%d" % number}, about={})

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folder.versions("digits") == list(range(1, 9))
    assert {folder.open("digits", n).read("model.onnx") for n in range(1, 9)} == {b"%d" % n for n in range(8)}
    assert not list((folder.root / "digits").glob(".partial-*"))


def test_a_half_written_version_is_not_a_version(folder):
    folder.publish("digits", {"model.onnx": b"a"}, about={})
    (folder.root / "digits" / ".partial-x").mkdir()
    assert folder.versions("digits") == [1]


def test_what_cannot_be_written_as_json_leaves_nothing_behind(folder):
    with pytest.raises(TypeError):
        folder.publish("digits", {"model.onnx": b"a"}, about={"model": object()})
    assert folder.versions("digits") == []
    assert list((folder.root / "digits").iterdir()) == []


def test_a_file_that_was_changed_is_refused(folder):
    model = folder.publish("digits", {"model.onnx": b"weights"}, about={})
    (model.folder / "model.onnx").write_bytes(b"Weights")
    with pytest.raises(DataError, match="was changed after it was published"):
        folder.open("digits").read("model.onnx")


def test_what_is_not_there_is_named(folder):
    with pytest.raises(DataError, match="model digits: nothing is published"):
        folder.open("digits")
    model = folder.publish("digits", {"model.onnx": b"a"}, about={})
    with pytest.raises(DataError, match="digits, version 2"):
        folder.open("digits", 2)
    with pytest.raises(DataError, match=r"no file 'words.json'; there are: model.onnx"):
        model.read("words.json")
    (model.folder / "model.onnx").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        model.read("model.onnx")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 2}'])
def test_a_manifest_that_is_none_is_refused(folder, content):
    model = folder.publish("digits", {"model.onnx": b"a"}, about={})
    (model.folder / "manifest.json").write_bytes(content)
    with pytest.raises(DataError, match=r"manifest\.json"):
        folder.open("digits")


@pytest.mark.parametrize("name", ["", "Digits", "a/b", "../a", "-a", "a" * 64])
def test_a_wrong_name_is_refused(folder, name):
    with pytest.raises(DataError, match="model name"):
        folder.publish(name, {"model.onnx": b"a"}, about={})


@pytest.mark.parametrize("file", ["manifest.json", "", "..", "a/b.onnx", "/etc/passwd"])
def test_a_wrong_file_name_is_refused(folder, file):
    with pytest.raises(DataError, match="cannot be the name"):
        folder.publish("digits", {file: b"a"}, about={})


@pytest.mark.parametrize("file", ["model.pkl", "model.PICKLE", "model.joblib", "model.pt"])
def test_formats_that_run_code_are_refused(folder, file):
    with pytest.raises(DataError, match="can hold code"):
        folder.publish("digits", {file: b"a"}, about={})


def test_a_model_without_files_is_refused(folder):
    with pytest.raises(DataError, match="at least one file"):
        folder.publish("digits", {}, about={})


def test_the_manifest_is_json_that_other_programs_can_read(folder):
    model = folder.publish("digits", {"model.onnx": b"a"}, about={"classes": ["0", "1"]})
    manifest = json.loads((model.folder / "manifest.json").read_text())
    assert manifest["name"] == "digits"
    assert manifest["version"] == 1
    assert manifest["about"] == {"classes": ["0", "1"]}
