"""Where commands go, as their options say."""

import json

import pytest

from skerry.platforms import Answer
from skerry.platforms.kubernetes.states import PodState, deployment_state, service_state

GREET = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {
        "name": "greet",
        "namespace": "edge",
        "labels": {"app.kubernetes.io/name": "greet", "app.kubernetes.io/part-of": "news"},
    },
    "status": {"url": "http://greet.edge.example.com", "conditions": [{"type": "Ready", "status": "True"}]},
}
POD = PodState(name="greet-1", node="node1", ready=True, phase="Running", restarts=0)
SPLIT = {
    "function": "greet",
    "serving": "greet-00001",
    "candidate": "greet-00002",
    "weight_ratio": 0.1,
    "revisions": [
        {"name": "greet-00002", "ready": True, "reason": "", "weight_ratio": 0.1},
        {"name": "greet-00001", "ready": True, "reason": "", "weight_ratio": 0.9},
    ],
}


class Platform:
    """What a cluster would say."""

    def __init__(self):
        self.asked = []

    def functions(self):
        return [service_state(GREET, [POD], serving="greet-00001").to_dict()]

    def traffic(self, name):
        return SPLIT

    def split_traffic(self, name, plan):
        self.asked.append((name, plan))
        return SPLIT

    def promote(self, name):
        return {**SPLIT, "promoted": "greet-00002"}

    def roll_back(self, name):
        return {**SPLIT, "replaced": "greet-00002"}


@pytest.fixture
def platform(monkeypatch):
    made = Platform()
    made.places = []

    def open_cluster(place, **_):
        made.places.append(place)
        return made

    monkeypatch.setattr("skerry.app.clusters.open_cluster", open_cluster)
    return made


def test_list_shows_what_a_cluster_has(platform, skerry_command):
    code, out, _ = skerry_command("list", "--platform", "knative", "--namespace", "edge")

    assert code == 0
    assert "greet  news  greet-00001  ready  1/1   http://greet.edge.example.com" in out
    assert (platform.places[0].platform, platform.places[0].namespace) == ("knative", "edge")


def test_what_is_not_said_is_as_the_project_says(platform, skerry_command, tmp_path):
    (tmp_path / "skerry.toml").write_text('[platform.knative]\nnamespace = "edge"\ncontext = "hut"\n')

    skerry_command("list", "--platform", "knative")
    skerry_command("list", "--platform", "knative", "--namespace", "shop")
    skerry_command("list", "--platform", "kubernetes")

    found = [(place.namespace, place.context) for place in platform.places]
    assert found == [("edge", "hut"), ("shop", "hut"), (None, None)]


def test_a_site_may_be_a_cluster(platform, skerry_command, tmp_path):
    (tmp_path / "skerry.toml").write_text('[sites.hut]\nplatform = "knative"\nnamespace = "edge"\nkubeconfig = "hut"\n')

    code, out, _ = skerry_command("list", "--site", "hut")

    assert (code, "greet-00001" in out) == (0, True)
    assert platform.places[0].kubeconfig == tmp_path / "hut"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "--namespace", "edge"], "--namespace is about a cluster: add --platform knative"),
        (["list", "--site", "hut", "--platform", "knative"], "--site and --platform do not go together"),
        (["list", "--site", "hut", "--context", "c"], "--site and --context do not go together"),
        (["deploy", "app.py", "--dry-run"], "--dry-run cannot be used here: they are about a cluster"),
        (["deploy", "app.py", "--platform", "knative", "--port", "1"], "--port cannot be used here"),
        (["traffic", "greet"], "an engine serves one revision of a function at a time"),
        (["traffic", "greet", "--platform", "knative", "--end", "--weight", "1%"], "--end goes with no other option"),
    ],
)
def test_what_does_not_go_together_is_refused(platform, skerry_command, tmp_path, words, said):
    (tmp_path / "app.py").write_text("import skerry\napp = skerry.App('news')\n")

    code, out, err = skerry_command(*words)

    assert (code, out) == (2, "")
    assert said in err


def test_what_only_engines_can_do_is_refused_for_a_cluster(skerry_command, tmp_path):
    (tmp_path / "skerry.toml").write_text('[sites.hut]\nplatform = "knative"\n')

    code, _, err = skerry_command("usage", "--site", "hut")

    assert code == 2
    assert "site 'hut' is a cluster, and only an engine can do this" in err


