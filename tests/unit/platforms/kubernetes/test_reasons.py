"""Why objects are not ready, from objects as clusters showed them."""

import pytest

from skerry.errors import StartError
from skerry.platforms.kubernetes.api.objects import refer
from skerry.platforms.kubernetes.waiting.reasons import Sight, explain, is_ready, pods_of
from skerry.platforms.kubernetes.waiting.waiting import look, to_error

LABELS = {"app.kubernetes.io/name": "greet"}


def deployment(**status):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "greet", "namespace": "demo", "generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}},
        "status": {"observedGeneration": 1, **status},
    }


def knative(*conditions, **status):
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "greet", "namespace": "demo", "generation": 2},
        "spec": {"template": {"spec": {"containers": [{"image": "registry/greet:1"}]}}},
        "status": {"observedGeneration": 2, "conditions": list(conditions), **status},
    }


def condition(kind, status, reason="", message=""):
    return {"type": kind, "status": status, "reason": reason, "message": message}


def pod(state=None, *, last=None, restarts=0, conditions=(), **status):
    container = {"name": "main", "image": "registry/greet:1", "ready": False, "restartCount": restarts}
    container |= {"state": state or {}, "lastState": last or {}}
    return {
        "metadata": {"name": "greet-1", "labels": LABELS, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": "node1"},
        "status": {"containerStatuses": [container], "conditions": list(conditions), **status},
    }


def event(reason, message, *, kind="Pod", name="greet-1"):
    return {"reason": reason, "message": message, "involvedObject": {"kind": kind, "name": name}}


def waiting(reason, message=""):
    return {"waiting": {"reason": reason, "message": message}}


def ended(code, reason="Error", message=""):
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


BACK_OFF = waiting("ImagePullBackOff", 'Back-off pulling image "registry/greet:1"')
PULL = 'Failed to pull image "registry/greet:1": rpc error: code = NotFound desc = failed to pull and unpack image: '
QUOTA = (
    'pods "greet-1" is forbidden: exceeded quota: small, requested: limits.memory=200Mi, used: limits.memory=0, '
    "limited: limits.memory=100Mi"
)

CASES = {
    "no image": (pod(BACK_OFF), [event("Failed", PULL + "registry/greet:1: not found")], "image", "there is no image"),
    "no access": (
        pod(waiting("ErrImagePull", PULL + "unexpected status: 401 Unauthorized")),
        [],
        "image_access",
        "registry_secret",
    ),
    "no registry": (
        pod(BACK_OFF),
        [event("Failed", PULL + "failed to do request: dial tcp: lookup registry: no such host")],
        "registry",
        "dial tcp: lookup registry: no such host",
    ),
    "plain registry": (
        pod(waiting("ErrImagePull", PULL + "http: server gave HTTP response to HTTPS client")),
        [],
        "registry",
        "know it as plain HTTP",
    ),
    "no such platform": (
        pod(waiting("ErrImagePull", PULL + "no match for platform in manifest: not found")),
        [],
        "architecture",
        "another processor",
    ),
    "other processor": (
        pod(waiting("CrashLoopBackOff"), last=ended(1), restarts=1),
        [],
        "architecture",
        "kubernetes.io/arch",
    ),
    "out of memory": (
        pod(waiting("CrashLoopBackOff"), last=ended(137, "OOMKilled"), restarts=2),
        [],
        "memory",
        "3 times so far",
    ),
    "no program": (
        pod(waiting("CrashLoopBackOff", "back-off 10s"), last=ended(128, "StartError", 'exec: "/x": no such file')),
        [],
        "config",
        'exec: "/x": no such file',
    ),
    "no secret": (
        pod(waiting("CreateContainerConfigError", 'secret "vault" not found')),
        [],
        "missing",
        "kubectl create secret generic vault -n demo",
    ),
    "no key": (
        pod(waiting("CreateContainerConfigError", "couldn't find key token in Secret demo/vault")),
        [],
        "missing",
        "the secret vault has no key token",
    ),
    "no configmap in a volume": (
        pod(waiting("ContainerCreating")),
        [event("FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "words" not found')],
        "missing",
        "there is no configmap words",
    ),
    "root image": (
        pod(waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")),
        [],
        "config",
        "runs as root or as nobody knows whom; build it with skerry build",
    ),
    "unschedulable": (
        pod(conditions=[condition("PodScheduled", "False", "Unschedulable", "0/2 nodes are available: 2 taints.")]),
        [],
        "unschedulable",
        "0/2 nodes are available: 2 taints;",
    ),
    "a node is being added": (
        pod(conditions=[condition("PodScheduled", "False", "Unschedulable", "0/2 nodes are available: 2 taints.")]),
        [event("TriggeredScaleUp", "pod triggered scale-up: [{pool 1->2 (max: 3)}]")],
        "node",
        "the cluster adds one",
    ),
    "not listening yet": (
        pod({"running": {}}),
        [event("Unhealthy", "Startup probe failed: dial tcp 10.0.0.1:8080: connect: connection refused")],
        "starting",
        "it runs and loads, and does not listen yet",
    ),
    "probe": (
        pod({"running": {}}),
        [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")],
        "probe",
        "statuscode: 503",
    ),
    "lost node": (pod({"running": {}}), [event("NodeNotReady", "Node is not ready")], "node", "node1 does not answer"),
    "pulling": (pod(waiting("ContainerCreating")), [event("Pulling", "Pulling image")], "pulling", "pulling the image"),
    "loading": (pod({"running": {}}), [], "starting", "it runs and loads"),
}


@pytest.mark.parametrize(("shown", "events", "cause", "words"), CASES.values(), ids=CASES)
def test_a_pod_that_is_not_ready_says_why(shown, events, cause, words):
    logs = {"greet-1": "exec /app: exec format error"} if "arch" in words else {}
    reason = explain(Sight(objects=[deployment()], pods=[shown], events=events, logs=logs))

    assert reason.cause == cause
    assert words in str(reason)
    assert str(reason).startswith("Deployment demo/greet: ")
    assert reason.lasting == (cause not in ("probe", "node", "pulling", "starting"))


def test_a_crash_loop_has_the_last_lines_and_not_more():
    log = "\n".join(f"line {number}" for number in range(50))
    shown = pod(waiting("CrashLoopBackOff"), last=ended(3), restarts=4)
    reason = explain(Sight(objects=[deployment()], pods=[shown], logs={"greet-1": log}))

    assert (reason.cause, reason.lasting) == ("crash", True)
    assert "exit code 3 (5 times so far)" in reason.text
    assert str(reason).endswith("line 49")
    assert "line 39\n" not in str(reason)
    assert "\n" not in reason.line


def test_a_first_crash_may_pass():
    reason = explain(Sight(objects=[deployment()], pods=[pod(ended(1))]))

    assert (reason.cause, reason.lasting) == ("crash", False)
    assert "with exit code 1 and writes nothing (once so far)" in reason.text


@pytest.mark.parametrize(
    ("message", "cause", "words"),
    [
        (QUOTA, "quota", "quota small is exceeded: asked for limits.memory=200Mi, in use limits.memory=0"),
        ('error looking up service account demo/a: serviceaccount "a" not found', "account", "ServiceAccount"),
        ('violates PodSecurity "restricted:latest": hostPath volumes', "refused", "hostPath volumes"),
    ],
)
def test_pods_that_cannot_be_made_say_why(message, cause, words):
    events = [event("FailedCreate", f"Error creating: {message}", kind="ReplicaSet", name="greet-55f")]

    reason = explain(Sight(objects=[deployment()], events=events))
    assert (reason.cause, reason.lasting) == (cause, True)
    assert words in str(reason)
    failed = deployment(conditions=[condition("ReplicaFailure", "True", "FailedCreate", message)])
    assert explain(Sight(objects=[failed])).cause == cause


@pytest.mark.parametrize(
    ("conditions", "cause", "words"),
    [
        ([], "controller", "kubectl get pods -n knative-serving"),
        ([condition("Ready", "Unknown", "IngressNotConfigured", "Ingress has not yet")], "ingress", "Kourier"),
        ([condition("Ready", "Unknown", "", "")], "starting", "Knative is at work"),
        (
            [condition("Ready", "False"), condition("ConfigurationsReady", "False", "RevisionFailed", "it timed out")],
            "revision",
            "its revision failed (RevisionFailed): it timed out",
        ),
        (
            [
                condition("Ready", "False", "RevisionMissing"),
                condition(
                    "ConfigurationsReady", "False", "RevisionFailed", "Unable to fetch image: MANIFEST_UNKNOWN: no"
                ),
            ],
            "image",
            "there is no image registry/greet:1",
        ),
    ],
)
def test_a_knative_service_says_what_knative_says(conditions, cause, words):
    reason = explain(Sight(objects=[knative(*conditions)]))

    assert reason.cause == cause
    assert words in str(reason)


def test_the_pods_of_a_knative_service_are_those_of_its_newest_revision():
    def of(revision):
        labels = {"serving.knative.dev/service": "greet", "serving.knative.dev/revision": revision}
        return {"metadata": {"name": revision, "labels": labels}}

    service = knative(latestCreatedRevisionName="greet-2")

    assert pods_of(service, [of("greet-1"), of("greet-2")]) == [of("greet-2")]


def test_ready_is_what_the_newest_generation_says():
    good = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}

    assert is_ready(deployment(**good))
    assert not is_ready(deployment(**good | {"observedGeneration": 0}))
    assert not is_ready(deployment(**good | {"replicas": 2}))
    assert is_ready(knative(condition("Ready", "True")))
    assert not is_ready(knative(condition("Ready", "True"), observedGeneration=1))
    assert explain(Sight(objects=[deployment(**good), knative(condition("Ready", "True"))])) is None


def test_a_pod_on_its_way_out_is_no_reason():
    leaving = pod({"running": {}})
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:01Z"

    assert explain(Sight(objects=[deployment()], pods=[leaving])).text == "0 of 1 replicas are ready"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"availableReplicas": 1, "updatedReplicas": 2, "replicas": 2}, "1 of 2 replicas are ready"),
        ({"availableReplicas": 2, "updatedReplicas": 1, "replicas": 3}, "1 of 2 replicas are of the new revision"),
        ({"availableReplicas": 3, "updatedReplicas": 2, "replicas": 3}, "1 replicas of the revision before are ending"),
    ],
)
def test_a_deployment_says_how_far_it_is(status, words):
    value = deployment(**status)
    value["spec"]["replicas"] = 2

    assert explain(Sight(objects=[value])).text == words


