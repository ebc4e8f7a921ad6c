"""Sources that an engine hosts: they follow deployments, and what they bring survives its death."""

import json

import pytest

from skerry.cli.main import main
from skerry.store.state import State, open_state
from support.engine_process import wait_until, write_app
from support.mqtt_broker import MqttBroker

APP = """
app = skerry.App("inbox")
app.source("files", skerry.FileSource(url={folder!r}, every="100ms", settle="0s"))
seen = app.state("seen")

@app.on(skerry.Event(type="dev.skerry.file", source="/skerry/source/inbox/files"))
def note(event: skerry.Event) -> None:
    with seen.batch(once=event.id) as batch:
        batch.increment(event.subject)
        batch.increment("all")
"""
LISTENING = """
app = skerry.App("plant")
app.source("sensors", skerry.MqttSource(url={url!r}, topics=("plant/#",), user="edge",
           password_variable="PLANT"))

@app.on(skerry.Event(type="dev.skerry.mqtt"))
def note(event: skerry.Event) -> None:
    print(f"{{event.subject}} {{event.data}}\\n", end="", flush=True)
"""


def sources(engine):
    return {one["name"]: one for one in engine.control("GET", "/broker").json()["sources"]}


def test_each_file_has_its_effect_once_although_the_engine_is_killed(make_engine, tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    engine = make_engine().start()
    engine.deploy(write_app(tmp_path / "app.py", APP.format(folder=str(folder))))
    for number in range(40):
        (folder / f"early-{number}").write_text("x")
    wait_until(lambda: sources(engine)["inbox/files"]["taken"] > 0, within_s=60)
    engine.kill()
    for number in range(20):
        (folder / f"meanwhile-{number}").write_text("x")
    engine.start()
    store = open_state(engine.home / "state")
    seen = State(lambda: store, "inbox/seen")
    wait_until(lambda: seen.get("all") == 60, within_s=60)
    wait_until(lambda: engine.control("GET", "/broker").json()["waiting"] == 0, within_s=60)
    assert seen.get("all") == 60
    assert {file.name: seen.get(file.name) for file in folder.iterdir()} == {file.name: 1 for file in folder.iterdir()}
    events = engine.control("GET", "/broker/events?type=dev.skerry.file&limit=1000").json()
    assert len(events) == 60


def test_sources_follow_deployments(shared_engine, tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    path = write_app(tmp_path / "app.py", APP.format(folder=str(tmp_path / "a")))
    shared_engine.deploy(path)
    assert sources(shared_engine)["inbox/files"]["url"] == str(tmp_path / "a")
    write_app(path, APP.format(folder=str(tmp_path / "b")))
    shared_engine.deploy(path)
    assert sources(shared_engine)["inbox/files"]["url"] == str(tmp_path / "b")
    assert main(["events", "status", "--home", str(shared_engine.home)]) == 0
    assert "inbox/files" in capsys.readouterr().out

    write_app(path, APP.format(folder="relative"))
    refused = shared_engine.try_deploy(path)
    assert refused.status == 400
    assert "whole path" in refused.json()["detail"]
    assert shared_engine.control("DELETE", "/apps/inbox").status == 200
    assert sources(shared_engine) == {}


def test_messages_reach_a_function_and_the_password_is_told_nobody(make_engine, tmp_path):
    pytest.importorskip("paho.mqtt.client")
    secret = "hunter2"
    (tmp_path / "broker").mkdir()
    broker = MqttBroker(tmp_path / "broker").start()
    try:
        engine = make_engine(environment={"PLANT": secret}).start()
        engine.deploy(write_app(tmp_path / "app.py", LISTENING.format(url=broker.url)))
        wait_until(lambda: sources(engine)["plant/sensors"]["is_open"], within_s=60)
        broker.publish(("plant/a", "20.5"))
        said = wait_until(lambda: engine.control("GET", "/functions/note/logs?tail=10").json()["text"], within_s=60)
        assert said == "plant/a 20.5\n"
        engine.kill()
        broker.publish(("plant/b", "away"))
        engine.start()
        wait_until(lambda: "plant/b away" in engine.control("GET", "/functions/note/logs?tail=10").json()["text"])
        shown = [engine.control("GET", path).json() for path in ("/broker", "/functions", "/apps", "/broker/events")]
        assert secret not in json.dumps(shown) + engine.stderr()
    finally:
        broker.kill()
