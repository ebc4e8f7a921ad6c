"""The broker where the disk is full, and where two engines want the same events."""

import json
import resource
import subprocess
import time

import pytest

from support.engine_process import wait_until, write_app
from support.nats_server import NatsServer

BATCH = "application/cloudevents-batch+json"
LIMIT_BYTES = 3 * 2**20
APP = """
app = skerry.App("noting")

@app.on(skerry.Event(type="seen"))
def note(event: skerry.Event) -> None:
    with open({path!r}, "a") as file:
        file.write(f"{{event.id}}\\n")
"""
# One that does not answer before a file is there.
HELD = f"{APP}    while not os.path.exists({{gate!r}}):\n        time.sleep(0.01)\n"


def publish(engine, first):
    """Publish some events; return the answer and their ids."""
    ids = [str(number) for number in range(first, first + 20)]
    common = {"specversion": "1.0", "type": "seen", "source": "/test", "data": "x" * 5000}
    body = json.dumps([{**common, "id": id} for id in ids]).encode()
    return engine.tcp("POST", "/events", body, {"content-type": BATCH}), ids


def test_a_full_disk_refuses_events_moves_its_log_and_loses_nothing_that_was_accepted(make_engine, tmp_path):
    seen = tmp_path / "seen"
    seen.touch()
    engine = make_engine()
    # Files cannot grow beyond that, which is what a full disk is to those who write them.
    engine.start(before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES)))
    engine.deploy(write_app(tmp_path / "app.py", APP.format(path=str(seen))))
    accepted, first, until, has_recovered = set(), 0, time.monotonic() + 60, False
    refused = None
    while not (refused and has_recovered):
        assert time.monotonic() < until, (len(accepted), refused)
        answer, ids = publish(engine, first)
        if answer.status == 202:
            accepted.update(ids)
            first += len(ids)
            has_recovered = refused is not None
        else:
            refused = answer
            time.sleep(0.05)
    assert refused.status == 503
    assert "nothing was accepted" in refused.json()["detail"]
    assert refused.headers["retry-after"] == "1"
    assert engine.stderr().count("the backlog of events cannot be written") < 10  # said once, not at every try
    engine.kill()

    engine.start()
    wait_until(lambda: accepted <= set(seen.read_text().split()), within_s=60, what="the delivery of what was accepted")
    answer, ids = publish(engine, first)
    assert answer.status == 202
    wait_until(lambda: set(ids) <= set(seen.read_text().split()), within_s=60, what="the delivery of further events")
    engine.stop()


def test_a_second_engine_on_the_folder_of_the_broker_is_refused_and_the_first_goes_on(make_engine, tmp_path):
    seen = tmp_path / "seen"
    seen.touch()
    engine = make_engine().start()
    engine.deploy(write_app(tmp_path / "app.py", APP.format(path=str(seen))))
    second = subprocess.run(engine.command("--port", "0"), capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode == 2
    assert f"process id {engine.pid}" in second.stderr
    assert "owns the folder" in second.stderr
    answer, ids = publish(engine, 0)
    assert answer.status == 202
    wait_until(lambda: set(ids) <= set(seen.read_text().split()), within_s=60, what="the delivery")
    engine.stop()


def test_a_second_engine_with_the_same_place_on_a_nats_server_is_refused_and_nothing_is_lost(make_engine, tmp_path):
    pytest.importorskip("nats", reason='no nats-py: pip install "skerry[nats]"')
    server = NatsServer(tmp_path).start()
    try:
        seen = tmp_path / "seen"
        seen.touch()
        engine = make_engine(environment={"SKERRY_EVENTS": server.url}).start()
        engine.deploy(write_app(tmp_path / "app.py", APP.format(path=str(seen))))
        second = make_engine("other", environment={"SKERRY_EVENTS": server.url})
        ended = subprocess.run(
            second.command("--port", "0"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=second.variables(),
        )
        assert ended.returncode == 2
        assert str(engine.home) in ended.stderr
        assert "give each engine a name of its own" in ended.stderr
        engine.kill()
        engine.start()  # the same engine goes on at once
        answer, ids = publish(engine, 0)
        assert answer.status == 202
        wait_until(lambda: set(ids) <= set(seen.read_text().split()), within_s=60, what="the delivery")
        engine.stop()
    finally:
        server.kill()


def test_an_engine_whose_nats_server_has_died_ends_in_order_and_says_what_is_not_recorded(make_engine, tmp_path):
    pytest.importorskip("nats", reason='no nats-py: pip install "skerry[nats]"')
    server = NatsServer(tmp_path).start()
    try:
        seen, gate = tmp_path / "seen", tmp_path / "gate"
        seen.touch()
        engine = make_engine(environment={"SKERRY_EVENTS": server.url}).start(verbose=False)
        engine.deploy(write_app(tmp_path / "app.py", HELD.format(path=str(seen), gate=str(gate))))
        answer, ids = publish(engine, 0)
        assert answer.status == 202
        wait_until(lambda: set(ids) & set(seen.read_text().split()), within_s=60, what="the first delivery")
        server.kill()
        gate.touch()
        assert engine.stop(within_s=60) == 0
    finally:
        server.kill()
    last = engine.stderr().splitlines()[-1]
    assert "are not recorded, and the events may come to them again: the NATS server has not answered within" in last
    assert "Traceback" not in engine.stderr()
