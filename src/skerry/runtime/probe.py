"""Probes: requests that ask whether anybody would answer. They are no traffic: they are not counted and wake no worker.

Source: Knative Serving, ``pkg/queue/health/handler.go``, and ``IsKubeletProbe`` of ``knative.dev/networking``.
"""

from __future__ import annotations

from skerry.runtime.message import Response
from skerry.runtime.reading import Headers

NETWORK = b"k-network-probe"
KUBELET = b"k-kubelet-probe"
KUBELET_AGENT = b"kube-probe/"
QUEUE = "queue"  # what the network's probes are for, and what they are answered with


def is_probe(headers: Headers) -> bool:
    """Return whether a request asks for health, whatever its path."""
    for name, value in headers:
        if (name == b"user-agent" and value.startswith(KUBELET_AGENT)) or (name in (NETWORK, KUBELET) and value):
            return True
    return False


def network_probe(headers: Headers) -> str | None:
    """Return what a probe of Knative's network is for, none where the request is no such probe."""
    for name, value in headers:
        if name == NETWORK and value:
            return value.decode("latin-1")
    return None


def answer_network_probe(asked: str, *, is_ready: bool) -> Response:
    """Answer as Knative's queue proxy does: its own name, 503 while it is not ready, 400 to what is for another."""
    if asked != QUEUE:
        text = f"unexpected probe header value: {asked}\n"
        return Response(text.encode("latin-1", "replace"), status=400, content_type="text/plain; charset=utf-8")
    if not is_ready:
        return Response(status=503, content_type="")
    return Response(QUEUE.encode(), content_type="text/plain; charset=utf-8")


def answer_health(*, is_ready: bool) -> Response:
    """Answer a probe that wants to know whether requests are taken."""
    return Response.of_json({"status": "ready" if is_ready else "not ready"}, status=200 if is_ready else 503)
