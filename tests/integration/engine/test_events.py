"""Events from their publication to the function: durable, known by source and id, tried again, dead in the end."""

import json
import sqlite3
import time
from contextlib import closing

import pytest

from skerry.cli.main import main
from skerry.events.timetable import timer_event
from skerry.spec import Timer
from support.engine_process import wait_until, write_app

APP = r"""
app = skerry.App("reacting")

def say(line):  # in one piece: workers share a log
    print(f"{line}\n", end="", flush=True)

@app.on(skerry.Event(type="seen"))
def note(event: skerry.Event) -> None:
    say(f"noted {event.id} {event.data}")

@app.on(skerry.Event(type="wrong"), retry=skerry.Retry(attempts=2, delay="10ms"))
def fail(event: skerry.Event) -> None:
    say(f"tried {event.id}")
    raise ValueError("as it is meant to")

@app.on(skerry.Event(type="refused"))
def refuse(amount: int) -> None:
    say(f"took {amount}")

@app.on(skerry.Event(type="listed"), batch=8, retry=skerry.Retry(attempts=1, delay="10ms"))
def gather(numbers: list[int]) -> None:
    if 13 in numbers:
        raise ValueError("unlucky")
    for number in numbers:
        say(f"gathered {number}")

@app.on(skerry.Event(type="asked"))
def answer(event: skerry.Event) -> skerry.Event:
    return skerry.Event(type="seen", source="/answers", id=event.id, data=event.data)

@app.on(skerry.Event(type="round"))
def go_round(event: skerry.Event) -> skerry.Event:
    return skerry.Event(type="round", source="/round", data=event.data + 1)

@app.every("100ms")
def tick() -> None:
    print("tick", flush=True)
"""
HOPELESS = r"""
app = skerry.App("hopeless")

@app.on(skerry.Event(type="hopeless"), retry=skerry.Retry(attempts=0))
def despair(event: skerry.Event) -> None:
    raise ValueError("at once")
"""
PATIENT = r"""
app = skerry.App("patient")

def say(line):
    print(f"{line}\n", end="", flush=True)

@app.on(skerry.Event(type="patient"), retry=skerry.Retry(attempts=1000, delay="50ms", max_delay="50ms"))
def bear(event: skerry.Event) -> None:
    say(f"tried {event.id}")
    raise ValueError("not yet")
"""
BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"


def event(type, id, data=None, **attributes):
    return {"specversion": "1.0", "type": type, "source": "/test", "id": id, "data": data, **attributes}


def publish(engine, *events):
    return engine.tcp("POST", "/events", json.dumps(events).encode(), {"content-type": BATCH})


def said(engine, function):
    return engine.control("GET", f"/functions/{function}/logs?tail=100000").json()["text"].splitlines()


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
    assert [answer.json()["untaken"] for answer in answers] == [0, 0, 1]
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
    wait_until(lambda: engine.control("GET", f"/broker/events/{kept['number']}").json()["waiting"] == [])


@pytest.fixture
def skerry(engine, capfd):
    def run(*words):
        code = main(["events", *words, "--home", str(engine.home)])
        return code, *capfd.readouterr()

    return run


def test_the_command_line_publishes_lists_shows_and_replays(engine, skerry, tmp_path):
    file = tmp_path / "events.json"
    file.write_text(json.dumps([event("seen", "cli-1"), event("wrong", "cli-2")]))
    assert skerry("publish", "--file", str(file))[::2] == (0, "2 events accepted\n")
    again = json.loads(skerry("publish", "seen", "--source", "/test", "--id", "cli-1", "--json")[1])
    assert again == {"accepted": 1, "duplicates": 1, "untaken": 0}
    assert skerry("publish", "nobody.knows")[::2] == (0, "1 event accepted; no trigger takes it\n")
    file.write_text(json.dumps([event("seen", "cli-3"), event("nobody.knows", "cli-4")]))
    assert skerry("publish", "--file", str(file))[2] == "2 events accepted; no trigger takes 1 of them\n"

    (kept,) = json.loads(skerry("list", "--id", "cli-1", "--json")[1])
    assert "cli-1" in skerry("list", "--type", "seen")[1]
    wait_until(lambda: "dealt with" in skerry("show", str(kept["number"]))[1])
    assert "goes to note" in skerry("replay", str(kept["number"]))[2]
    wait_until(lambda: said(engine, "note").count("noted cli-1 None") == 2)

    wait_until(lambda: "cli-2" in skerry("dead", "--trigger", "fail")[1])
    assert "it is forgotten" in skerry("dead", "--trigger", "fail", "--delete")[2]
    assert "no dead letters" in skerry("dead", "--trigger", "fail")[2]
    code, _, err = skerry("dead", "--trigger", "nope")
    assert (code, "there is no trigger 'nope'; there are: " in err) == (2, True)
    assert "tick/timer" in skerry("status")[1]

    assert skerry("publish")[0] == 2
    assert skerry("publish", "seen", "--data", "{")[0] == 2
    code, _, err = skerry("show", "999999")
    assert (code, "there is no event 999999" in err) == (2, True)


