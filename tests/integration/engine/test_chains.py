"""Chains on an engine: order, dead items, kills of engine and workers, both modes.

What is cut off between two commits is tried, at each of them, in ``tests/unit/events/chain/test_conductor.py``.
"""

import json
import os

import pytest

from support.engine_process import wait_until, write_app

# The engine dies at some of the points by default, at all of them with SKERRY_TEST_CHAINS=all.
EVERY_POINT = os.environ.get("SKERRY_TEST_CHAINS") == "all"

PAGES = """
from skerry import Retry

app = skerry.App("pages")

@app.function
def fetch(count: int) -> list[int]:
    return list(range(count))

@app.function(scale=skerry.Scale(max=2))
def read(number: int) -> str:
    if number == 42:
        raise ValueError("poison")
    return f"page {number}"

@app.function
def join(pages: list[str]) -> dict[str, list[str]]:
    return {"pages": pages}

report = app.chain(
    "report",
    [fetch, skerry.each(skerry.step(read, retry=Retry(attempts=1, delay="1ms"))), join],
)
"""

# Each step kills somebody before and after its effect, once: who and where is in the file `plan`, one line each.
FIVE = """
import signal

app = skerry.App("five")
counts = app.state("counts")
FOLDER = {folder!r}

def perhaps_kill(step, place):
    for who, pid in (("worker", os.getpid()), ("engine", os.getppid())):
        try:
            os.unlink(os.path.join(FOLDER, f"{{step}}-{{place}}-{{who}}"))
        except FileNotFoundError:
            continue
        os.kill(pid, signal.SIGKILL)
        time.sleep(60)

def effect(step, value):
    perhaps_kill(step, "before")
    with open(os.path.join(FOLDER, "calls"), "a") as file:
        file.write(f"{{step}}\\n")
    with counts.batch(once=skerry.context().step) as batch:
        batch.increment(f"effect-{{step}}")
    perhaps_kill(step, "after")
    return [*value, step]

RETRY = skerry.Retry(attempts=10, delay="1ms", max_delay="1ms")

@app.function
def a(value: list[int]) -> list[int]:
    return effect(1, value)

@app.function
def b(value: list[int]) -> list[int]:
    return effect(2, value)

@app.function
def c(value: list[int]) -> list[int]:
    return effect(3, value)

@app.function
def d(value: list[int]) -> list[int]:
    return effect(4, value)

@app.function
def e(value: list[int]) -> list[int]:
    return effect(5, value)

@app.function
def look() -> dict[str, int]:
    return {{f"{{step}}": counts.get(f"effect-{{step}}", int) or 0 for step in range(1, 6)}}

five = app.chain("five", [skerry.step(each, retry=RETRY) for each in (a, b, c, d, e)])
"""


def begin(engine, chain, value, *, mode="separated", id="r"):
    answer = engine.control("POST", f"/chains/{chain}/runs?mode={mode}&id={id}", value)
    assert answer.status == 202, answer
    return answer.json()


def ended(engine, id="r"):
    def look():
        found = engine.control("GET", f"/runs/{id}?wait_s=10").json()
        return found if found["status"] != "running" else None

    return wait_until(look, within_s=120, what=f"the end of run {id}")


@pytest.mark.parametrize("mode", ["separated", "fused"])
def test_a_hundred_pages_keep_their_order_and_the_poison_one_is_left_out_alone(shared_engine, tmp_path, mode):
    shared_engine.deploy(write_app(tmp_path / "app.py", PAGES))
    begin(shared_engine, "report", 100, mode=mode, id=mode)
    run = ended(shared_engine, mode)
    assert run["status"] == "succeeded", run
    (dead,) = run["dead"]
    assert (dead["item"], dead["knativeerrorcode"]) == (42, 500)
    assert run["cost"]["steps"] == 101
    result = shared_engine.control("GET", f"/runs/{mode}/result").json()
    assert result == {"pages": [f"page {number}" for number in range(100) if number != 42]}
    shared_engine.control("DELETE", "/apps/pages")
    assert shared_engine.control("POST", "/chains/report/runs", 1).status == 404


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ["separated", "fused"])
def test_a_chain_whose_every_step_kills_its_worker_and_the_engine_has_each_effect_once(make_engine, tmp_path, mode):
    folder = tmp_path / "plan"
    folder.mkdir()
    points = [(step, place) for step in range(1, 6) for place in ("before", "after")]
    kills = points if EVERY_POINT else points[:: 3 if mode == "separated" else 5]
    for step, place in points:
        (folder / f"{step}-{place}-worker").touch()
    for step, place in kills:
        (folder / f"{step}-{place}-engine").touch()
    engine = make_engine().start()
    engine.deploy(write_app(tmp_path / "app.py", FIVE.format(folder=str(folder))))
    begin(engine, "five", [], mode=mode)
    for _ in kills:
        engine.process.wait(60)
        engine.start()
    run = ended(engine)
    assert run["status"] == "succeeded", run
    assert engine.control("GET", "/runs/r/result").json() == [1, 2, 3, 4, 5]
    assert engine.call("look").json() == dict.fromkeys("12345", 1)
    assert sorted(os.listdir(folder)) == ["calls"]  # everybody was killed who was to be
    calls = [int(line) for line in (folder / "calls").read_text().split()]
    assert calls == sorted(calls)  # no step ran again once a later one had begun
    assert [step["step"] for step in run["steps"]] == ["0", "1", "2", "3", "4"]
    engine.stop()


