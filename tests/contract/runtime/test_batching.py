"""How requests are handed to a handler together, and what each caller gets of it, on every platform."""

import time

import msgpack
import pytest

from skerry.payload import MSGPACK
from support.raw_http import request

APP = "batches.py"
MAX_SIZE = 8
MSGPACK_BOTH = (("content-type", MSGPACK), ("accept", MSGPACK))
TAKERS = ["squares", "squares_async", "scalar"]


class Crowd:
    """Requests that wait together behind one that holds the only worker.

    Args:
        platform: Where they are sent.
        function: What they call.
        name: Names the gate, and the notes about batches.
    """

    def __init__(self, platform, function, name):
        self.platform, self.function, self.name = platform, function, name
        self.clients = []

    def __enter__(self):
        self._first = self._start({**self.ask(0), "gate": f"{self.name}-gate"})
        self.platform.wait_until_active(self.function)
        return self

    def __exit__(self, *_):
        self.platform.release(f"{self.name}-gate")
        for client in self.clients:
            client.socket.close()

    def ask(self, x, **more):
        return {"x": x, "notes": self.name, **more}

    def send(self, asks, *headers):
        """Send requests, and wait until they wait."""
        for ask in asks:
            self._start(ask, *headers)
        self.platform.wait_for_queue(self.function, len(self.clients) - 1)

    def answers(self):
        """Let the first go, and return the answers of the others in the order in which they were sent."""
        self.platform.release(f"{self.name}-gate")
        assert self._first.read_answer().status == 200
        return [client.read_answer() for client in self.clients[1:]]

    def batches(self):
        """Return size and texts of the batches after the first."""
        found = [line.split(" ", 2) for line in self.platform.lines(self.name)]
        return [(int(size), texts) for size, _, texts in found][1:]

    def sizes(self):
        return [size for size, _ in self.batches()]

    def _start(self, ask, *headers):
        client = self.platform.start_call(self.function, ask, *headers)
        self.clients.append(client)
        return client


def statuses(answers):
    return [answer.status for answer in answers]


@pytest.mark.parametrize("function", TAKERS)
def test_callers_who_wait_together_get_their_own_results(platform, function):
    with Crowd(platform, function, f"own-{function}") as crowd:
        crowd.send(crowd.ask(x) for x in range(20))
        answers = crowd.answers()
    assert [answer.json() for answer in answers] == [x * x for x in range(20)]


@pytest.mark.parametrize("function", ["squares", "squares_async"])
def test_a_handler_of_items_takes_as_many_as_it_may_and_no_more(platform, function):
    with Crowd(platform, function, f"size-{function}") as crowd:
        crowd.send(crowd.ask(x) for x in range(20))
        crowd.answers()
    assert sum(crowd.sizes()) == 20
    assert max(crowd.sizes()) == MAX_SIZE
    batches = platform.metric("skerry_batch_size_count", function)
    assert platform.metric("skerry_batch_size_bucket", function, le="8.0") == batches


def test_a_handler_of_one_value_is_handed_several(platform):
    before = platform.metric("skerry_batch_size_count", "scalar")
    with Crowd(platform, "scalar", "handed") as crowd:
        crowd.send(crowd.ask(x) for x in range(16))
        crowd.answers()
    assert 1 < platform.metric("skerry_batch_size_count", "scalar") - before <= 1 + 16 // 2


def test_what_was_learnt_of_batches_can_be_seen(platform):
    with Crowd(platform, "squares", "learnt") as crowd:
        crowd.send(crowd.ask(x) for x in range(4))
        crowd.answers()
    found = {dict(labels).get("term") for name, labels in platform.metrics() if name == "skerry_batch_model_seconds"}
    assert found >= {"per_item", "fixed"}
    reasons = {dict(labels).get("reason") for name, labels in platform.metrics() if name == "skerry_batches_total"}
    assert "queue" in reasons


@pytest.mark.parametrize("function", TAKERS)
def test_one_item_of_a_wrong_type_fails_alone(platform, function):
    with Crowd(platform, function, f"type-{function}") as crowd:
        crowd.send([crowd.ask(1), crowd.ask("many"), crowd.ask(3)])
        first, wrong, third = crowd.answers()
    assert (first.json(), third.json()) == (1, 9)
    assert (wrong.status, wrong.code) == (422, "invalid_payload")
    assert [error["field"].rpartition(".")[2] for error in wrong.json()["errors"]] == ["x"]


