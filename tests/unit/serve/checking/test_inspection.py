"""What is refused by a file's first bytes, and by what happens when it is opened in the child process."""

import gzip
import io
import json
import pickle
import zipfile
import zlib

import numpy as np
import pytest

from skerry.errors import ModelRejectedError
from skerry.serve.checking import Limits, inspect_onnx
from skerry.serve.checking.disguises import name_disguise
from support.onnx_models import doubling, endless, external, filling, with_weight, write

MIB = 2**20


def zipped(first):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(first, b"content")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps({"a": 1}), "a Python pickle (protocol 4)"),
        (pickle.dumps({"a": 1}, protocol=2), "a Python pickle (protocol 2)"),
        (pickle.dumps({"a": 1}, protocol=0), "a Python pickle (protocol 0 or 1)"),
        (zlib.compress(pickle.dumps([1])), "joblib"),
        (gzip.compress(b"x", mtime=0), "a gzip archive; archives are never unpacked"),
        (zipped("archive/data.pkl"), "a PyTorch archive"),
        (zipped("a.npy"), "an .npz file"),
        (zipped("model.onnx"), "a ZIP archive; archives are never unpacked"),
        (b"\x93NUMPY\x01\x00", "a NumPy array"),
        (b"\x89HDF\r\n\x1a\n", "Keras"),
        (b"\x20\0\0\0TFL3", "TensorFlow Lite"),
        (b'\x40\0\0\0\0\0\0\0{"weight"', "safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html>", "HTML"),
        (b"", "empty"),
    ],
)
def test_what_is_no_model_is_named_and_refused(tmp_path, content, words):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelRejectedError) as caught:
        inspect_onnx(path)
    assert words in caught.value.message


def test_models_are_not_taken_for_something_else():
    assert name_disguise(doubling().SerializeToString()) is None


def test_a_file_over_the_limit_is_refused_unread(tmp_path):
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(ModelRejectedError, match=r"3,221,225,472 bytes, and models are refused above 2,147,483,648"):
        inspect_onnx(path)


def test_a_missing_file_and_a_folder_without_a_model_are_refused(tmp_path):
    with pytest.raises(ModelRejectedError, match="No such file"):
        inspect_onnx(tmp_path / "missing.onnx")
    with pytest.raises(ModelRejectedError, match=r"no \.onnx file"):
        inspect_onnx(tmp_path)


def test_a_folder_with_external_data_is_opened_and_run(tmp_path):
    (tmp_path / "weights").write_bytes(np.array([2, 3], np.float32).tobytes())
    write(tmp_path, with_weight(external("w", "weights")), "digits.onnx")
    facts = inspect_onnx(tmp_path)
    assert facts.external_files == ("weights",)
    # The graph does not say how many dimensions the output has: that was seen when it ran.
    assert [tensor.shape for tensor in facts.outputs] == [(None, None)]


def test_external_data_count_towards_the_size(tmp_path):
    (tmp_path / "weights").write_bytes(b"\0" * MIB)
    write(tmp_path, with_weight(external("w", "weights", shape=(MIB // 8, 2))))
    with pytest.raises(ModelRejectedError, match="bytes with its external data"):
        inspect_onnx(tmp_path, limits=Limits(size_bytes=MIB // 2))


def test_a_model_that_fills_memory_is_refused_with_the_limit(tmp_path):
    path = write(tmp_path, filling(10**6, 10**6))
    with pytest.raises(ModelRejectedError, match=r"needs more than 1,024 MiB"):
        inspect_onnx(path)
    path = write(tmp_path, filling(16_000, 16_000))
    with pytest.raises(ModelRejectedError, match=r"needs more than 900 MiB"):
        inspect_onnx(path, limits=Limits(memory_bytes=900 * MIB))


def test_a_model_that_does_not_end_is_refused(tmp_path):
    with pytest.raises(ModelRejectedError, match="ended after 1 s of processor time"):
        inspect_onnx(write(tmp_path, endless()), limits=Limits(cpu_s=1))
    with pytest.raises(ModelRejectedError, match=r"took over 0.01 s"):
        inspect_onnx(write(tmp_path, endless()), limits=Limits(wall_s=0.01))


def test_a_model_must_work_on_its_sample(tmp_path):
    path, sample = write(tmp_path, doubling()), tmp_path / "sample.json"
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
    sample.write_text(json.dumps({"inputs": [tensor]}))
    with pytest.raises(ModelRejectedError, match="when running it on the sample"):
        inspect_onnx(path, sample=sample)
    sample.write_text("{}")
    with pytest.raises(ModelRejectedError, match=r"sample\.json is no inference request"):
        inspect_onnx(path, sample=sample)