FOUR = """
app = skerry.App("fraud")

@app.function
def aggregate(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    names = sorted({key for row in rows for key in row})
    return {name: [row.get(name, 0.0) for row in rows] for name in names}

@app.function
async def clean(columns: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: [max(0.0, value) for value in values] for name, values in columns.items()}

@app.function
class Features:
    def load(self):
        self.scale = 2.0

    def __call__(self, columns: dict[str, list[float]]) -> list[float]:
        return [self.scale * sum(values) / len(values) for values in columns.values()]

@app.function
def analyse(features: list[float]) -> float:
    return sum(value * value for value in features) ** 0.5

chain = app.on(skerry.Event(type="rows"))(app.chain("score", [aggregate, clean, Features, analyse]))
small = app.chain("small", [clean, skerry.wait("50ms"), skerry.parallel(Features, [Features, analyse])], mode="fused")
"""


def test_four_functions_as_a_chain_say_what_they_say_one_after_the_other(shared_engine, tmp_path):
    shared_engine.deploy(write_app(tmp_path / "app.py", FOUR))
    rows = [{"amount": 3.5, "age": 2.0}, {"amount": -1.0, "age": 7.25}, {"age": 0.1}]
    value = rows
    for function in ("aggregate", "clean", "features", "analyse"):
        value = shared_engine.call(function, value).json()
    for mode in ("separated", "fused"):
        begin(shared_engine, "score", rows, mode=mode, id=f"score-{mode}")
        assert ended(shared_engine, f"score-{mode}")["status"] == "succeeded"
        assert shared_engine.control("GET", f"/runs/score-{mode}/result").json() == value
    for mode in ("separated", "fused"):
        begin(shared_engine, "small", {"x": [3.0, -1.0]}, mode=mode, id=f"small-{mode}")
        assert ended(shared_engine, f"small-{mode}")["mode"] == mode
        assert shared_engine.control("GET", f"/runs/small-{mode}/result").json() == [[3.0], 3.0]


def test_a_run_begins_with_what_curl_sends(shared_engine, tmp_path):
    shared_engine.deploy(write_app(tmp_path / "app.py", FOUR))
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = shared_engine.control("POST", "/chains/small/runs?id=curl", b'{"x": [3.0, -1.0]}', headers=headers)
    assert answer.status == 202, answer
    assert ended(shared_engine, "curl")["status"] == "succeeded"
    begin(shared_engine, "small", b"", id="empty")
    run = ended(shared_engine, "empty")
    assert (run["status"], run["error"]["code"]) == ("failed", 400)
    assert "the body is empty" in run["error"]["detail"]


def test_a_run_that_cannot_go_on_says_why_and_how(shared_engine, tmp_path):
    shared_engine.deploy(write_app(tmp_path / "app.py", FOUR))
    begin(shared_engine, "score", "no rows", id="wrong")
    run = ended(shared_engine, "wrong")
    assert run["status"] == "failed"
    assert (run["error"]["step"], run["error"]["code"]) == ("0", 422)
    answer = shared_engine.control("GET", "/runs/wrong/result")
    assert (answer.status, answer.code) == (500, "handler_failed"), answer
    assert "step 0 has failed" in answer.json()["detail"]
    assert shared_engine.control("GET", "/runs/nope").status == 404
    assert shared_engine.control("DELETE", "/runs/nope").status == 404
    assert shared_engine.control("GET", "/runs?status=odd").status == 400
    assert shared_engine.control("POST", "/chains/score/runs?mode=odd", []).status == 400
    assert shared_engine.control("POST", "/chains/nope/runs", []).status == 404
    other = shared_engine.control("POST", "/chains/small/runs?id=wrong", {})
    assert "is that of a run of chain 'score'" in other.json()["detail"]
    assert shared_engine.control("DELETE", "/runs/wrong").json()["status"] == "failed"
    listed = shared_engine.control("GET", "/runs?chain=score&limit=1").json()
    assert [one["id"] for one in listed] == ["wrong"]
    (chain,) = [one for one in shared_engine.control("GET", "/chains").json() if one["name"] == "score"]
    assert chain["functions"] == ["aggregate", "clean", "features", "analyse"]
    assert json.dumps(chain["steps"]).count('"call"') == 4


def test_an_event_begins_one_run_of_a_chain_however_often_it_comes(shared_engine, tmp_path):
    shared_engine.deploy(write_app(tmp_path / "app.py", FOUR))
    event = {"specversion": "1.0", "type": "rows", "source": "/till", "id": "7", "data": [{"amount": 2.0}]}
    headers = {"content-type": "application/cloudevents+json"}
    assert shared_engine.tcp("POST", "/events", event, headers).status == 202

    def found():
        runs = shared_engine.control("GET", "/runs?chain=score").json()
        return [run for run in runs if run["id"].startswith("score-")]

    before = found()
    (run,) = wait_until(lambda: [run for run in found() if len(run["id"]) == len("score-") + 32])
    assert ended(shared_engine, run["id"])["status"] == "succeeded"
    assert shared_engine.control("GET", f"/runs/{run['id']}/result").json() == 4.0
    (kept,) = shared_engine.control("GET", "/broker/events?type=rows").json()
    assert shared_engine.control("POST", f"/broker/events/{kept['number']}/replay", {}).status == 202
    wait_until(lambda: not shared_engine.control("GET", "/broker").json()["waiting"])
    assert {one["id"] for one in found()} == {one["id"] for one in before} | {run["id"]}


def test_the_function_of_a_chain_says_how_a_chain_is_run(shared_engine, tmp_path):
    shared_engine.deploy(write_app(tmp_path / "app.py", FOUR))
    answer = shared_engine.call("score", [])
    assert answer.status == 400
    assert "skerry chains run score" in answer.json()["detail"]
