import os
import stat
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.engine.logs import LIMIT_BYTES, READ_LIMIT_BYTES, TAIL_LIMIT_BYTES, Logs
from skerry.errors import FunctionNotFoundError


@pytest.fixture
def logs(tmp_path):
    return Logs(tmp_path / "logs", limit_bytes=1000)


def write(logs, text, function="train"):
    descriptor = logs.open_for_append(function)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def test_a_function_that_never_printed_has_an_empty_log(logs):
    assert logs.tail("train", 10) == ("", 0)
    assert logs.read_from("train", 0) == ("", 0)
    assert logs.read_from("train", 500) == ("", 0)


def test_output_of_a_process_lands_in_the_functions_file(logs):
    descriptor = logs.open_for_append("train")
    subprocess.run(["sh", "-c", "echo out; echo err >&2"], stdout=descriptor, stderr=descriptor, check=True)
    os.close(descriptor)
    assert logs.tail("train", 10)[0] == "out\nerr\n"
    assert stat.S_IMODE(logs.path("train").stat().st_mode) == 0o600
    assert logs.tail("infer", 10)[0] == ""


def test_two_workers_append_to_one_file(logs):
    first, second = logs.open_for_append("train"), logs.open_for_append("train")
    for number, descriptor in enumerate([first, second, first]):
        os.write(descriptor, f"{number}\n".encode())
    os.close(first)
    os.close(second)
    assert logs.tail("train", 10)[0] == "0\n1\n2\n"


def test_tail_returns_the_last_lines_and_where_to_go_on(logs):
    write(logs, "".join(f"line {n}\n" for n in range(50)))
    text, offset = logs.tail("train", 2)
    assert text == "line 48\nline 49\n"
    write(logs, "more\n")
    assert logs.read_from("train", offset) == ("more\n", offset + 5)


def test_tail_counts_a_line_without_its_end_and_not_the_returns_of_a_progress_bar(logs):
    write(logs, "old\n" * 300)
    write(logs, "10 %\r20 %\r30 %")
    assert logs.tail("train", 1)[0] == "10 %\r20 %\r30 %"
    assert logs.tail("train", 2)[0] == "old\n10 %\r20 %\r30 %"


def test_tail_of_no_lines_is_only_the_end(logs):
    write(logs, "a\nb\n")
    assert logs.tail("train", 0) == ("", 4)


def test_tail_reads_lines_longer_than_a_block(logs):
    write(logs, "first\n" + "x" * 200_000 + "\nlast\n")
    assert logs.tail("train", 2)[0] == "x" * 200_000 + "\nlast\n"


def test_a_large_file_is_rotated_when_a_worker_starts(logs):
    write(logs, "old\n" * 300)
    write(logs, "new\n")
    assert logs.path("train").read_text() == "new\n"
    assert logs.path("train").with_name("train.log.1").read_text() == "old\n" * 300
    assert logs.tail("train", 3)[0] == "old\nold\nnew\n"
    assert sorted(path.name for path in logs.path("train").parent.iterdir()) == ["train.log", "train.log.1"]


def test_a_file_at_the_limit_is_not_rotated(logs):
    write(logs, "x" * 1000)
    write(logs, "y")
    assert logs.path("train").stat().st_size == 1001


def test_a_running_worker_goes_on_in_the_current_file_after_rotation(logs):
    running = logs.open_for_append("train")
    os.write(running, b"x" * 2000)
    os.close(logs.open_for_append("train"))
    os.write(running, b"after\n")
    os.close(running)
    assert logs.path("train").read_text() == "after\n"


def test_a_follower_misses_nothing_over_a_rotation(logs):
    write(logs, "a" * 600 + "\n")
    text, offset = logs.read_from("train", 0)
    write(logs, "b" * 600 + "\n")
    write(logs, "c\n")
    further, offset = logs.read_from("train", offset)
    assert (text + further) == "a" * 600 + "\n" + "b" * 600 + "\n" + "c\n"
    assert logs.read_from("train", offset) == ("", offset)


def test_a_character_split_between_two_reads_stays_whole(logs):
    write(logs, "ab")
    descriptor = logs.open_for_append("train")
    os.write(descriptor, "é".encode()[:1])
    assert logs.read_from("train", 0) == ("ab", 2)
    os.write(descriptor, "é".encode()[1:])
    os.close(descriptor)
    assert logs.read_from("train", 2) == ("é", 4)


def test_bytes_that_are_no_text_are_replaced(logs):
    descriptor = logs.open_for_append("train")
    os.write(descriptor, b"\xff\xfe ok\n")
    os.close(descriptor)
    assert logs.read_from("train", 0) == ("\ufffd\ufffd ok\n", 6)
    assert logs.tail("train", 1)[0] == "\ufffd\ufffd ok\n"


def test_a_read_is_bounded_and_continues(tmp_path):
    logs = Logs(tmp_path)
    write(logs, "x" * (READ_LIMIT_BYTES + 10))
    text, offset = logs.read_from("train", 0)
    assert len(text) == offset == READ_LIMIT_BYTES
    assert logs.read_from("train", offset) == ("x" * 10, READ_LIMIT_BYTES + 10)


@pytest.mark.parametrize("name", ["../secrets", "a/b", "", ".", "UPPER"])
def test_a_name_that_no_function_has_reaches_no_file(logs, name):
    with pytest.raises(FunctionNotFoundError):
        logs.tail(name, 10)
    with pytest.raises(FunctionNotFoundError):
        logs.open_for_append(name)


@given(parts=st.lists(st.text(alphabet="aé€😀\n", max_size=20), max_size=10), cut=st.integers(1, 7))
def test_reading_on_from_each_offset_gives_the_whole_text(tmp_path_factory, parts, cut):
    logs = Logs(tmp_path_factory.mktemp("logs"))
    data = "".join(parts).encode()
    seen, offset = "", 0
    descriptor = logs.open_for_append("train")
    for start in range(0, len(data), cut):
        os.write(descriptor, data[start : start + cut])
        text, offset = logs.read_from("train", offset)
        seen += text
    os.close(descriptor)
    assert seen == "".join(parts)
    assert offset == len(data)


def test_of_a_huge_file_only_the_end_is_rotated_and_offsets_keep_their_meaning(logs):
    path = logs.path("train")
    write(logs, "first\n")
    os.truncate(path, 3 * LIMIT_BYTES)  # a hole: what lies in it does not matter
    write_to = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(write_to, b"end\n")
    os.close(write_to)
    seen = path.stat().st_size - 4

    write(logs, "new\n")

    rotated = path.with_name("train.log.1")
    assert rotated.stat().st_blocks * 512 <= LIMIT_BYTES + 2**20
    assert logs.read_from("train", seen) == ("end\nnew\n", 4)
    assert logs.tail("train", 2)[0].endswith("end\nnew\n")


def test_a_tail_of_a_file_without_ends_of_lines_is_bounded(logs):
    descriptor = logs.open_for_append("train")
    os.write(descriptor, b"x" * (TAIL_LIMIT_BYTES * 2))
    os.close(descriptor)
    assert len(logs.tail("train", 5)[0]) <= TAIL_LIMIT_BYTES + 2**16
