import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from skerry.engine.records import (
    AppRecord,
    EventRecord,
    Events,
    JobRequest,
    JobResult,
    JobStatus,
    Records,
    RevisionDraft,
    checkpoints,
)
from skerry.engine.records.schema import MIGRATIONS, Database
from skerry.errors import (
    ConfigError,
    FunctionNotFoundError,
    HandlerError,
    InternalError,
    JobNotFoundError,
    JobNotReadyError,
    NameTakenError,
    UnavailableError,
)

NEWS = AppRecord(
    name="news",
    target="/home/ada/news.py:app",
    source_digest="s1",
    source={"digest": "s1", "file": "news.py"},
    environment_digest="engine",
    requirements=("packaging>=24",),
    imports=("numpy",),
)
REQUEST = JobRequest(content_type="application/json", body=b"[1]", headers={"traceparent": "00-1"})
RESULT = JobResult(content_type="application/json", body=b"2", headers={"x-extra": "1"})

SUBMITTER = """
import sys
from pathlib import Path
from skerry.engine.records import JobRequest, JobResult, Records
records = Records(Path(sys.argv[1]))
number = 0
while True:
    job = f"job-{number}"
    records.jobs.submit(job, "train", JobRequest(content_type="text/plain", body=job.encode() * 500), now_s=number)
    print("accepted", job, flush=True)
    if number % 2:
        records.jobs.start(job, run="r", now_s=number)
        records.jobs.succeed(job, JobResult(content_type="text/plain", body=job.encode()), now_s=number)
        print("succeeded", job, flush=True)
    number += 1
"""


def draft(function="train", **values):
    return RevisionDraft(function=function, spec={"memory": "1GiB"}, schema={"input": {}}, **values)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "records.sqlite3"


@pytest.fixture
def records(path):
    with Records(path) as records:
        yield records


def names(revisions):
    return [revision.name for revision in revisions]


class TestSchema:
    def test_a_newer_file_is_refused_and_left_as_it_is(self, path):
        Records(path).close()
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        connection.close()
        with pytest.raises(ConfigError, match="a newer one wrote them; upgrade Skerry"):
            Records(path)

    def test_an_older_file_is_brought_forward_with_what_it_holds(self, path):
        with Records(path) as records:
            records.jobs.submit("j", "train", REQUEST, now_s=1)
        further = (*MIGRATIONS, ("ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 7",))
        for _ in range(2):
            database = Database(path, migrations=further)
            assert database.row("SELECT id, priority FROM jobs")[:] == ("j", 7)
            database.close()

    def test_a_migration_that_fails_changes_nothing(self, path):
        Records(path).close()
        with pytest.raises(ConfigError, match="cannot be used"):
            Database(path, migrations=(*MIGRATIONS, ("CREATE TABLE extra (x)", "NONSENSE")))
        database = Database(path)
        assert database.row("SELECT 1 FROM sqlite_master WHERE name = 'extra'") is None
        database.close()

    def test_a_file_that_is_no_database_is_refused(self, path):
        path.write_bytes(b"not a database" * 100)
        with pytest.raises(ConfigError, match="move the file away"):
            Records(path)

    def test_a_file_that_cannot_be_opened_is_a_config_error(self, tmp_path):
        with pytest.raises(ConfigError, match="cannot be opened"):
            Records(tmp_path / "missing" / "records.sqlite3")

    def test_a_write_that_fails_changes_nothing_and_says_so(self, path):
        database = Database(path)
        database.rows("PRAGMA query_only = ON")
        with pytest.raises(UnavailableError, match="nothing was changed"), database.write() as connection:
            connection.execute("DELETE FROM jobs")
        database.close()

    def test_the_log_is_moved_beside_the_writer_and_a_long_one_is_begun_anew(self, path, records, monkeypatch):
        monkeypatch.setattr(checkpoints, "COMMITS", 8)
        monkeypatch.setattr(checkpoints, "MUCH_BYTES", 1)
        log, until_s = Path(f"{path}-wal"), time.monotonic() + 30
        number = 0
        while time.monotonic() < until_s:
            records.jobs.submit(f"j{number}", "train", replace(REQUEST, body=b"x" * 20_000), now_s=1)
            number += 1
            if 20_000 * number > 2 * log.stat().st_size and path.stat().st_size > 20_000 * number // 2:
                break
        assert time.monotonic() < until_s
        assert len(records.jobs.pending()) == number

    def test_two_connections_see_and_write_the_same_records(self, path, records):
        with Records(path) as other:
            records.jobs.submit("a", "train", REQUEST, now_s=1)
            assert other.jobs.get("a").status is JobStatus.QUEUED
            assert other.jobs.start("a", run="r", now_s=2) is not None
            assert records.jobs.start("a", run="r", now_s=2) is None

    def test_threads_and_connections_that_write_at_once_lose_nothing(self, path, records):
        with Records(path) as other:

            def write(target, prefix):
                for number in range(50):
                    target.jobs.submit(f"{prefix}-{number}", "train", REQUEST, now_s=number)

            jobs = [(records, "a"), (records, "b"), (other, "c"), (other, "d")]
            threads = [threading.Thread(target=write, args=job) for job in jobs]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(records.jobs.pending()) == 200


