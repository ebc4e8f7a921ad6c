"""What an answer means that a cluster gave instead of the function."""

import pytest

from skerry.errors import (
    BodyTooLargeError,
    FunctionNotFoundError,
    HandlerTimeoutError,
    QueueFullError,
    TransportError,
    UnavailableError,
)
from skerry.platforms.http.reply import Response
from skerry.platforms.kubernetes.calling.answers import cluster_error

RESET = b"upstream connect error or disconnect/reset before headers. reset reason: "


@pytest.mark.parametrize(
    ("status", "body", "kind", "sent"),
    [
        (404, b"", FunctionNotFoundError, None),
        (413, b"too large", BodyTooLargeError, None),
        (429, b"", QueueFullError, None),
        (503, b"no healthy upstream", UnavailableError, None),
        (503, b"activator overload", UnavailableError, None),
        (503, RESET + b"connection termination", TransportError, True),
        (503, RESET + b"remote connection failure", TransportError, False),
        (502, b"dial tcp 10.0.0.1:8012: connect: connection refused", TransportError, False),
        (502, b"", TransportError, True),
        (504, b"request timeout", HandlerTimeoutError, None),
        (500, b"\xff", TransportError, True),
    ],
)
def test_each_answer_has_its_error(status, body, kind, sent):
    found = cluster_error(Response(status, {}, body), function="greet", host="greet.shop.example.com")

    assert type(found) is kind
    assert "greet" in found.message
    assert found.details.get("sent") is sent


def test_an_unknown_host_is_named():
    found = cluster_error(Response(404, {}, b""), function="greet", host="greet.shop.example.com")

    assert "no route for greet.shop.example.com to function 'greet'" in found.message
    assert "skerry list" in found.details["hint"]
    within = cluster_error(Response(404, {}, b""), function="greet", host="greet.shop.svc.cluster.local")
    assert "inside of the cluster" in within.details["hint"]
