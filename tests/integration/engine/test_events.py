"""Events from their publication to the function: durable, known by source and id, tried again, dead in the end."""

import json

import pytest

from support.engine_process import wait_until, write_app

APP = """
app = skerry.App("reacting")

@app.on(skerry.Event(type="seen"))
def note(event: skerry.Event) -> None:
    print("noted", event.id, event.data, flush=True)

@app.on(skerry.Event(type="wrong"), retry=skerry.Retry(attempts=2, delay="10ms"))
def fail(event: skerry.Event) -> None:
    print("tried", event.id, flush=True)
    raise ValueError("as it is meant to")

@app.on(skerry.Event(type="refused"))
def refuse(amount: int) -> None:
    print("took", amount, flush=True)

@app.every("100ms")
def tick() -> None:
    print("tick", flush=True)
"""
BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"


def event(type, id, data=None, **attributes):
    return {"specversion": "1.0", "type": type, "source": "/test", "id": id, "data": data, **attributes}


def publish(engine, *events):
    return engine.tcp("POST", "/events", json.dumps(events).encode(), {"content-type": BATCH})


def said(engine, function):
    return engine.control("GET", f"/functions/{function}/logs").json()["text"].splitlines()


@pytest.fixture(scope="module")
def engine(shared_engine, tmp_path_factory):
    shared_engine.deploy(write_app(tmp_path_factory.mktemp("reacting") / "app.py", APP))
    return shared_engine


def test_an_event_reaches_the_function_whose_trigger_takes_it_in_each_mode_of_http(engine):
    binary = {"ce-specversion": "1.0", "ce-type": "seen", "ce-source": "/test", "ce-id": "binary"}
    answers = [
        engine.tcp("POST", "/events", b'{"a": 1}', {**binary, "content-type": "application/json"}),
        engine.tcp("POST", "/events", json.dumps(event("seen", "one", 2)).encode(), {"content-type": STRUCTURED}),
        publish(engine, event("seen", "first", 3), event("seen", "second", 4), event("unseen", "third", 5)),
    ]
    assert [answer.status for answer in answers] == [202] * 3
    assert [answer.json()["accepted"] for answer in answers] == [1, 1, 3]
    wanted = {"noted binary {'a': 1}", "noted one 2", "noted first 3", "noted second 4"}
    wait_until(lambda: wanted <= set(said(engine, "note")), what="the delivery of all events")
    assert not any("third" in line for line in said(engine, "note"))


def test_an_event_that_comes_twice_is_accepted_and_given_to_the_function_once(engine):
    answers = [publish(engine, event("seen", "twice", 1), event("seen", "twice", 1)) for _ in range(3)]
    publish(engine, event("seen", "after twice"))
    assert [answer.json()["duplicates"] for answer in answers] == [1, 2, 2]
    wait_until(lambda: any("after twice" in line for line in said(engine, "note")))
    assert said(engine, "note").count("noted twice 1") == 1


def test_what_a_function_fails_on_is_tried_again_and_becomes_a_dead_letter_that_can_be_replayed(engine):
    publish(engine, event("wrong", "w1", partitionkey="k"))
    (dead,) = wait_until(lambda: engine.control("GET", "/broker/dead?trigger=fail").json())
    assert dead["attempts"] == 3
    assert said(engine, "fail").count("tried w1") == 3
    assert dead["event"]["knativeerrorcode"] == 500
    assert dead["event"]["knativeerrordest"] == "/function/fail"
    assert "3 attempts have failed" in dead["event"]["knativeerrordata"]

    assert engine.control("POST", f"/broker/dead/{dead['number']}/replay").status == 202
    (again,) = wait_until(lambda: engine.control("GET", "/broker/dead?trigger=fail").json())
    assert said(engine, "fail").count("tried w1") == 6
    assert engine.control("DELETE", f"/broker/dead/{again['number']}").status == 204
    assert engine.control("GET", "/broker/dead?trigger=fail").json() == []


