import dataclasses
import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.errors import NameTakenError, SpecError
from skerry.platforms.knative.rendering import needed_features
from skerry.platforms.knative.rendering import render as render_knative
from skerry.platforms.kubernetes.manifests import to_yaml
from skerry.platforms.kubernetes.rendering import AppToRender, FunctionToRender, adapt
from skerry.platforms.kubernetes.rendering import render as render_kubernetes
from skerry.platforms.kubernetes.validation import check, problems
from skerry.spec import (
    KNATIVE,
    KUBERNETES,
    RUNTIME,
    Batch,
    ClusterSettings,
    FunctionSpec,
    Scale,
    resolve,
    support_matrix,
)
from support.rendering import IMAGE
from support.spec_strategies import apps

SETTINGS = ClusterSettings(namespace="edge")
RENDERERS = {KNATIVE: render_knative, KUBERNETES: render_kubernetes}


def app(*specs, name="news", **function):
    functions = tuple(FunctionToRender(spec=spec, **function) for spec in specs)
    return AppToRender(name=name, image=IMAGE, target="app.py:app", functions=functions)


def knative(spec, settings=SETTINGS, **function):
    return render_knative(app(spec, **function), settings)[-1]


def template(made):
    return made["spec"]["template"]


def scaling(spec, settings=SETTINGS, **function):
    notes = template(knative(spec, settings, **function))["metadata"]["annotations"]
    return {key.removeprefix("autoscaling.knative.dev/"): value for key, value in notes.items()}


def kubernetes(spec, settings=SETTINGS, **function):
    return {made["kind"]: made for made in render_kubernetes(app(spec, **function), settings)}


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
@pytest.mark.parametrize("platform", [KNATIVE, KUBERNETES])
def test_any_app_gives_valid_objects_and_yaml_that_means_the_same(platform, data):
    objects = RENDERERS[platform](data.draw(apps(platform)), SETTINGS)
    assert list(problems(objects)) == []
    assert list(yaml.load_all(to_yaml(objects), yaml.CSafeLoader)) == list(objects)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_runtime_in_a_container_has_the_options_that_were_decided_outside(data):
    function = data.draw(apps(KNATIVE)).functions[0]
    name = function.spec.name
    made = knative(function.spec)
    env = {entry["name"]: entry.get("value", "") for entry in template(made)["spec"]["containers"][0]["env"]}
    inside = resolve({name: {}}, environment=env)[name].to_dict()
    honoured = [option for option, platforms in support_matrix(FunctionSpec).items() if RUNTIME in platforms]
    assert {key: inside[key] for key in honoured} == {key: function.spec.to_dict()[key] for key in honoured}


def test_options_that_the_decorator_gave_already_are_not_told_twice():
    spec = FunctionSpec(name="f", memory="200MiB", batch=Batch(max_size=4), env={"A": "1"})
    made = knative(spec, declared={"memory": "200MiB", "batch": {"max_size": 4}, "env": {"A": "1"}})
    assert "SKERRY_SET" not in str(made)
    changed = knative(dataclasses.replace(spec, memory="300MiB"), declared={"memory": "200MiB"})
    assert 'f.memory="300MiB"' in str(changed)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (FunctionSpec(name="f", scale=Scale(buffer=1)), "knative does not honour scale.buffer"),
        (FunctionSpec(name="f", scale=Scale(share=2, up_rate=3)), "scale.up_rate, scale.share"),
        (FunctionSpec(name="f", max_in_flight=3), "max_in_flight"),
        (FunctionSpec(name="f", local=True), "local"),
        (
            FunctionSpec(name="f", scale=Scale(window="5s")),
            "scale.window is 5 s, and Knative takes whole seconds",
        ),
        (FunctionSpec(name="f" * 54), "its name has 54 characters, and on Knative it may have 53"),
        (FunctionSpec(name="f", scale=Scale(grace="0.5s")), "scale.grace is 0.5 s"),
        (FunctionSpec(name="f", scale=Scale(window="60s", panic_window="0.1s")), "scale.panic_window"),
        (FunctionSpec(name="f", timeout="11m"), "max-revision-timeout-seconds"),
        (FunctionSpec(name="f", drain="11m"), "drain is 660 s"),
    ],
)
def test_what_knative_cannot_do_is_refused_by_name(spec, words):
    with pytest.raises(SpecError, match=r"function 'f+'") as caught:
        knative(spec)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            FunctionSpec(name="f", scale=Scale(metric="rps", target=5)),
            "does not honour scale.metric, scale.target",
        ),
        (FunctionSpec(name="f", scale=Scale(min=11)), "max_replicas = 10"),
        (FunctionSpec(name="f", scale=Scale(initial=3)), "scale.initial"),
        (FunctionSpec(name="f", scale=Scale(window="1h", delay="1s")), "3600 s at most"),
    ],
)
def test_what_plain_kubernetes_cannot_do_is_refused_by_name(spec, words):
    with pytest.raises(SpecError) as caught:
        kubernetes(spec)
    assert words in caught.value.message