def test_the_table_of_dead_letters_says_which_event_what_went_wrong_and_that_there_are_more(engine, skerry, tmp_path):
    engine.deploy(write_app(tmp_path / "app.py", HOPELESS))
    publish(engine, *(event("hopeless", f"table-{number}") for number in range(3)))
    dead = ("dead", "--trigger", "despair")
    wait_until(lambda: len(json.loads(skerry(*dead, "--json")[1])) == 3)

    _, table, err = skerry(*dead)
    number, error = table.splitlines()[1].split()[0], table.splitlines()[1].split("  ")[-1]
    assert "table-" in skerry("show", number)[1]
    assert "(skerry logs despair)" in error
    assert err == ""
    assert "some events are dead letters: skerry events dead" in skerry("status")[2]
    assert skerry(*dead, "--limit", "1")[2] == "there are more; --limit shows them\n"
    assert skerry(*dead, "--limit", "2", "--delete")[2] == "2 dead letters: they are forgotten; there are more\n"
    assert skerry(*dead, "--delete")[2] == "1 dead letter: it is forgotten\n"


def test_one_bad_event_of_a_batch_dies_alone(engine, tmp_path):
    wait_until(lambda: engine.control("GET", "/broker").json()["waiting"] == 0)
    publish(engine, *(event("listed", f"l{n}", n) for n in range(20)))
    (dead,) = wait_until(lambda: engine.control("GET", "/broker/dead?trigger=gather").json())
    assert dead["event"]["id"] == "l13"
    wait_until(lambda: {f"gathered {n}" for n in range(20) if n != 13} <= set(said(engine, "gather")))
    assert not any(line == "gathered 13" for line in said(engine, "gather"))


