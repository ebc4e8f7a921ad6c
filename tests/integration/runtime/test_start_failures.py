"""Workers that cannot start."""

import os
import re
import signal
import time

import pytest

from support.engine_process import wait_until
from support.runtime_process import RuntimeProcess

APP = """
from pathlib import Path
app = skerry.App("broken")

@app.function
class Model:
    def load(self):
        if not Path(os.environ["CAUSE"]).exists():
            raise RuntimeError("no weights here")

    def __call__(self) -> str:
        return "fine"

@app.function
def other() -> str:
    return "fine"
"""


def test_a_function_that_cannot_load_is_refused_and_recovers(start_runtime, tmp_path):
    cause = tmp_path / "weights"
    server = start_runtime(APP, environment={"CAUSE": str(cause)})
    answer = wait_until(lambda: _refusal(server))
    assert (answer.status, answer.code) == (503, "start_failed")
    assert int(answer.headers["retry-after"]) >= 1
    assert b"no weights here" not in answer.body
    assert server.call("other", b"").json() == "fine"
    wait_until(lambda: len(_failures(server)) >= 5)
    pauses = [later - earlier for earlier, later in zip(_failures(server), _failures(server)[1:], strict=False)]
    assert pauses[3] > 0.6 > min(pauses[:3])  # 0.8 s after 0.1, 0.2 and 0.4
    assert "RuntimeError: no weights here" in server.log()
    cause.touch()
    wait_until(lambda: server.call("model", b"").status == 200)
    assert server.call("model", b"").json() == "fine"


def test_the_log_of_a_bare_runtime_says_whose_workers_start_and_fail(start_runtime, tmp_path):
    server = start_runtime(APP, environment={"CAUSE": str(tmp_path / "weights")})
    wait_until(lambda: "worker_ready" in server.log() and _failures(server))
    told = {tuple(line.split()[4:6]) for line in server.log().splitlines() if " INFO skerry.runtime.serving: " in line}
    expected = {("worker_starting", "model"), ("worker_starting", "other")}
    assert told == expected | {("worker_lost", "model"), ("worker_ready", "other")}


def _refusal(server):
    started = time.monotonic()
    answer = server.call("model", b"")
    assert answer.status == 503
    return answer if time.monotonic() - started < 5 else None


def _failures(server):
    found = re.findall(r"^(\S+) (\d+):(\d+):(\d+),(\d+) .*worker_lost", server.log(), re.MULTILINE)
    return [int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000 for _, h, m, s, ms in found]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_this_name\n", "ModuleNotFoundError"),
        ("app = skerry.App('empty')\n", "has no function"),
        ("x = 1\n", "is not a skerry.App"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("os._exit(3)\n", "died"),
    ],
)
def test_an_app_that_cannot_be_imported_ends_the_runtime_with_the_reason(start_runtime, source, reason):
    with pytest.raises(AssertionError, match="the runtime ended with 2") as caught:
        start_runtime(source)
    assert reason in str(caught.value)


def test_a_port_that_is_none_is_said(start_runtime):
    with pytest.raises(AssertionError, match="the runtime ended with 2") as caught:
        start_runtime(APP, port=99999)
    assert "PORT" in str(caught.value)


def test_a_library_that_starts_threads_is_left_out_of_the_zygote(start_runtime, tmp_path):
    package = tmp_path / "libraries"
    package.mkdir()
    (package / "threaded_library.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    source = """
app = skerry.App("threads", imports=["threaded_library", "colorsys"])

@app.function
def loaded() -> dict:
    names = [name for name in ("threaded_library", "colorsys") if name in sys.modules]
    return {"names": names, "pid": os.getpid()}
"""
    server = start_runtime(source, environment={"PYTHONPATH": str(package)})
    wait_until(lambda: "starts threads when it is imported" in server.log())

    def next_worker():
        os.kill(server.call("loaded", b"").json()["pid"], signal.SIGKILL)
        return server.call("loaded", b"").json()["names"] == ["colorsys"]

    wait_until(next_worker)


def test_one_function_of_an_app_is_served_alone_at_the_root(start_runtime):
    server = start_runtime(APP, function="other")
    assert server.call("/", b"").json() == "fine"
    assert server.call("other", b"").json() == "fine"
    assert server.call("model", b"").status == 404


@pytest.mark.parametrize(
    ("declared", "setting", "reason"),
    [
        ("(concurrency=4)", "", "concurrency = 4 needs an async handler"),
        ("", "work.concurrency=4", "concurrency = 4 needs an async handler"),
        ("(share_load=True)", "", "share_load = True needs a class with a method load"),
        ("", "work.share_load=true", "share_load = True needs a class with a method load"),
    ],
)
def test_an_option_that_does_not_go_with_the_handler_is_refused_before_it_serves(tmp_path, declared, setting, reason):
    source = f'app = skerry.App("a")\n\n@app.function{declared}\ndef work(x: int) -> int:\n    return x\n'
    server = RuntimeProcess(tmp_path, source, environment={"SKERRY_SET": setting})
    try:
        with pytest.raises(AssertionError, match="ended with 2"):
            server.start()
        assert reason in server.log()
    finally:
        server.close()
