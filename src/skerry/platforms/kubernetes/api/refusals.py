"""What a cluster's refusals and silences mean, as errors that name the cause and the next step. Pure."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from http.client import IncompleteRead
from typing import Any, Final

from skerry.errors import PlatformError, SiteUnreachableError, SkerryError, UnauthorizedError

_FORBIDDEN: Final = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_QUOTA: Final = re.compile(
    r"exceeded quota: (?P<quota>[^,]+), requested: (?P<asked>.+), used: (?P<used>.+), limited: (?P<limit>.+)"
)
_WEBHOOK: Final = re.compile(r'admission webhook "(?P<webhook>[^"]+)" denied the request:? ?(?P<why>.*)', re.DOTALL)
_TERMINATING: Final = re.compile(r"in namespace (?P<namespace>\S+) because it is being terminated")
_LOST_NAMESPACE: Final = re.compile(r'namespaces "(?P<namespace>[^"]+)" not found')

KNATIVE_ADVICE: Final = (
    "install Knative Serving (https://knative.dev/docs/install), or deploy with --platform kubernetes, which needs none"
)


def read_refusal(status: int, body: bytes, *, doing: str, means: str, server: str) -> SkerryError:
    """Return the error that an answer of the API server means.

    Args:
        status: HTTP status, 400 or higher.
        body: What came with it: mostly a ``Status`` as JSON.
        doing: What was asked, such as ``applying Deployment demo/hello``.
        means: What proves who one is, such as ``token``.
        server: The API server's address.
    """
    answer = _parse(body)
    message = str(answer.get("message") or body[:500].decode(errors="replace").strip() or f"HTTP {status}")
    if status == 401:
        return _unauthorized(means, server)
    if status == 403 or _QUOTA.search(message) or _WEBHOOK.search(message):
        return _forbidden(message, doing)
    if status == 409:
        return _conflict(answer, message, doing)
    if status == 404:
        return _not_found(message, doing)
    if status == 429 or (status >= 500 and "typed patch object" not in message):
        return PlatformError(
            f"{doing}: the API server at {server} cannot answer now ({status}: {message}); try again, "
            "and if it stays so look at the control plane's health (kubectl get --raw /readyz)",
            reason="busy",
        )
    return PlatformError(f"{doing}: the API server refuses it: {_causes(answer) or message}", reason="bad")


def read_failure(error: BaseException, *, server: str, source: str, context: str = "") -> SkerryError:
    """Return the error that a failed connection means.

    Args:
        error: What the connection raised.
        server: The API server's address.
        source: Where that address was read.
        context: The context; empty inside a cluster.
    """
    where = f"the API server {server} (context {context!r} of {source})" if context else f"the API server {server}"
    chain = list(_chain(error))
    text = " ".join(str(link) for link in chain)
    if any(isinstance(link, ssl.SSLError | ssl.CertificateError) for link in chain) or "CERTIFICATE_VERIFY" in text:
        return SiteUnreachableError(f"{where} cannot prove that it is the cluster: {_certificate(text)}", reason="tls")
    if any(isinstance(link, ConnectionRefusedError) for link in chain):
        cause, step = "refuses connections", "is the cluster running, and the port right?"
    elif any(type(link).__name__ in ("NameResolutionError", "gaierror") for link in chain):
        cause, step = "has a name that cannot be resolved", "are you in the right network or VPN?"
    elif any(isinstance(link, TimeoutError) or "Timeout" in type(link).__name__ for link in chain):
        cause, step = "does not answer in time", "is a firewall or a missing VPN in between?"
    else:
        cause = f"cannot be reached: {chain[-1] or type(chain[-1]).__name__}"
        step = "is the cluster running, and is this machine in its network?"
    broken = any(isinstance(link, ConnectionResetError | BrokenPipeError | IncompleteRead) for link in chain)
    return SiteUnreachableError(f"{where} {cause}; {step}", reason="lost" if broken else "silent")


def missing_kind(api_version: str, kind: str) -> SkerryError:
    """Return the error for a kind that the cluster does not know."""
    if "knative.dev" in api_version:
        part = "Eventing" if api_version.startswith(("eventing.", "sources.", "messaging.")) else "Serving"
        advice = KNATIVE_ADVICE.replace("Serving", part) if part == "Eventing" else KNATIVE_ADVICE
        return PlatformError(
            f"the cluster does not know {kind} of {api_version}: Knative {part} is not installed; {advice}",
            reason="no_knative",
        )
    return PlatformError(
        f"the cluster does not know {kind} of {api_version}: its Kubernetes is too old for it, or the resource "
        "definition is not installed (kubectl api-resources lists what it knows)",
        reason="unknown_kind",
    )


def read_quota(message: str) -> str:
    """Return what a message about an exceeded quota means; empty when it is about something else."""
    found = _QUOTA.search(message)
    if not found:
        return ""
    return (
        f"the namespace's quota {found['quota']} is exceeded: asked for {found['asked']}, in use {found['used']}, "
        f"limit {found['limit']}; lower memory, cpu or scale.max, delete something, or have the quota raised"
    )


def missing_rule(verb: str, resource: str, group: str) -> str:
    """Return the RBAC rule that allows this, as a person would write it into a Role."""
    return f'apiGroups: ["{group}"], resources: ["{resource}"], verbs: ["{verb}"]'


def _unauthorized(means: str, server: str) -> SkerryError:
    step = {
        "client certificate": "it expired, or is another cluster's: fetch the kubeconfig anew",
        "token": "it expired or was revoked: make a new one and put it into the kubeconfig",
        "credentials plugin": "log in again with the cloud's own tool",
        "service account": "the account was deleted, or the pod is older than its token: restart the pod",
    }.get(means, "the kubeconfig's user has none: fetch the kubeconfig anew")
    return UnauthorizedError(f"the API server {server} does not accept the {means or 'credentials'}; {step}")


def _forbidden(message: str, doing: str) -> SkerryError:
    if quota := read_quota(message):
        return PlatformError(f"{doing}: {quota}", reason="quota")
    if lost := _TERMINATING.search(message):
        return PlatformError(
            f"{doing}: namespace {lost['namespace']} is being deleted; wait until it is gone, or name another one with "
            "--namespace",
            reason="terminating",
        )
    if webhook := _WEBHOOK.search(message):
        why = webhook["why"].strip() or "it gave no reason"
        return PlatformError(
            f"{doing}: the cluster's admission webhook {webhook['webhook']} denies it: {why}", reason="admission"
        )
    if denied := _FORBIDDEN.search(message):
        where = f" in namespace {denied['namespace']}" if denied["namespace"] else " in the whole cluster"
        rule = missing_rule(denied["verb"], denied["resource"], denied["group"])
        kind = "Role" if denied["namespace"] else "ClusterRole"
        return PlatformError(
            f"{doing}: {denied['user']} may not {denied['verb']} {denied['resource']}{where}; "
            f"missing is a {kind} bound to it with the rule {{{rule}}}; `skerry doctor` names all that are missing",
            reason="forbidden",
        )
    return PlatformError(f"{doing}: the cluster forbids it: {message}", reason="forbidden")


def _conflict(answer: Mapping[str, Any], message: str, doing: str) -> SkerryError:
    causes = (answer.get("details") or {}).get("causes") or []
    fields = [
        f"{cause.get('field', '?').lstrip('.')} ({str(cause.get('message', '')).removeprefix('conflict with ')})"
        for cause in causes
        if cause.get("reason") == "FieldManagerConflict"
    ]
    if fields:
        return PlatformError(
            f"{doing}: others own fields that Skerry sets: {', '.join(fields)}; stop them from setting these, "
            "or take the fields over with --force",
            reason="conflict",
        )
    return PlatformError(f"{doing}: somebody changed it at the same time: {message}; try again", reason="conflict")


def _not_found(message: str, doing: str) -> SkerryError:
    if lost := _LOST_NAMESPACE.search(message):
        name = lost["namespace"]
        return PlatformError(
            f"{doing}: there is no namespace {name}; run: kubectl create namespace {name}, or name another one with "
            "--namespace",
            reason="no_namespace",
        )
    return PlatformError(f"{doing}: {message}", reason="not_found")


def _causes(answer: Mapping[str, Any]) -> str:
    causes = (answer.get("details") or {}).get("causes") or []
    return "; ".join(f"{cause.get('field', '?')}: {cause.get('message', '')}" for cause in causes)


def _certificate(text: str) -> str:
    if "expired" in text:
        return "its certificate has expired; renew the cluster's certificates (k3s: restart it; kubeadm: certs renew)"
    if "Hostname mismatch" in text or "doesn't match" in text or "IP address mismatch" in text:
        return "its certificate is for another name or address; use the address that it names, or set tls-server-name"
    if "CERTIFICATE_VERIFY" in text:
        return "its certificate is not signed by the kubeconfig's authority; fetch the kubeconfig anew"
    return f"the TLS handshake failed ({text[:200]}); is this the address of an API server?"


def _chain(error: BaseException) -> Any:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        inner = getattr(link, "reason", None)
        link = inner if isinstance(inner, BaseException) else link.__cause__ or link.__context__


def _parse(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
