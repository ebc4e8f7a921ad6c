"""What is particular to NATS: subjects without a stream, servers that go and come back, passwords."""

import json
import time
from datetime import datetime

import pytest

from skerry.spec import NatsSource
from support.event_sources import Door, NatsOrigin, Running, nats_do, until
from support.nats_server import NatsServer

SECRET = "hunter2"


def test_a_subject_without_a_stream_brings_what_is_published_meanwhile(nats_server, tmp_path, run_loop):
    name = tmp_path.name
    attributes = {"ce-specversion": "1.0", "ce-type": "t", "ce-source": "/a%20b", "ce-id": "1"}

    async def publish(client):
        await client.publish(f"{name}.a", b'{"a": 1}')
        await client.publish(f"{name}.b", b"[2]", headers={**attributes, "content-type": "application/json"})
        await client.publish("elsewhere", b"3")

    async def work():
        door = Door()
        sources = {"app/here": NatsSource(url=nats_server.url, subject=f"{name}.*")}
        async with Running(tmp_path, door, sources) as roster:
            await until(lambda: roster.describe()[0]["is_open"])
            nats_do(nats_server, publish)
            await until(lambda: len(door.taken) == 2)
        wrapped, event = door.documents
        assert (wrapped["type"], wrapped["subject"], wrapped["data"]) == ("dev.skerry.nats", f"{name}.a", {"a": 1})
        assert wrapped["partitionkey"] == f"{name}.a"
        assert (event["type"], event["source"], event["id"], event["data"]) == ("t", "/a b", "1", [2])

    run_loop(work())


def test_a_server_that_was_killed_is_found_again_and_nothing_comes_twice(tmp_path, run_loop):
    pytest.importorskip("nats")
    server = NatsServer(tmp_path).start()
    origin = NatsOrigin(server, "plant")

    async def work():
        door = Door()
        async with Running(tmp_path, door, {"app/here": origin.source}) as roster:
            await until(lambda: roster.describe()[0]["is_open"])
            origin.add("before")
            await until(lambda: door.taken)
            server.kill()
            await until(lambda: not roster.describe()[0]["is_open"], "the loss is seen")
            server.start()
            await until(lambda: roster.describe()[0]["is_open"], "it is connected again")
            origin.add("after")
            await until(lambda: len(door.taken) == 2)
        assert [document["data"] for document in door.documents] == ["before", "after"]

    try:
        run_loop(work())
    finally:
        server.kill()


def test_a_message_of_a_stream_has_the_time_at_which_the_stream_took_it(nats_server, tmp_path, run_loop):
    origin = NatsOrigin(nats_server, tmp_path.name)
    origin.add("kept")
    added_s = time.time()

    async def work():
        await until(lambda: time.time() > added_s + 0.1, "it waits for the engine")
        door = Door()
        async with Running(tmp_path, door, {"app/here": origin.source}):
            await until(lambda: door.taken)
        (document,) = door.documents
        assert datetime.fromisoformat(document["time"]).timestamp() <= added_s

    run_loop(work())


def test_another_subject_of_a_stream_brings_what_is_published_there(nats_server, tmp_path, run_loop):
    name = tmp_path.name
    origin = NatsOrigin(nats_server, name)
    origin.add("a")
    origin.add("b")

    async def bring(subject):
        door = Door()
        sources = {"app/here": NatsSource(url=nats_server.url, subject=f"{name}.{subject}", stream=name)}
        async with Running(tmp_path, door, sources):
            await until(lambda: door.taken)
        return [document["data"] for document in door.documents]

    assert run_loop(bring("a")) == ["a"]
    assert run_loop(bring("b")) == ["b"]


def test_passwords_come_from_the_environment_and_errors_repeat_none(tmp_path, run_loop, caplog):
    pytest.importorskip("nats")
    server = NatsServer(tmp_path, "--user", "edge", "--pass", SECRET).start()
    source = NatsSource(url=server.url, subject="a", user="edge", password_variable="PLANT")

    async def work(environment, condition):
        async with Running(tmp_path, Door(), {"app/here": source}, environment=environment) as roster:
            await until(lambda: condition(roster.describe()[0]))
            shown = json.dumps(roster.describe()) + caplog.text
            assert not any(secret in shown for secret in (SECRET, "wrong-secret"))

    try:
        run_loop(work({"PLANT": SECRET}, lambda one: one["is_open"]))
        run_loop(work({"PLANT": "wrong-secret"}, lambda one: "authorization" in (one["error"] or "").lower()))
        run_loop(work({}, lambda one: "no PLANT" in (one["error"] or "")))
        missing = NatsSource(url=server.url, subject="a", stream="GONE", user="edge", password_variable="PLANT")

        async def look():
            async with Running(tmp_path, Door(), {"app/x": missing}, environment={"PLANT": SECRET}) as roster:
                await until(lambda: "stream not found" in (roster.describe()[0]["error"] or ""))

        run_loop(look())
    finally:
        server.kill()
