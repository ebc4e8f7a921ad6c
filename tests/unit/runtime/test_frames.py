import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.runtime.frames import MAX_META_BYTES, MAX_TIME, Codec, FrameReader, Kind, encode_frame

PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.floats(allow_nan=False)
META = st.dictionaries(st.text(max_size=8), PLAIN | st.dictionaries(st.text(max_size=8), st.text()), max_size=4)
FRAMES = st.lists(
    st.tuples(
        st.sampled_from(Kind),
        st.integers(0, 2**32 - 1),
        st.sampled_from(Codec),
        META,
        st.binary(max_size=300),
        st.integers(0, MAX_TIME),
    ),
    max_size=8,
)


def encode(kind, number, codec, meta, body, time):
    return encode_frame(kind, number, body, codec=codec, meta=meta, time=time)


@given(FRAMES, st.lists(st.integers(1, 40), min_size=1, max_size=50))
def test_any_split_of_the_stream_gives_the_same_frames(frames, sizes):
    stream = b"".join(encode(*frame) for frame in frames)
    reader, found, at, turn = FrameReader(), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += reader.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert found == frames


def test_every_byte_alone_gives_the_frame():
    reader = FrameReader()
    stream = encode_frame(Kind.CALL, 7, b"body", codec=Codec.OTHER, meta={"content_type": "text/plain"})
    found = [frame for i in range(len(stream)) for frame in reader.feed(stream[i : i + 1])]
    assert found == [(Kind.CALL, 7, Codec.OTHER, {"content_type": "text/plain"}, b"body", 0)]


def test_a_frame_without_metadata_is_its_header_and_its_body():
    assert len(encode_frame(Kind.RESULT, 1, b"12345")) == 16 + 5


def test_metadata_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="frame too long"):
        encode_frame(Kind.CALL, 1, meta={"x": "y" * MAX_META_BYTES})
