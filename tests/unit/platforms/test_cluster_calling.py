"""Calls through an ingress: a real server on a Unix socket stands for it."""

import json
import threading

import pytest

from skerry.errors import (
    ConfigError,
    DeadlineExceededError,
    FunctionNotFoundError,
    HandlerError,
    SiteUnreachableError,
    TransportError,
)
from skerry.platforms import CallOptions
from skerry.platforms.http.connection import Address
from skerry.platforms.kubernetes.calling.calling import CallingPlatform
from skerry.platforms.kubernetes.calling.routes import Route, Routes

JSON = "application/json"
HOST = "add-two.shop.example.com"


@pytest.fixture
def ingress(stub):
    """Serve what a test answers, and call it as a platform does."""

    class Ingress:
        found = 0

        def find(self, function):
            self.found += 1
            return Route(address=Address(path=stub.path), host=HOST, wait_s=20.0)

        def serve(self, answer):
            self.server = stub.serve(answer)
            return self.platform()

        def platform(self, patience_s=5.0):
            return CallingPlatform(self.find, title="knative in namespace 'shop'", site=None, patience_s=patience_s)

    return Ingress()


def test_a_call_carries_the_host_of_its_function(ingress, stub):
    platform = ingress.serve(lambda *_: stub.Reply(200, b"42"))

    answer = platform.invoke("add_two", b"40", content_type=JSON, options=CallOptions(timeout_s=30))

    method, path, body, headers = ingress.server.requests[0]
    assert (method, path, body, headers["host"]) == ("POST", "/function/add_two", b"40", HOST)
    assert 0 < int(headers["skerry-timeout-ms"]) <= 30_000
    assert answer.body == b"42"


def test_routes_are_found_once(ingress, stub):
    platform = ingress.serve(lambda *_: stub.Reply(200, b"42"))

    for _ in range(3):
        platform.invoke("add_two", b"40", content_type=JSON)

    assert (ingress.found, ingress.server.connections) == (1, 1)


def test_a_stream_comes_piece_by_piece(ingress, stub):
    platform = ingress.serve(lambda *_: stub.Reply(200, chunks=[b"1\n", b"2\n"]))

    with platform.stream("count", b"2", content_type=JSON) as stream:
        assert b"".join(stream) == b"1\n2\n"


def test_the_function_s_own_errors_stay_what_they_are(ingress, stub):
    platform = ingress.serve(lambda *_: stub.problem(HandlerError("it raised", error_id="e1")))

    with pytest.raises(HandlerError, match="it raised") as caught:
        platform.invoke("add_two", b"40", content_type=JSON)
    assert caught.value.details["error_id"] == "e1"


def test_an_ingress_that_knows_no_such_host_is_told_from_the_function(ingress, stub):
    platform = ingress.serve(lambda *_: stub.Reply(404, b"404 page not found"))

    with pytest.raises(FunctionNotFoundError, match=HOST):
        platform.invoke("add_two", b"40", content_type=JSON)


@pytest.mark.parametrize(("idempotent", "attempts"), [(True, 2), (False, 1)])
def test_a_call_whose_pod_was_lost_is_sent_again_only_if_it_may_run_twice(ingress, stub, idempotent, attempts):
    answers = iter([stub.Reply(502, b"EOF"), stub.Reply(200, b"42")])
    platform = ingress.serve(lambda *_: next(answers))

    def call():
        return platform.invoke("add_two", b"40", content_type=JSON, options=CallOptions(idempotent=idempotent)).body

    if idempotent:
        assert call() == b"42"
    else:
        with pytest.raises(TransportError, match="502 for function 'add_two'"):
            call()
    assert len(ingress.server.requests) == attempts


def test_a_deadline_ends_the_wait_for_a_pod(ingress, stub):
    done = threading.Event()

    def answer(*_):
        done.wait(60)
        return stub.Reply(200, b"42")

    platform = ingress.serve(answer)
    try:
        with pytest.raises(DeadlineExceededError):
            platform.invoke("add_two", b"40", content_type=JSON, options=CallOptions(timeout_s=0.2))
    finally:
        done.set()


def test_an_ingress_that_is_not_there_is_named_with_its_platform(ingress):
    platform = ingress.platform(patience_s=0)

    with pytest.raises(SiteUnreachableError, match=r"knative in namespace 'shop' at .*engine.sock does not answer"):
        platform.invoke("add_two", b"40", content_type=JSON)
    assert ingress.found == 2  # it was looked for anew before it was given up


@pytest.mark.parametrize("verb", ["job", "result", "cancel", "retry"])
def test_jobs_are_refused_by_name(ingress, verb):
    with pytest.raises(ConfigError, match="knative in namespace 'shop' keeps no jobs") as caught:
        getattr(ingress.platform(), verb)("j1")
    assert "on an engine" in caught.value.details["hint"]


def test_submitting_is_refused_and_nothing_is_sent(ingress, stub):
    platform = ingress.serve(lambda *_: stub.Reply(200, json.dumps({}).encode()))

    with pytest.raises(ConfigError, match="keeps no jobs"):
        platform.submit("add_two", b"40", content_type=JSON)
    assert ingress.server.requests == []


def test_an_ingress_that_sends_calls_elsewhere_is_no_answer(ingress, stub):
    platform = ingress.serve(lambda *_: stub.Reply(301, b"", {"Location": "https://add-two.shop.example.com/"}))

    with pytest.raises(ConfigError, match="sends calls of function 'add_two' on to https://add-two") as caught:
        platform.invoke("add_two", b"40", content_type=JSON)
    assert "--ingress https://HOST:PORT" in caught.value.details["hint"]
    assert len(ingress.server.requests) == 1


def test_a_closed_platform_looks_for_its_routes_anew(ingress, stub):
    platform = ingress.serve(lambda *_: stub.Reply(200, b"42"))

    platform.invoke("add_two", b"40", content_type=JSON)
    platform.close()

    assert platform.invoke("add_two", b"40", content_type=JSON).body == b"42"
    assert ingress.found == 2


def test_a_known_route_does_not_wait_for_one_that_is_looked_for():
    begun, done = threading.Event(), threading.Event()

    def find(function):
        if function == "slow":
            begun.set()
            done.wait(60)
        return Route(address=Address(host="127.0.0.1", port=1))

    routes = Routes(find)
    known = routes.of("known")
    thread = threading.Thread(target=routes.of, args=["slow"])
    thread.start()
    try:
        assert begun.wait(60)
        assert routes.of("known") is known
    finally:
        done.set()
        thread.join()
