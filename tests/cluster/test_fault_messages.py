"""What a person sees when something is wrong: the whole way from the command line to the cluster and back.

Each fault gives one message that names the cause and the next step, no traceback, and the right exit code.
"""

import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from skerry.platforms.kubernetes.api.cluster import Cluster
from support.cluster_apps import weak_kubeconfig
from support.cluster_fixtures import drop_namespace, make_namespace
from support.engine_process import wait_until
from support.fault_commands import FaultyApp
from support.knative_stand_in.stand_in import KnativeStandIn
from support.machine_image import add_machine

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def namespace(cluster):
    """A namespace of this file's own, with a quota that only `large` exceeds."""
    name = make_namespace(cluster.api)
    quota = {"metadata": {"name": "small"}, "spec": {"hard": {"requests.memory": "8Gi"}}}
    cluster.api.create("resourcequotas", name, quota)
    wait_until(
        lambda: cluster.api.list("resourcequotas", name)[0].get("status", {}).get("hard"), within_s=30, what="it"
    )
    yield name
    drop_namespace(cluster.api, name)


@pytest.fixture(scope="module")
def knative_at_work(cluster, namespace):
    """Knative in the namespace; its pods see this machine's Python, and no Skerry."""
    if cluster.is_real:
        yield
        return
    stand_in = KnativeStandIn(cluster.api, namespace, complete=show_python).start()
    yield
    stand_in.stop()
    assert stand_in.errors == []


def show_python(spec):
    """Let a pod see this machine's Python, which stands for that of the image."""
    container = spec["containers"][0]
    container["command"][0] = sys.executable
    container["volumeMounts"] = [one for one in container.get("volumeMounts", []) if one["mountPath"] != "/tmp"]
    spec["volumes"] = [one for one in spec.get("volumes", []) if one["name"] != "tmp"]
    return add_machine(spec)


@pytest.fixture(scope="module")
def broken(cluster, namespace, machine_image, knative_at_work, tmp_path_factory):
    """What deploying apps with one fault each says, all at once."""
    missing = f"{cluster.registry}/skerry-test/nothing@sha256:{'0' * 64}"
    wanted = {
        "image": ("kubernetes", "memory='64MiB'", missing),
        "crash": ("knative", "memory='64MiB'", machine_image),
        "secret": ("kubernetes", "memory='64MiB', secrets=('vault',)", machine_image),
        "large": ("kubernetes", "memory='16GiB'", machine_image),
    }

    def deploy(name):
        platform, options, image = wanted[name]
        app = FaultyApp(tmp_path_factory.mktemp(name), cluster, namespace, platform, name=name, options=options)
        return app, app.run("deploy", "app.py", "--image", image, "--wait", "120")

    with ThreadPoolExecutor(len(wanted)) as pool:
        return dict(zip(wanted, pool.map(deploy, wanted), strict=True))


def said(ended, *, code=1):
    """Return the error of a command that failed as it should."""
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, ended.stderr
    assert "site-packages" not in ended.stderr
    return ended.stderr[ended.stderr.index("error: ") :]


def test_a_wrong_image(broken, namespace):
    error = said(broken["image"][1])

    assert f"Deployment {namespace}/image: there is no image" in error
    assert "skerry build --push" in error
    assert f"skerry delete image --platform kubernetes --namespace {namespace}" in error


def test_a_crash_loop_shows_the_last_lines_once(broken):
    _, ended = broken["crash"]
    error = said(ended)

    assert "it ends right after its start with exit code" in error
    assert "its last lines were:\n" in error
    last = error.partition("were:\n")[2].splitlines()[0].strip()
    assert ended.stderr.count(last) == 1


def test_a_secret_that_is_missing(broken, namespace):
    error = said(broken["secret"][1])

    assert "there is no secret vault in its namespace" in error
    assert f"kubectl create secret generic vault -n {namespace}" in error


def test_a_quota_that_is_exceeded(broken):
    error = said(broken["large"][1])

    assert "the namespace's quota small is exceeded" in error
    assert "lower memory" in error


def test_what_failed_is_described(broken):
    described = broken["image"][0].run("describe", "image")

    assert described.returncode == 0, described.stderr
    assert "ImagePull" in described.stdout


def test_no_rights_name_the_missing_rule(cluster, namespace, machine_image, tmp_path):
    weak = weak_kubeconfig(Cluster(cluster.kubeconfig, namespace=namespace), tmp_path)
    app = FaultyApp(tmp_path, cluster, namespace, "knative", name="weak", options="")
    token = yaml.safe_load(weak.read_text())["users"][0]["user"]["token"]

    for words in (("deploy", "app.py", "--image", machine_image), ("list",), ("invoke", "weak", "--data", "1")):
        ended = app.run(*words, kubeconfig=weak)
        error = said(ended)
        assert f"system:serviceaccount:{namespace}:weak may not" in error
        assert "missing is a Role bound to it with the rule {apiGroups: [" in error
        assert "skerry doctor" in error
        assert token not in ended.stderr


def test_an_api_that_cannot_be_reached(cluster, namespace, machine_image, tmp_path):
    app = FaultyApp(tmp_path, cluster, namespace, "knative", name="lonely", options="")
    with socket.socket() as bound:  # and not listening, so nobody else listens there
        bound.bind(("127.0.0.1", 0))
        weak = weak_kubeconfig(
            Cluster(cluster.kubeconfig, namespace=namespace),
            tmp_path,
            token="any",
            server=f"https://127.0.0.1:{bound.getsockname()[1]}",
        )
        for words in (("deploy", "app.py", "--image", machine_image), ("invoke", "lonely", "--data", "1")):
            assert "refuses connections; is the cluster running" in said(app.run(*words, kubeconfig=weak))
    assert "there is no kubeconfig" in said(app.run("list", kubeconfig=tmp_path / "none"), code=2)


def test_an_ingress_that_is_missing(cluster, namespace, machine_image, knative_at_work, tmp_path):
    if cluster.is_real:
        pytest.skip("an actual Knative has its ingress")
    app = FaultyApp(tmp_path, cluster, namespace, "knative", name="unseen", options="")
    app.apply_service(machine_image)
    error = said(app.run("invoke", "unseen", "--data", "1"), code=2)

    assert "no ingress of Knative was found" in error
    assert "--ingress http://HOST:PORT" in error
    refused = said(app.run("invoke", "unseen", "--data", "1", "--ingress", "http://127.0.0.1:1"))
    assert "at http://127.0.0.1:1 does not answer: connection refused\n" in refused
    assert "hint: see that the ingress runs and has this address" in refused


def test_an_ingress_of_ones_own_that_is_missing(cluster, namespace, tmp_path):
    app = FaultyApp(tmp_path, cluster, namespace, "kubernetes", name="unseen", options="")
    refused = said(app.run("invoke", "unseen", "--data", "1", "--ingress", "http://127.0.0.1:1"))

    assert "at http://127.0.0.1:1 does not answer: connection refused\n" in refused
    assert "without --ingress (address in [sites.NAME]) calls go through a port-forward" in refused
