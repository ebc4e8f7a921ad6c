"""Whose objects a deployment on a cluster may touch, and in which namespace."""

import pytest

from skerry.app.clusters import ClusterPlace, with_project
from skerry.app.deploying import DeployPlan, RenderedApp, deploy_app
from skerry.app.ownership import has_changed
from skerry.app.target import Target
from skerry.errors import ConfigError, NameTakenError, PlatformError
from skerry.spec import read_project_file

KNATIVE_SERVICE = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {"name": "greet", "namespace": "edge"},
}


class Cluster:
    """A cluster that has some objects already."""

    namespace = "edge"

    def __init__(self, *present):
        self.present = {(one["apiVersion"], one["kind"], one["metadata"]["name"]): one for one in present}
        self.kinds = self

    def has(self, api_version, kind):
        return True

    def get(self, reference):
        return self.present.get((reference.api_version, reference.kind, reference.name))


class Namespace:
    """Stands for the platform of a namespace."""

    def __init__(self, *present):
        self.cluster = Cluster(*present)


def plan(platform, **given):
    target = Target("/nowhere/app.py", None, None)
    return DeployPlan(target=target, place=ClusterPlace(platform=platform), **given)


def there(made=KNATIVE_SERVICE, *, app="news", manager="skerry", **more):
    labels = {"app.kubernetes.io/part-of": app, "app.kubernetes.io/managed-by": manager}
    return {**made, "metadata": {**made["metadata"], "labels": labels, **more}}


@pytest.fixture
def rendered(monkeypatch):
    """What the app is rendered to; the plans that it is rendered for are kept."""
    plans = []

    def render(plan, **_):
        plans.append(plan)
        return RenderedApp(app="news", functions=("greet",), image="r/news", objects=(KNATIVE_SERVICE,))

    monkeypatch.setattr("skerry.app.deploying.render_app", render)
    return plans


@pytest.mark.parametrize(
    ("present", "said"),
    [
        (there(app="other"), "Service edge/greet belongs to app 'other'"),
        (there(manager="kubectl"), "Service edge/greet is there already, and Skerry did not make it"),
        ({**KNATIVE_SERVICE}, "Service edge/greet is there already, and Skerry did not make it"),
        (
            there(ownerReferences=[{"kind": "Route", "name": "greet"}]),
            "Service edge/greet belongs to Route greet",
        ),
        (
            there({**KNATIVE_SERVICE, "apiVersion": "v1"}),
            "Service edge/greet is there already, and Knative needs that name",
        ),
    ],
)
def test_what_is_somebody_else_s_is_not_taken_over(rendered, present, said):
    with pytest.raises(NameTakenError, match=said):
        deploy_app(plan("knative"), Namespace(present))


def test_what_is_being_deleted_is_not_applied_to(rendered):
    with pytest.raises(PlatformError, match="is being deleted; deploy again once it is gone"):
        deploy_app(plan("knative"), Namespace(there(deletionTimestamp="2026-11-27T10:00:00Z")))


def test_objects_are_rendered_for_the_namespace_that_is_looked_at(rendered):
    with pytest.raises(NameTakenError):
        deploy_app(plan("knative"), Namespace(there(app="other")))

    assert [one.place.namespace for one in rendered] == ["edge"]


def test_plain_kubernetes_takes_no_weight():
    with pytest.raises(ConfigError, match="plain Kubernetes splits no traffic"):
        deploy_app(plan("kubernetes", weight_ratio=0.1), Namespace())


def test_a_project_s_table_says_where_what_no_option_says(tmp_path):
    file = tmp_path / "skerry.toml"
    file.write_text('[platform.knative]\nnamespace = "edge"\ncontext = "hut"\n')
    project = read_project_file(file)

    found = with_project(ClusterPlace(platform="knative"), project)
    assert (found.namespace, found.context) == ("edge", "hut")
    nearer = with_project(ClusterPlace(platform="knative", namespace="n", context="c"), project)
    assert (nearer.namespace, nearer.context) == ("n", "c")
    assert with_project(ClusterPlace(platform="kubernetes"), project) == ClusterPlace(platform="kubernetes")


def test_a_deployment_has_changed_something_when_an_object_is_new_or_of_another_generation():
    before = there(uid="u1", generation=1, resourceVersion="7")
    state_only = there(uid="u1", generation=1, resourceVersion="9")
    other = there(uid="u1", generation=2, resourceVersion="9")

    assert not has_changed([before], [state_only])
    assert has_changed([before], [other])
    assert has_changed([], [before])