class TestApps:
    def test_a_first_deployment_makes_the_first_revisions(self, records):
        deployment = records.apps.deploy(NEWS, [draft("train", modules=("numpy",)), draft("infer")], now_s=5.0)
        assert deployment.changed
        assert names(deployment.active) == ["infer-00001", "train-00001"]
        assert deployment.app == replace(NEWS, deployed_at=5.0) == records.apps.get("news")
        revision = records.apps.function("train")
        assert (revision.app, revision.number, revision.created_at, revision.state) == ("news", 1, 5.0, "active")
        assert (revision.spec, revision.schema, revision.modules) == ({"memory": "1GiB"}, {"input": {}}, ("numpy",))

    def test_the_same_again_changes_nothing(self, records):
        first = records.apps.deploy(NEWS, [draft("train"), draft("infer")], now_s=5)
        again = records.apps.deploy(NEWS, [draft("infer"), draft("train")], now_s=6)
        assert not again.changed
        assert again.active == first.active
        assert again.app.deployed_at == 5

    def test_other_modules_to_preload_are_noted_without_a_new_revision(self, records):
        records.apps.deploy(NEWS, [draft()], now_s=5)
        assert not records.apps.deploy(NEWS, [draft(modules=("scipy",))], now_s=6).changed
        assert records.apps.function("train").modules == ("scipy",)

    def test_only_the_function_whose_options_changed_gets_a_revision(self, records):
        records.apps.deploy(NEWS, [draft("train"), draft("infer")], now_s=5)
        changed = replace(draft("train"), spec={"memory": "2GiB"})
        deployment = records.apps.deploy(NEWS, [changed, draft("infer")], now_s=6)
        assert names(deployment.active) == ["infer-00001", "train-00002"]
        assert names(deployment.created) == ["train-00002"]
        assert names(deployment.retired) == ["train-00001"]
        assert [(r.name, r.state) for r in records.apps.history("train")] == [
            ("train-00002", "active"),
            ("train-00001", "retired"),
        ]

    @pytest.mark.parametrize(
        "change",
        [{"source_digest": "s2"}, {"environment_digest": "e2"}, {"imports": ()}, {"source": {"file": "other.py"}}],
    )
    def test_another_source_or_environment_makes_all_functions_new(self, records, change):
        records.apps.deploy(NEWS, [draft("train"), draft("infer")], now_s=5)
        deployment = records.apps.deploy(replace(NEWS, **change), [draft("train"), draft("infer")], now_s=6)
        assert names(deployment.active) == ["infer-00002", "train-00002"]

    def test_a_function_gone_from_the_app_is_retired_and_its_name_is_free(self, records):
        records.apps.deploy(NEWS, [draft("train"), draft("infer")], now_s=5)
        assert names(records.apps.deploy(NEWS, [draft("infer")], now_s=6).retired) == ["train-00001"]
        with pytest.raises(FunctionNotFoundError):
            records.apps.function("train")
        other = records.apps.deploy(replace(NEWS, name="sport"), [draft("train")], now_s=7)
        assert names(other.active) == ["train-00002"]

    def test_a_name_of_another_app_is_refused_and_nothing_changes(self, records):
        records.apps.deploy(NEWS, [draft("train")], now_s=5)
        with pytest.raises(NameTakenError, match="app 'news' owns this name") as caught:
            records.apps.deploy(replace(NEWS, name="sport"), [draft("infer"), draft("train")], now_s=6)
        assert caught.value.details == {"function": "train", "owner": "news"}
        assert [app.name for app in records.apps.all()] == ["news"]
        assert names(records.apps.active()) == ["train-00001"]

    def test_a_name_given_twice_is_refused(self, records):
        with pytest.raises(ConfigError, match="twice"):
            records.apps.deploy(NEWS, [draft(), draft()], now_s=5)

    def test_a_removed_app_leaves_free_names_that_count_on(self, records):
        records.apps.deploy(NEWS, [draft()], now_s=5)
        assert names(records.apps.remove("news")) == ["train-00001"]
        assert records.apps.active() == records.apps.all() == ()
        with pytest.raises(FunctionNotFoundError, match="no app 'news'"):
            records.apps.remove("news")
        with pytest.raises(FunctionNotFoundError, match="no app 'news'"):
            records.apps.get("news")
        assert names(records.apps.deploy(NEWS, [draft()], now_s=6).active) == ["train-00002"]

    def test_everything_is_there_after_reopening(self, path):
        with Records(path) as records:
            records.apps.deploy(NEWS, [draft()], now_s=5)
        with Records(path) as records:
            assert names(records.apps.active("news")) == ["train-00001"]
            assert records.apps.active("sport") == ()

    def test_retired_revisions_are_kept_up_to_a_bound(self, records):
        for number in range(60):
            records.apps.deploy(replace(NEWS, source_digest=f"s{number}"), [draft()], now_s=number)
        assert [revision.number for revision in records.apps.history("train")] == list(range(60, 9, -1))


