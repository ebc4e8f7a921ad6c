"""WebSockets to pods through the API server, with the client library's credentials."""

from __future__ import annotations

import ssl
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from skerry.errors import SkerryError
from skerry.platforms.http.secure import notice_loss
from skerry.platforms.kubernetes.api.connection import Connection
from skerry.platforms.kubernetes.pods.pods import Place

OPEN_TIMEOUT_S: Final = 10.0
PROTOCOL: Final = "v4.channel.k8s.io"
DATA: Final = 0
ERROR: Final = 1


def open_websocket(connection: Connection, namespace: str, place: Place, *, timeout_s: float = OPEN_TIMEOUT_S) -> Any:
    """Return a WebSocket to a pod's port; that it opens means that the kubelet of the pod's node answered.

    The client library's own way to open one waits without an end for a node that was lost.

    Args:
        connection: The API server.
        namespace: Of the pod.
        place: The pod and its port.
        timeout_s: Longest wait until it is open, seconds.

    Raises:
        SiteUnreachableError: the API server cannot be reached, or the node does not answer it.
        PlatformError: it refuses, or the pod has gone.
    """
    from kubernetes.stream.ws_client import websocket_proxycare
    from websocket import WebSocket, WebSocketBadStatusException, WebSocketException

    parts = urlsplit(connection.access.server)
    scheme = "wss" if parts.scheme == "https" else "ws"
    path = f"{parts.path.rstrip('/')}/api/v1/namespaces/{namespace}/pods/{place.pod}/portforward"
    url = urlunsplit((scheme, parts.netloc, path, f"ports={place.port}", ""))
    header = [f"sec-websocket-protocol: {PROTOCOL}"]
    if token := connection.headers().get("Authorization"):
        header.append(f"authorization: {token}")
    configuration = connection.access.configuration
    options: dict[str, Any] = {"header": header}
    if configuration.proxy or configuration.proxy_headers:
        options = websocket_proxycare(options, configuration, url, {})
    opened = WebSocket(sslopt=_tls(configuration), skip_utf8_validation=False)
    opened.settimeout(timeout_s)
    try:
        opened.connect(url, **options)
        opened.settimeout(None)
        notice_loss(opened.sock)
    except WebSocketBadStatusException as error:
        raise connection.refusal(
            error.status_code, error.resp_body or b"", doing=f"forwarding to pod {place.pod}"
        ) from error
    except (WebSocketException, OSError) as error:
        raise connection.failure(error) from error
    return opened


def answers(connection: Connection, namespace: str, place: Place, question: bytes, *, timeout_s: float) -> bool:
    """Return whether a pod says anything to a question, over a connection of its own.

    Args:
        connection: The API server.
        namespace: Of the pod.
        place: The pod and its port.
        question: What is sent there; when it is empty, it is enough that the pod's node answers.
        timeout_s: Longest wait, for each of its steps, seconds.
    """
    from websocket import ABNF, WebSocketException

    try:
        opened = open_websocket(connection, namespace, place, timeout_s=timeout_s)
    except SkerryError:
        return False
    try:
        if not question:
            return True
        opened.settimeout(timeout_s)
        opened.send_binary(bytes([DATA]) + question)
        begun = False
        while True:
            code, frame = opened.recv_data()
            if code != ABNF.OPCODE_BINARY or not frame or (frame[0] == ERROR and len(frame) > 3):
                return False
            if frame[0] == DATA:
                if begun:
                    return True
                begun = True  # the first frame of a channel holds the port's number alone
    except (WebSocketException, OSError):
        return False
    finally:
        opened.shutdown()


def _tls(configuration: Any) -> dict[str, Any]:
    """Return what to expect of the server, in the words of the library of WebSockets."""
    if not configuration.verify_ssl:  # the kubeconfig says insecure-skip-tls-verify
        found: dict[str, Any] = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    else:
        found = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": configuration.ssl_ca_cert or None}
        if found["ca_certs"] is None:
            del found["ca_certs"]
        if configuration.assert_hostname is not None:
            found["check_hostname"] = configuration.assert_hostname
    names = {"certfile": "cert_file", "keyfile": "key_file", "server_hostname": "tls_server_name"}
    return found | {key: value for key, name in names.items() if (value := getattr(configuration, name))}