@pytest.mark.parametrize("name", ["PORT", "K_SERVICE", "a.b", "1A", "A B"])
def test_a_variable_that_a_container_cannot_have_is_refused(name):
    with pytest.raises(SpecError, match="cannot be set in a container"):
        app(FunctionSpec(name="f", env={name: "1"}))


def test_two_functions_that_would_be_one_object_are_refused():
    with pytest.raises(NameTakenError, match="'a-b' on a cluster"):
        app(FunctionSpec(name="a_b"), FunctionSpec(name="a-b"))


def test_a_container_is_let_as_many_requests_as_its_worker_handles():
    def concurrency(spec, **function):
        return template(knative(spec, **function))["spec"]["containerConcurrency"]

    assert concurrency(FunctionSpec(name="f")) == 1
    assert concurrency(FunctionSpec(name="f", concurrency=50)) == 50
    assert concurrency(FunctionSpec(name="f", batch=Batch(max_size=16))) == 32  # one batch runs, the next one gathers
    assert concurrency(FunctionSpec(name="f"), takes_items=True) == 128
    assert concurrency(FunctionSpec(name="f", concurrency=5000)) == 0  # the front bounds it


def test_the_target_is_what_a_container_handles_unless_it_is_given():
    assert scaling(FunctionSpec(name="f"))["target"] == "1"
    assert scaling(FunctionSpec(name="f", batch=Batch(max_size=16)))["target"] == "16"
    assert scaling(FunctionSpec(name="f", scale=Scale(metric="rps")))["target"] == "200"
    assert scaling(FunctionSpec(name="f", scale=Scale(target=0.5)))["target"] == "0.5"


def test_scaling_is_said_in_knatives_words():
    scale = Scale(
        min=1, max=4, initial=9, activation=3, window="30s", panic_window="6s", panic_threshold=3, delay="1m",
        grace="5m", burst=-1, utilization=0.85, target=2,
    )  # fmt: skip
    expected = {
        "class": "kpa.autoscaling.knative.dev",
        "metric": "concurrency",
        "target": "2",
        "target-utilization-percentage": "85",
        "window": "30s",
        "min-scale": "1",
        "max-scale": "4",
        "initial-scale": "4",
        "activation-scale": "3",
        "panic-window-percentage": "20",
        "panic-threshold-percentage": "300",
        "scale-down-delay": "60s",
        "scale-to-zero-pod-retention-period": "300s",
        "target-burst-capacity": "-1",
    }
    assert expected.items() <= scaling(FunctionSpec(name="f", concurrency=2, scale=scale)).items()


def test_an_initial_scale_of_zero_needs_a_cluster_that_allows_it():
    spec = FunctionSpec(name="f", scale=Scale(initial=0))
    assert scaling(spec)["initial-scale"] == "1"
    assert scaling(spec, ClusterSettings(zero_initial_scale=True))["initial-scale"] == "0"


