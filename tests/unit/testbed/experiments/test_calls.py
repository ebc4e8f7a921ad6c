import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.testbed.experiments.calls import TimedCall, measure_together, read_server_timing, split_phases
from skerry.testbed.experiments.measures import PHASES

short = st.floats(0, 100)


@given(short, short, short, short, st.floats(0, 5), st.floats(0, 5), st.floats(0, 5), st.floats(0, 5))
def test_phases_sum_up_to_the_time_between(encode, wait, body, decode, queue, start, handler, more):
    said = {"total": queue + start + handler + more, "queue": queue, "start": start, "handler": handler}
    moments = [7.0]
    for step in (encode, wait, body, decode):
        moments.append(moments[-1] + step)
    phases = split_phases(*moments, said)
    assert tuple(phases) == PHASES
    assert sum(phases.values()) == pytest.approx(moments[-1] - moments[0], abs=1e-9)
    assert all(phases[name] >= 0 for name in PHASES if name != "other_s")


def test_the_network_is_what_the_site_does_not_account_for():
    said = {"total": 3.0, "queue": 0.5, "start": 0.25, "handler": 2.0}
    phases = split_phases(0.0, 0.1, 4.1, 4.3, 4.4, said)
    assert phases == pytest.approx(
        {
            "encode_s": 0.1,
            "upload_s": 1.0,
            "queue_s": 0.5,
            "cold_start_s": 0.25,
            "compute_s": 2.0,
            "download_s": 0.2,
            "other_s": 0.35,
        }
    )


def test_the_header_is_read_in_seconds():
    header = "total;dur=1234.500, queue;dur=0.100, start;dur=0.000, handler;dur=1200.000"
    assert read_server_timing(header) == {"total": 1.2345, "queue": 0.0001, "start": 0, "handler": 1.2}
    assert read_server_timing("") == {}


def test_calls_side_by_side_take_as_long_as_the_last_and_send_what_all_send():
    def one(began, ended, sent):
        phases = {**dict.fromkeys(PHASES, 0.0), "compute_s": ended - began}
        return TimedCall(
            value=None, began_s=began, ended_s=ended, phases=phases, bytes_sent=sent, bytes_received=5, site="s"
        )

    found = measure_together([one(1.0, 9.0, 100), one(1.5, 4.0, 50)], began_s=0.5, ended_s=9.25)
    assert found["response_time_s"] == 8.75
    assert found["compute_s"] == 8.0
    assert found["other_s"] == pytest.approx(0.75)
    assert (found["bytes_sent"], found["bytes_received"], found["calls"]) == (150, 10, 2)
    assert sum(found[phase] for phase in PHASES) == pytest.approx(found["response_time_s"])
