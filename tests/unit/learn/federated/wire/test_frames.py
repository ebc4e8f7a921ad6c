import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from skerry.learn.federated.wire import frames
from skerry.learn.federated.wire.frames import frame_pieces, read_frame, write_all, write_frame

PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.binary() | st.floats(allow_nan=False)


@given(st.dictionaries(st.text(), PLAIN | st.lists(PLAIN) | st.dictionaries(st.text(), PLAIN)), st.binary(max_size=20))
def test_a_value_comes_back_whatever_follows_it(value, rest):
    content = write_frame(value)
    assert read_frame(content + rest) == (value, len(content))


@given(
    arrays.arrays(
        st.sampled_from(["<f4", "<f8", ">f8", "u1", "<i8"]), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)
    )
)
def test_arrays_come_back_with_dtype_and_shape_to_the_last_bit(array):
    found = read_frame(write_frame({"array": array}))[0]["array"]
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.shape == array.shape
    assert found.tobytes() == array.astype(found.dtype).tobytes()
    found[...] = 0  # it may be changed


@given(st.data())
def test_a_part_of_a_frame_or_a_damaged_one_is_none(data):
    content = write_frame({"numbers": np.arange(5.0), "text": "abc"})
    assert read_frame(content[: data.draw(st.integers(0, len(content) - 1))]) is None
    place = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[place] ^= data.draw(st.integers(1, 255))
    assert read_frame(bytes(damaged)) is None


def test_what_is_long_is_not_copied_and_comes_back_too(tmp_path, monkeypatch):
    value = {"text": "abc", "reply": {"data": b"x" * 100_000, "none": None}, "array": np.arange(30_000, dtype=">f4")}
    pieces = frame_pieces(value)
    assert any(piece is value["reply"]["data"] for piece in pieces)
    path = tmp_path / "frame"
    for most in (1024, 2):  # the system may take a part only
        monkeypatch.setattr(frames, "_MOST_PIECES", most)
        with path.open("wb") as file:
            length = write_all(file.fileno(), pieces)
        found, end = read_frame(path.read_bytes())
        assert end == length == path.stat().st_size
        assert found.pop("array").tolist() == value["array"].tolist()
        assert found == {"text": "abc", "reply": value["reply"]}


def test_what_is_no_plain_value_is_not_written():
    with pytest.raises(TypeError, match="object cannot be kept"):
        write_frame({"a": object()})