def test_a_container_has_the_memory_of_its_worker_and_of_what_is_beside_it():
    inside = template(knative(FunctionSpec(name="f", memory="200MiB", cpu=2, gpu=1)))["spec"]["containers"][0]
    assert inside["resources"] == {
        "requests": {"cpu": "500m", "memory": "264Mi"},
        "limits": {"memory": "264Mi", "nvidia.com/gpu": "1"},
    }


def test_knative_waits_for_a_request_a_little_longer_than_the_front():
    def seconds(spec, settings=SETTINGS):
        return template(knative(spec, settings))["spec"]["timeoutSeconds"]

    assert seconds(FunctionSpec(name="f", timeout="10s", drain="1s")) == 15
    assert seconds(FunctionSpec(name="f", timeout="10s", drain="100s")) == 100
    assert seconds(FunctionSpec(name="f", timeout="10m")) == 600
    assert seconds(FunctionSpec(name="f", timeout="6h"), ClusterSettings(max_timeout="12h")) == 21605


def test_the_features_that_knative_must_have_switched_on_are_known():
    spec = FunctionSpec(
        name="f", tier="edge", tolerations=("a",), runtime_class="gvisor", volumes={"/a": "pvc/a", "/b": "secret/b"}
    )
    assert needed_features(render_knative(app(FunctionSpec(name="g")), SETTINGS)) == []
    assert needed_features(render_knative(app(spec), SETTINGS)) == [
        "kubernetes.podspec-affinity",
        "kubernetes.podspec-persistent-volume-claim",
        "kubernetes.podspec-persistent-volume-write",
        "kubernetes.podspec-runtimeclassname",
        "kubernetes.podspec-tolerations",
    ]


def test_plain_kubernetes_keeps_one_container_and_gives_the_runtime_its_contract():
    made = kubernetes(FunctionSpec(name="train_it", drain="20s", start_timeout="5s"))
    assert made["HorizontalPodAutoscaler"]["spec"]["minReplicas"] == 1
    assert "replicas" not in made["Deployment"]["spec"]
    inside = template(made["Deployment"])["spec"]
    assert inside["terminationGracePeriodSeconds"] == 30
    env = {entry["name"]: entry["value"] for entry in inside["containers"][0]["env"]}
    assert (env["PORT"], env["K_SERVICE"], env["K_CONFIGURATION"]) == ("8080", "train-it", "train-it")
    assert env["K_REVISION"].startswith("train-it-")
    assert inside["containers"][0]["args"] == ["app.py:app", "--function", "train_it"]


def test_a_revision_on_plain_kubernetes_is_named_by_what_it_is():
    def revision(spec):
        notes = template(kubernetes(spec)["Deployment"])["metadata"]["annotations"]
        return notes["skerry.dev/revision"]

    assert revision(FunctionSpec(name="f")) == revision(FunctionSpec(name="f"))
    assert revision(FunctionSpec(name="f")) != revision(FunctionSpec(name="f", memory="200MiB"))
    assert revision(FunctionSpec(name="f")) == revision(FunctionSpec(name="f", scale=Scale(max=3)))


