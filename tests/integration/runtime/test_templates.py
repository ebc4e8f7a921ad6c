"""Workers that are forked from a process that has loaded their handler."""

import asyncio
import json
import os
import select
import signal

import pytest

from skerry.errors import MemoryLimitError, StartError
from support.engine_process import Engine, wait_until, write_app
from support.real_pool import run_pool
from support.runtime_process import is_alive, open_files

WEIGHTS_BYTES = 60 << 20
ZYGOTE_AND_SPARE = 2
RUNTIME_BYTES = 12 << 20  # more than a worker holds for itself
APP = f"""
import random
import signal
import socket
import subprocess
import threading
from pathlib import Path

import numpy as np

app = skerry.App("templates")
folder = Path(__file__).parent

def note(name):
    with open(folder / name, "a") as file:
        file.write("x\\n")

def open_files():
    for number in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink("/proc/self/fd/" + number)
        except FileNotFoundError:
            continue  # the one that lists them

class Handler:
    def load(self):
        note("loads")
        if (folder / "fail").exists():
            raise RuntimeError("no weights here")
        if (folder / "die").exists():
            os._exit(3)
        if (folder / "hang").exists():
            time.sleep(600)
        if (folder / "thread").exists():
            threading.Thread(target=time.sleep, args=(600,), daemon=True, name="heartbeat").start()
        if (folder / "connection").exists():
            self.connection = socket.create_server(("127.0.0.1", 0))
        if (folder / "process").exists():
            self.process = subprocess.Popen(["sleep", "600"])
        if (folder / "thread that ends").exists():
            thread = threading.Thread(target=note, args=("thread",))
            thread.start()
            thread.join()
        self.weights = os.urandom({WEIGHTS_BYTES}) if (folder / "large").exists() else b"none"
        print("half a line", end="")

    def __call__(self, what=None):
        if what == "exit":
            os._exit(3)
        if what == "fill":
            self.more = bytearray({WEIGHTS_BYTES})
        if what == "hold":
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                pass
        numbers = [random.random(), float(np.random.random())]
        signals = [n for n in (15, 2) if signal.getsignal(n) in (signal.SIG_DFL, signal.SIG_IGN)]
        return {{"pid": os.getpid(), "size": len(self.weights), "numbers": numbers, "signals": signals,
            "session": os.getsid(0), "threads": len(os.listdir("/proc/self/task")),
            "sockets": sum(n.startswith("socket:") for n in open_files())}}

    def unload(self):
        note("unloads")

f = app.function(name="f", share_load=True)(Handler)

@app.function(name="tasks", share_load=True, concurrency=4)
class Tasks:
    def load(self):
        note("loads")
        self.base = 40

    async def __call__(self, x: int) -> int:
        import asyncio
        await asyncio.sleep(0)
        return self.base + x
"""


@pytest.fixture
def run(tmp_path):
    """Run a test's coroutine with a pool of the app above; files in ``tmp_path`` say what its load does."""
    file = write_app(tmp_path / "app.py", APP)
    return lambda test, **options: run_pool(test, file, tmp_path / "log", **options)


def count(folder, name):
    return len((folder / name).read_text().splitlines()) if (folder / name).exists() else 0


async def of_each_worker(place):
    """Call until every worker has answered; return an answer of each."""
    answers = {}
    while not answers.keys() >= set(place.pids()):
        answers |= {
            answer["pid"]: answer for answer in await asyncio.gather(*(place.call("hold") for _ in place.pids()))
        }
    return list(answers.values())


def test_what_was_loaded_is_in_memory_once_and_loaded_once(run, tmp_path):
    (tmp_path / "large").touch()

    async def test(place):
        await place.scale(1)
        await place.scale(4)
        assert all(answer["size"] == WEIGHTS_BYTES for answer in await of_each_worker(place))
        assert WEIGHTS_BYTES < place.pool.memory_bytes() < 1.5 * WEIGHTS_BYTES + 5 * RUNTIME_BYTES
        first, second, *_ = (detail["phases_ms"] for detail in place.happened("worker_ready"))
        assert second["load"] < first["load"] / 2
        assert set(first) == set(second) == {"fork", "confine", "import", "load"}
        assert len(place.happened("template_ready")) == 1

    run(test)
    assert count(tmp_path, "loads") == 1
    assert count(tmp_path, "unloads") == 4


def test_workers_of_a_template_are_as_those_of_a_zygote(run, tmp_path):
    async def test(place):
        await place.scale(3)
        first, second, third = await of_each_worker(place)
        assert len({number for answer in (first, second, third) for number in answer["numbers"]}) == 6
        for answer in (first, second, third):
            assert (answer["session"], answer["threads"], answer["signals"]) == (answer["pid"], 1, [])
            assert answer["sockets"] == 1  # the link, and nobody else's
            assert os.readlink(f"/proc/{answer['pid']}/cwd") == str(tmp_path)
            assert place.template not in (answer["pid"], None)

    run(test)
    assert (tmp_path / "log").read_text().count("half a line") == 1