def test_traffic_shows_who_gets_what(platform, skerry_command):
    _, out, _ = skerry_command("traffic", "greet", "--platform", "knative")

    assert [line.split() for line in out.splitlines()[1:]] == [
        ["greet-00002", "10%", "candidate", "ready"],
        ["greet-00001", "90%", "serving", "ready"],
    ]


def test_a_weight_alone_is_the_present_candidate_s(platform, skerry_command):
    skerry_command("traffic", "greet", "--platform", "knative", "--weight", "0.5")
    skerry_command("traffic", "greet", "--platform", "knative", "--end")

    assert platform.asked == [("greet", {"candidate": "greet-00002", "weight_ratio": 0.5}), ("greet", {})]


def test_promote_and_rollback_say_what_serves(platform, skerry_command):
    assert skerry_command("promote", "greet", "--platform", "knative")[2].endswith("greet-00002 serves from now on\n")
    assert skerry_command("rollback", "greet", "--platform", "knative")[2] == "greet: greet-00002 -> greet-00001\n"


def test_sites_are_listed_with_their_platform(skerry_command, tmp_path):
    (tmp_path / "skerry.toml").write_text('[sites.hut]\nplatform = "knative"\nnamespace = "edge"\n')

    assert "hut   knative   edge          namespace edge, context (current)" in skerry_command("sites", "list")[1]
    assert json.loads(skerry_command("sites", "list", "--json")[1])[0]["namespace"] == "edge"


@pytest.mark.parametrize(("available", "state"), [("False", "failed"), ("True", "update failed")])
def test_a_stuck_deployment_is_failed_with_the_cluster_s_words(available, state):
    conditions = [
        {"type": "Available", "status": available, "message": "no minimum availability"},
        {"type": "Progressing", "status": "False", "message": "has timed out progressing"},
    ]
    deployment = {**GREET, "kind": "Deployment", "status": {"conditions": conditions}}

    found = deployment_state(deployment, [], address="http://greet.edge")

    assert (found.state, found.reason) == (state, "has timed out progressing")


def test_a_site_with_a_domain_is_called_without_asking_its_cluster(platform, skerry_command, tmp_path, monkeypatch):
    class Caller:
        def invoke(self, name, body, **_):
            return Answer(body, "application/json", {})

    monkeypatch.setattr("skerry.app.clusters.cluster_site", lambda site, **_: Caller())
    keys = 'platform = "knative"\naddress = "http://10.0.0.1"\nnamespace = "edge"\ndomain = "example.com"\n'
    (tmp_path / "skerry.toml").write_text(f"[sites.hut]\n{keys}")

    assert skerry_command("invoke", "greet", "--site", "hut", "--data", "42")[:2] == (0, "42\n")
    assert platform.places == []


def test_a_project_s_table_says_which_namespace_and_context(platform, skerry_command, tmp_path):
    (tmp_path / "skerry.toml").write_text('[platform.knative]\nnamespace = "edge"\ncontext = "hut"\n')

    skerry_command("list", "--platform", "knative")
    skerry_command("list", "--platform", "knative", "--namespace", "other")

    assert [(place.namespace, place.context) for place in platform.places] == [("edge", "hut"), ("other", "hut")]


def test_the_doctor_looks_where_commands_go(skerry_command, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "skerry.platforms.kubernetes.doctor.doctor.examine_cluster",
        lambda platform, **where: asked.append((platform, where["namespace"], where["registry"])) or [],
    )
    project = '[platform.knative]\nnamespace = "edge"\nregistry = "r.example/me"\n'
    (tmp_path / "skerry.toml").write_text(project + '[sites.hut]\nplatform = "kubernetes"\nnamespace = "shop"\n')

    skerry_command("doctor", "--platform", "knative")
    skerry_command("doctor", "--platform", "knative", "--registry", "other.example")
    skerry_command("doctor", "--site", "hut")

    assert asked == [
        ("knative", "edge", "r.example/me"),
        ("knative", "edge", "other.example"),
        ("kubernetes", "shop", None),
    ]
    assert "--registry is about a cluster" in skerry_command("doctor", "--registry", "other.example")[2]
