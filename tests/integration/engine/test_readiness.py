"""What an engine says of itself: readiness, the gauges of its autoscalers, and what it has decided."""

import re

from support.engine_process import wait_until, write_app

GOOD = """
app = skerry.App("good")

@app.function(scale=skerry.Scale(initial=0))
def good(x: int) -> int:
    return x
"""
BROKEN = """
app = skerry.App("broken")

class Broken:
    def __init__(self):
        if os.path.exists({gate!r}):
            raise RuntimeError("the model is gone")

@app.function(scale=skerry.Scale(initial=0))
class broken(Broken):
    def __call__(self, x: int) -> int:
        return x
"""


def readiness(engine):
    return engine.tcp("GET", "/health/readiness").status


def test_an_engine_without_workers_is_ready_for_they_can_start(make_engine, tmp_path):
    engine = make_engine().start()
    assert readiness(engine) == 200  # nothing is deployed: it waits for an app

    engine.deploy(write_app(tmp_path / "app.py", GOOD))

    assert sum(engine.function("good")["workers"].values()) == 0
    assert readiness(engine) == 200
    assert engine.call("good", 1).json() == 1


def test_an_engine_is_ready_as_long_as_one_function_can_start(make_engine, tmp_path):
    gate = tmp_path / "gate"
    engine = make_engine().start()
    engine.deploy(write_app(tmp_path / "broken.py", BROKEN.format(gate=str(gate))))
    gate.touch()
    assert engine.call("broken", 1).code == "start_failed"  # after several attempts

    wait_until(lambda: readiness(engine) == 503)  # but for the moments in which it tries again
    assert engine.tcp("GET", "/health/liveness").status == 200
    engine.deploy(write_app(tmp_path / "good.py", GOOD))
    assert readiness(engine) == 200
    engine.control("DELETE", "/apps/good")
    wait_until(lambda: readiness(engine) == 503)

    gate.unlink()  # the engine goes on trying
    wait_until(lambda: readiness(engine) == 200)
    assert engine.call("broken", 1).json() == 1


def test_an_engine_that_stops_is_not_ready(make_engine, tmp_path):
    gate = tmp_path / "gate"
    source = """
        app = skerry.App("slow")

        @app.function
        def slow(path: str) -> str:
            open(path, "w").close()
            while os.path.exists(path):
                time.sleep(0.01)
            return "done"
    """
    engine = make_engine().start()
    engine.deploy(write_app(tmp_path / "app.py", source))
    job = engine.submit("slow", str(gate)).json()["id"]
    wait_until(gate.exists)
    with_health = engine.connect()
    with_health.request("GET", "/health/readiness")
    assert with_health.getresponse().read()

    assert engine.control("POST", "/engine/stop").status == 202
    with_health.request("GET", "/health/readiness")  # over the old connection: nobody takes new ones
    answer = with_health.getresponse()
    with_health.close()
    gate.unlink()

    assert answer.status == 503
    assert engine.process.wait(60) == 0
    engine.start()
    assert engine.job_result(job).status in (200, 502)


def test_the_decisions_about_workers_are_in_the_metrics_and_the_description(make_engine, tmp_path):
    engine = make_engine().start()
    engine.deploy(write_app(tmp_path / "app.py", GOOD))
    assert engine.call("good", 1).json() == 1
    scaling = wait_until(lambda: found if "desired" in (found := engine.function("good")["scaling"]) else None)

    text = engine.tcp("GET", "/metrics").body.decode()

    assert scaling["metric"] == "concurrency"
    assert scaling["desired"] >= scaling["requested"] >= 1
    assert {"reason", "panic", "stable", "panic_value", "load", "excess_burst"} <= scaling.keys()
    labels = 'faas_name="good",kn_revision_name="good-00001"'
    names = re.findall(rf"^(kn_revision_\w+)\{{{labels}\}}", text, re.MULTILINE)
    assert {
        "kn_revision_pods_desired",
        "kn_revision_pods_requested",
        "kn_revision_concurrency_stable",
        "kn_revision_concurrency_panic",
        "kn_revision_panic_mode",
        "kn_revision_capacity_excess",
    } <= set(names)
    assert re.search(rf"^kn_revision_pods_desired\{{{labels}\}} [1-9]", text, re.MULTILINE)


def test_probes_of_a_function_at_zero_start_no_worker_and_are_not_counted(make_engine, tmp_path):
    engine = make_engine().start()
    engine.deploy(write_app(tmp_path / "app.py", GOOD))
    probes = [
        ("GET", "/function/good", {"k-network-probe": "queue"}),
        ("GET", "/function/good", {"user-agent": "kube-probe/1.31"}),
        ("POST", "/function/good", {"k-kubelet-probe": "queue"}),
        ("GET", "/function/unknown", {"k-network-probe": "queue"}),
    ]

    answers = [engine.tcp(method, path, headers=headers) for method, path, headers in probes]

    assert [answer.status for answer in answers] == [200] * 4
    assert answers[0].body == b"queue"
    assert engine.events("good", "worker_starting") == []
    assert 'skerry_requests_total{faas_name="good"' not in engine.tcp("GET", "/metrics").body.decode()