def test_zero_workers_have_no_template_and_the_next_start_makes_one(run, tmp_path):
    async def test(place):
        await place.scale(2)
        first = place.template
        assert sum(place.pool.counts().values()) == 2
        await place.scale(0)
        await place.until(lambda: not is_alive(first))
        assert place.template is None
        assert place.pool.memory_bytes() == 0
        await place.scale(1)
        assert (await place.call())["pid"] in place.pids()
        assert place.template not in (first, None)

    run(test)
    assert count(tmp_path, "loads") == 2


def test_workers_outlive_their_template_and_the_next_start_makes_another(run, tmp_path):
    async def test(place):
        await place.scale(1)
        first = place.template
        os.kill(first, signal.SIGKILL)
        await place.until(lambda: place.happened("template_lost"))
        assert place.happened("worker_lost") == []
        assert (await place.call())["pid"] in place.pids()
        await place.scale(2)
        assert place.template not in (first, None)
        assert len({answer["pid"] for answer in await of_each_worker(place)}) == 2

    run(test)
    assert count(tmp_path, "loads") == 2


def test_a_template_that_died_unnoticed_is_replaced_by_the_order_that_finds_out(run, tmp_path):
    async def test(place):
        await place.scale(1)
        process = os.pidfd_open(place.template)
        os.kill(place.template, signal.SIGKILL)
        select.select([process], [], [], 20)  # the event loop learns nothing meanwhile
        os.close(process)
        await place.scale(2)
        assert place.happened("worker_lost") == []

    run(test)
    assert count(tmp_path, "loads") == 2


def test_a_worker_that_dies_is_replaced_from_the_same_template(run, tmp_path):
    async def test(place):
        await place.scale(2)
        template = place.template
        answer = await place.outcome("exit")
        assert answer.code == "worker_lost"
        await place.until(lambda: place.pool.counts()["ready"] == 2)
        assert place.template == template

    run(test)
    assert count(tmp_path, "loads") == 1


@pytest.mark.parametrize(
    ("how", "options", "reason"),
    [
        ("fail", {}, "RuntimeError while it loaded; see skerry logs f"),
        ("die", {}, "the template died while it loaded"),
        ("large", {"memory": "55MiB"}, "memory"),
    ],
)
def test_a_load_that_fails_is_one_failure_for_all_who_wait_and_tried_again_after_a_pause(
    run, tmp_path, how, options, reason
):
    (tmp_path / how).touch()

    async def test(place):
        place.pool.set_desired(2)
        await place.until(lambda: len(place.happened("worker_lost")) >= 3)
        error = place.pool.last_error
        assert isinstance(error, StartError)
        assert error.message.startswith("function 'f'")
        assert reason in error.message
        assert isinstance(await place.outcome(), StartError)
        (tmp_path / how).unlink()
        await place.until(lambda: place.pool.counts()["ready"] == 2)
        assert (await place.call())["pid"] in place.pids()

        assert count(tmp_path, "loads") == len(place.happened("worker_lost")) + 1

    run(test, **options)
    if how == "fail":
        assert "RuntimeError: no weights here" in (tmp_path / "log").read_text()


def test_a_load_that_takes_longer_than_start_timeout_is_ended_and_told(run, tmp_path):
    (tmp_path / "hang").touch()

    async def test(place):
        place.pool.set_desired(2)
        await place.until(lambda: (tmp_path / "loads").exists())
        template = place.template
        await place.until(lambda: place.happened("worker_lost"))
        assert "did not start within its start_timeout of 3s" in place.pool.last_error.message
        assert len(place.happened("worker_lost")) == 1
        (tmp_path / "hang").unlink()
        await place.until(lambda: not is_alive(template))
        await place.until(lambda: place.pool.counts()["ready"] == 2)

    run(test, start_timeout="3s")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("thread", "load leaves 1 threads running (heartbeat)"),
        ("connection", "load leaves a connection open"),
        ("process", "load leaves a process running"),
    ],
)
def test_a_load_that_cannot_be_forked_is_left_to_each_worker(run, tmp_path, how, reason, caplog):
    (tmp_path / how).touch()

    async def test(place):
        await place.scale(2)
        assert [detail["reason"][: len(reason)] for detail in place.happened("template_refused")] == [reason]
        assert place.happened("worker_lost") == []
        assert place.template is None
        assert len({answer["pid"] for answer in await of_each_worker(place)}) == 2
        await place.scale(0)
        await place.scale(1)

    run(test)
    assert count(tmp_path, "loads") == 4  # the template's, and one for each worker
    assert reason in (tmp_path / "log").read_text()
    assert reason in caplog.text


