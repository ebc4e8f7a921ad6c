import gzip
import struct
from importlib.machinery import ModuleSpec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import DataError, SkerryError
from skerry.learn.federated.data import datasets


def idx(array, kind=8):
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder, *, train=30, test=20, side=28, labels=None):
    for part, count in (("train", train), ("t10k", test)):
        images = np.full((count, side, side), 7, np.uint8)
        marks = np.arange(count, dtype=np.uint8) % 10 if labels is None else labels
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(marks)))


@settings(max_examples=30)
@given(shape=st.lists(st.integers(0, 6), min_size=1, max_size=4), packed=st.booleans())
def test_what_was_written_is_read(shape, packed, tmp_path_factory):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    assert np.array_equal(datasets.read_idx(path), array)


SOUND = idx(np.arange(12, dtype=np.uint8).reshape(3, 4))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "begins with nothing"),
        (b"PNG!", "begins with 504e4721"),
        (idx(np.zeros(3, np.uint8), kind=0x0D), "begins with 00000d01"),
        (SOUND[:9], "ends within its header"),
        (SOUND[:-1], "12 bytes, but holds 11 bytes"),
        (SOUND + b"\0", "but holds more"),
        (b"\0\0\x08\x02" + struct.pack(">2I", 2**31, 2**31), "at most"),
        (gzip.compress(SOUND, mtime=0)[:-9], "cannot be read"),
        (gzip.compress(SOUND, mtime=0)[:10] + b"\xff" * 12, "cannot be read"),
    ],
)
def test_a_damaged_file_is_refused_with_its_reason(data, said, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(DataError, match=said) as refused:
        datasets.read_idx(path)
    assert str(path) in refused.value.message


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        datasets.read_idx(tmp_path / "nothing")


def test_a_folder_of_ones_own_is_read(tmp_path):
    write_mnist(tmp_path)
    found = datasets.load_dataset(tmp_path)
    assert (found.name, len(found.train), len(found.test)) == ("mnist", 30, 20)
    assert found.train.images.dtype == np.uint8
    some = found.train.take(np.array([3, 1]))
    assert some.labels.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"side": 27}, r"\(30, 27, 27\); expected \(n, 28, 28\)"),
        ({"labels": np.zeros(29, np.uint8)}, r"30 images and labels \(29,\)"),
        ({"labels": np.full(30, 10, np.uint8)}, "a label of train is 10"),
        ({"train": 0}, r"\(0, 28, 28\)"),
    ],
)
def test_other_data_than_digits_are_refused(change, said, tmp_path):
    write_mnist(tmp_path, **change)
    with pytest.raises(DataError, match=said):
        datasets.load_dataset(tmp_path)


def test_an_empty_folder_says_what_is_missing_and_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz; .* SKERRY_SHARED"):
        datasets.load_dataset(tmp_path)


def test_mnist_of_the_shared_data_is_found(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    write_mnist(folder)
    monkeypatch.setenv("SKERRY_SHARED", str(tmp_path))
    assert datasets.load_dataset().name == "mnist"


def test_without_mnist_there_are_the_small_digits(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setenv("SKERRY_SHARED", str(tmp_path))
    found = datasets.load_dataset()
    assert (found.name, len(found.train), len(found.test)) == ("digits", 1438, 359)
    assert found.train.images.shape == (1438, 28, 28)
    assert found.train.images.max() == 255
    assert sorted(set(found.test.labels.tolist())) == list(range(10))


def digits_of(found):
    return [(part.images.tolist(), part.labels.tolist()) for part in (found.train, found.test)]


def test_the_small_digits_are_the_same_where_the_library_has_to_be_imported_for_them(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    direct = datasets.load_small_digits()
    elsewhere = ModuleSpec("sklearn", loader=None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: elsewhere)
    assert digits_of(datasets.load_small_digits()) == digits_of(direct)


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SkerryError, match=r'pip install "skerry\[learn\]"'):
        datasets.load_small_digits()
