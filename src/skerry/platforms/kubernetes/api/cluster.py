"""A Kubernetes cluster: objects are applied, read, watched and removed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

from skerry.errors import DeadlineExceededError, PlatformError, SkerryError, TransportError
from skerry.platforms.kubernetes.api.connection import APPLY, Connection
from skerry.platforms.kubernetes.api.credentials import read_access
from skerry.platforms.kubernetes.api.kinds import Kind, Kinds
from skerry.platforms.kubernetes.api.objects import (
    FIELD_MANAGER,
    KubernetesObject,
    Reference,
    app_selector,
    is_ours,
    refer,
)
from skerry.platforms.kubernetes.pods.forwarding import Forward
from skerry.platforms.kubernetes.pods.logs import LogFollower, LogLine, read_lines
from skerry.platforms.kubernetes.pods.pods import find_places, selector_of

PRUNED: Final = (
    ("serving.knative.dev/v1", "Service"),
    ("serving.knative.dev/v1beta1", "DomainMapping"),
    ("eventing.knative.dev/v1", "Trigger"),
    ("sources.knative.dev/v1", "PingSource"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("autoscaling/v1", "HorizontalPodAutoscaler"),
    ("apps/v1", "Deployment"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
)
"""What an app consists of, in the order in which it is removed. Volumes are not here: data are removed by people."""

Objects = list[KubernetesObject]
References = list[Reference]

ABSENT: Final = frozenset({"not_found", "no_namespace", "no_knative", "unknown_kind"})
PAGE: Final = 500
POLL_S: Final = 0.3


class Cluster:
    """A cluster as one person sees it, and a namespace in it. Threads may share it.

    Args:
        kubeconfig: A kubeconfig file; by default ``KUBECONFIG``, else ``~/.kube/config``, else the pod's account.
        context: The context in it; by default its current one.
        namespace: Where objects without a namespace go; by default the context's.

    Raises:
        ConfigError: no such file or context.
        SkerryError: the extra ``kubernetes`` is not installed.

    Example:
        >>> cluster = Cluster(Path("~/.kube/config").expanduser(), namespace="demo")  # doctest: +SKIP
        >>> cluster.apply(objects)  # doctest: +SKIP
    """

    def __init__(
        self, kubeconfig: Path | None = None, context: str | None = None, namespace: str | None = None
    ) -> None:
        self.access = read_access(kubeconfig, context)
        self.namespace = namespace or self.access.namespace
        self.connection = Connection(self.access)
        self.kinds = Kinds(self.connection)

    def apply(self, objects: Iterable[KubernetesObject], *, dry_run: bool = False, force: bool = False) -> Objects:
        """Make objects be as they are said to be, by server-side apply as the field manager ``skerry``.

        Args:
            objects: What should be there; applied in this order.
            dry_run: Whether to have the API server check all of it and change nothing.
            force: Whether to take over fields that others own.

        Returns:
            The objects as the cluster has them now.

        Raises:
            PlatformError: refused; the message names the object, the cause and the next step.
        """
        applied = []
        for value in objects:
            reference = refer(value)
            doing = f"{'checking' if dry_run else 'applying'} {reference}"
            query = {"fieldManager": FIELD_MANAGER, "force": force, "dryRun": "All" if dry_run else None}
            path = self._path(reference)
            applied.append(
                self.connection.request("PATCH", path, doing=doing, query=query, body=value, content_type=APPLY)
            )
        return applied

    def get(self, reference: Reference) -> KubernetesObject | None:
        """Return an object, or None when there is none of this name."""
        try:
            return self.connection.request("GET", self._path(reference), doing=f"reading {reference}")
        except PlatformError as error:
            if error.details.get("reason") in ABSENT:
                return None
            raise

    def list(
        self, api_version: str, kind: str, *, selector: str = "", fields: str = "", namespace: str | None = None
    ) -> Objects:
        """Return the objects of a kind.

        Args:
            api_version: Such as ``apps/v1``.
            kind: Such as ``Deployment``.
            selector: A label selector; empty for all.
            fields: A field selector; empty for all.
            namespace: Of this namespace instead of the cluster's own.
        """
        found, proceed = self._find(api_version, kind), ""
        items: Objects = []
        while True:
            query = {"labelSelector": selector or None, "fieldSelector": fields or None, "limit": PAGE}
            path = found.path(namespace or self.namespace)
            page = self.connection.request(
                "GET", path, doing=f"listing {found.resource}", query=query | {"continue": proceed or None}
            )
            # Members of a list do not say what they are; whoever gets one of them needs it.
            items += [{"apiVersion": api_version, "kind": kind} | item for item in page.get("items") or []]
            proceed = page.get("metadata", {}).get("continue", "")
            if not proceed:
                return items

    def watch(
        self, api_version: str, kind: str, *, selector: str = "", fields: str = "", timeout_s: float = 300.0
    ) -> Iterator[tuple[str, KubernetesObject]]:
        """Yield what happens to the objects of a kind: first ``ADDED`` for each that is there.

        Args:
            api_version: Such as ``v1``.
            kind: Such as ``Pod``.
            selector: A label selector; empty for all.
            fields: A field selector; empty for all.
            timeout_s: When to end, in seconds.

        Yields:
            ``ADDED``, ``MODIFIED`` or ``DELETED``, and the object.
        """
        found, until = self._find(api_version, kind), time.monotonic() + timeout_s
        while (left_s := until - time.monotonic()) > 0:
            query = {
                "watch": True,
                "labelSelector": selector or None,
                "fieldSelector": fields or None,
                "timeoutSeconds": max(1, int(left_s)),
            }
            path, doing = found.path(self.namespace), f"watching {found.resource}"
            with self.connection.stream(path, doing=doing, query=query, timeout_s=left_s + 5.0) as lines:
                try:
                    for line in lines:
                        event = json.loads(line)
                        if event["type"] == "ERROR":  # what it began from is too old: begin again
                            break
                        yield event["type"], event["object"]
                except TransportError:
                    pass
            time.sleep(POLL_S)

    def delete(
        self,
        references: Iterable[Reference],
        *,
        deadline_s: float = 120.0,
        tell: Callable[[str], None] | None = None,
    ) -> References:
        """Remove objects, with everything that they own, and wait until nothing of it is left.

        Args:
            references: What to remove; what is not there is fine.
            deadline_s: Longest wait in seconds.
            tell: Is told what is still there, when that changes.

        Returns:
            Those that were there.

        Raises:
            DeadlineExceededError: something is still there; the message names it and what holds it.
        """
        removed, identities = [], {}
        for reference in references:
            try:
                answer = self.connection.request(
                    "DELETE",
                    self._path(reference),
                    doing=f"deleting {reference}",
                    body={"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"},
                )
            except PlatformError as error:
                if error.details.get("reason") not in ABSENT:
                    raise
            else:
                removed.append(reference)
                identities[reference] = _identity(answer)
        self._wait_gone(identities, deadline_s, tell)
        return removed

    def prune(self, app: str, keep: Iterable[Mapping[str, Any]], *, deadline_s: float = 120.0) -> References:
        """Remove what Skerry applied for an app and what the app no longer has.

        What others made is not touched, even when it carries the app's labels.

        Args:
            app: The app's name.
            keep: What it still has.
            deadline_s: Longest wait in seconds, until nothing of it is left.
        """
        wanted = {(reference.group, reference.kind, reference.name) for reference in map(refer, keep)}
        return self.delete(
            [found for found in self.owned(app) if (found.group, found.kind, found.name) not in wanted],
            deadline_s=deadline_s,
        )

    def owned(self, app: str) -> References:
        """Return what Skerry applied for an app, in the order in which it is removed.

        Args:
            app: The app's name.
        """
        found: dict[tuple[str, str, str], Reference] = {}
        for api_version, kind in PRUNED:
            if not self.kinds.has(api_version, kind):
                continue
            try:
                values = self.list(api_version, kind, selector=app_selector(app))
            except PlatformError as error:
                if error.details.get("reason") == "forbidden":  # who may not list a kind has not applied one either
                    continue
                raise
            for value in values:
                if is_ours(value):
                    reference = refer(value)
                    found.setdefault((reference.group, kind, reference.name), reference)
        return [*found.values()]

    def events(self, value: Mapping[str, Any]) -> Objects:
        """Return the events about an object, the oldest first.

        Args:
            value: The object; with its ``uid`` only those about this very one, not about one
                of the same name before.
        """
        metadata = value["metadata"]
        fields = f"involvedObject.name={metadata['name']},involvedObject.kind={value['kind']}"
        if uid := metadata.get("uid"):
            fields += f",involvedObject.uid={uid}"
        return sorted(self.list("v1", "Event", fields=fields), key=_happened)

    def logs(
        self, target: Reference | str, *, follow: bool = False, tail: int | None = None
    ) -> AbstractContextManager[Iterable[LogLine]]:
        """Return what pods have written, of all replicas.

        Args:
            target: Whose pods: an object that has some, or a label selector.
            follow: Whether to go on with what they write from now on, also pods that come later; until it is left.
            tail: At most so many lines of each pod.

        Example:
            >>> with cluster.logs(app_selector("demo"), follow=True, tail=10) as lines:  # doctest: +SKIP
            ...     for line in lines:
            ...         print(line.pod, line.text)
        """
        selector = selector_of(self, target)
        if follow:
            return LogFollower(self, selector, tail=tail)
        return nullcontext(read_lines(self, selector, tail=tail))

    def forward(self, target: Reference | str, port: int, *, probe: bytes = b"") -> Forward:
        """Return a context manager that gives a loopback address, whose connections end in ready pods.

        Args:
            target: A Pod, Service, Deployment, Knative Service or Revision, or a label selector.
            port: The Service's port, or else the pods'.
            probe: What a pod that lives answers with anything; pods are asked that have been silent for a while.

        Example:
            >>> with cluster.forward(service, 80) as address:  # doctest: +SKIP
            ...     urllib.request.urlopen(f"http://{address}/")
        """
        return Forward(
            self.connection, self.namespace, lambda: find_places(self, target, port), str(target), probe=probe
        )

    def last_words(self, pod: str, container: str, lines: int) -> str:
        """Return the last lines of a container that ended, of the run before this one if it runs again.

        Args:
            pod: The pod's name.
            container: The container's.
            lines: How many.
        """
        path = self._path(Reference(api_version="v1", kind="Pod", name=pod)) + "/log"
        for previous in (True, False):
            query = {"container": container, "tailLines": lines, "previous": previous}
            try:
                with self.connection.stream(
                    path, doing=f"reading the log of {pod}", query=query, timeout_s=20.0
                ) as found:
                    words = b"\n".join(found).decode(errors="replace")
                if words and not words.startswith("unable to retrieve container logs"):
                    return words
            except SkerryError:  # there was no run before, or the pod has gone: no words are no error here
                continue
        return ""

    def config(self, namespace: str, name: str) -> Mapping[str, str]:
        """Return the data of a ConfigMap; empty when there is none."""
        value = self.get(Reference(api_version="v1", kind="ConfigMap", name=name, namespace=namespace)) or {}
        return value.get("data") or {}

    def close(self) -> None:
        """Let go of connections."""
        self.connection.close()

    def _find(self, api_version: str, kind: str) -> Kind:
        return self.kinds.find(api_version, kind)

    def _path(self, reference: Reference) -> str:
        found = self._find(reference.api_version, reference.kind)
        return found.path(reference.namespace or self.namespace, reference.name)

    def _wait_gone(
        self, identities: Mapping[Reference, str], deadline_s: float, tell: Callable[[str], None] | None
    ) -> None:
        until, told, left = time.monotonic() + deadline_s, "", [*identities]
        while left:
            present = [
                (reference, value)
                for reference in left
                if (value := self.get(reference)) and identities[reference] in ("", value["metadata"].get("uid"))
            ]
            left = [reference for reference, _ in present]
            if not left:
                return
            if time.monotonic() > until:
                raise _still_there(present, deadline_s)
            if tell and (line := f"waiting until gone: {', '.join(map(str, left))}") != told:
                tell(line)
                told = line
            time.sleep(POLL_S)


def _identity(answer: Mapping[str, Any]) -> str:
    """Return the ``uid`` of an object that was deleted: one of the same name that comes after it is another one."""
    found = answer.get("metadata", {}).get("uid") or (answer.get("details") or {}).get("uid")
    return str(found or "")


def _still_there(present: list[tuple[Reference, KubernetesObject]], deadline_s: float) -> SkerryError:
    reference, value = present[0]
    held = ", ".join(value["metadata"].get("finalizers") or [])
    reason = (
        f"its finalizers are {held}: is the controller that clears them running?" if held else "it is being removed"
    )
    return DeadlineExceededError(
        f"{reference} is still there after {deadline_s:g} s ({reason}); look with: kubectl describe "
        f"{reference.kind.lower()} {reference.name}"
    )


def _happened(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")