def test_one_item_with_a_malformed_body_fails_alone(platform):
    with Crowd(platform, "squares", "malformed") as crowd:
        crowd.send([crowd.ask(1), b"{", crowd.ask(3)])
        answers = crowd.answers()
    assert statuses(answers) == [200, 400, 200]


@pytest.mark.parametrize("function", TAKERS)
def test_one_item_whose_handler_raises_fails_alone(platform, function):
    with Crowd(platform, function, f"raise-{function}") as crowd:
        crowd.send([crowd.ask(1), crowd.ask(2, fails="raise"), crowd.ask(3)])
        first, failed, third = crowd.answers()
    assert (first.json(), third.json()) == (1, 9)
    assert (failed.status, failed.code) == (500, "handler_failed")
    platform.wait_for_log(function, failed.json()["error_id"])


@pytest.mark.parametrize("function", ["squares", "squares_async"])
def test_one_result_that_is_an_exception_fails_alone(platform, function):
    with Crowd(platform, function, f"return-{function}") as crowd:
        crowd.send([crowd.ask(1), crowd.ask(2, fails="return"), crowd.ask(3)])
        first, failed, third = crowd.answers()
    assert (first.json(), third.json()) == (1, 9)
    assert (failed.status, failed.code) == (500, "handler_failed")
    assert crowd.sizes() == [3]  # nothing was run again


def test_a_handler_with_too_few_results_answers_nobody_with_those_of_another(platform):
    client = platform.start_call("short", {"x": 0, "notes": "short", "gate": "short-gate"})
    platform.wait_for_notes("short")
    others = [platform.start_call("short", {"x": x, "notes": "short"}) for x in range(1, 4)]
    platform.wait_for_queue("short", 3)
    platform.release("short-gate")
    for each in (client, *others):
        answer = each.read_answer()
        each.socket.close()
        assert (answer.status, answer.code) == (500, "handler_failed"), answer
    platform.wait_for_log("short", "returned 2 results")
    assert [line.split()[0] for line in platform.lines("short")] == ["1", "3"]


def test_calls_of_different_groups_share_no_batch(platform):
    with Crowd(platform, "squares", "groups") as crowd:
        for x in range(4):
            crowd.send([crowd.ask(x, text="a")], ("skerry-group", "a"))
            crowd.send([crowd.ask(x, text="b")], ("skerry-group", "b"))
        crowd.send([crowd.ask(9, text="none")])
        answers = crowd.answers()
    assert [answer.json() for answer in answers] == [0, 0, 1, 1, 4, 4, 9, 9, 81]
    assert sorted(crowd.batches()) == [(1, "none"), (4, "a"), (4, "b")]


def test_a_batch_is_no_heavier_than_it_may_be(platform):
    with Crowd(platform, "weighed", "weights") as crowd:
        for x, weight in enumerate(("4", "4", "4", "1", "100", "9.5", "0.5")):
            crowd.send([crowd.ask(x)], ("skerry-weight", weight))
        answers = crowd.answers()
    assert [answer.json() for answer in answers] == [x * x for x in range(7)]
    assert crowd.sizes() == [2, 2, 1, 2]


def test_items_weigh_their_bytes_where_the_function_says_so(platform):
    with Crowd(platform, "measured", "bytes") as crowd:
        for x, text in ((1, "x" * 600), (2, "y" * 600), (3, "")):
            crowd.send([crowd.ask(x, text=text)])
        answers = crowd.answers()
    assert [answer.json() for answer in answers] == [1, 4, 9]
    assert crowd.sizes() == [1, 2]


def test_callers_with_json_and_with_messagepack_share_a_batch(platform):
    with Crowd(platform, "squares", "codecs") as crowd:
        crowd.send([crowd.ask(2)])
        crowd.send([msgpack.packb(crowd.ask(3))], *MSGPACK_BOTH)
        crowd.send([crowd.ask(4)], MSGPACK_BOTH[1])
        crowd.send([msgpack.packb(crowd.ask(5))], MSGPACK_BOTH[0])
        answers = crowd.answers()
    assert [answer.headers["content-type"] for answer in answers] == [
        *("application/json", MSGPACK, MSGPACK, "application/json")
    ]
    assert [answers[0].json(), msgpack.unpackb(answers[1].body), msgpack.unpackb(answers[2].body)] == [4, 9, 16]
    assert answers[3].json() == 25
    assert crowd.sizes() == [4]


