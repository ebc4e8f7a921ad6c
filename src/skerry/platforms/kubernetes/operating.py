"""A cluster's functions as their operator sees them: what both ways to run them have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skerry.errors import ConfigError, FunctionNotFoundError, SkerryError
from skerry.platforms.http.connection import Address
from skerry.platforms.kubernetes.api.objects import (
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    NAME_LABEL,
    KubernetesObject,
    Reference,
    app_selector,
    is_ours,
    object_name,
    refer,
)
from skerry.platforms.kubernetes.calling.calling import CallingPlatform
from skerry.platforms.kubernetes.calling.routes import Route
from skerry.platforms.kubernetes.pods.forwarding import HTTP_PROBE
from skerry.platforms.kubernetes.states import (
    FunctionState,
    PodState,
    app_of,
    container_facts,
    event_facts,
    function_of,
    group_pods,
)
from skerry.store.inputs import SHARED_VARIABLE

if TYPE_CHECKING:
    from skerry.platforms.kubernetes.api.cluster import Cluster
    from skerry.platforms.kubernetes.pods.forwarding import Forward
    from skerry.platforms.kubernetes.pods.logs import LogLine
    from skerry.spec import Site

OURS = f"{MANAGED_BY_LABEL}={FIELD_MANAGER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """How calls get to the functions of a cluster.

    Args:
        address: Of the ingress; none where it is to be found.
        site: The site that the namespace is; none where it is none.
        patience_s: Most seconds to wait, in total, before a request is not sent again.
    """

    address: Address | None = None
    site: Site | None = None
    patience_s: float = 60.0


class OperatedPlatform(CallingPlatform):
    """The functions of one namespace.

    Args:
        cluster: The cluster.
        entrance: How calls get there.
    """

    platform: str
    main_kind: tuple[str, str]  # apiVersion and kind of the object that stands for a function

    def __init__(self, cluster: Cluster, entrance: Entrance) -> None:
        title = f"{self.platform} in namespace {cluster.namespace!r}"
        super().__init__(self._find_route, site=entrance.site, title=title, patience_s=entrance.patience_s)
        self.cluster = cluster
        self._given = entrance.address
        self._forwards = ExitStack()
        self._forwarded: dict[Address, Forward] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.title}>"

    @abstractmethod
    def _find_route(self, function: str) -> Route:
        """Return how a function is called."""

    @abstractmethod
    def _state(self, found: KubernetesObject, pods: Sequence[PodState]) -> FunctionState:
        """Return the state of the function that an object stands for."""

    @abstractmethod
    def prepare(self, functions: Sequence[str], *, weight_ratio: float | None) -> Callable[[], None]:
        """Make ready for new revisions of functions that are about to be applied.

        Args:
            functions: Their names; those that are not there yet are new.
            weight_ratio: Share of the requests that new revisions are to get; none means all.

        Returns:
            What gives the new revisions their share, once they are ready.

        Raises:
            ConfigError: the platform cannot do that.
        """

    @abstractmethod
    def traffic(self, name: str) -> dict[str, Any]:
        """Return who gets a function's requests: ``serving``, ``candidate``, ``weight_ratio``, ``revisions``."""

    @abstractmethod
    def split_traffic(self, name: str, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Try a candidate on some of a function's requests, or end that with an empty plan; return `traffic`."""

    @abstractmethod
    def promote(self, name: str) -> dict[str, Any]:
        """Have the candidate serve a function from now on; return `traffic`, and what was ``promoted``."""

    @abstractmethod
    def roll_back(self, name: str) -> dict[str, Any]:
        """Have the revision before the present one serve a function; return `traffic`, and what was ``replaced``."""

    def functions(self) -> list[dict[str, Any]]:
        """Return the functions of the namespace, by name."""
        pods = group_pods(self.cluster.list("v1", "Pod", selector=OURS))
        found = [self._state(one, pods.get(function_of(one), [])) for one in self._mains(OURS)]
        return [state.to_dict() for state in sorted(found, key=lambda state: state.name)]

    def function(self, name: str) -> dict[str, Any]:
        """Return a function with its state and what its containers are given, without secrets.

        Raises:
            FunctionNotFoundError: the namespace has no such function.
        """
        found = self._main(name)
        pods = group_pods(self.cluster.list("v1", "Pod", selector=f"{OURS},{NAME_LABEL}={object_name(name)}"))
        state = self._state(found, pods.get(name, []))
        return {**state.to_dict(), "container": container_facts(found["spec"]["template"])}

    def apps(self) -> list[dict[str, Any]]:
        """Return the apps of the namespace with the names of their functions."""
        apps: dict[str, list[str]] = {}
        for found in self._mains(OURS):
            apps.setdefault(app_of(found), []).append(function_of(found))
        return [{"name": app, "functions": sorted(names)} for app, names in sorted(apps.items())]

    def delete_app(self, name: str) -> None:
        """Delete everything of an app, and wait until it is gone.

        Raises:
            FunctionNotFoundError: the namespace has no such app.
            ConfigError: others than Skerry have applied it, and may do so again.
        """
        found = [one for one in self._mains(OURS) if app_of(one) == name]
        if not found:
            raise FunctionNotFoundError(f"no app {name!r} in namespace {self.cluster.namespace!r}")
        others = [str(refer(one)) for one in found if not is_ours(one)]
        if others:
            raise ConfigError(
                f"app {name!r} was not applied by skerry deploy: {', '.join(others)}",
                hint="delete it with what applied it: kubectl delete -k FOLDER, or the repository that GitOps follows",
            )
        self.cluster.prune(name, keep=())

    def events(self, *, function: str | None = None, since_s: float | None = None) -> list[dict[str, Any]]:
        """Return what the cluster has noted, oldest first.

        Args:
            function: Only what concerns this function.
            since_s: Only what happened after this Unix time.
        """
        meant = self._mains(OURS) if function is None else [self._main(function)]
        noted = [note for found in meant for note in map(event_facts, self.cluster.events(found))]
        noted.sort(key=lambda note: float(note["at"]))
        return [note for note in noted if since_s is None or note["at"] > since_s]

    def log_lines(self, name: str, *, tail: int | None = None, follow: bool = False) -> Iterator[LogLine]:
        """Yield what a function's replicas print.

        Args:
            name: The function.
            tail: Lines to begin with, of each replica.
            follow: Whether to go on with what comes, also from replicas that come; until the iterator is closed.

        Raises:
            FunctionNotFoundError: the namespace has no such function.
        """
        selector = app_selector(app_of(self._main(name)), object_name(name))
        with self.cluster.logs(selector, tail=tail, follow=follow) as lines:
            yield from lines

    def close(self) -> None:
        """Close the port-forwards and the idle connections, also those to the API server."""
        self._forwards.close()
        self._forwarded.clear()
        self.cluster.close()
        super().close()

    def ready(self) -> bool:
        """Return whether the cluster answers."""
        try:
            self._mains(OURS)
        except SkerryError:
            return False
        return True

    def _inputs_url(self, function: str) -> str | None:
        said = super()._inputs_url(function)
        if said is None:
            template = self._main(function)["spec"]["template"]
            said = container_facts(template)["env"].get(SHARED_VARIABLE)
        return said

    def _forward(self, cluster: Cluster, target: Reference, port: int) -> Address:
        """Return a local address whose connections end in ready pods, for as long as this platform is open."""
        forward = cluster.forward(target, port, probe=HTTP_PROBE)
        address = Address.parse(f"http://{self._forwards.enter_context(forward)}")
        self._forwarded[address] = forward
        return address

    def _is_entrance(self, address: Address) -> bool:
        return address not in self._forwarded

    def _why_lost(self, address: Address) -> SkerryError | None:
        forward = self._forwarded.get(address)
        return None if forward is None else forward.why_broken()

    def _mains(self, selector: str) -> list[KubernetesObject]:
        return list(self.cluster.list(*self.main_kind, selector=selector))

    def _main(self, function: str) -> KubernetesObject:
        found = self._mains(f"{OURS},{NAME_LABEL}={object_name(function)}")
        if not found:
            there = ", ".join(sorted(map(function_of, self._mains(OURS)))) or "none"
            raise FunctionNotFoundError(
                f"no function {function!r} in namespace {self.cluster.namespace!r}; there are: {there}",
                hint=f"deploy it with `skerry deploy FILE --platform {self.platform}`, or name another --namespace",
            )
        return found[0]