def test_a_thread_that_has_ended_is_no_obstacle(run, tmp_path):
    (tmp_path / "thread that ends").touch()

    async def test(place):
        await place.scale(1)
        assert place.template is not None

    run(test)


def test_async_handlers_get_an_event_loop_each(run, tmp_path):
    async def test(place):
        await place.scale(2)
        assert await asyncio.gather(*(place.call(x) for x in range(6))) == [40 + x for x in range(6)]

    run(test, name="tasks", concurrency=4)
    assert count(tmp_path, "loads") == 1


def test_memory_holds_for_what_a_worker_adds_to_what_it_shares(run, tmp_path):
    (tmp_path / "large").touch()

    async def test(place):
        await place.scale(2)
        for _ in range(2):
            assert all(answer["size"] == WEIGHTS_BYTES for answer in await of_each_worker(place))
        answers = [await place.outcome("fill") for _ in range(2)]
        codes = [
            answer.code if isinstance(answer, MemoryLimitError) else json.loads(answer.body)["code"]
            for answer in answers
        ]
        assert codes == ["memory_exceeded"] * 2

    # Room for one copy of the weights and the runtime, not for two copies.
    run(test, memory=f"{(WEIGHTS_BYTES >> 20) + 40}MiB")
    assert count(tmp_path, "loads") == 1


def test_a_pool_that_stops_while_its_template_loads_leaves_nothing(run, tmp_path):
    (tmp_path / "hang").touch()

    async def test(place):
        place.pool.set_desired(3)
        await place.until(lambda: (tmp_path / "loads").exists())

    run(test)  # and looks for what is left


def test_orders_that_are_not_wanted_any_more_end_the_load(run, tmp_path):
    (tmp_path / "hang").touch()

    async def test(place):
        place.pool.set_desired(2)
        await place.until(lambda: (tmp_path / "loads").exists())
        template = place.template
        await place.scale(0)
        await place.until(lambda: not is_alive(template))

    run(test)


def test_many_rounds_leave_no_descriptor_and_no_process(run):
    async def test(place):
        await place.scale(1)
        await place.scale(0)
        await place.until(lambda: len(place.kin()) == ZYGOTE_AND_SPARE)
        files = open_files(os.getpid())
        for _ in range(5):
            await place.scale(2)
            os.kill(place.template, signal.SIGKILL)
            await place.scale(3)
            await place.scale(0)
        await place.until(lambda: len(place.kin()) == ZYGOTE_AND_SPARE)
        await place.until(lambda: open_files(os.getpid()) <= files)

    run(test)


def test_the_bare_runtime_shares_the_load_and_leaves_nothing_when_it_is_killed(start_runtime, tmp_path):
    file = write_app(tmp_path / "app.py", APP)
    server = start_runtime(file, function="f", workers=3)
    wait_until(lambda: server.log().count("worker_ready") == 3)
    assert server.call("f", b"null").json()["size"] == 4
    assert count(tmp_path, "loads") == 1
    assert server.log().count("template_ready") == 1
    server.process.kill()
    wait_until(lambda: not server.processes())


def test_the_bare_runtime_ends_templates_when_it_stops(start_runtime, tmp_path):
    file = write_app(tmp_path / "app.py", APP)
    server = start_runtime(file)
    wait_until(lambda: server.log().count("worker_ready") == 2)
    server.terminate()
    assert server.wait() == 0
    wait_until(lambda: not server.processes())


def test_an_engine_deploys_serves_and_scales_to_zero_what_shares_its_load(tmp_path):
    source = APP.replace(
        "share_load=True)(Handler)", "share_load=True, scale=skerry.Scale(initial=0, window='1s', grace='0s'))(Handler)"
    )
    engine = Engine(tmp_path / "home").start()
    try:
        engine.deploy(write_app(tmp_path / "app.py", source))
        for starts in (1, 2):
            assert engine.call("f").json()["size"] == 4
            wait_until(lambda starts=starts: len(engine.events("f", "template_ready")) == starts)
            template = engine.events("f", "template_ready")[-1]["pid"]
            wait_until(lambda: not any(engine.function("f")["workers"].values()))
            wait_until(lambda template=template: template not in engine.processes())
        assert engine.events("f", "worker_lost") == []
    finally:
        engine.close()


def test_one_worker_that_has_nobody_to_share_with_has_no_template(tmp_path):
    source = APP.replace("share_load=True)(Handler)", "share_load=True, scale=skerry.Scale(max=1))(Handler)")
    engine = Engine(tmp_path / "home").start()
    try:
        engine.deploy(write_app(tmp_path / "app.py", source))
        assert engine.call("f").json()["size"] == 4
        assert engine.events("f", "worker_ready")
        assert engine.events("f", "template_ready") == []
    finally:
        engine.close()