def test_an_app_has_no_rights_on_the_cluster_and_its_containers_none_on_their_node():
    for render in RENDERERS.values():
        account, _, *rest = render(app(FunctionSpec(name="f")), SETTINGS)
        assert account["automountServiceAccountToken"] is False
        inside = template(rest[0])["spec"]
        assert inside["automountServiceAccountToken"] is False
        assert inside["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        }


def test_secrets_are_named_and_never_read(monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    spec = FunctionSpec(name="f", secrets=("db",), volumes={"/keys": "secret/keys"})
    for render in RENDERERS.values():
        objects = render(app(spec), SETTINGS)
        assert "hunter2" not in json.dumps(objects)
        assert {made["kind"] for made in objects}.isdisjoint({"Secret", "ConfigMap"})
        assert template(objects[2])["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "db"}}]


def test_every_object_says_what_it_belongs_to_and_the_order_of_functions_does_not_matter():
    first, second = FunctionSpec(name="a"), FunctionSpec(name="b")
    for render in RENDERERS.values():
        objects = render(app(first, second), SETTINGS)
        assert objects == render(app(second, first), SETTINGS)
        for made in objects:
            labels = made["metadata"]["labels"]
            assert labels["app.kubernetes.io/part-of"] == "news"
            assert labels["app.kubernetes.io/managed-by"] == "skerry"


def test_an_older_cluster_gets_the_autoscaling_api_that_it_has():
    objects = render_kubernetes(app(FunctionSpec(name="f")), SETTINGS)

    def among(*versions):
        return lambda version, _: version in versions

    older = adapt(objects, among("v1", "apps/v1", "autoscaling/v1", "autoscaling/v2beta2"))
    assert [made["apiVersion"] for made in older][-1] == "autoscaling/v2beta2"
    assert list(problems(older)) == []
    assert adapt(objects, among("autoscaling/v2", "autoscaling/v2beta2")) == objects
    assert adapt(objects, among()) == objects
    asked = render_kubernetes(app(FunctionSpec(name="f")), ClusterSettings(autoscaling="v2beta2"))
    assert adapt(asked, among("autoscaling/v2"))[-1]["apiVersion"] == "autoscaling/v2"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda made: made["spec"].update(wrong=1), "'wrong' was unexpected"),
        (lambda made: made["metadata"].update(name="Upper"), "metadata.name"),
        (lambda made: template(made)["metadata"]["annotations"].update(a=1), "1 is not of type 'string'"),
        (lambda made: made.update(kind="Servis"), "there is no schema for Servis"),
        (lambda made: template(made)["spec"]["containers"][0].update(ports="8080"), "containers.0.ports"),
        (lambda made: template(made)["spec"].update(affinity={"node": 1}), "'node' was unexpected"),
    ],
)
def test_an_object_that_is_not_valid_is_named_with_the_place_and_the_fault(change, words):
    made = json.loads(json.dumps(knative(FunctionSpec(name="f"))))
    change(made)
    with pytest.raises(SpecError) as caught:
        check([made])
    assert words in caught.value.message
    assert made["kind"] in caught.value.message


@pytest.mark.parametrize(
    "render_one", [lambda *a: template(knative(*a)), lambda *a: template(kubernetes(*a)["Deployment"])]
)
def test_containers_are_told_where_files_of_calls_come_from_and_not_the_credentials(render_one):
    settings = ClusterSettings(namespace="edge", objects="s3://b/inputs", objects_secret="objects", tmp="1GiB")
    container = render_one(FunctionSpec(name="f", secrets=("objects", "db")), settings)["spec"]["containers"][0]

    told = {one["name"]: one.get("value") for one in container["env"]}
    assert told["SKERRY_INPUTS_STORE"] == "s3://b/inputs"
    assert told["SKERRY_INPUTS"] == "/tmp/skerry/inputs"
    assert told["SKERRY_INPUTS_LIMIT"] == f"{2**29}B"
    assert [one["secretRef"]["name"] for one in container["envFrom"]] == ["objects", "db"]


@pytest.mark.parametrize("address", ["/var/inputs", "https://b/inputs", "s3://key:secret@b/inputs", 3])
def test_a_store_that_pods_cannot_reach_or_that_holds_a_secret_is_refused(address):
    with pytest.raises(SpecError, match="objects") as caught:
        ClusterSettings(objects=address)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize("wanted", [False, True])
def test_the_runtimes_seccomp_profile_is_asked_for_where_the_settings_say_so(wanted):
    chosen = ClusterSettings(namespace="edge", seccomp=wanted)
    spec = FunctionSpec(name="greet")
    made = [knative(spec, chosen), kubernetes(spec, chosen)["Deployment"]]
    check(made)

    for one in made:
        context = template(one)["spec"]["containers"][0]["securityContext"]
        assert context.get("seccompProfile") == ({"type": "RuntimeDefault"} if wanted else None)
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert (context["runAsNonRoot"], context["readOnlyRootFilesystem"]) == (True, True)
        assert context["allowPrivilegeEscalation"] is False
        assert template(one)["spec"]["automountServiceAccountToken"] is False
