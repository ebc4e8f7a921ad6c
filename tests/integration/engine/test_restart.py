import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from support.engine_process import wait_until, write_app

APP = """
app = skerry.App("durable")

@app.function(scale=skerry.Scale(initial=0, max=2))
def double(x: int) -> int:
    return 2 * x

@app.function(scale=skerry.Scale(max=1))
def hold(path: str) -> str:
    open(path, "w").close()
    while os.path.exists(path):
        time.sleep(0.01)
    return "held"

@app.function(scale=skerry.Scale(max=1))
def leave(path: str) -> int:
    import subprocess
    program = subprocess.Popen(["sleep", "1000"])
    forked = os.fork()
    if forked == 0:
        time.sleep(1000)
    open(path, "w").write(f"{program.pid} {forked}")
    time.sleep(1000)
    return 0

@app.function(idempotent=True, scale=skerry.Scale(max=1))
def again(path: str) -> str:
    with open(path, "a") as file:
        file.write("x")
    while not os.path.exists(path + ".go"):
        time.sleep(0.01)
    return "once more"

@app.function(scale=skerry.Scale(max=1))
def late_failure(path: str) -> str:
    open(path, "w").close()
    while os.path.exists(path):
        time.sleep(0.01)
    raise skerry.UserError("after all, no")
"""


@pytest.fixture
def engine(make_engine, tmp_path):
    engine = make_engine()
    engine.start(write_app(tmp_path / "app.py", APP))
    return engine


def in_thread(call):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    return thread, answers


def test_a_stopping_engine_answers_what_it_has_and_leaves_no_process(engine, tmp_path):
    path = tmp_path / "running"
    thread, answers = in_thread(lambda: engine.call("hold", str(path)))
    wait_until(path.exists)

    engine.process.send_signal(signal.SIGTERM)
    time_to_answer = threading.Timer(0.5, path.unlink)
    time_to_answer.start()
    code = engine.process.wait(60)
    thread.join()

    assert code == 0
    assert [(answer.status, answer.json()) for answer in answers] == [(200, "held")]
    wait_until(lambda: not engine.processes())
    assert not (engine.home / "engine.sock").exists()
    assert not (engine.home / "engine.json").exists()


def test_a_client_can_stop_the_engine(engine):
    answer = engine.control("POST", "/engine/stop")

    assert answer.status == 202
    assert engine.process.wait(60) == 0


def test_a_stopping_engine_waits_for_an_old_revision_no_longer_than_for_others(engine, tmp_path):
    path = tmp_path / "running"
    thread, _ = in_thread(lambda: engine.call("hold", str(path)))
    wait_until(path.exists)
    engine.deploy(write_app(tmp_path / "app.py", APP + "\nchanged = True\n"))

    began = time.monotonic()
    code = engine.stop(within_s=30)
    thread.join()

    assert code == 0
    assert time.monotonic() - began < 20  # the function's own drain is 300 s


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_next_engine_serves_what_the_last_one_served(engine, tmp_path, end):
    before = {function["name"]: function["revision"] for function in engine.control("GET", "/functions").json()}
    engine.deploy(write_app(tmp_path / "app.py", APP.replace("2 * x", "3 * x")))
    path = tmp_path / "app.py"
    path.unlink()
    port = engine.port

    getattr(engine, end)()
    engine.start()

    after = {function["name"]: function["revision"] for function in engine.control("GET", "/functions").json()}
    assert before["double"] == "double-00001"
    assert after == {name: f"{name}-00002" for name in before}
    assert engine.port == port
    assert engine.call("double", 7).json() == 21
    assert [app["name"] for app in engine.control("GET", "/apps").json()] == ["durable"]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_jobs_outlive_the_engine(engine, tmp_path, end):
    finished = engine.submit("double", 4).json()["id"]
    assert engine.job_result(finished).json() == 8
    failed = engine.submit("double", "x").json()["id"]
    assert engine.job_result(failed).status == 422
    path = tmp_path / "runs"
    running = engine.submit("again", str(path)).json()["id"]
    wait_until(path.exists)
    queued = [engine.submit("again", str(path)).json()["id"] for _ in range(3)]
    once = tmp_path / "once"
    lost = engine.submit("hold", str(once)).json()["id"]
    wait_until(once.exists)

    getattr(engine, end)()
    (tmp_path / "runs.go").touch()
    engine.start()

    assert engine.job_result(finished).json() == 8
    assert (engine.job_result(failed).status, engine.job(failed)["status"]) == (422, "failed")
    assert [engine.job_result(job).json() for job in (running, *queued)] == ["once more"] * 4
    assert engine.job(running)["attempts"] == 2
    assert path.read_text() == "x" * 5
    # What may not run twice is not run twice: its fate is told instead.
    assert (engine.job_result(lost).status, engine.job_result(lost).code) == (502, "worker_lost")


