"""What refusals and silences of an API server mean."""

import json
import socket
import ssl

import pytest

from skerry.errors import PlatformError, SiteUnreachableError, UnauthorizedError
from skerry.platforms.kubernetes.api.refusals import missing_kind, read_failure, read_refusal

SERVER = "https://cluster:6443"


def refuse(status, message, *, causes=(), means="token"):
    body = json.dumps({"kind": "Status", "message": message, "details": {"causes": list(causes)}}).encode()
    return read_refusal(status, body, doing="applying Deployment demo/greet", means=means, server=SERVER)


CASES = [
    (
        403,
        'deployments.apps "greet" is forbidden: User "ada" cannot patch resource "deployments" in API group "apps" '
        'in the namespace "demo"',
        "forbidden",
        "ada may not patch deployments in namespace demo; missing is a Role bound to it with the rule {apiGroups: ["
        '"apps"], resources: ["deployments"], verbs: ["patch"]}',
    ),
    (
        403,
        'nodes is forbidden: User "ada" cannot list resource "nodes" in API group "" at the cluster scope',
        "forbidden",
        "may not list nodes in the whole cluster; missing is a ClusterRole",
    ),
    (
        403,
        'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2',
        "quota",
        "the namespace's quota small is exceeded: asked for pods=1, in use pods=2, limit pods=2",
    ),
    (
        400,
        'admission webhook "validation.webhook.serving.knative.dev" denied the request: must not set the field(s): x',
        "admission",
        "validation.webhook.serving.knative.dev denies it: must not set the field(s): x",
    ),
    (
        403,
        'services "greet" is forbidden: unable to create new content in namespace demo because it is being terminated',
        "terminating",
        "namespace demo is being deleted; wait until it is gone",
    ),
    (404, 'namespaces "demo" not found', "no_namespace", "kubectl create namespace demo"),
    (404, 'deployments.apps "greet" not found', "not_found", "not found"),
    (409, "the object has been modified", "conflict", "somebody changed it at the same time"),
    (500, "failed to create typed patch object: .spec: expected map", "bad", "refuses it: failed to create typed"),
    (503, "etcd leader changed", "busy", "try again"),
    (429, "too many requests", "busy", "try again"),
]


@pytest.mark.parametrize(("status", "message", "reason", "words"), CASES)
def test_a_refusal_names_the_cause_and_the_next_step(status, message, reason, words):
    error = refuse(status, message)

    assert isinstance(error, PlatformError)
    assert error.details["reason"] == reason
    assert words in error.message


def test_a_conflict_names_the_fields_and_their_owners():
    cause = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "kubectl" using apps/v1',
        "field": ".spec.replicas",
    }

    error = refuse(409, "Apply failed with 1 conflict", causes=[cause])
    assert 'others own fields that Skerry sets: spec.replicas ("kubectl" using apps/v1); ' in error.message


def test_a_wrong_object_names_its_fields():
    error = refuse(422, "it is invalid", causes=[{"field": "spec.selector", "message": "Required value"}])

    assert error.message.endswith("refuses it: spec.selector: Required value")


@pytest.mark.parametrize(
    ("means", "step"),
    [
        ("client certificate", "fetch the kubeconfig anew"),
        ("token", "make a new one"),
        ("credentials plugin", "log in again"),
        ("none", "has none"),
    ],
)
def test_credentials_that_are_not_accepted_say_how_to_renew_them(means, step):
    error = refuse(401, "Unauthorized", means=means)

    assert isinstance(error, UnauthorizedError)
    assert step in error.message


def test_an_answer_that_is_no_status_is_shown():
    error = read_refusal(502, b"<html>bad gateway</html>", doing="listing pods", means="token", server=SERVER)

    assert "502: <html>bad gateway</html>" in error.message


def chained(outer, inner):
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (chained(OSError("outer"), ConnectionRefusedError(111, "refused")), "refuses connections"),
        (socket.gaierror(-2, "Name or service not known"), "cannot be resolved"),
        (TimeoutError("timed out"), "firewall or a missing VPN"),
        (ssl.SSLCertVerificationError("CERTIFICATE_VERIFY_FAILED: certificate has expired"), "has expired"),
        (ssl.SSLCertVerificationError("CERTIFICATE_VERIFY_FAILED: unable to get local issuer"), "not signed by"),
        (ssl.SSLCertVerificationError("CERTIFICATE_VERIFY_FAILED: IP address mismatch"), "for another name"),
        (ssl.SSLError("WRONG_VERSION_NUMBER"), "is this the address of an API server?"),
        (OSError("No route to host"), "No route to host"),
    ],
)
def test_a_silence_names_its_cause(error, words):
    found = read_failure(error, server=SERVER, source="~/.kube/config", context="edge")

    assert isinstance(found, SiteUnreachableError)
    assert found.message.startswith("the API server https://cluster:6443 (context 'edge' of ~/.kube/config) ")
    assert words in found.message


def test_a_missing_kind_says_what_to_install():
    assert "Knative Serving is not installed" in missing_kind("serving.knative.dev/v1", "Service").message
    assert "Knative Eventing is not installed" in missing_kind("eventing.knative.dev/v1", "Trigger").message
    assert "kubectl api-resources" in missing_kind("example.com/v1", "Boat").message