@pytest.mark.parametrize("told", [{"lastTimestamp": "2026-01-01T00:00:09Z"}, {"eventTime": "2026-01-01T00:00:09.250Z"}])
def test_a_node_that_was_lost_and_came_back_is_not_why_its_pod_is_not_ready_now(told):
    lost = event("NodeNotReady", "Node is not ready") | told

    def cause(since):
        ready = {"type": "Ready", "status": "False", "lastTransitionTime": f"2026-01-01T00:00:{since}Z"}
        shown = pod({"running": {}}, conditions=[ready])
        return explain(Sight(objects=[deployment()], pods=[shown], events=[lost])).cause

    assert cause("09") == "node"
    assert cause("10") == "starting"


@pytest.mark.parametrize(
    ("log", "may_be_long"), [("the worker died while it started (exit status 7)", False), ("loading weights", True)]
)
def test_a_function_that_does_not_get_ready_tells_its_log_and_where_to_read_it(log, may_be_long):
    events = [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")]
    sight = Sight(objects=[deployment()], pods=[pod({"running": {}})], events=events, logs={"greet-1": log})
    told = str(explain(sight))
    assert log in told
    assert "skerry logs greet --platform kubernetes" in told
    assert ("start_timeout" in told) is may_be_long


@pytest.mark.parametrize(
    "reason",
    ["function 'greet' cannot start: ValueError while it loaded", "function 'greet': the worker died while it started"],
)
def test_a_load_that_fails_again_and_again_is_not_waited_for(reason):
    told = f"ValueError: no weights\nINFO skerry.runtime.serving: worker_lost {{'pid': 1, 'reason': {reason!r}}}\n"

    def after(times):
        logs = {"greet-1": told * times}
        return explain(Sight(objects=[deployment()], pods=[pod({"running": {}})], logs=logs))

    assert not after(2).lasting
    assert after(3).lasting
    assert isinstance(to_error(after(3)), StartError)
    assert "none of its workers can start; its last lines were:\n    ValueError: no weights\n" in str(after(3))


class Knative:
    """A cluster with one service, whose function runs and whose proxy is not ready."""

    def get(self, reference):
        return knative(condition("Ready", "Unknown"), latestCreatedRevisionName="greet-1")

    def list(self, api_version, kind):
        proxy = {"name": "queue-proxy", "ready": False, "state": {"running": {}}}
        function = {"name": "user-container", "ready": True, "state": {"running": {}}}
        labels = {"serving.knative.dev/revision": "greet-1"}
        value = {"metadata": {"name": "greet-1", "labels": labels}}
        return [value | {"status": {"containerStatuses": [proxy, function]}}] if kind == "Pod" else []

    def last_words(self, pod, container, lines):
        return f"words of {container}"


def test_on_knative_the_log_is_that_of_the_function_though_its_proxy_is_what_is_not_ready():
    assert look(Knative(), [refer(knative())]).logs == {"greet-1": "words of user-container"}
