"""Functions on plain Kubernetes: a Deployment, a Service and an autoscaler each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from skerry.errors import ConfigError
from skerry.platforms.kubernetes.api.objects import KubernetesObject, Reference
from skerry.platforms.kubernetes.calling.routes import Route
from skerry.platforms.kubernetes.operating import OperatedPlatform
from skerry.platforms.kubernetes.states import FunctionState, PodState, deployment_state

DEPLOYMENT = ("apps/v1", "Deployment")
PORT = 80


class KubernetesPlatform(OperatedPlatform):
    """The functions of a namespace on a cluster without Knative.

    Calls go through a port-forward to the function's Service, or to an ingress that its owner has made.
    """

    platform = "kubernetes"
    main_kind = DEPLOYMENT
    unreachable_hint = (
        "see that your ingress runs and has this address; without --ingress (address in [sites.NAME]) calls go "
        "through a port-forward"
    )

    def prepare(self, functions: Sequence[str], *, weight_ratio: float | None) -> Callable[[], None]:
        """Do nothing: a Deployment moves to its new revision by itself, pod by pod."""
        if weight_ratio is not None:
            self._refuse("splits no traffic")
        return lambda: None

    def traffic(self, name: str) -> NoReturn:
        """Refuse: a Deployment has one revision that serves."""
        self._refuse("splits no traffic")

    def split_traffic(self, name: str, plan: Mapping[str, Any]) -> NoReturn:
        """Refuse: a Deployment has one revision that serves."""
        self._refuse("splits no traffic")

    def promote(self, name: str) -> NoReturn:
        """Refuse: there is no candidate."""
        self._refuse("has no candidates")

    def roll_back(self, name: str) -> NoReturn:
        """Refuse: what was replaced is gone."""
        self._refuse("keeps no earlier revision")

    def _refuse(self, what: str) -> NoReturn:
        raise ConfigError(
            f"plain Kubernetes {what}",
            hint="deploy the earlier source again, or deploy with --platform knative, which keeps revisions",
        )

    def _state(self, found: KubernetesObject, pods: Sequence[PodState]) -> FunctionState:
        metadata = found["metadata"]
        address = f"http://{metadata['name']}.{metadata['namespace']}"
        return deployment_state(found, pods, address=address)

    def _find_route(self, function: str) -> Route:
        if self._given is not None:
            return Route(address=self._given)
        service = Reference(api_version="v1", kind="Service", name=self._main(function)["metadata"]["name"])
        return Route(address=self._forward(self.cluster, service, PORT))