class TestJobs:
    def test_a_job_goes_from_queued_over_running_to_its_result(self, records):
        jobs = records.jobs
        assert jobs.submit("j", "train", REQUEST, now_s=1.5).to_dict() == {
            "id": "j",
            "function": "train",
            "status": "queued",
            "attempts": 0,
            "submitted_at": 1.5,
            "started_at": None,
            "ended_at": None,
            "error": None,
        }
        assert jobs.request("j") == REQUEST
        started = jobs.start("j", run="run-1", now_s=2)
        assert (started.status, started.attempts, started.run, started.started_at) == ("running", 1, "run-1", 2)
        with pytest.raises(JobNotReadyError, match="is running: ask again"):
            jobs.result("j")
        assert jobs.succeed("j", RESULT, now_s=3)
        assert jobs.result("j") == RESULT
        assert (jobs.get("j").status, jobs.get("j").ended_at) == ("succeeded", 3)
        with pytest.raises(JobNotFoundError, match="no request of job 'j' any more"):
            jobs.request("j")

    def test_a_job_may_be_started_with_its_submission(self, records):
        record = records.jobs.submit("j", "train", REQUEST, now_s=1, run="r")
        assert (record.status, record.attempts, record.run, record.started_at) == ("running", 1, "r", 1)
        assert records.jobs.start("j", run="r", now_s=2) is None
        assert [job.id for job in records.jobs.recover(lambda _: True, now_s=3).requeued] == ["j"]
        assert records.jobs.start("j", run="s", now_s=4).attempts == 2

    def test_a_failed_job_raises_its_error_again(self, records):
        records.jobs.submit("j", "train", REQUEST, now_s=1)
        records.jobs.start("j", run="r", now_s=2)
        assert records.jobs.fail("j", HandlerError("it broke", error_id="e1", where=Path("/x")), now_s=3)
        with pytest.raises(HandlerError, match="it broke") as caught:
            records.jobs.result("j")
        assert caught.value.details == {"error_id": "e1", "where": "/x"}
        assert records.jobs.get("j").to_dict()["error"]["code"] == "handler_failed"

    def test_a_cancelled_job_is_not_started_and_has_no_result(self, records):
        records.jobs.submit("j", "train", REQUEST, now_s=1)
        assert records.jobs.cancel("j", now_s=2)
        assert records.jobs.start("j", run="r", now_s=3) is None
        assert not records.jobs.cancel("j", now_s=4)
        with pytest.raises(JobNotReadyError, match="is cancelled: it has no result"):
            records.jobs.result("j")

    @pytest.mark.parametrize("ended", ["failed", "cancelled"])
    def test_a_job_that_failed_or_was_cancelled_is_queued_again_with_its_request(self, records, ended):
        jobs, request = records.jobs, replace(REQUEST, urgency=1, weight=2.5, group="g")
        jobs.submit("j", "train", request, now_s=1)
        jobs.submit("k", "train", REQUEST, now_s=1)
        jobs.start("j", run="r", now_s=2)
        assert jobs.fail("j", HandlerError("no"), now_s=3) if ended == "failed" else jobs.cancel("j", now_s=3)

        again = jobs.retry("j")

        assert (again.status, again.attempts, again.attempts_before) == ("queued", 1, 1)
        assert (again.submitted_at, again.ended_at, again.error) == (1, None, None)
        assert jobs.request("j") == request
        assert [job.id for job in jobs.pending()] == ["j", "k"]
        assert jobs.start("j", run="r", now_s=4).attempts == 2
        assert jobs.succeed("j", RESULT, now_s=5)
        assert jobs.result("j") == RESULT

    def test_a_job_that_has_not_failed_is_not_retried_and_the_message_says_what_to_do(self, records):
        jobs = records.jobs
        jobs.submit("j", "train", REQUEST, now_s=1)
        with pytest.raises(JobNotReadyError, match="is queued and cannot be retried: it will run by itself"):
            jobs.retry("j")
        jobs.start("j", run="r", now_s=2)
        with pytest.raises(JobNotReadyError, match=r"is running .*: wait for its end, or cancel it first"):
            jobs.retry("j")
        jobs.succeed("j", RESULT, now_s=3)
        with pytest.raises(JobNotReadyError, match=r"is succeeded .*: read its result") as caught:
            jobs.retry("j")
        assert caught.value.details["job_status"] == "succeeded"
        with pytest.raises(JobNotFoundError):
            jobs.retry("none")
        assert jobs.get("j").attempts == 1

    def test_it_is_known_of_a_job_whether_its_function_was_local_unless_it_is_older(self, tmp_path):
        path = tmp_path / "records.sqlite3"
        database = Database(path, migrations=MIGRATIONS[:7])
        with database.write() as connection:
            connection.execute(
                "INSERT INTO jobs (id, function, status, attempts, submitted_at) "
                "VALUES ('old', 'train', 'queued', 0, 1)"
            )
        database.close()

        with Records(path) as records:
            records.jobs.submit("a", "train", REQUEST, now_s=1, local=True)
            records.jobs.submit("b", "train", REQUEST, now_s=1)
            assert [records.jobs.get(job).local for job in ("old", "a", "b")] == [None, True, False]
            records.jobs.mark_local("b")
            assert records.jobs.get("b").local

    def test_a_job_whose_request_an_older_version_threw_away_is_not_retried(self, path):
        database = Database(path, migrations=MIGRATIONS[:1])
        with database.write() as connection:
            connection.execute(
                "INSERT INTO jobs (id, function, status, attempts, submitted_at, ended_at) "
                "VALUES ('j', 'train', 'failed', 1, 1, 2)"
            )
        database.close()
        with Records(path) as records, pytest.raises(JobNotReadyError, match="its request is not kept any more"):
            records.jobs.retry("j")

    def test_the_newest_jobs_come_first_and_filtered(self, records):
        for job, function in (("a", "train"), ("b", "infer"), ("c", "train")):
            records.jobs.submit(job, function, REQUEST, now_s=1)
        records.jobs.start("a", run="r", now_s=2)

        def ids(**filters):
            return [job.id for job in records.jobs.newest(**filters)]

        assert ids() == ["c", "b", "a"]
        assert ids(limit=2) == ["c", "b"]
        assert ids(function="train") == ["c", "a"]
        assert ids(function="train", status=JobStatus.RUNNING) == ["a"]
        assert ids(status=JobStatus.FAILED) == []

    def test_unknown_jobs_are_not_found(self, records):
        for call in (records.jobs.get, records.jobs.result, records.jobs.request):
            with pytest.raises(JobNotFoundError):
                call("none")
        with pytest.raises(JobNotFoundError):
            records.jobs.cancel("none", now_s=1)
        assert not records.jobs.succeed("none", RESULT, now_s=1)

    def test_an_id_in_use_is_refused_and_the_first_job_stays(self, records):
        records.jobs.submit("j", "train", REQUEST, now_s=1)
        with pytest.raises(InternalError, match="in use"):
            records.jobs.submit("j", "infer", REQUEST, now_s=2)
        assert records.jobs.get("j").function == "train"

    def test_pending_jobs_come_in_order_and_a_requeued_one_keeps_its_place(self, records):
        for job, function in (("c", "train"), ("a", "infer"), ("b", "train")):
            records.jobs.submit(job, function, REQUEST, now_s=1)
        records.jobs.start("c", run="r", now_s=2)
        assert [job.id for job in records.jobs.pending()] == ["a", "b"]
        assert records.jobs.requeue("c")
        assert not records.jobs.requeue("c")
        assert [job.id for job in records.jobs.pending()] == ["c", "a", "b"]
        assert [job.id for job in records.jobs.pending("train")] == ["c", "b"]

    def test_recovery_repeats_what_may_run_twice_and_fails_the_rest(self, path):
        with Records(path) as records:
            for job, function in (("queued", "once"), ("again", "many"), ("lost", "once")):
                records.jobs.submit(job, function, REQUEST, now_s=1)
            for job in ("again", "lost"):
                records.jobs.start(job, run="old", now_s=2)
        with Records(path) as records:
            recovery = records.jobs.recover(lambda function: function == "many", now_s=9)
            assert [(job.id, job.status, job.attempts) for job in recovery.requeued] == [("again", "queued", 1)]
            assert [(job.id, job.status, job.ended_at) for job in recovery.failed] == [("lost", "failed", 9)]
            assert recovery.failed[0].error["code"] == "worker_lost"
            assert "not marked idempotent" in recovery.failed[0].error["detail"]
            assert [job.id for job in records.jobs.pending()] == ["queued", "again"]
            assert records.jobs.request("again") == REQUEST
            assert records.jobs.recover(lambda function: True, now_s=10).requeued == ()

    def test_purge_forgets_only_what_ended_before_the_retention(self, records):
        for number in range(3):
            records.jobs.submit(f"j{number}", "train", REQUEST, now_s=0)
        records.jobs.succeed("j0", RESULT, now_s=10)
        records.jobs.succeed("j1", RESULT, now_s=20)
        assert records.jobs.purge(now_s=86_415) == 1
        with pytest.raises(JobNotFoundError):
            records.jobs.result("j0")
        assert records.jobs.result("j1") == RESULT
        assert records.jobs.purge(now_s=1e9, retention_s=60) == 1
        assert [job.id for job in records.jobs.pending()] == ["j2"]

    @pytest.mark.parametrize("seed", range(6))
    def test_what_was_accepted_or_answered_is_there_after_a_kill(self, path, seed):
        lines = random.Random(seed).randrange(1, 400)
        with subprocess.Popen(
            [sys.executable, "-c", SUBMITTER, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            said = [process.stdout.readline() for _ in range(lines)]
            process.kill()
            said += process.stdout.readlines()
        said = [line.split() for line in said if line.endswith("\n")]
        with Records(path) as records:
            for word, job in said:
                if word == "succeeded":
                    assert records.jobs.result(job).body == job.encode()
                elif not records.jobs.get(job).status.ended:
                    assert records.jobs.request(job).body == job.encode() * 500
            assert len(said) >= lines


class TestEvents:
    def test_events_come_back_in_order_and_filtered(self, records):
        for at, function, kind in ((1.0, "train", "deployed"), (2.0, "infer", "deployed"), (3.0, "train", "scaled")):
            records.events.add(EventRecord(at=at, function=function, kind=kind, detail={"to": 2}))
        assert [event.at for event in records.events.list()] == [1.0, 2.0, 3.0]
        assert [event.kind for event in records.events.list("train")] == ["deployed", "scaled"]
        assert [event.at for event in records.events.list(since_s=2.0)] == [2.0, 3.0]
        assert [event.at for event in records.events.list(limit=1)] == [3.0]
        assert records.events.list("train", since_s=3.0)[0].to_dict() == {
            "at": 3.0,
            "function": "train",
            "kind": "scaled",
            "to": 2,
        }

    def test_each_function_keeps_its_newest_events(self, path):
        database = Database(path)
        events = Events(database, kept=5)
        events.add(EventRecord(at=0, function="infer", kind="deployed", detail={}))
        for number in range(12):
            events.add(EventRecord(at=number, function="train", kind="scaled", detail={}))
        assert [event.at for event in events.list("train")] == [7, 8, 9, 10, 11]
        assert len(events.list("infer")) == 1
        database.close()


class JobMachine(RuleBasedStateMachine):
    """Random calls against real records, compared with a plain model of what must be true."""

    jobs = Bundle("jobs")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "records.sqlite3"
        self.records = Records(self.path)
        self.now_s = 0.0
        self.model = {}

    def teardown(self):
        self.records.close()
        self.folder.cleanup()

    def is_in(self, job, *statuses):
        return job in self.model and self.model[job]["status"] in statuses

    def end(self, job, status, done, body=None):
        assert done is self.is_in(job, "queued", "running")
        if done:
            self.model[job].update(status=status, ended_at=self.now_s, body=body)

    @rule(target=jobs, function=st.sampled_from(["once", "many"]))
    def submit(self, function):
        job = f"j{len(self.model)}-{self.now_s}"
        self.records.jobs.submit(job, function, JobRequest(content_type="t", body=job.encode()), now_s=self.now_s)
        self.model[job] = {"function": function, "status": "queued", "attempts": 0, "ended_at": None}
        self.now_s += 1
        return job

    @rule(job=jobs)
    def start(self, job):
        started = self.records.jobs.start(job, run="r", now_s=self.now_s)
        assert (started is not None) is self.is_in(job, "queued")
        if started is not None:
            self.model[job]["status"] = "running"
            self.model[job]["attempts"] += 1

    @rule(job=jobs)
    def requeue(self, job):
        done = self.records.jobs.requeue(job)
        assert done is self.is_in(job, "running")
        if done:
            self.model[job]["status"] = "queued"

    @rule(job=jobs, body=st.binary(max_size=4))
    def succeed(self, job, body):
        done = self.records.jobs.succeed(job, JobResult(content_type="t", body=body), now_s=self.now_s)
        self.end(job, "succeeded", done, body)

    @rule(job=jobs)
    def fail(self, job):
        self.end(job, "failed", self.records.jobs.fail(job, HandlerError("no"), now_s=self.now_s))

    @rule(job=jobs)
    def retry(self, job):
        if self.is_in(job, "failed", "cancelled"):
            self.records.jobs.retry(job)
            self.model[job].update(status="queued", ended_at=None)
        else:
            with pytest.raises((JobNotReadyError, JobNotFoundError)):
                self.records.jobs.retry(job)

    @rule(job=consumes(jobs))
    def cancel(self, job):
        if job in self.model:
            self.end(job, "cancelled", self.records.jobs.cancel(job, now_s=self.now_s))

    @rule()
    def restart(self):
        self.records.close()
        self.records = Records(self.path)
        self.records.jobs.recover(lambda function: function == "many", now_s=self.now_s)
        for values in self.model.values():
            if values["status"] == "running" and values["function"] == "many":
                values["status"] = "queued"
            elif values["status"] == "running":
                values.update(status="failed", ended_at=self.now_s)

    @rule(retention_s=st.integers(0, 5))
    def purge(self, retention_s):
        self.now_s += 1
        old = {
            job
            for job, values in self.model.items()
            if values["ended_at"] is not None and values["ended_at"] < self.now_s - retention_s
        }
        assert self.records.jobs.purge(now_s=self.now_s, retention_s=retention_s) == len(old)
        for job in old:
            del self.model[job]

    @invariant()
    def records_agree_with_the_model(self):
        jobs = self.records.jobs
        queued = [job for job, values in self.model.items() if values["status"] == "queued"]
        assert [record.id for record in jobs.pending()] == queued
        for job, values in self.model.items():
            record = jobs.get(job)
            assert (record.status, record.attempts, record.ended_at) == (
                values["status"],
                values["attempts"],
                values["ended_at"],
            )
            if values["status"] == "succeeded":
                assert jobs.result(job).body == values["body"]
            else:
                assert jobs.request(job).body == job.encode()
            if record.status.ended:
                assert [other.id for other in jobs.newest(status=record.status, limit=1000)].count(job) == 1


TestJobMachine = JobMachine.TestCase
TestJobMachine.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


def test_what_a_rollback_goes_back_to(tmp_path):
    def deploy(records, source, *, environment="engine", sources=None, names=("read",)):
        app = replace(NEWS, source_digest=source, environment_digest=environment, event_sources=sources or {})
        drafts = [RevisionDraft(function=name, spec={"timeout": 1}, schema={}) for name in names]
        records.apps.deploy(app, drafts, now_s=float(source[1:]))

    with Records(tmp_path / "records.sqlite") as records:
        deploy(records, "s1")
        with pytest.raises(ConfigError, match="nothing to go back to"):
            records.apps.before("read")
        deploy(records, "s2", sources={"m": {"url": "old"}})
        deploy(records, "s2", environment="newer", sources={"m": {"url": "old"}})  # the same, after an upgrade
        assert records.apps.before("read").app.source_digest == "s1"
        deploy(records, "s2", environment="newer", sources={"m": {"url": "new"}})  # no revision of its own
        assert records.apps.before("read").app.event_sources == {"m": {"url": "old"}}
        deploy(records, "s3", names=("write",))
        earlier = records.apps.before("read")  # which is there no more
        assert (earlier.app.source_digest, earlier.app.event_sources) == ("s2", {"m": {"url": "new"}})
        assert [(one.number, one.app.source_digest) for one in records.apps.kept("read")] == [
            (4, "s3"),
            (3, "s2"),
            (2, "s2"),
            (1, "s1"),
        ]
        records.apps.deploy(earlier.app, earlier.drafts, now_s=9.0, back_to=earlier.number)
        assert records.apps.before("read").app.event_sources == {"m": {"url": "old"}}
        assert records.apps.source_digests() == {"s1", "s2"}
        with pytest.raises(FunctionNotFoundError):
            records.apps.before("nobody")
        first = records.apps.kept("read")[-1]
        records.apps.deploy(first.app, first.drafts, now_s=10.0, back_to=first.number)
        assert [one.number for one in records.apps.kept("read")] == [1]


def test_what_an_older_skerry_has_deployed_can_be_gone_back_to(tmp_path):
    path = tmp_path / "records.sqlite"
    drafts = [RevisionDraft(function="read", spec={"timeout": 1}, schema={}, modules=("numpy",))]
    with Records(path) as records:
        records.apps.deploy(NEWS, drafts, now_s=5.0)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM deployments")
    connection.close()

    with Records(path) as records:
        records.apps.deploy(replace(NEWS, source_digest="s2"), drafts, now_s=6.0)
        earlier = records.apps.before("read")
    assert (earlier.app.source_digest, earlier.app.requirements, earlier.deployed_at) == ("s1", NEWS.requirements, 5.0)
    assert earlier.drafts == tuple(drafts)