@pytest.mark.parametrize("function", TAKERS)
def test_a_single_caller_does_not_wait_for_others(platform, function):
    ask = {"x": 3, "notes": "single"}  # the objective is an hour
    with platform.connect() as client:
        client.call(f"/function/{function}", ask)
        began_s = time.monotonic()
        assert [client.call(f"/function/{function}", ask).json() for _ in range(20)] == [9] * 20
        assert time.monotonic() - began_s < 30


def test_a_caller_who_leaves_a_waiting_batch_does_not_harm_the_others(platform):
    with Crowd(platform, "squares", "left") as crowd:
        crowd.send(crowd.ask(x) for x in range(2))
        leaving = platform.start_call("squares", crowd.ask(100))
        platform.wait_for_queue("squares", 3)
        leaving.socket.close()
        platform.wait_for_queue("squares", 2)
        assert [answer.json() for answer in crowd.answers()] == [0, 1]
    assert crowd.sizes() == [2]


def test_a_deadline_in_the_queue_takes_one_item_out_of_its_batch(platform):
    with Crowd(platform, "squares", "late") as crowd:
        crowd.send([crowd.ask(1)])
        with platform.connect() as client:
            answer = client.call("/function/squares", crowd.ask(2), [("skerry-timeout-ms", "50")])
        assert (answer.status, answer.code) == (504, "deadline_exceeded")
        crowd.send([crowd.ask(3)])
        assert [answer.json() for answer in crowd.answers()] == [1, 9]
    assert crowd.sizes() == [2]


@pytest.mark.parametrize("function", ["squares", "squares_async"])
def test_callers_who_give_up_on_a_batch_that_runs_do_not_harm_the_others(platform, function):
    name = f"given-up-{function}"
    with Crowd(platform, function, name) as crowd, platform.connect() as leaving:
        crowd.send([crowd.ask(1, gate=f"{name}-batch"), crowd.ask(2)])
        leaving.send(request(f"/function/{function}", crowd.ask(4)))
        platform.wait_for_queue(function, 3)
        with platform.start_call(function, crowd.ask(3), ("skerry-timeout-ms", "4000")) as late:
            platform.wait_for_queue(function, 4)
            platform.release(f"{name}-gate")
            platform.wait_for_notes(name, 2)  # the batch is with the worker, and holds it
            leaving.socket.close()
            answer = late.read_answer()
        assert (answer.status, answer.code) == (504, "deadline_exceeded")
        platform.release(f"{name}-batch")
        assert [client.read_answer().json() for client in crowd.clients] == [0, 1, 4]
        with platform.connect() as client:
            assert client.call(f"/function/{function}", crowd.ask(5)).json() == 25
    platform.wait_until_idle(function)
    assert len({line.split()[1] for line in platform.lines(name)}) == 1  # one worker all the time


@pytest.mark.parametrize("function", ["squares", "squares_again"], ids=["once", "idempotent"])
def test_a_worker_that_is_killed_costs_no_more_than_the_batch_that_it_had(platform, function):
    name = f"killed-{function}"
    with Crowd(platform, function, name) as crowd:
        crowd.send([crowd.ask(x, gate=f"{name}-batch") for x in range(MAX_SIZE)])
        platform.release(f"{name}-gate")
        platform.wait_for_notes(name, 2)  # the batch is with the worker, and holds it
        after = [platform.start_call(function, crowd.ask(x)) for x in (20, 21)]
        platform.wait_for_queue(function, 2)
        platform.kill(int(platform.lines(name)[1].split()[1]))
        platform.release(f"{name}-batch")
        answers = crowd.answers()
        others = [client.read_answer() for client in after]
        for client in after:
            client.socket.close()
    if function == "squares_again":
        assert [answer.json() for answer in answers] == [x * x for x in range(MAX_SIZE)]
    else:
        assert [(answer.status, answer.code) for answer in answers] == [(502, "worker_lost")] * MAX_SIZE
    assert [answer.json() for answer in others] == [400, 441]