def test_what_a_function_refuses_is_dead_at_once(engine):
    publish(engine, event("refused", "r1", "no number"), event("refused", "r2", 7))
    (dead,) = wait_until(lambda: engine.control("GET", "/broker/dead?trigger=refuse").json())
    assert (dead["attempts"], dead["event"]["knativeerrorcode"], dead["event"]["id"]) == (1, 422, "r1")
    wait_until(lambda: said(engine, "refuse") == ["took 7"])


def test_a_kept_event_is_listed_and_can_be_given_to_its_functions_once_more(engine):
    publish(engine, event("seen", "again", 1))
    (kept,) = engine.control("GET", "/broker/events?id=again").json()
    assert kept["event"]["data"] == 1
    assert engine.control("POST", f"/broker/events/{kept['number']}/replay").json()["triggers"] == ["note"]
    wait_until(lambda: said(engine, "note").count("noted again 1") == 2)
    assert engine.control("GET", f"/broker/events/{kept['number']}").json()["waiting"] == []


def test_a_timer_starts_its_function_again_and_again(engine):
    wait_until(lambda: len(said(engine, "tick")) > 2)


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"{", STRUCTURED, "not JSON"),
        (b"[]", STRUCTURED, "one JSON object"),
        (b"{}", BATCH, "a JSON array"),
        (b'[{"specversion": "1.0", "type": "x", "source": "/y"}]', BATCH, "event 0 of the batch: CloudEvent: id"),
        (b"1", "application/json", "no CloudEvent"),
    ],
)
def test_what_is_no_event_is_refused_and_nothing_of_it_accepted(engine, body, kind, says):
    answer = engine.tcp("POST", "/events", body, {"content-type": kind})
    assert (answer.status, answer.code) == (400, "malformed_body")
    assert says in answer.json()["detail"]


def test_an_app_that_is_deleted_takes_its_triggers_with_it_and_a_new_revision_changes_them(make_engine, tmp_path):
    engine = make_engine().start()
    path = write_app(tmp_path / "app.py", APP)
    engine.deploy(path)
    names = [trigger["name"] for trigger in engine.control("GET", "/broker").json()["triggers"]]
    assert sorted(names) == ["fail", "note", "refuse", "tick/timer"]
    write_app(path, APP.replace('type="seen"', 'type="other"'))
    engine.deploy(path)
    wait_until(lambda: publish(engine, event("seen", "s"), event("other", "o")).status == 202)
    wait_until(lambda: any("noted o" in line for line in said(engine, "note")))
    assert not any("noted s" in line for line in said(engine, "note"))
    assert engine.control("DELETE", "/apps/reacting").status in (200, 204)
    wait_until(lambda: engine.control("GET", "/broker").json()["triggers"] == [])
    engine.stop()


def test_accepted_events_survive_the_death_of_everything(make_engine, tmp_path):
    engine = make_engine().start()
    slow = APP.replace('    print("noted"', '    time.sleep(0.01)\n    print("noted"')
    engine.deploy(write_app(tmp_path / "app.py", slow))
    assert publish(engine, *(event("seen", f"e{n}", n) for n in range(100))).status == 202
    engine.kill()
    engine.start()
    wait_until(lambda: engine.control("GET", "/broker").json()["waiting"] == 0, what="the end of what waited")
    lines = said(engine, "note")
    assert {line for line in lines if line.startswith("noted e")} == {f"noted e{n} {n}" for n in range(100)}
    engine.stop()


def test_events_are_published_without_the_token_but_only_with_it_are_they_looked_at(engine):
    assert publish(engine, event("unseen", "open")).status == 202
    refused = [
        engine.tcp(method, path)
        for method, path in [("GET", "/events"), ("GET", "/broker"), ("GET", "/broker/events"), ("GET", "/broker/dead")]
    ]
    assert [answer.status for answer in refused] == [401] * 4
