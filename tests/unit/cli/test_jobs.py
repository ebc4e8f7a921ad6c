"""`skerry jobs` against an engine that answers as the test says."""

import json
import time

import pytest
from click.testing import CliRunner

from skerry.cli.main import cli
from skerry.errors import HandlerError, JobNotFoundError, JobNotReadyError
from skerry.platforms import Answer, JobRecord

FAILED = JobRecord(
    id="f1",
    function="train",
    status="failed",
    attempts=2,
    submitted_at=10.0,
    started_at=20.0,
    ended_at=20.25,
    error={"code": "handler_failed", "detail": "it broke"},
)
QUEUED = JobRecord(id="q1", function="infer", status="queued", submitted_at=10.0)


class Engine:
    def __init__(self):
        self.asked = []
        self.found = [QUEUED, FAILED]
        self.answer = Answer(b'{"score":1}', "application/json", {})

    def jobs(self, **filters):
        self.asked.append(filters)
        return self.found

    def job(self, job):
        for record in self.found:
            if record.id == job:
                return record
        raise JobNotFoundError(f"there is no job {job!r}")

    def result(self, job, *, timeout_s=None):
        self.asked.append((job, timeout_s))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def cancel(self, job):
        return JobRecord(id=job, function="train", status="cancelled")

    def retry(self, job):
        if job == "q1":
            raise JobNotReadyError("job 'q1' is queued and cannot be retried: it will run by itself")
        return JobRecord(id=job, function="train", status="queued")

    def submit(self, name, body, **rest):
        self.asked.append((name, body, rest["content_type"]))
        return QUEUED


@pytest.fixture
def engine(monkeypatch):
    made = Engine()
    for module in ("jobs", "destination", "options"):
        monkeypatch.setattr(f"skerry.cli.{module}.connect", lambda *_, **__: made)
    return made


def test_jobs_are_a_table_or_json(engine, skerry_command):
    code, out, err = skerry_command("jobs", "list")

    head, queued, failed = [line.split() for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert head == ["ID", "FUNCTION", "STATUS", "ATTEMPTS", "SUBMITTED", "TOOK", "ERROR"]
    assert (queued[:4], queued[-1]) == (["q1", "infer", "queued", "0"], "-")
    assert (failed[:4], failed[-3:]) == (["f1", "train", "failed", "2"], ["250", "ms", "handler_failed"])
    listed = json.loads(skerry_command("jobs", "list", "--json")[1])
    assert [(job["id"], job["status"]) for job in listed] == [("q1", "queued"), ("f1", "failed")]
    assert engine.asked[0] == {"function": None, "status": None, "limit": 20}


def test_jobs_are_listed_by_function_status_and_number(engine, skerry_command):
    assert skerry_command("jobs", "list", "--function", "train", "--status", "failed", "--limit", "5")[0] == 0
    assert engine.asked == [{"function": "train", "status": "failed", "limit": 5}]
    for words in (("--status", "lost"), ("--limit", "0")):
        code, _, err = skerry_command("jobs", "list", *words)
        assert code == 2
        assert words[0] in err


def test_without_jobs_the_list_says_how_to_begin(engine, skerry_command):
    engine.found = []

    code, out, err = skerry_command("jobs", "list")

    assert (code, out) == (0, "")
    assert "skerry jobs submit" in err
    assert skerry_command("jobs", "list", "--json")[1] == "[]\n"


def test_the_status_of_a_job_is_shown_with_its_error(engine, skerry_command):
    _, out, _ = skerry_command("jobs", "status", "f1")

    shown = dict(line.split(":", 1) for line in out.splitlines())
    assert {key: value.strip() for key, value in shown.items() if key in ("status", "attempts", "took", "error")} == {
        "status": "failed",
        "attempts": "2",
        "took": "250 ms",
        "error": "it broke (handler_failed)",
    }
    assert json.loads(skerry_command("jobs", "status", "f1", "--json")[1])["ended_at"] == 20.25
    assert skerry_command("jobs", "status", "none") == (2, "", "error: there is no job 'none'\n")


def test_a_job_that_runs_has_taken_the_time_since_its_start(engine, skerry_command):
    engine.found = [JobRecord(id="r1", function="train", status="running", started_at=time.time() - 7200)]

    assert "took:      2 h" in skerry_command("jobs", "status", "r1")[1]


def test_a_result_is_printed_as_it_is(engine, skerry_command):
    assert skerry_command("jobs", "result", "j1") == (0, '{"score":1}\n', "")
    assert skerry_command("jobs", "result", "j1", "--wait", "2.5")[0] == 0
    assert engine.asked == [("j1", None), ("j1", 2.5)]

    engine.answer = Answer(b"\x01\x02", "application/octet-stream", {})
    assert skerry_command("jobs", "result", "j1")[1] == "\x01\x02"
    code, out, err = skerry_command("jobs", "result", "j1", "--json")
    assert (code, out) == (2, "")
    assert "not JSON" in err


def test_the_error_of_a_failed_job_is_that_of_the_command(engine, skerry_command):
    engine.answer = HandlerError("it broke")
    assert skerry_command("jobs", "result", "f1") == (1, "", "error: it broke\n")

    engine.answer = JobNotReadyError("job j1 has not ended within 2 s; it is running")
    assert skerry_command("jobs", "result", "j1", "--wait", "2")[0] == 2


def test_a_job_is_cancelled_and_retried(engine, skerry_command):
    assert skerry_command("jobs", "cancel", "f1") == (0, "cancelled\n", "")
    assert skerry_command("jobs", "retry", "f1") == (0, "queued\n", "")
    assert json.loads(skerry_command("jobs", "retry", "f1", "--json")[1])["id"] == "f1"
    code, _, err = skerry_command("jobs", "retry", "q1")
    assert code == 2
    assert "it will run by itself" in err


def test_a_job_is_submitted_as_by_invoke(engine, skerry_command, tmp_path):
    (tmp_path / "job.json").write_text("[1]")

    assert skerry_command("jobs", "submit", "infer", "--data", "@job.json") == (0, "q1\n", "")
    assert json.loads(skerry_command("jobs", "submit", "infer", "--json")[1])["id"] == "q1"
    assert engine.asked == [("infer", b"[1]", "application/json"), ("infer", b"", "application/json")]
    assert skerry_command("jobs", "submit", "infer", "--data", "no json")[0] == 2


def complete(*words):
    """Return what the shell is offered after some words, as `type,text`."""
    line = " ".join(("skerry", *words))
    variables = {"_SKERRY_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    return CliRunner().invoke(cli, prog_name="skerry", env=variables).stdout.split()


def test_the_shell_is_offered_the_jobs_that_a_command_can_do_something_about(engine):
    assert complete("jobs", "status", "") == ["plain,q1", "plain,f1"]
    assert complete("jobs", "status", "f") == ["plain,f1"]
    assert complete("jobs", "retry", "") == ["plain,f1"]
    assert complete("jobs", "cancel", "") == ["plain,q1"]


def test_the_shell_finds_the_file_of_a_target():
    for command in ("run", "deploy"):
        assert complete(command, "ap") == ["file,ap"]
