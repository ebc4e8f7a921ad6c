"""The digits app on a real cluster, from its source to nothing left behind, by the command line and from Python."""

import base64
import functools
import json

import pytest

import skerry
from skerry.app.clusters import ClusterPlace, open_cluster
from skerry.platforms import CallOptions
from support.engine_process import wait_until
from support.knative_stand_in.stand_in import MACHINE
from support.operated_app import SECRET, OperatedApp, Surroundings
from support.s3_server import S3Server
from support.served_models import digits
from support.wheels import pack_installed

pytestmark = pytest.mark.timeout(900)  # images are built, pushed and pulled

JSON = "application/json"
PASSWORD = "do-not-show-this"  # what must appear nowhere
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "ada", "AWS_SECRET_ACCESS_KEY": PASSWORD}
MANY = 400
DOUBLING = """
import time

import skerry

app = skerry.App("digits")


@app.function(idempotent=True, scale=skerry.Scale(min=1, max=2))
def slow_double(number: int) -> int:
    time.sleep(0.2)
    return 2 * number
"""


@pytest.fixture(scope="module")
def around(cluster, image_cache, wheels):
    """What all apps of these tests have around them: the cluster, and a store of models that its pods reach."""
    if cluster.registry is None:
        pytest.skip("no registry is known that the cluster pulls from")
    pack_installed(wheels, "numpy", "obstore", "onnxruntime")
    server = S3Server(MACHINE)
    try:
        models = f"s3://{server.new_bucket()}/models?endpoint={server.endpoint}&allow_http=true"
        yield Surroundings(cluster=cluster, models=models, credentials=CREDENTIALS, images=image_cache, wheels=wheels)
    finally:
        server.close()


@pytest.fixture
def operated(around, namespace, make_knative, tmp_path):
    """Make an app that can be deployed on a platform; the namespace has the Secret that it refers to."""
    data = {name: base64.b64encode(value.encode()).decode() for name, value in CREDENTIALS.items()}
    around.cluster.api.create("secrets", namespace, {"metadata": {"name": SECRET}, "data": data})

    def make(platform, **options):
        ingress = make_knative(namespace).ingress if platform == "knative" else None
        return OperatedApp(tmp_path, around, namespace, platform, ingress=ingress, **options)

    return make


@pytest.fixture
def opened():
    """Open an app's namespace as a platform."""
    platforms = []

    def make(app):
        place = ClusterPlace(
            platform=app.platform, kubeconfig=app.cluster.kubeconfig, namespace=app.namespace, address=app.ingress
        )
        platforms.append(open_cluster(place))
        return platforms[-1]

    yield make
    for platform in platforms:
        platform.close()


@functools.cache
def some_images():
    """Return images of digits, as a caller sends them, and what the model says of them."""
    pipeline, rows, _ = digits()
    return json.dumps(rows[:3].tolist()), [str(label) for label in pipeline.predict(rows[:3])]


@pytest.fixture
def model_file(tmp_path):
    """The classifier as a file."""
    path = tmp_path / "digits.onnx"
    path.write_bytes(digits()[2])
    return path


def classify(app):
    """Classify by the command line; return the version of the model that did."""
    images, expected = some_images()
    answer = json.loads(app.run("invoke", "classify", "--data", images))
    assert [str(label) for label in answer["labels"]] == expected
    return answer["model"]


def models_until(platform, wanted):
    """Call until so many versions of the model have answered; return them."""
    seen = set()
    for _ in range(MANY):
        images = some_images()[0].encode()
        answer = platform.invoke("classify", images, content_type=JSON, options=CallOptions(timeout_s=60))
        seen.add(json.loads(answer.body)["model"])
        if len(seen) == wanted:
            break
    return seen


def test_the_digits_app_lives_its_life_on_knative(operated, opened, model_file):
    app = operated("knative")
    app.push_model(model_file)
    image = app.build()

    first = app.deploy("--image", image)
    assert {one["name"]: one["state"] for one in first["functions"]} == {"classify": "ready"}
    serving = classify(app)
    assert "classifying 3 images" in app.run("logs", "classify")

    app.push_model(model_file)
    assert classify(app) == serving  # a revision keeps its model
    app.deploy("--image", image, "--weight", "10%")
    split = app.json("traffic", "classify")
    found = (split["serving"], split["candidate"], split["weight_ratio"])
    assert found == ("classify-00001", "classify-00002", 0.1)
    assert len(models_until(opened(app), 2)) == 2

    assert app.json("promote", "classify")["promoted"] == "classify-00002"
    assert classify(app) != serving
    assert app.json("rollback", "classify")["serving"] == "classify-00001"
    assert models_until(opened(app), 1) == {serving}

    described = (
        app.run("describe", "classify", "--json") + app.run("describe", "classify") + app.run("logs", "classify")
    )
    assert SECRET in described
    assert PASSWORD not in described

    app.run("delete", app.name)
    wait_until(lambda: not app.left(), within_s=60, what="nothing of the app")
    assert "no function 'classify'" in app.run("invoke", "classify", "--data", "[]", code=2)


def test_the_digits_app_lives_its_life_on_plain_kubernetes(operated, model_file):
    app = operated("kubernetes")
    app.push_model(model_file)

    app.deploy()
    serving = classify(app)
    assert "classifying 3 images" in app.run("logs", "classify")
    assert "splits no traffic" in app.run("traffic", "classify", code=2)

    app.push_model(model_file)
    app.deploy()
    assert classify(app) != serving

    app.run("delete", app.name)
    wait_until(lambda: not app.left(), within_s=60, what="nothing of the app")


def test_a_map_loses_no_result_when_its_pods_are_lost(operated, opened, cluster, namespace):
    app = operated("knative", source=DOUBLING)
    app.deploy()
    local = skerry.App("digits")

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
