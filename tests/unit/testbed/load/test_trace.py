import gzip

import pytest

from skerry.errors import DataError
from skerry.testbed.load import read_trace, replay

AZURE_2021 = "app,func,end_timestamp,duration\na1,f1,5.0,2.0\na1,f2,1.5,1.0\na2,f1,9.0,0.5\n"
AZURE_LLM = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8"
)


@pytest.fixture
def write(tmp_path):
    def writing(text, name="trace.csv"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return writing


def test_an_invocation_with_an_end_and_a_duration_came_at_the_difference(write):
    assert [each.at_s for each in read_trace(write(AZURE_2021))] == [0.5, 3.0, 8.5]


def test_dates_with_seven_digits_are_read_also_compressed(write):
    first, second = read_trace(write(AZURE_LLM, "trace.csv.gz"))
    assert second.at_s - first.at_s == pytest.approx(0.052, abs=1e-5)
    assert first.columns["ContextTokens"] == "4808"


def test_plain_numbers_are_times(write):
    assert [each.at_s for each in read_trace(write("3\n1.5\n\n2e0\n", "times.txt"))] == [1.5, 2.0, 3.0]


def test_the_column_of_the_times_can_be_named(write):
    path = write("when,n\n4,1\n2,2\n")
    assert [each.at_s for each in read_trace(path, column="when")] == [2.0, 4.0]
    with pytest.raises(DataError, match="it has when, n"):
        read_trace(path)


def test_lines_are_chosen_by_the_beginning_of_function_or_app(write):
    path = write(AZURE_2021)
    assert len(read_trace(path, function="f1")) == 2
    assert len(read_trace(path, function="a2")) == 1
    with pytest.raises(DataError, match="no invocation of function 'f9'"):
        read_trace(path, function="f9")


def test_a_replay_begins_at_once_and_keeps_the_distances_at_its_speed(write):
    plan = replay(write(AZURE_2021), speed=10)
    assert [offset_ns / 1e9 for offset_ns in plan.offsets_ns] == pytest.approx([0, 0.25, 0.8])
    assert plan.offsets_ns[-1] < plan.duration_s * 1e9
    assert plan.settings["trace_s"] == 8.0


def test_a_replay_can_be_cut(write):
    plan = replay(write(AZURE_2021), duration_s=4)
    assert (len(plan), plan.duration_s) == (2, 4)


def test_a_body_takes_what_the_line_says(write):
    plan = replay(write(AZURE_2021), body='{"seconds": {{duration}}}')
    assert plan.bodies == [b'{"seconds": 1.0}', b'{"seconds": 2.0}', b'{"seconds": 0.5}']


def test_a_body_without_a_column_is_left_to_the_target(write):
    assert replay(write(AZURE_2021), body="{}").bodies is None


def test_a_body_that_names_an_unknown_column_is_refused(write):
    with pytest.raises(DataError, match="names the column 'size'"):
        replay(write(AZURE_2021), body="{{size}}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("time\nsoon\n", "line 2: 'soon' is neither"),
        ("1\ntwo\n", "line 2: 'two' is neither"),
        ("time\n", "no invocation"),
        ("end_timestamp,duration\n1.0\n", "line 2: None is neither"),
    ],
)
def test_what_is_no_trace_is_refused_with_its_line(write, text, message):
    with pytest.raises(DataError, match=message):
        read_trace(write(text))


def test_a_file_that_is_not_there_or_not_compressed_is_refused(tmp_path, write):
    with pytest.raises(DataError, match="No such file"):
        read_trace(tmp_path / "nowhere.csv")
    path = tmp_path / "plain.csv.gz"
    path.write_text("1\n2\n")
    with pytest.raises(DataError, match="gzip"):
        read_trace(path)


def test_a_speed_of_zero_is_refused(write):
    with pytest.raises(DataError, match="speed"):
        replay(write("1\n"), speed=0)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e300"])
def test_a_time_that_is_none_is_refused_with_its_line(write, text):
    with pytest.raises(DataError, match=r"times.txt, line 2: .* no time that can be waited for"):
        replay(write(f"1\n{text}\n2\n", "times.txt"))