def test_a_handler_that_fails_while_the_engine_stops_is_recorded_as_failed(engine, tmp_path):
    path = tmp_path / "running"
    job = engine.submit("late_failure", str(path)).json()["id"]
    wait_until(path.exists)

    engine.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not engine.home.joinpath("engine.sock").exists() or not _accepts(engine))
    path.unlink()
    assert engine.process.wait(60) == 0
    engine.start()

    assert (engine.job_result(job).code, engine.job(job)["attempts"]) == ("bad_request", 1)


def _accepts(engine):
    try:
        engine.tcp("GET", "/health/liveness", timeout=1)
    except OSError:
        return False
    return True


def test_a_second_engine_on_the_same_folder_is_refused(engine):
    done = subprocess.run(
        engine.command("--port", "0"), capture_output=True, text=True, timeout=120, env=engine.variables()
    )

    assert done.returncode == 2
    assert str(engine.pid) in done.stderr
    assert f"http://127.0.0.1:{engine.port}" in done.stderr
    assert "Traceback" not in done.stderr
    assert engine.call("double", 1).json() == 2
    assert engine.control("GET", "/engine").json()["pid"] == engine.pid


def test_a_port_in_use_is_told(engine, make_engine):
    other = make_engine("other")
    done = subprocess.run(
        other.command("--port", str(engine.port)), capture_output=True, text=True, timeout=120, env=other.variables()
    )

    assert done.returncode == 1
    assert str(engine.port) in done.stderr
    assert "Traceback" not in done.stderr


def test_an_app_that_cannot_be_deployed_at_the_start_ends_the_engine_with_its_traceback(make_engine, tmp_path):
    engine = make_engine()
    path = write_app(tmp_path / "app.py", "raise RuntimeError('no, thanks')")
    done = subprocess.run(
        engine.command("--port", "0", "--serve", str(path)),
        capture_output=True,
        text=True,
        timeout=120,
        env=engine.variables(),
    )

    assert done.returncode == 2
    assert "no, thanks" in done.stderr
    assert "raise RuntimeError" in done.stderr


def test_an_app_whose_copy_is_gone_keeps_no_other_from_being_served(engine, tmp_path):
    other = write_app(
        tmp_path / "other.py",
        """
        app = skerry.App("other")

        @app.function
        def other() -> str:
            return "here"
        """,
    )
    engine.deploy(other)
    engine.stop()
    for copy in (engine.home / "sources").iterdir():
        if (copy / "app.py").exists():
            os.unlink(copy / "app.py")

    engine.start()

    assert engine.call("other").json() == "here"
    assert engine.call("double", 1).status == 404
    assert "durable" in engine.stderr()


def test_a_killed_engine_takes_its_workers_with_it(engine, tmp_path):
    path = tmp_path / "running"
    thread, _ = in_thread(lambda: _ignoring(lambda: engine.call("hold", str(path))))
    wait_until(path.exists)

    engine.kill()
    thread.join()

    wait_until(lambda: not engine.processes(), what="the end of the workers")


def _ignoring(call):
    try:
        return call()
    except OSError:
        return None


def test_an_engine_that_is_stopped_during_a_deployment_ends(engine, tmp_path):
    begun = tmp_path / "begun"
    slow = write_app(
        tmp_path / "slow.py",
        f"""
        app = skerry.App("slow")

        @app.function
        class Slow:
            def load(self):
                open({str(begun)!r}, "w").close()
                time.sleep(600)

            def __call__(self) -> str:
                return ""
        """,
    )
    thread, _ = in_thread(lambda: _ignoring(lambda: engine.try_deploy(slow)))
    wait_until(begun.exists)

    assert engine.stop() == 0
    thread.join()

    wait_until(lambda: not engine.processes())
    engine.start()
    assert engine.call("double", 1).json() == 2
    assert engine.call("slow").status == 404


def test_an_engine_that_is_stopped_while_it_starts_ends(make_engine, tmp_path):
    engine = make_engine()
    begun = tmp_path / "begun"
    path = write_app(tmp_path / "app.py", f"open({str(begun)!r}, 'w').close()\ntime.sleep(600)\n")
    process = subprocess.Popen(
        engine.command("--port", "0", "--serve", str(path)), stderr=subprocess.DEVNULL, env=engine.variables()
    )
    try:
        wait_until(begun.exists)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not engine.processes())


