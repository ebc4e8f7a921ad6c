"""What an answer means that a cluster gave instead of the function: a pure decision.

Between a caller and a pod stand an ingress (Envoy in most clusters) and, on Knative, its activator and queue-proxy.
They answer in plain text when they cannot reach a pod, or when it takes too long.
"""

from __future__ import annotations

from skerry.errors import (
    BodyTooLargeError,
    ConfigError,
    FunctionNotFoundError,
    HandlerTimeoutError,
    QueueFullError,
    SkerryError,
    TransportError,
    UnavailableError,
)
from skerry.platforms.http.reply import Response

SHOWN_CHARACTERS = 200
INSIDE = "that is a name for the inside of the cluster; `skerry doctor --platform knative` says how to set another"
# Envoy's words for a connection to a pod that never came about: nothing has run.
NEVER_SENT = (
    "connection failure",
    "connection timeout",
    "no healthy upstream",
    "connection refused",
    "no route to host",
    "connect timeout",
    "reset reason: overflow",
)
# And for one that was lost, after the request may have arrived.
LOST = ("reset before headers", "connection termination", "protocol error", "upstream connect error")


def cluster_error(response: Response, *, function: str, host: str | None) -> SkerryError:
    """Return the error that an answer of 400 and above means, where a cluster gave it instead of the function.

    Args:
        response: The answer.
        function: The function that was called.
        host: The name that it was called by; none where it was called without one.
    """
    text = response.body[:SHOWN_CHARACTERS].decode("utf-8", "replace").strip()
    said = f"the cluster answered {response.status} for function {function!r}: {text or 'without a word'}"
    lowered = text.lower()
    if response.status == 404:
        where = "" if host is None else f" for {host}"
        inside = (host or "").endswith(".svc.cluster.local")
        return FunctionNotFoundError(
            f"the cluster's ingress has no route{where} to function {function!r}",
            hint=INSIDE if inside else "`skerry list` with the same --platform and --namespace shows what is deployed",
        )
    if response.status == 413:
        return BodyTooLargeError(f"{said}; its ingress takes no body of this size")
    if response.status == 429:
        return QueueFullError(said)
    if response.status == 503 and not any(word in lowered for word in LOST):
        return UnavailableError(said)
    if response.status == 504:
        return HandlerTimeoutError(f"{said}; it ran longer than the cluster waits for its answer")
    # A pod, or the node under it, was lost: 502, and 503 in Envoy's words for it.
    return TransportError(said, sent=not any(word in lowered for word in NEVER_SENT))


def redirect_error(response: Response, *, function: str) -> SkerryError:
    """Return the error that an answer from 300 to 399 means: an ingress that serves over HTTPS alone, mostly.

    Args:
        response: The answer.
        function: The function that was called.
    """
    return ConfigError(
        f"the cluster's ingress sends calls of function {function!r} on to "
        f"{response.headers.get('location', 'another address')}, and calls do not follow",
        hint="name the address that it means: --ingress https://HOST:PORT, or address in [sites.NAME]",
    )
