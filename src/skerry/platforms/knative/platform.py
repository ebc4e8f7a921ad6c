"""Functions on Knative Serving: one Knative Service each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from skerry.errors import ConfigError, UnavailableError
from skerry.platforms.http.connection import Address
from skerry.platforms.knative import traffic
from skerry.platforms.knative.ingress import HTTP_PORT, KNOWN, find_ingress, way_in
from skerry.platforms.knative.targets import set_traffic
from skerry.platforms.knative.traffic import Revision, Split, Target, revisions_of
from skerry.platforms.kubernetes.api.objects import KubernetesObject, Reference, refer
from skerry.platforms.kubernetes.calling.routes import LONGEST_ANSWER_S, START_S, Route
from skerry.platforms.kubernetes.operating import OURS, OperatedPlatform
from skerry.platforms.kubernetes.states import FunctionState, PodState, function_of, service_state

SERVICE = ("serving.knative.dev/v1", "Service")
REVISION = ("serving.knative.dev/v1", "Revision")
VISIBILITY_LABEL = "networking.knative.dev/visibility"
SERVICE_LABEL = "serving.knative.dev/service"
PLAN_KEYS = frozenset({"candidate", "weight_ratio"})


class KnativePlatform(OperatedPlatform):
    """The functions of a namespace on a cluster with Knative Serving.

    Calls go to the cluster's ingress with the function's own host name, so that a function at zero is started by them.

    Example:
        ``KnativePlatform(Cluster(context="edge"), Entrance()).invoke("greet", b'"Ada"', content_type=JSON)``
    """

    platform = "knative"
    main_kind = SERVICE
    unreachable_hint = (
        "see that the ingress runs and has this address (--ingress, or address in [sites.NAME]); "
        "`skerry doctor --platform knative` looks for it"
    )

    def prepare(self, functions: Sequence[str], *, weight_ratio: float | None) -> Callable[[], None]:
        """Make ready for new revisions: with a weight, what serves now gets everything until they are ready."""
        found = {function_of(one): one for one in self._mains(OURS)}
        before = {name: Split.of(found[name]) for name in functions if name in found}
        trials = {name: split for name, split in before.items() if split.serving is not None}
        if weight_ratio is not None:
            traffic.percent_of(weight_ratio)
            if not trials:
                raise ConfigError(
                    "no function of this app serves yet: there is nothing to try new revisions beside",
                    hint="deploy without --weight first",
                )
            for name, split in trials.items():
                set_traffic(self.cluster, refer(found[name]), traffic.hold(split))

        def shift() -> None:
            for name, service in found.items():
                if name not in before:
                    continue
                latest = str(self._main(name).get("status", {}).get("latestReadyRevisionName") or "")
                targets = traffic.after_deployment(before[name], latest=latest, weight_ratio=weight_ratio)
                set_traffic(self.cluster, refer(service), targets)

        return shift

    def traffic(self, name: str) -> dict[str, Any]:
        """Return who gets a function's requests."""
        found = self._main(name)
        return _shown(name, Split.of(found), self._revisions(found))

    def split_traffic(self, name: str, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Try a candidate on some of a function's requests, or end that with an empty plan.

        Args:
            name: The function.
            plan: ``candidate``: name of a revision; ``weight_ratio``: its share, 0 to 1, 0 by default.

        Raises:
            ConfigError: Knative cannot do what is asked, or there is no such revision.
        """
        beyond = sorted(set(plan) - PLAN_KEYS)
        if beyond:
            raise ConfigError(f"Knative does not do {', '.join(beyond)}: it splits by weight alone", field=beyond[0])

        def decide(split: Split, revisions: Sequence[Revision]) -> list[Target]:
            if not plan:
                return traffic.end_trial(name, split)
            return traffic.try_candidate(
                name,
                split,
                revisions,
                candidate=str(plan["candidate"]),
                weight_ratio=float(plan.get("weight_ratio", 0.0)),
            )

        return self._change(name, decide)

    def promote(self, name: str) -> dict[str, Any]:
        """Have the candidate serve a function from now on."""
        found = self._change(name, lambda split, _: traffic.promote(name, split))
        return {**found, "promoted": found["serving"]}

    def roll_back(self, name: str) -> dict[str, Any]:
        """Have the newest ready revision before the present one serve a function."""
        before = Split.of(self._main(name)).serving
        found = self._change(name, lambda split, revisions: traffic.roll_back(name, split, revisions))
        return {**found, "replaced": before}

    def _change(self, name: str, decide: Callable[[Split, Sequence[Revision]], list[Target]]) -> dict[str, Any]:
        """Give a function other targets, and wait until the cluster has taken them."""
        found = self._main(name)
        revisions = self._revisions(found)
        targets = decide(Split.of(found), revisions)
        return _shown(name, Split.of(set_traffic(self.cluster, refer(found), targets)), revisions)

    def _revisions(self, service: KubernetesObject) -> list[Revision]:
        selector = f"{SERVICE_LABEL}={service['metadata']['name']}"
        return revisions_of(self.cluster.list(*REVISION, selector=selector))

    def _state(self, found: KubernetesObject, pods: Sequence[PodState]) -> FunctionState:
        return service_state(found, pods, serving=Split.of(found).serving)

    def _find_route(self, function: str) -> Route:
        found = self._main(function)
        url = str(found.get("status", {}).get("url") or "")
        if not url:
            state = self._state(found, ())
            raise UnavailableError(f"function {function!r} has no address yet: {state.reason}")
        host = str(urlsplit(url).hostname)
        if self._given is None and found["metadata"].get("labels", {}).get(VISIBILITY_LABEL) == "cluster-local":
            raise ConfigError(
                f"function {function!r} is served to the cluster alone (visibility), at {url}",
                hint="call it from a pod, or name an address of the cluster's inner ingress with --ingress",
            )
        limit_s = float(found["spec"]["template"]["spec"].get("timeoutSeconds") or LONGEST_ANSWER_S)
        return Route(address=way_in(self._ingress, url), host=host, wait_s=limit_s + START_S)

    def close(self) -> None:
        """Close the port-forwards and the idle connections; the next call looks for the ingress anew."""
        self.__dict__.pop("_ingress", None)
        super().close()

    @cached_property
    def _ingress(self) -> Address:
        if self._given is not None:
            return self._given
        places = [
            Reference(api_version="v1", kind="Service", name=name, namespace=namespace) for namespace, name in KNOWN
        ]
        found = find_ingress(filter(None, map(self.cluster.get, places)))
        if found is None:
            raise ConfigError(
                f"no ingress of Knative was found (looked for {', '.join('/'.join(place) for place in KNOWN)})",
                hint="name its address: --ingress http://HOST:PORT, or address in [sites.NAME]; "
                "`skerry doctor --platform knative` says what is missing",
            )
        if found.address is not None:
            return found.address
        elsewhere = copy.copy(self.cluster)
        elsewhere.namespace = found.namespace
        return self._forward(elsewhere, Reference(api_version="v1", kind="Service", name=found.name), HTTP_PORT)


def _shown(name: str, split: Split, revisions: Sequence[Revision]) -> dict[str, Any]:
    shares = {split.serving: 1 - split.weight_ratio}
    if split.candidate is not None:
        shares[split.candidate] = split.weight_ratio
    return {
        "function": name,
        "serving": split.serving,
        "candidate": split.candidate,
        "weight_ratio": split.weight_ratio,
        "revisions": [
            {
                "name": one.name,
                "ready": one.ready,
                "reason": one.reason,
                "weight_ratio": round(shares.get(one.name, 0), 4),
            }
            for one in revisions
        ],
    }
