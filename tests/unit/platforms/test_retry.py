import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import (
    DeadlineExceededError,
    HandlerError,
    InvalidPayloadError,
    QueueFullError,
    StartError,
    TransportError,
    UnavailableError,
    WorkerLostError,
    error_classes,
)
from skerry.platforms.http.retry import MAX_DELAY_S, MAX_LOST_WORKERS, retry_delay_s

NOT_SENT = TransportError("refused", sent=False)
SENT = TransportError("reset", sent=True)


def decide(error, *, headers=None, idempotent=False, attempt=1, waited_s=0.0, patience_s=60.0, left_s=None):
    return retry_delay_s(
        error,
        headers or {},
        idempotent=idempotent,
        attempt=attempt,
        waited_s=waited_s,
        patience_s=patience_s,
        left_s=left_s,
    )


@pytest.mark.parametrize("error", [QueueFullError("full"), UnavailableError("stopping")])
def test_a_full_or_stopping_server_is_obeyed(error):
    assert decide(error, headers={"retry-after": "3"}) == 3.0


def test_a_server_that_names_no_time_is_backed_off_from():
    assert decide(QueueFullError("full"), attempt=1) < decide(QueueFullError("full"), attempt=3) <= MAX_DELAY_S


def test_a_request_that_never_left_is_always_sent_again():
    assert decide(NOT_SENT) is not None


def test_a_lost_answer_is_asked_for_again_only_when_running_twice_is_harmless():
    assert decide(SENT) is None
    assert decide(SENT, idempotent=True) is not None
    assert decide(WorkerLostError("died")) is None
    assert decide(WorkerLostError("died"), idempotent=True) is not None


def test_a_request_that_keeps_killing_its_worker_is_given_up():
    assert decide(WorkerLostError("died"), idempotent=True, attempt=MAX_LOST_WORKERS) is None


@pytest.mark.parametrize("error", [HandlerError("bug"), InvalidPayloadError("bad"), StartError("no module")])
def test_what_would_fail_again_is_not_sent_again(error):
    assert decide(error, idempotent=True) is None


def test_patience_ends():
    assert decide(NOT_SENT, waited_s=59.99) is None
    assert decide(QueueFullError("full"), headers={"retry-after": "61"}) is None
    assert decide(NOT_SENT, patience_s=0) is None


@pytest.mark.parametrize("error", [QueueFullError("full"), UnavailableError("stopping")])
def test_no_wait_outlasts_the_deadline(error):
    assert decide(error, headers={"retry-after": "3"}, left_s=3.1) == 3.0
    assert decide(error, headers={"retry-after": "3"}, left_s=3.0) is None
    assert decide(NOT_SENT, left_s=0.01) is None
    assert decide(NOT_SENT, left_s=0.0) is None


@pytest.mark.parametrize("after", ["nan", "soon", "", "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_a_time_that_is_no_number_is_backed_off_from(after):
    assert decide(QueueFullError("full"), headers={"retry-after": after}) == decide(QueueFullError("full"))


def test_a_call_past_its_deadline_is_not_sent_again():
    assert decide(DeadlineExceededError("late"), headers={"retry-after": "1"}, idempotent=True) is None


@given(
    cls=st.sampled_from(sorted(error_classes(), key=lambda c: c.__name__)),
    idempotent=st.booleans(),
    attempt=st.integers(1, 10_000),
    waited_s=st.floats(0, 100),
    patience_s=st.floats(0, 100),
    left_s=st.none() | st.floats(0, 100),
    after=st.one_of(st.none(), st.floats(-5, 500).map(str), st.just("nan"), st.text(max_size=5)),
)
def test_the_waiting_is_positive_and_never_exceeds_the_patience(
    cls, idempotent, attempt, waited_s, patience_s, left_s, after
):
    delay_s = decide(
        cls("x"),
        headers={} if after is None else {"retry-after": after},
        idempotent=idempotent,
        attempt=attempt,
        waited_s=waited_s,
        patience_s=patience_s,
        left_s=left_s,
    )

    assert delay_s is None or (delay_s > 0 and waited_s + delay_s <= patience_s)
    assert delay_s is None or left_s is None or delay_s < left_s
