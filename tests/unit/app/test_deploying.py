"""Whose functions a deployment on a cluster may touch."""

import pytest

from skerry.app.clusters import ClusterPlace
from skerry.app.deploying import DeployPlan, RenderedApp, deploy_app
from skerry.app.target import Target
from skerry.errors import ConfigError, NameTakenError


class Namespace:
    """A namespace in which another app has a function already."""

    class cluster:  # stands for an attribute
        namespace = "edge"

    def apps(self):
        return [{"name": "other", "functions": ["greet"]}]


def plan(platform, **given):
    target = Target("/nowhere/app.py", None, None)
    return DeployPlan(target=target, place=ClusterPlace(platform=platform), **given)


def test_a_function_of_another_app_is_not_taken_over(monkeypatch):
    rendered = RenderedApp(app="news", functions=("greet",), image="r/news", objects=())
    monkeypatch.setattr("skerry.app.deploying.render_app", lambda *_, **__: rendered)

    with pytest.raises(NameTakenError, match="greet in namespace 'edge' belongs to app 'other'"):
        deploy_app(plan("knative"), Namespace())


def test_plain_kubernetes_takes_no_weight():
    with pytest.raises(ConfigError, match="plain Kubernetes splits no traffic"):
        deploy_app(plan("kubernetes", weight_ratio=0.1), Namespace())
