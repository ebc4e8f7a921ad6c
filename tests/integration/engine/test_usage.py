"""What a real engine records of what functions use."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.engine_process import wait_until, write_app

APP = """
app = skerry.App("usage")
QUICK = dict(initial=0, window="1s", grace="0s", max=2)

@app.function(scale=skerry.Scale(**QUICK))
def spin(ms: float) -> float:
    begun = time.perf_counter()
    while (spent := time.perf_counter() - begun) < ms / 1000:
        pass
    return spent

@app.function(memory="500MB", scale=skerry.Scale(**QUICK))
def declared(ms: float) -> float:
    time.sleep(ms / 1000)
    return ms

@app.function(scale=skerry.Scale(**QUICK))
def broken(x: int) -> int:
    raise ValueError("always")

@app.function(batch=skerry.Batch(max_size=8), scale=skerry.Scale(**{**QUICK, "max": 1}))
def group(items: skerry.Items[float]) -> list[float]:
    begun = time.perf_counter()
    time.sleep(0.003 * len(items))
    return [(time.perf_counter() - begun) / len(items)] * len(items)
"""
SUMS = ("requests", "errors", "billed_us", "memory_gb_s", "cold_starts", "cold_start_us", "idle_us")


@pytest.fixture(scope="module")
def served(shared_engine, tmp_path_factory):
    shared_engine.deploy(write_app(tmp_path_factory.mktemp("usage") / "app.py", APP))
    return shared_engine


def usage_of(engine, function):
    records = engine.control("GET", f"/usage?function={function}").json()
    return {name: sum(record[name] for record in records) for name in SUMS}


def reported_us(engine, function):
    """Return the sum of what workers have said, as the metrics have it."""
    text = engine.tcp("GET", "/metrics").body.decode()
    found = re.findall(rf'^faas_invoke_duration_seconds_sum{{[^}}]*faas_name="{function}"[^}}]*}} (\S+)$', text, re.M)
    return sum(map(float, found)) * 1e6


def requests_by_revision(engine, function):
    found = Counter()
    for record in engine.control("GET", f"/usage?function={function}").json():
        found[record["revision"]] += record["requests"]
    return found


def all_gone(engine, function):
    wait_until(lambda: not any(engine.function(function)["workers"].values()), what="the end of the idle window")


def test_the_handlers_time_is_billed_and_nothing_while_idle(served):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: served.call("spin", 2.0).json(), range(100)))
    busy = usage_of(served, "spin")

    assert (busy["requests"], busy["errors"]) == (100, 0)
    assert busy["billed_us"] == pytest.approx(reported_us(served, "spin"), abs=1)
    assert busy["billed_us"] >= sum(answers) * 1e6 - 100  # a worker's clock begins before the handler's own
    assert busy["cold_starts"] >= 1
    assert busy["cold_start_us"] > 0

    all_gone(served, "spin")
    idle = usage_of(served, "spin")
    assert idle["billed_us"] == busy["billed_us"]
    assert idle["memory_gb_s"] == busy["memory_gb_s"]
    assert idle["idle_us"] > 0
    assert usage_of(served, "spin") == idle  # without workers, nothing is added at all


def test_a_declared_memory_is_what_the_time_is_multiplied_with(served):
    for _ in range(3):
        served.call("declared", 5.0)
    found = usage_of(served, "declared")

    assert found["memory_gb_s"] == pytest.approx(found["billed_us"] / 1e6 * 0.5)


def test_errors_are_counted_and_their_time_is_billed(served):
    assert [served.call("broken", 1).status for _ in range(3)] == [500] * 3
    assert served.call("broken", "no number").status == 422

    found = usage_of(served, "broken")
    assert (found["requests"], found["errors"]) == (4, 3)
    assert found["billed_us"] == pytest.approx(reported_us(served, "broken"), abs=1)


def test_the_items_of_a_batch_share_its_time(served):
    with ThreadPoolExecutor(16) as pool:  # most of them wait together
        shares = list(pool.map(lambda _: served.call("group", 1.0).json(), range(64)))
    found = usage_of(served, "group")

    assert found["requests"] == 64
    assert found["billed_us"] >= sum(shares) * 1e6 - 64
    assert found["billed_us"] < reported_us(served, "group")  # there, each took as long as the whole


def test_only_hours_after_since_are_returned(served):
    served.call("declared", 1.0)
    usage_of(served, "declared")
    hour_at = served.control("GET", "/usage").json()[0]["hour_at"]

    assert served.control("GET", f"/usage?since={hour_at + 3599}").json()
    assert served.control("GET", f"/usage?since={hour_at + 7200}").json() == []
    assert served.control("GET", "/usage?since=nan").status == 400
    assert served.tcp("GET", "/usage").status == 401


def test_usage_survives_restarts_and_a_kill_and_belongs_to_its_revision(engine, tmp_path):
    engine.deploy(write_app(tmp_path / "app.py", APP))
    engine.call("declared", 1.0)
    before = usage_of(engine, "declared")  # asking writes
    engine.call("declared", 1.0)
    engine.stop()
    engine.start()

    after = usage_of(engine, "declared")
    assert after["requests"] == before["requests"] + 1
    assert after["billed_us"] > before["billed_us"]

    engine.kill()
    engine.start()
    assert usage_of(engine, "declared")["billed_us"] == after["billed_us"]

    engine.deploy(write_app(tmp_path / "app.py", APP + "\n# another\n"))
    engine.call("declared", 1.0)
    assert requests_by_revision(engine, "declared") == {"declared-00001": 2, "declared-00002": 1}
