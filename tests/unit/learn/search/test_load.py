import gzip
import json

import numpy as np
import pytest

from skerry.errors import DataError
from skerry.learn.search import load_csv, load_json, share_arrays
from skerry.learn.search.dataset import default_root


def test_a_csv_file_with_a_header_is_read_by_the_label_s_name(tmp_path):
    (tmp_path / "a.csv").write_text("kind,length,width\nperch,1.5,2\npike,3,4\n")
    data = load_csv(tmp_path / "a.csv", label="kind", root=tmp_path)
    assert data.features.tolist() == [[1.5, 2.0], [3.0, 4.0]]
    assert data.labels.tolist() == ["perch", "pike"]


def test_a_packed_csv_file_without_a_header_is_read_by_the_label_s_place(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"1,2,0\n3,4,1\n"))
    data = load_csv(tmp_path / "a.csv.gz", root=tmp_path)
    assert data.features.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert data.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("content", "label", "pattern"),
    [
        ("", -1, "empty"),
        ("a,b\n1,2\n", "c", "no column 'c'"),
        ("1,2\n3,4\n", 5, "no column 5"),
        ("a,b\n1,0\nx,1\n", "b", "row 3, column 1: 'x' is no number"),
        ("a,b\n1,0\n1,1,1\n", "b", "row 3 has 3 columns"),
        ("a,b\n1,0\nnan,1\n", "b", "row 3, column 1: 'nan' is not finite"),
        ("a,b\n1,0\n2,\n", "b", "row 3: the label is empty"),
    ],
)
def test_a_csv_file_that_cannot_be_searched_is_refused(content, label, pattern, tmp_path):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match=pattern):
        load_csv(tmp_path / "a.csv", label=label, root=tmp_path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_csv(tmp_path / "none.csv")


def test_a_request_in_a_file_is_read_with_its_model(tmp_path):
    request = {"model": "pac", "x_dict": {"0": "tide", "1": " "}, "y_dict": {"1": "FAKE", "0": "REAL"}}
    (tmp_path / "r.json.gz").write_bytes(gzip.compress(json.dumps(request).encode()))
    model, data = load_json(tmp_path / "r.json.gz", root=tmp_path)
    assert (model, data.read_texts(), data.labels.tolist()) == ("pac", ["tide", " "], ["REAL", "FAKE"])


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"model": "pac"}', '{"model": "pac", "x_dict": {"0": 1}, "y_dict": {}}']
)
def test_a_file_that_is_no_request_is_refused(content, tmp_path):
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(DataError, match=r"r\.json"):
        load_json(tmp_path / "r.json", root=tmp_path)


def test_the_same_data_are_shared_once_and_other_data_elsewhere(tmp_path):
    first = share_arrays([[1.0], [2.0]], [0, 1], root=tmp_path)
    assert share_arrays([[1.0], [2.0]], [0, 1], root=tmp_path).folder == first.folder
    others = [
        share_arrays([[1.0], [3.0]], [0, 1], root=tmp_path),
        share_arrays([[1.0], [2.0]], [1, 0], root=tmp_path),
        share_arrays([[1.0], [2.0]], ["0", "1"], root=tmp_path),
        share_arrays(np.array([[1.0], [2.0]], dtype=np.float32), [0, 1], root=tmp_path),
    ]
    assert len({first.digest, *(each.digest for each in others)}) == 5
    assert not list(tmp_path.glob(".partial-*"))
    assert not first.features.flags.writeable


def test_an_interrupted_write_leaves_nothing_that_looks_whole(tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", fail)
        with pytest.raises(OSError, match="disk full"):
            share_arrays([[1.0], [2.0]], [0, 1], root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_default_folder_makes_a_home_that_an_engine_accepts(tmp_path, monkeypatch):
    monkeypatch.setenv("SKERRY_HOME", str(tmp_path / "home"))
    assert default_root() == tmp_path / "home" / "search"
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0
