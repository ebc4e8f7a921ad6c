import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.observe import TraceContext, parse_traceparent
from skerry.observe.trace_context import MAX_STATE_CHARACTERS, is_unsampled

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEX = "0123456789abcdef"


def ids(digits):
    return st.text(HEX, min_size=digits, max_size=digits).filter(lambda text: text.strip("0"))


CONTEXTS = st.builds(TraceContext, ids(32), ids(16), st.integers(0, 3))


@given(CONTEXTS, st.text(max_size=20))
def test_what_is_written_is_read(context, state):
    assert parse_traceparent(context.traceparent, state) == context._replace(state=state)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-011",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"0g-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-0G",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}a-{SPAN}-01",
        f"00_{TRACE}_{SPAN}_01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"cc-{TRACE}-{SPAN}-01more",
        f"cc-{TRACE}-{SPAN}-0",
    ],
)
def test_what_the_standard_forbids_is_not_read(text):
    assert parse_traceparent(text) is None


@pytest.mark.parametrize("more", ["", "-", "-what-the-future-will-be-like"])
def test_a_later_version_is_read_by_its_first_four_fields(more):
    assert parse_traceparent(f"cc-{TRACE}-{SPAN}-01{more}") == TraceContext(TRACE, SPAN, 1)


@pytest.mark.parametrize(("flags", "kept"), [("00", 0), ("01", 1), ("02", 2), ("09", 1), ("ff", 3)])
def test_unknown_flags_are_not_passed_on(flags, kept):
    context = parse_traceparent(f"00-{TRACE}-{SPAN}-{flags}")
    assert context.flags == kept
    assert context.is_sampled == bool(kept & 1)


def test_a_child_stays_in_the_trace():
    parent = TraceContext(TRACE, SPAN, 3, "congo=1")
    assert parent.child("a" * 16) == TraceContext(TRACE, "a" * 16, 3, "congo=1")


def test_a_very_long_tracestate_is_dropped():
    assert parse_traceparent(f"00-{TRACE}-{SPAN}-01", "x" * (MAX_STATE_CHARACTERS + 1)).state == ""


@given(CONTEXTS.map(lambda context: context.traceparent) | st.from_regex(r"[0c]{2}-0*[0-9a-f-]{0,60}", fullmatch=True))
def test_the_short_cut_for_unsampled_traces_says_what_the_parser_says(text):
    context = parse_traceparent(text)
    expected = context is not None and not context.is_sampled and text.startswith("00-")
    assert is_unsampled(text.encode()) == expected
