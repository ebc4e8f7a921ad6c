import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import ConfigError, DataError
from skerry.testbed.experiments.records import FILE, Records, read_lines, write_whole


def test_what_was_added_is_there_when_it_is_opened_again(tmp_path):
    with Records(tmp_path) as records:
        records.add({"kind": "trial", "arm": "a"})
    with Records(tmp_path) as records:
        assert records.lines == [{"kind": "trial", "arm": "a"}]
        records.add({"arm": "b"})
    assert read_lines(tmp_path) == [{"kind": "trial", "arm": "a"}, {"arm": "b"}]


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 60))
def test_whatever_a_crash_leaves_of_the_last_line_is_cut_off(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("run")
    with Records(folder) as records:
        for number in range(3):
            records.add({"number": number, "text": "ü" * number})
    path = folder / FILE
    os.truncate(path, max(0, path.stat().st_size - cut))
    seen = read_lines(folder)
    with Records(folder) as records:
        assert records.lines == seen == [{"number": n, "text": "ü" * n} for n in range(len(seen))]
        records.add({"number": 9})
    assert read_lines(folder)[-1] == {"number": 9}


def test_two_processes_do_not_write_one_run(tmp_path):
    with Records(tmp_path), pytest.raises(ConfigError, match="another process"):
        Records(tmp_path)


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / FILE).write_text('{"a": 1}\nnonsense\n{"b": 2}\n')
    with pytest.raises(DataError, match="line 2"):
        read_lines(tmp_path)


def test_a_folder_without_results_says_so(tmp_path):
    with pytest.raises(DataError, match="holds no results"):
        read_lines(tmp_path)


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "page.html"
    write_whole(path, "old")
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["page.html"]
