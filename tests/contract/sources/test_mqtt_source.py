"""What is particular to MQTT: sessions, TLS, passwords, and messages that are CloudEvents."""

import json
import sys
import time
from datetime import datetime

import pytest

from skerry.events.sources.inlet import Intake
from skerry.events.sources.mqtt.inlet import MqttInlet
from skerry.spec import MqttSource
from support.event_sources import Door, Running, until
from support.mqtt_broker import PASSWORD, MqttBroker


@pytest.fixture
def own_broker(tmp_path):
    (tmp_path / "broker").mkdir()
    pytest.importorskip("paho.mqtt.client")
    broker = MqttBroker(tmp_path / "broker", tls=True).start()
    yield broker
    broker.kill()


def secured(broker, **options):
    given = {"user": "edge", "password_variable": "PLANT_PASSWORD", "ca": str(broker.ca), **options}
    return MqttSource(url=broker.url, topics=("plant/+/temperature",), **given)


def test_over_tls_with_a_password_messages_come_also_after_the_broker_was_away(own_broker, tmp_path, run_loop):
    async def work():
        door = Door()
        environment = {"PLANT_PASSWORD": PASSWORD}
        sources = {"app/plant": secured(own_broker)}
        async with Running(tmp_path, door, sources, environment=environment) as roster:
            await until(lambda: roster.describe()[0]["is_open"])
            own_broker.publish(("plant/a/temperature", "20.5"), ("plant/a/pressure", "1"))
            await until(lambda: len(door.taken) == 1)
            own_broker.stop()
            await until(lambda: not roster.describe()[0]["is_open"], "the loss is seen")
            own_broker.start()
            await until(lambda: roster.describe()[0]["is_open"], "it is connected again")
            own_broker.publish(("plant/b/temperature", "21"))
            await until(lambda: len(door.taken) == 2)
            assert PASSWORD not in json.dumps(roster.describe())
        first, second = door.documents
        assert (first["subject"], first["data"], first["partitionkey"]) == (
            "plant/a/temperature",
            20.5,
            "plant/a/temperature",
        )
        assert (second["subject"], second["data"]) == ("plant/b/temperature", 21)

    run_loop(work())


# paho-mqtt leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("change", "environment", "said"),
    [
        ({}, {}, "no PLANT_PASSWORD"),
        ({}, {"PLANT_PASSWORD": "wrong-secret"}, "refuses the connection: Not authorized"),
        ({"ca": None}, {"PLANT_PASSWORD": PASSWORD}, "certificate verify failed"),
        ({"ca": "/nowhere.pem"}, {"PLANT_PASSWORD": PASSWORD}, "cannot be read"),
    ],
)
def test_what_keeps_a_source_from_working_is_said_without_the_secret(
    own_broker, tmp_path, run_loop, caplog, change, environment, said
):
    async def work():
        sources = {"app/plant": secured(own_broker, **change)}
        async with Running(tmp_path, Door(), sources, environment=environment) as roster:
            await until(lambda: said in (roster.describe()[0]["error"] or ""), said)
            shown = json.dumps(roster.describe()) + repr(sources) + caplog.text
            assert not any(secret in shown for secret in (PASSWORD, "wrong-secret"))

    run_loop(work())


def test_a_message_that_waited_for_room_has_the_time_at_which_it_was_received():
    mqtt = pytest.importorskip("paho.mqtt.client")
    message = mqtt.MQTTMessage(topic=b"plant/a")
    message.timestamp = time.monotonic() - 1000
    source = MqttSource(url="mqtt://broker", topics=("plant/#",))
    inlet = MqttInlet(Intake("app/plant", Door(), lambda: 0.5), source, identity="here", environment={})

    came_s = datetime.fromisoformat(json.loads(inlet._entry(message).document)["time"]).timestamp()

    assert 990 < time.time() - came_s < 1500


def test_a_message_that_is_a_cloudevent_stays_the_event_that_it_is(mqtt_broker, tmp_path, run_loop):
    whole = {"specversion": "1.0", "type": "t", "source": "/s", "id": "1", "data": {"a": 1}}
    attributes = [("specversion", "1.0"), ("type", "t"), ("source", "/ü"), ("id", "2"), ("partitionkey", "k %")]

    async def work():
        door, topic = Door(), tmp_path.name
        sources = {"app/here": MqttSource(url=mqtt_broker.url, topics=(topic,), ordered=False)}
        async with Running(tmp_path, door, sources) as roster:
            await until(lambda: roster.describe()[0]["is_open"])
            mqtt_broker.publish((topic, json.dumps(whole)), ContentType="application/cloudevents+json")
            mqtt_broker.publish((topic, b"[1]"), ContentType="application/json", UserProperty=attributes)
            mqtt_broker.publish((topic, b"no event"), ContentType="application/cloudevents+json")
            mqtt_broker.publish((topic, b"\xff\x00"))
            mqtt_broker.publish((topic, b""))
            await until(lambda: len(door.taken) == 5)
        structured, binary, broken, raw, empty = door.documents
        assert structured == whole
        assert (binary["source"], binary["id"], binary["data"], binary["partitionkey"]) == ("/ü", "2", [1], "k %")
        assert (broken["type"], broken["data"]) == ("dev.skerry.mqtt", "no event")
        assert raw["data_base64"] == "/wA="
        assert "data" not in empty
        assert "partitionkey" not in empty

    run_loop(work())


def test_messages_of_one_topic_come_in_their_order_and_many_of_them_in_one_step(mqtt_broker, tmp_path, run_loop):
    async def work():
        door = Door()
        sources = {"app/here": MqttSource(url=mqtt_broker.url, topics=(tmp_path.name,))}
        async with Running(tmp_path, door, sources) as roster:
            await until(lambda: roster.describe()[0]["is_open"])
            mqtt_broker.publish(*((tmp_path.name, str(number)) for number in range(500)))
            await until(lambda: len(door.taken) == 500)
        assert [document["data"] for document in door.documents] == list(range(500))

    run_loop(work())


def test_paho_is_asked_for_by_name_where_it_is_not_installed(monkeypatch, run_loop, tmp_path):
    async def work():
        source = MqttSource(url="mqtt://127.0.0.1:1", topics=("a",))
        async with Running(tmp_path, Door(), {"app/here": source}) as roster:
            await until(lambda: "skerry[mqtt]" in (roster.describe()[0]["error"] or ""))

    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    run_loop(work())
