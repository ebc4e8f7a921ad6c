"""`skerry chains` against an engine that answers as the test says."""

import json

import msgpack
import pytest

from skerry.errors import HandlerError, JobNotFoundError

STEP = {
    "state": "done",
    "attempts": 1,
    "began_at": 1.0,
    "ended_at": 1.1,
    "handler_ms": 2.0,
    "due_at": None,
    "error": None,
}
DEAD = {"step": "1/7/0", "item": 7, "knativeerrorcode": 500, "knativeerrordata": "it broke"}


class Engine:
    def __init__(self):
        self.begun = []
        self.ways = {}  # mode -> milliseconds of each run
        self.result = {"words": 3}
        self.error = None

    def chains(self):
        workers = {mode: {"workers": n, "memory_bytes": n * 2**20} for mode, n in (("separated", 3), ("fused", 1))}
        return [{"name": "report", "mode": "fused", "functions": ["fetch", "join"], "steps": [], "workers": workers}]

    def begin_run(self, chain, body, *, content_type, mode, id):
        self.begun.append((chain, body, mode, id))
        return self.run(id or f"run-{len(self.begun)}")

    def run(self, id, *, wait_s=0.0):
        if id == "nope":
            raise JobNotFoundError("there is no run 'nope'")
        mode = self.begun[-1][2] or "fused"
        took_ms = 10.0 * len(self.begun)
        return {
            "id": id,
            "chain": "report",
            "mode": mode,
            "status": "succeeded" if self.error is None else "failed",
            "trace_id": "ab" * 16,
            "began_at": 10.0,
            "ended_at": 10.0 + took_ms / 1000,
            "error": self.error,
            "cost": {"took_ms": took_ms, "handler_ms": 4.0, "steps": 2, "hop_ms": (took_ms - 4) / 2},
            "steps": [
                {"step": "0", "function": "fetch", **STEP},
                {"step": "1/7/0", "function": "join", **STEP, "state": "failed", "error": "it broke"},
            ],
            "dead": [DEAD],
            "not_undone": ["0"],
        }

    def runs(self, **asked):
        self.asked = asked
        return [self.run("r1")] if self.begun else []

    def run_result(self, id):
        if self.error is not None:
            raise HandlerError("step 0 has failed")
        return msgpack.packb(self.result)

    def cancel_run(self, id):
        return {"id": id, "status": "cancelled"}


@pytest.fixture
def engine(monkeypatch):
    made = Engine()
    monkeypatch.setattr("skerry.cli.chains.connect", lambda *_, **__: made)
    return made


def test_chains_and_runs_are_listed(engine, skerry_command):
    assert skerry_command("chains", "list")[1].splitlines()[1].split() == ["report", "fused", "fetch,", "join"]
    code, out, err = skerry_command("chains", "list", "--runs", "--status", "failed", "--limit", "5")
    assert (code, out) == (0, "")
    assert "skerry chains run" in err
    assert engine.asked == {"chain": None, "status": "failed", "limit": 5}
    engine.begin_run("report", b"", content_type="", mode=None, id=None)
    assert skerry_command("chains", "list", "--chain", "report")[1].splitlines()[1].split()[:4] == [
        "r1",
        "report",
        "fused",
        "succeeded",
    ]
    assert json.loads(skerry_command("chains", "list", "--runs", "--json")[1])[0]["id"] == "r1"


def test_a_run_prints_its_result(engine, skerry_command):
    assert skerry_command("chains", "run", "report", "--data", '"x"', "--id", "mine") == (0, '{"words":3}\n', "")
    assert engine.begun == [("report", b'"x"', None, "mine")]


def test_both_modes_are_run_and_compared(engine, skerry_command):
    code, out, _ = skerry_command("chains", "run", "report", "--mode", "both", "--repeat", "3")
    result, head, separated, fused = out.splitlines()
    assert (code, result) == (0, '{"words":3}')
    assert head.split()[:4] == ["MODE", "RUNS", "FIRST", "MEDIAN"]
    assert separated.split()[:6] == ["separated", "3", "10", "ms", "25", "ms"]
    assert fused.split()[:4] == ["fused", "3", "40", "ms"]
    assert [mode for _, _, mode, _ in engine.begun] == ["separated"] * 3 + ["fused"] * 3

    said = json.loads(skerry_command("chains", "run", "report", "--mode", "both", "--json")[1])
    assert said["chain"] == "report"
    assert [one["mode"] for one in said["modes"]] == ["separated", "fused"]
    assert [one["result"] for one in said["modes"]] == [engine.result] * 2
    assert said["modes"][0]["workers"] == 3
    assert said["modes"][0]["warm_median_ms"] is None


def test_a_run_that_fails_is_the_error_of_the_command(engine, skerry_command):
    engine.error = {"step": "0", "code": 500, "detail": "no"}
    code, out, err = skerry_command("chains", "run", "report")
    assert (code, out) == (1, "")
    assert "step 0 has failed" in err


def test_a_run_is_shown_with_its_steps_and_what_was_left_out(engine, skerry_command):
    engine.begin_run("report", b"", content_type="", mode=None, id=None)
    out = skerry_command("chains", "show", "r1")[1]
    assert "left out: item 7 at step 1/7/0: 500 it broke" in out
    assert out.splitlines()[-3].split()[:3] == ["1/7/0", "join", "failed"]
    assert "not undone: step 0\n" in out
    assert "trace:     " + "ab" * 16 in out
    assert json.loads(skerry_command("chains", "show", "r1", "--json")[1])["dead"] == [DEAD]
    assert skerry_command("chains", "show", "nope")[0] == 2


def test_a_run_need_not_be_awaited_and_can_be_cancelled(engine, skerry_command):
    assert skerry_command("chains", "run", "report", "--no-wait")[1] == "run-1\n"
    assert skerry_command("chains", "cancel", "run-1")[1] == "cancelled\n"
    assert json.loads(skerry_command("chains", "cancel", "run-1", "--json")[1])["status"] == "cancelled"


@pytest.mark.parametrize(
    "words",
    [
        ("--id", "r", "--repeat", "2"),
        ("--id", "r", "--mode", "both"),
        ("--no-wait", "--mode", "both"),
        ("--data", "{"),
        ("--mode", "odd"),
    ],
)
def test_what_does_not_go_together_is_wrong_use(engine, skerry_command, words):
    code, out, _ = skerry_command("chains", "run", "report", *words)
    assert (code, out) == (2, "")
    assert engine.begun == []