def test_more_jobs_than_the_queue_holds_are_taken_up_again(engine, tmp_path):
    path = tmp_path / "runs"
    running = engine.submit("again", str(path)).json()["id"]
    wait_until(path.exists)
    queued = [engine.submit("again", str(path)).json()["id"] for _ in range(5)]
    engine.deploy(tmp_path / "app.py", flags=["again.queue=1"])

    engine.kill()
    (tmp_path / "runs.go").touch()
    engine.start()

    assert [engine.job_result(job).json() for job in (running, *queued)] == ["once more"] * 6


def test_what_handlers_of_a_killed_engine_had_started_is_ended_by_the_next_one(engine, tmp_path):
    path = tmp_path / "pids"
    engine.submit("leave", str(path))
    wait_until(lambda: path.exists() and len(path.read_text().split()) == 2)
    pids = [int(pid) for pid in path.read_text().split()]
    engine.kill()
    assert any(Path(f"/proc/{pid}").exists() for pid in pids)
    engine.start()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def hide_copies(engine):
    """Take the copies of all apps away, as somebody may who tidies up; return what brings them back."""
    sources = engine.home / "sources"
    hidden = sources.rename(engine.home / "hidden")
    return lambda: (sources.rmdir(), hidden.rename(sources))


def test_an_app_that_could_not_be_restored_is_served_after_its_next_deployment(engine, tmp_path):
    engine.stop()
    bring_back = hide_copies(engine)
    engine.start()
    assert engine.call("double", 1).status == 404
    bring_back()

    engine.deploy(tmp_path / "app.py")

    assert engine.call("double", 4).json() == 8
    assert engine.function("double")["revision"] == "double-00001"


def test_jobs_wait_for_a_function_that_could_not_be_restored(engine, tmp_path):
    path = tmp_path / "runs"
    running = engine.submit("again", str(path)).json()["id"]
    wait_until(path.exists)
    waiting = engine.submit("again", str(path)).json()["id"]
    engine.kill()
    (tmp_path / "runs.go").touch()
    bring_back = hide_copies(engine)

    engine.start()
    assert [engine.job(job)["status"] for job in (running, waiting)] == ["queued", "queued"]
    bring_back()
    engine.deploy(tmp_path / "app.py")

    assert [engine.job_result(job).json() for job in (running, waiting)] == ["once more"] * 2


def test_jobs_of_a_function_that_could_not_be_restored_fail_when_its_app_is_removed(engine, tmp_path):
    path = tmp_path / "runs"
    job = engine.submit("again", str(path)).json()["id"]
    wait_until(path.exists)
    engine.kill()
    hide_copies(engine)
    engine.start()
    assert engine.job(job)["status"] == "queued"

    engine.control("DELETE", "/apps/durable")

    assert (engine.job_result(job).status, engine.job(job)["status"]) == (404, "failed")


def test_an_app_whose_record_is_damaged_keeps_no_engine_from_starting(engine):
    engine.stop()
    with closing(sqlite3.connect(engine.home / "records.sqlite3")) as connection, connection:
        connection.execute("UPDATE apps SET source = '[]'")

    engine.start()

    assert engine.call("double", 1).status == 404
    assert "durable" in engine.stderr()


def test_an_engine_that_is_stopped_while_it_installs_libraries_ends_at_once(make_engine, tmp_path):
    """The index is a server that takes requests and never answers one."""
    with socket.create_server(("127.0.0.1", 0)) as index:
        silent = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        engine = make_engine(environment={"PIP_INDEX_URL": silent, "PIP_CONFIG_FILE": os.devnull}).start()
        path = write_app(
            tmp_path / "wants.py", 'app = skerry.App("wants", requirements=["skerry-test-no-such-library"])\n'
        )
        thread, _ = in_thread(lambda: _ignoring(lambda: engine.try_deploy(path)))
        index.settimeout(60)
        connection, _ = index.accept()
        began = time.monotonic()

        code = engine.stop(within_s=30)

        connection.close()
        thread.join()
    assert code == 0
    assert time.monotonic() - began < 15
    assert not engine.processes()


def test_an_engine_that_a_handler_starts_in_the_folder_of_the_one_before_spares_its_ancestors(engine):
    wrapper = [
        sys.executable,
        "-c",
        f"import subprocess, sys; sys.exit(subprocess.call({engine.command('--port', '0')!r}))",
    ]
    engine.stop()
    mark = {"SKERRY_SUPERVISED": str(engine.home / "engine.sock")}
    process = subprocess.Popen(
        wrapper, env={**engine.variables(), **mark}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout.readline().startswith(b"skerry engine: http://")
        assert process.poll() is None
        assert engine.control("POST", "/engine/stop").status == 202
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
