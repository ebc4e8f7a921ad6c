from types import SimpleNamespace

import pytest

from skerry.errors import from_problem
from skerry.runtime import verdicts
from skerry.spec import FunctionSpec

SPEC = FunctionSpec(name="f", timeout="2s")


@pytest.mark.parametrize(
    ("verdict", "status", "said"),
    [
        (
            verdicts.lost(SPEC, SimpleNamespace(attempts=1), "exit status 3"),
            502,
            ["'f'", "exit status 3; tried once", "not marked idempotent"],
        ),
        (verdicts.over_time(SPEC, waiting=0), 504, ["'f'", "2s", "replaced"]),
        (verdicts.over_time(SPEC, waiting=1), 504, ["'f'", "2s", "1 more waited", "calls itself", "scale.max"]),
        (verdicts.waited_too_long(SPEC), 504, ["'f'", "2s", "not run"]),
        (verdicts.past_deadline(SPEC, ran=False), 504, ["'f'", "not run"]),
        (verdicts.past_deadline(SPEC, ran=True), 504, ["'f'", "while it ran"]),
    ],
)
def test_callers_are_told_what_happened_to_what_and_what_was_done(verdict, status, said):
    assert verdict.http_status == status
    assert all(words in verdict.message for words in said)


@pytest.mark.parametrize(("attempts", "said"), [(2, "tried twice"), (4, "tried 4 times")])
def test_an_idempotent_call_is_told_how_often_it_was_tried_and_no_hint(attempts, said):
    spec = FunctionSpec(name="f", idempotent=True)
    verdict = verdicts.lost(spec, SimpleNamespace(attempts=attempts), "exit status 3")
    assert said in verdict.message
    assert "idempotent" not in verdict.message


def test_a_call_that_somebody_has_tried_again_is_not_told_that_it_was_not_run_again():
    message = verdicts.lost(SPEC, SimpleNamespace(attempts=3), "exit status 3").message
    assert "tried 3 times" in message
    assert "idempotent" not in message


@pytest.mark.parametrize("ran", [True, False])
def test_whether_the_work_was_run_is_told_for_programs(ran):
    verdict = verdicts.past_deadline(SPEC, ran=ran)
    assert verdict.details["ran"] is ran
    assert verdict.retryable is not ran
    assert from_problem(verdict.to_problem()).retryable is not ran
