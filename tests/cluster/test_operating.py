"""An app on a real cluster, from its source to nothing left behind, by the command line and from Python."""

import base64
import json

import pytest

import skerry
from skerry.app.clusters import ClusterPlace, open_cluster
from skerry.platforms import CallOptions
from support.engine_process import wait_until
from support.operated_app import OperatedApp

pytestmark = pytest.mark.timeout(900)  # images are built, pushed and pulled

JSON = "application/json"
SECRET = "do-not-show-this"  # what must appear nowhere
MANY = 400


@pytest.fixture
def secret(cluster, namespace):
    """A Secret that the app refers to."""
    data = {"WORD": base64.b64encode(SECRET.encode()).decode()}
    cluster.api.create("secrets", namespace, {"metadata": {"name": "greeting"}, "data": data})


@pytest.fixture
def operated(cluster, namespace, make_knative, secret, tmp_path):
    """Make an app that can be deployed on a platform."""
    if cluster.registry is None:
        pytest.skip("no registry is known that the cluster pulls from")

    def make(platform):
        ingress = make_knative(namespace).ingress if platform == "knative" else None
        return OperatedApp(tmp_path, cluster, namespace, platform, ingress)

    return make


@pytest.fixture
def opened(monkeypatch):
    """Open an app's namespace as a platform."""
    platforms = []

    def make(app):
        ingress = app.where[app.where.index("--ingress") + 1] if "--ingress" in app.where else None
        place = ClusterPlace(
            platform=app.where[1], kubeconfig=app.cluster.kubeconfig, namespace=app.namespace, address=ingress
        )
        platforms.append(open_cluster(place))
        return platforms[-1]

    yield make
    for platform in platforms:
        platform.close()


def revisions_until(platform, wanted):
    """Call until so many revisions have answered; return them."""
    seen = set()
    for _ in range(MANY):
        answer = platform.invoke("greet", b'"Ada"', content_type=JSON, options=CallOptions(timeout_s=60))
        seen.add(json.loads(answer.body).rpartition(" ")[2])
        if len(seen) == wanted:
            break
    return seen


def test_an_app_lives_its_life_on_knative(operated, opened):
    app = operated("knative")
    app.write("Hello")

    first = app.deploy()
    assert {one["name"]: one["state"] for one in first["functions"]} == {"greet": "ready", "slow_double": "ready"}
    assert json.loads(app.run("invoke", "greet", "--data", '"Ada"')) == "Hello Ada from greet-00001"
    assert "greeting Ada" in app.run("logs", "greet")

    app.write("Servus")
    app.deploy("--weight", "10%")
    split = app.json("traffic", "greet")
    assert (split["serving"], split["candidate"], split["weight_ratio"]) == ("greet-00001", "greet-00002", 0.1)
    assert revisions_until(opened(app), 2) == {"greet-00001", "greet-00002"}

    assert app.json("promote", "greet")["promoted"] == "greet-00002"
    assert "Servus Ada" in app.run("invoke", "greet", "--data", '"Ada"')
    assert app.json("rollback", "greet")["serving"] == "greet-00001"
    assert revisions_until(opened(app), 1) == {"greet-00001"}

    described = app.run("describe", "greet", "--json") + app.run("describe", "greet") + app.run("logs", "greet")
    assert "greeting" in described
    assert SECRET not in described

    app.run("delete", app.name)
    wait_until(lambda: not app.left(), within_s=60, what="nothing of the app")
    assert "no function 'greet'" in app.run("invoke", "greet", "--data", '"Ada"', code=2)


def test_an_app_lives_its_life_on_plain_kubernetes(operated):
    app = operated("kubernetes")
    app.write("Hello")

    app.deploy()
    assert "Hello Ada" in app.run("invoke", "greet", "--data", '"Ada"')
    assert "greeting Ada" in app.run("logs", "greet")
    assert "splits no traffic" in app.run("traffic", "greet", code=2)

    app.write("Servus")
    app.deploy()
    assert "Servus Ada" in app.run("invoke", "greet", "--data", '"Ada"')

    app.run("delete", app.name)
    wait_until(lambda: not app.left(), within_s=60, what="nothing of the app")


def test_a_map_loses_no_result_when_its_pods_are_lost(operated, opened, cluster, namespace):
    app = operated("knative")
    app.write("Hello")
    app.deploy()
    local = skerry.App("operated")

    @local.function(idempotent=True)
    def slow_double(number: int) -> int:
        return 2 * number

    results = slow_double.at(opened(app)).map(range(40), in_flight=4)
    found = [next(results)]
    lose_pods(cluster.api, namespace)  # the map's threads go on meanwhile
    found += results

    assert found == [2 * number for number in range(40)]


def lose_pods(api, namespace):
    """End the pods of the function that is being mapped, without any grace."""
    for pod in api.list("pods", namespace):
        if pod["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "slow-double":
            api.delete("pods", namespace, pod["metadata"]["name"], gracePeriodSeconds=0)
