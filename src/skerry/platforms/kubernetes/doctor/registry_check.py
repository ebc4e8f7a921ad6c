"""Whether a registry can be reached and pushed to from here."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Final

from skerry.platforms.kubernetes.doctor.findings import Finding

TIMEOUT_S: Final = 10.0
PROBED: Final = "skerry-doctor"


def check_registry(registry: str) -> Finding:
    """Look whether a registry answers, and whether it takes an upload; the upload is taken back.

    Args:
        registry: ``HOST[:PORT][/PATH]``.
    """
    host, _, path = registry.partition("/")
    try:
        secure, status = _greet(host)
    except (OSError, http.client.HTTPException) as error:
        advice = "is it running, and reachable from this machine?"
        return Finding("registry", "fail", f"{host} does not answer: {error or type(error).__name__}", advice)
    plain = "" if secure else ", plain HTTP: the nodes must know it as such"
    if status in (401, 403):
        return Finding(
            "registry", "ok", f"{host} answers, and asks for credentials{plain}", "log in: docker login " + host
        )
    if status != 200:
        advice = "is this the address of an image registry?"
        return Finding("registry", "fail", f"{host} answers {status} to GET /v2/", advice)
    try:
        pushed = _try_upload(host, "/".join(part for part in (path, PROBED) if part), secure=secure)
    except (OSError, http.client.HTTPException) as error:
        return Finding("registry", "fail", f"{host} lets go of an upload: {error or type(error).__name__}")
    if pushed != 202:
        advice = f"log in: docker login {host}" if pushed in (401, 403) else "is it read-only, or a mirror?"
        return Finding("registry", "fail", f"{host} answers {pushed} to an upload", advice)
    return Finding("registry", "ok", f"{host} answers and takes uploads{plain}")


def _greet(host: str) -> tuple[bool, int]:
    """Return whether the registry speaks TLS, and its answer."""
    try:
        return True, _ask(host, "GET", "/v2/", secure=True)[0]
    except (ssl.SSLError, ConnectionRefusedError, ConnectionResetError, http.client.HTTPException) as error:
        if isinstance(error, ssl.SSLCertVerificationError):
            raise
        return False, _ask(host, "GET", "/v2/", secure=False)[0]


def _try_upload(host: str, repository: str, *, secure: bool) -> int:
    status, location = _ask(host, "POST", f"/v2/{repository}/blobs/uploads/", secure=secure)
    if status == 202 and location:
        path = location if location.startswith("/") else "/" + location.split("/", 3)[-1]
        _ask(host, "DELETE", path, secure=secure)
    return status


def _ask(host: str, method: str, path: str, *, secure: bool) -> tuple[int, str]:
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(host, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, headers={"Content-Length": "0"} if method == "POST" else {})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("Location", "")
    except socket.gaierror as error:
        raise OSError(f"its name cannot be resolved ({error.strerror})") from error
    finally:
        connection.close()
