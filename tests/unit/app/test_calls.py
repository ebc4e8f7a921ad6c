from dataclasses import dataclass

import pytest

import skerry
from skerry.errors import HandlerError, InvalidPayloadError, JobNotReadyError
from skerry.platforms.base import Answer, JobRecord

app = skerry.App("calls")


@dataclass
class Report:
    name: str
    score: float


@app.function(idempotent=True)
def report(name: str, weight: float = 1.0) -> Report:
    if name == "bad":
        raise ValueError(name)
    return Report(name, weight * len(name))


@app.function
def hear(event: skerry.Event) -> str:
    return event.type


@pytest.fixture
def platform(in_process):
    return in_process(app)


def test_a_remote_call_returns_the_typed_result(platform):
    assert report.at(platform).remote("abc", weight=2.0) == Report("abc", 6.0)


def test_a_remote_call_takes_an_event(platform):
    event = skerry.Event(id="1", source="/here", type="seen")

    assert hear.at(platform).remote(event) == "seen"


def test_wrong_arguments_are_refused_before_anything_is_sent(platform):
    with pytest.raises(InvalidPayloadError, match="wrong arguments"):
        report.at(platform).remote("abc", height=2.0)
    assert platform.calls == []


def test_an_error_of_the_handler_is_a_typed_error(platform):
    with pytest.raises(HandlerError):
        report.at(platform).remote("bad")


def test_map_returns_errors_in_their_place_when_asked(platform):
    results = list(report.at(platform).map(["a", "bad", "ccc"], return_errors=True))

    assert [type(result).__name__ for result in results] == ["Report", "HandlerError", "Report"]


def test_map_raises_the_first_error_at_its_turn(platform):
    results = report.at(platform).map(["a", "bad", "ccc"])

    assert next(results) == Report("a", 1.0)
    with pytest.raises(HandlerError):
        next(results)


def test_a_cancelled_job_runs_again_and_one_that_has_succeeded_does_not(platform):
    job = report.at(platform).spawn("abc")
    first = job.result()
    assert job.cancel() == "cancelled"

    assert job.retry() == "succeeded"
    assert job.result() == first
    with pytest.raises(JobNotReadyError):
        job.retry()


def test_a_job_has_a_status_and_a_typed_result(platform):
    job = report.at(platform).spawn("abc")

    assert job.status() == "succeeded"
    assert job.result(timeout_s=1) == Report("abc", 3.0)
    assert job.record().function == "report"
    assert job.id in repr(job)


def test_a_job_is_waited_for_without_its_result(platform):
    job = report.at(platform).spawn("abc")

    assert job.wait() == "succeeded"
    platform.jobs[job.id][0] = "running"
    assert job.wait(timeout_s=0.01) == "running"


def test_a_cancelled_job_has_no_result(platform):
    job = report.at(platform).spawn("abc")

    assert job.cancel() == "cancelled"
    with pytest.raises(JobNotReadyError):
        job.result()


def test_a_spawn_that_waits_brings_the_result_of_a_short_job():
    class Waits:
        def submit(self, function, body, *, content_type, accept=None, options=None):
            assert options.wait_s == 2.0
            answer = Answer(b'{"name":"abc","score":5}', "application/json", {})
            return JobRecord(
                id="j", function=function, status="succeeded", submitted_at=1.0, ended_at=1.5, answer=answer
            )

        def invoke(self, *args, **options):
            raise AssertionError("nothing is asked for again")

        job = result = invoke

    job = report.at(Waits()).with_options(wait="2s").spawn("abc")
    assert (job.wait(), job.result(), job.told_s) == ("succeeded", Report("abc", 5.0), 0.5)