def test_more_than_the_broker_keeps_is_refused_until_there_is_room(make_engine, tmp_path):
    gate = tmp_path / "gate"
    held = f'    while not os.path.exists({str(gate)!r}):\n        time.sleep(0.01)\n    say(f"noted'
    slow = APP.replace('    say(f"noted', held).replace('"100ms"', '"1d"')
    engine = make_engine(environment={"SKERRY_EVENTS_MAX_WAITING": "10"}).start()
    engine.deploy(write_app(tmp_path / "app.py", slow))
    assert publish(engine, *(event("seen", f"a{n}") for n in range(10))).status == 202
    refused = publish(engine, *(event("seen", f"b{n}") for n in range(10)))
    assert (refused.status, refused.code) == (429, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    gate.touch()
    wait_until(lambda: publish(engine, *(event("seen", f"b{n}") for n in range(10))).status == 202)
    wait_until(lambda: sum(line.startswith("noted b") for line in said(engine, "note")) == 10)
    engine.stop()


def test_an_event_that_a_function_answers_with_is_published(engine):
    publish(engine, event("asked", "question", 42))
    wait_until(lambda: "noted question 42" in said(engine, "note"))
    (kept,) = engine.control("GET", "/broker/events?id=question&type=seen").json()
    assert kept["event"]["skerryhops"] == 1


def test_functions_that_answer_one_another_come_to_an_end(engine):
    answer = publish(engine, event("round", "round-0", 0))
    assert answer.status == 202, answer
    wait_until(lambda: engine.control("GET", "/broker/events?type=round&limit=1").json()[0]["event"]["data"] == 255)
    wait_until(lambda: engine.control("GET", "/broker").json()["waiting"] == 0)
    assert len(engine.control("GET", "/broker/events?type=round&limit=1000").json()) == 256


def test_a_timer_starts_its_function_again_and_again(engine):
    wait_until(lambda: len(said(engine, "tick")) > 2)


def test_nobody_silences_a_timer_with_events_under_the_names_of_its_own(engine):
    timer = Timer(every="100ms")
    next_s, moments = timer.schedule(), [time.time()]
    while len(moments) < 1200:  # two minutes ahead
        moments.append(next_s(moments[-1]))
    forged = [timer_event("tick", timer, moment_s) for moment_s in moments[1:]]
    assert publish(engine, *(event("forged", one.id, source=one.source) for one in forged)).json()["duplicates"] == 0
    before = len(said(engine, "tick"))
    wait_until(lambda: len(said(engine, "tick")) > before + 3)


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


def test_a_batch_that_would_keep_others_waiting_is_refused_and_says_to_send_several(engine):
    events = [event("unseen", f"many {number}") for number in range(10_001)]
    answer = publish(engine, *events)
    assert (answer.status, answer.code) == (413, "body_too_large")
    assert "10001 events" in answer.json()["detail"]
    assert "several batches" in answer.json()["detail"]
    assert publish(engine, *events[1:]).json() == {"accepted": 10_000, "duplicates": 0, "untaken": 10_000}


def test_an_app_that_is_deleted_takes_its_triggers_with_it_and_a_new_revision_changes_them(make_engine, tmp_path):
    engine = make_engine().start()
    path = write_app(tmp_path / "app.py", APP)
    engine.deploy(path)
    names = [trigger["name"] for trigger in engine.control("GET", "/broker").json()["triggers"]]
    assert sorted(names) == ["answer", "fail", "gather", "go_round", "note", "refuse", "tick/timer"]
    write_app(path, APP.replace('type="seen"', 'type="other"'))
    engine.deploy(path)
    wait_until(lambda: publish(engine, event("seen", "s"), event("other", "o")).status == 202)
    wait_until(lambda: any("noted o" in line for line in said(engine, "note")))
    assert not any("noted s" in line for line in said(engine, "note"))
    assert engine.control("DELETE", "/apps/reacting").status in (200, 204)
    wait_until(lambda: engine.control("GET", "/broker").json()["triggers"] == [])
    engine.stop()


def test_an_app_that_a_newer_engine_does_not_take_keeps_its_events_and_nobody_else_from_theirs(make_engine, tmp_path):
    engine = make_engine().start()
    engine.deploy(write_app(tmp_path / "app.py", APP))
    path = write_app(tmp_path / "patient.py", PATIENT)
    engine.deploy(path)
    assert publish(engine, event("patient", "p")).status == 202
    wait_until(lambda: any("tried p" in line for line in said(engine, "bear")))
    engine.stop()
    with closing(sqlite3.connect(engine.home / "records.sqlite3")) as connection, connection:
        changed = "UPDATE revisions SET spec = json_set(spec, '$.of_before', 1) WHERE function = 'bear'"
        assert connection.execute(changed).rowcount == 1

    engine.start()
    assert publish(engine, event("seen", "beside")).status == 202
    wait_until(lambda: any("noted beside" in line for line in said(engine, "note")))
    assert engine.stderr().count("events wait for a function until its app is deployed again: revision bear-00001") == 1

    write_app(path, PATIENT.replace('raise ValueError("not yet")', 'say(f"borne {event.id}")'))
    engine.deploy(path)
    wait_until(lambda: any("borne p" in line for line in said(engine, "bear")))
    wait_until(lambda: engine.control("GET", "/broker").json()["waiting"] == 0)


def test_events_are_published_without_the_token_but_only_with_it_are_they_looked_at(engine):
    assert publish(engine, event("unseen", "open")).status == 202
    refused = [
        engine.tcp(method, path)
        for method, path in [("GET", "/events"), ("GET", "/broker"), ("GET", "/broker/events"), ("GET", "/broker/dead")]
    ]
    assert [answer.status for answer in refused] == [401] * 4
