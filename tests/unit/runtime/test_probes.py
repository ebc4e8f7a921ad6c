"""Probes of Kubernetes and Knative: answered by the front itself, on any path, and never counted or run."""

import asyncio
from types import SimpleNamespace

import pytest

from skerry.errors import UnavailableError
from skerry.runtime.front import Front, add_health_routes
from support.echo_service import read_answer

KUBELET = b"user-agent: kube-probe/1.31"
BEHIND_A_MESH = b"k-kubelet-probe: queue"
NETWORK = b"k-network-probe: queue"


class Pool:
    """A pool that must not be given anything."""

    def __init__(self):
        self.spec = SimpleNamespace(name="f", max_body_bytes=1000, local=False)
        self.dispatcher = SimpleNamespace(refusal=None)
        self.taken = 0

    def take(self, call):
        self.taken += 1
        raise UnavailableError("no worker here")


@pytest.fixture
def ask(run_loop):
    """Send requests over one connection to a front with the function `f`; return status and body of each."""

    def run(*requests, is_ready=True, refusal=None, alone=False):
        async def main():
            front, pool = Front(), Pool()
            pool.dispatcher.refusal = refusal
            front.add_function(pool, alone=alone)
            add_health_routes(front, is_ready=lambda: is_ready)
            reader, writer = await asyncio.open_connection("127.0.0.1", await front.listen("127.0.0.1", 0))
            answers = []
            try:
                for line, *headers in requests:
                    head = [line + b" HTTP/1.1", b"host: 127.0.0.1", b"content-length: 0", *headers]
                    writer.write(b"\r\n".join(head) + b"\r\n\r\n")
                    status, _, body = await asyncio.wait_for(read_answer(reader), 25)
                    answers.append((status, body))
            finally:
                writer.close()
                await front.stop_listening()
                await front.finish(limit_s=1.0)
            return answers, pool.taken

        return run_loop(main())

    return run


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("header", [KUBELET, BEHIND_A_MESH, NETWORK])
def test_a_probe_of_a_function_is_answered_and_never_a_call(ask, method, header):
    answers, taken = ask(*[(method + b" /function/f", header)] * 3)

    expected = b"queue" if header == NETWORK else b'{"status":"ready"}'
    assert answers == [(200, expected)] * 3
    assert taken == 0


def test_what_looks_nearly_like_a_probe_is_a_call(ask):
    near = [b"user-agent: my-kube-probe/1", b"k-kubelet-probe:", b"x-k-network-probe: queue"]

    answers, taken = ask(*[(b"POST /function/f", header) for header in near])

    assert [status for status, _ in answers] == [503] * 3
    assert taken == 3


def test_a_call_after_a_probe_is_a_call(ask):
    answers, taken = ask((b"POST /function/f", NETWORK), (b"POST /function/f",), (b"POST /function/f", NETWORK))

    assert [status for status, _ in answers] == [200, 503, 200]
    assert taken == 1


def test_the_networks_probe_is_answered_on_any_path(ask):
    paths = [b"GET /", b"GET /healthz", b"GET /function/unknown"]

    assert ask(*[(path, NETWORK) for path in paths])[0] == [(200, b"queue")] * 3
    assert ask((b"GET /", NETWORK), alone=True) == ([(200, b"queue")], 0)
    assert ask((b"GET /", b"k-network-probe: activator"))[0] == [(400, b"unexpected probe header value: activator\n")]


def test_probes_tell_that_nothing_can_serve(ask):
    requests = [(b"GET /function/f", NETWORK), (b"GET /function/f", KUBELET)]

    assert [status for status, _ in ask(*requests, is_ready=False)[0]] == [503, 503]
    assert [status for status, _ in ask(*requests, refusal=UnavailableError("closed"))[0]] == [503, 503]


def test_kubelets_probes_of_health_are_answered_by_the_routes(ask):
    answers, _ = ask((b"GET /health/liveness", KUBELET), (b"GET /health/readiness", KUBELET), (b"GET /no", KUBELET))

    assert answers[:2] == [(200, b'{"status":"alive"}'), (200, b'{"status":"ready"}')]
    assert answers[2][0] == 404
