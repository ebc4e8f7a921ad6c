"""`skerry load` against a server of the tests."""

import importlib.util
import io
import json
import signal
import subprocess
import sys
import time

import pytest

from support.delaying_server import delaying_server

SHORT = ("--rate", 100, "--arrivals", "constant", "--duration", 0.3)


@pytest.fixture(scope="module")
def server():
    with delaying_server() as running:
        yield running


@pytest.fixture
def load(server, skerry_command):
    return lambda path, *words: skerry_command("load", server.url(path), *words)


def test_it_says_rates_percentiles_and_errors(load):
    code, out, _ = load("/delay", *SHORT)
    assert code == 0
    assert "open loop, constant (rate_per_s 100.0)" in out
    assert "30 planned, 30 sent, 30 answered well" in out
    assert {"latency", "service", "sent"} <= {line.split()[0] for line in out.splitlines() if line}
    assert "no errors" in out


@pytest.mark.parametrize("data", ["-", "@-"])
def test_the_body_is_read_from_standard_input(load, server, monkeypatch, data):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[1, 2]")))
    assert load("/delay", *SHORT, "--data", data)[0] == 0
    assert server.seen()["body"] == "[1, 2]"


def test_errors_and_what_they_mean_are_told(load):
    code, out, err = load("/status/503", *SHORT)
    assert code == 1
    assert "status_5xx               30" in out
    assert "queue_full          30   no room" in out
    assert "warning: 30 of 30 requests failed" in err
    assert err.endswith("failed: not one request succeeded\n")


@pytest.mark.parametrize(("most", "code"), [("0%", 1), ("49%", 1), ("0.5", 0), ("100%", 0)])
def test_more_errors_than_are_allowed_are_exit_code_1(load, most, code):
    found, out, err = load("/half", *SHORT, "--max-errors", most, "--json")
    result = json.loads(out)
    assert (result["succeeded"], result["errors"]["by_kind"]) == (15, {"status_5xx": 15})
    assert found == code
    assert ("failed: 0.5 of the requests failed, more than --max-errors" in err) == bool(code)


def test_json_is_one_object_and_no_live_view(load):
    code, out, _ = load("/delay", *SHORT, "--warm-up", 0.1, "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["planned"], result["warm_up_requests"], result["succeeded"]) == (30, 10, 30)


def test_a_closed_loop(load):
    _, out, _ = load("/delay", "--clients", 2, "--duration", 0.2, "--json")
    result = json.loads(out)
    assert (result["loop"], result["settings"], result["connections_opened"]) == (
        "closed",
        {"clients": 2, "think_s": 0.0},
        2,
    )


def test_a_trace_is_replayed_with_what_its_lines_say(load, tmp_path):
    (tmp_path / "t.csv").write_text("func,time,size\nf1,0,1\nf2,1,2\nf1,4,3\n")
    code, out, _ = load("/echo", "--replay", "t.csv", "--speed", 20, "--function", "f1", "--data", "{{size}}", "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["plan"], result["succeeded"], result["settings"]["trace_s"]) == ("replay", 2, 4.0)


def test_a_picture_is_drawn(load, tmp_path):
    pytest.importorskip("matplotlib")
    code, _, _ = load("/delay", *SHORT, "--warm-up", 0.1, "--picture", "run.png")
    assert code == 0
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_without_matplotlib_is_refused_before_the_run(load, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find_spec(name))
    code, _, err = load("/delay", *SHORT, "--picture", "run.png")
    assert code == 2
    assert 'pip install "skerry[report]"' in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--rate", 5, "--clients", 2), "different ways of asking"),
        (("--arrivals", "bursty", "--replay", "t.csv"), "different ways of asking"),
        (("--function", "f"), "--replay FILE"),
        (("--think", 1), "--clients N"),
        (("--header", "nothing"), "NAME:VALUE"),
        (("--data", "@nowhere.json"), "nowhere.json: No such file"),
        (("--picture", "nowhere/run.png"), "there is no folder nowhere"),
        (("--picture", "run.jpg"), "name it run.png"),
        (("--replay", "nowhere.csv"), "nowhere.csv: No such file"),
        (("--method", "HEAD"), "use one of GET"),
        (("--rate", 0), "x>0"),
        (("--max-errors", "many"), "--max-errors many: write a share as 10% or 0.1"),
        (("--peak", 0.5, "--arrivals", "bursty"), "peak must be above 1"),
    ],
)
def test_wrong_use_is_told_with_exit_code_2(load, words, message):
    code, _, err = load("/delay", *words)
    assert code == 2
    assert message in err


def test_nobody_at_the_address_is_exit_code_1(skerry_command):
    code, _, err = skerry_command("load", "http://127.0.0.1:1/", *SHORT)
    assert code == 1
    assert "nothing answers" in err


def test_an_interrupted_run_tells_what_it_has_and_ends_with_130(server):
    command = "import sys; from skerry.cli.main import main; sys.exit(main())"
    words = ["load", server.url("/delay"), "--rate", "200", "--duration", "600", "--json"]
    before = server.seen()["requests"]
    running = subprocess.Popen([sys.executable, "-c", command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while server.seen()["requests"] < before + 10:
            assert time.monotonic() < deadline, "it sends nothing"
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=120)
    finally:
        running.kill()
    result = json.loads(out)
    assert running.returncode == 130
    assert result["interrupted"]
    assert result["succeeded"] > 0
    assert result["planned"] < 200 * 100
