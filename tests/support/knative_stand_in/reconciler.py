"""One step of the stand-in: what there is, what there should be, and the requests that make one the other."""

import time
from collections import defaultdict

from support.knative_stand_in import names, objects, status
from support.knative_stand_in.conditions import is_ready
from support.knative_stand_in.ingress import Backend
from support.knative_stand_in.names import annotations, labels
from support.knative_stand_in.registry import Digests
from support.knative_stand_in.scaling import Bounds, Scale
from support.kube_api import ApiError

STABLE_WINDOW_S = 60.0


class Reconciler:
    """Brings a namespace nearer to what its services say, with each call.

    Args:
        api: The cluster.
        namespace: Where to work.
        ingress: What is to know where requests go.
        domain: Domain of the routes.
        stable_window_s: How long a pod must have been of no use before it goes, where the service does not say.
        complete: Changes the specification of each pod, for what no Knative service can say.
    """

    def __init__(self, api, namespace, ingress, *, domain, stable_window_s=STABLE_WINDOW_S, complete=None):
        self.api, self.namespace, self.ingress = api, namespace, ingress
        self.domain, self.stable_window_s, self.complete = domain, stable_window_s, complete
        self._digests = Digests()
        self._scales = {}  # by the revision's uid
        self._deployments = {}  # by the revision's name
        self._reachable = set()
        self._placed = set()
        self._known = {}  # hosts, by the service's name

    def reconcile(self):
        """Look at everything and do what is next for each service."""
        found = {kind: self._list(kind) for kind in ("ksvc", "configurations", "routes", "revisions", "deployments")}
        pods = defaultdict(list)
        for pod in self.api.list("pods", self.namespace):
            pods[labels(pod).get(names.REVISION)].append(pod)
        known, self._known, self._reachable = self._known, {}, set()
        failure = None
        for name, service in found["ksvc"].items():
            if "deletionTimestamp" in service["metadata"]:
                continue
            hosts = {}
            try:
                self._reconcile_service(service, found, pods, hosts)
            except ApiError as error:  # one that changes under these hands must not keep what is gone in the ingress
                failure = error
            self._known[name] = hosts or known.get(name, {})
        for name in set(self.ingress.backends) - set(found["revisions"]):
            del self.ingress.backends[name]
        self.ingress.route({host: targets for hosts in self._known.values() for host, targets in hosts.items()})
        if failure is not None:
            raise failure

    def _reconcile_service(self, service, found, pods, hosts):
        configuration = self._ensure("configurations", found, objects.configuration_of(service))
        route = self._ensure("routes", found, objects.route_of(service))
        own = _revisions_of(configuration, found["revisions"])
        latest, refused = self._make_revision(configuration, own, found["revisions"])
        for revision in own.values():
            self._reconcile_revision(revision, found["deployments"], pods[revision["metadata"]["name"]])
        self._put_status(
            "configurations", configuration, status.configuration_status(configuration, own, latest, refused=refused)
        )
        targets, wrong = status.resolve_traffic(route, configuration, own)
        after = status.route_status(route, targets, wrong, namespace=self.namespace, domain=self.domain)
        own_hosts = self._hosts(route, after["traffic"])
        hosts.update(own_hosts)
        self.ingress.route({**self.ingress.hosts, **own_hosts})  # what is said to be ready has been done
        self._place(route)
        self._put_status("routes", route, after)
        taken = latest if refused is not None else None
        self._put_status("ksvc", service, status.service_status(service, configuration, route, taken=taken))
        self._reachable |= {target["revisionName"] for target in route["status"]["traffic"]}
        for revision in own.values():
            self._mark_routing(revision)

    def _make_revision(self, configuration, own, everybodys):
        """Make a configuration's newest revision, if there is none yet; return its name, and why it cannot be."""
        name = objects.revision_name(configuration)
        generation = str(configuration["metadata"]["generation"])
        if any(labels(revision)[names.GENERATION] == generation for revision in own.values()):
            return name, None
        wanted = objects.revision_of(configuration)
        if name in everybodys:
            if everybodys[name]["spec"] == wanted["spec"] and name in own:  # only the traffic's or a label's change
                return name, None
            return name, f'revisions.serving.knative.dev "{name}" already exists'
        own[name] = self.api.create("revisions", self.namespace, wanted)
        return name, None

    def _reconcile_revision(self, revision, deployments, pods):
        name, image = revision["metadata"]["name"], objects.image_of(revision)
        deployment = deployments.get(f"{name}-deployment")
        digest, error = self._digests.resolve(image)
        if deployment is not None:
            error = None  # it was found once
        elif digest is not None:
            scale = self._scale_of(revision)
            wanted = objects.deployment_of(revision, digest, scale.decide(0, time.monotonic(), reachable=True))
            if self.complete is not None:
                self.complete(wanted["spec"]["template"]["spec"])
            self._create_if_absent("services", objects.private_service_of(revision))
            deployment = self._create_if_absent("deployments", wanted)
        after = status.revision_status(revision, deployment, pods, image_error=error, digest=digest, image=image)
        self._put_status("revisions", revision, after)
        if deployment is None:
            return
        self._deployments[name] = deployment
        scale = self._scale_of(revision)
        scale.initialised = scale.initialised or is_ready(revision)
        self._backend_of(revision).addresses = tuple(
            (pod["status"]["podIP"], objects.port_of(revision)) for pod in pods if _serves(pod)
        )

    def scale(self, now_s):
        """Give each revision the number of pods that it should have now."""
        for name, backend in list(self.ingress.backends.items()):
            deployment = self._deployments.get(name)
            scale = self._scales.get(labels(deployment).get(names.REVISION_UID)) if deployment else None
            if scale is None:
                continue
            wanted = scale.decide(backend.concurrency, now_s, reachable=name in self._reachable)
            if wanted != deployment["spec"]["replicas"]:
                where = deployment["metadata"]["name"]
                change = {"spec": {"replicas": wanted}}
                self._deployments[name] = self.api.patch("deployments", self.namespace, where, change)

    def _scale_of(self, revision):
        uid = revision["metadata"]["uid"]
        if uid not in self._scales:
            concurrency = revision["spec"]["containerConcurrency"]
            self._scales[uid] = Scale(
                Bounds.read(annotations(revision), container_concurrency=concurrency, window_s=self.stable_window_s)
            )
        return self._scales[uid]

    def _backend_of(self, revision):
        spec = revision["spec"]
        fresh = Backend(limit=spec["containerConcurrency"], timeout_s=spec["timeoutSeconds"])
        return self.ingress.backends.setdefault(revision["metadata"]["name"], fresh)

    def _hosts(self, route, traffic):
        """Return what each host of a route leads to."""
        name = route["metadata"]["name"]
        outside = [] if labels(route).get(names.VISIBILITY) == "cluster-local" else [self.domain]
        inside = ["svc.cluster.local"]
        split = [(target["revisionName"], target.get("percent", 0)) for target in traffic]
        found = {f"{name}.{self.namespace}.{domain}": split for domain in outside + inside}
        found |= {f"{name}.{self.namespace}.svc": split, f"{name}.{self.namespace}": split, name: split}
        for target in traffic:
            if target.get("tag"):
                for domain in outside + inside:
                    found[f"{target['tag']}-{name}.{self.namespace}.{domain}"] = [(target["revisionName"], 100)]
        return found

    def _place(self, route):
        """Let pods find the ingress by the route's name."""
        if route["metadata"]["uid"] not in self._placed:
            service, endpoints = objects.placeholder_of(route, self.ingress.host, self.ingress.port)
            self._create_if_absent("services", service)
            self._create_if_absent("endpoints", endpoints)
            self._placed.add(route["metadata"]["uid"])

    def _mark_routing(self, revision):
        name = revision["metadata"]["name"]
        state = "active" if name in self._reachable else "reserve" if is_ready(revision) else "pending"
        if labels(revision).get(names.ROUTING_STATE) != state:
            self.api.patch("revisions", self.namespace, name, {"metadata": {"labels": {names.ROUTING_STATE: state}}})

    # Requests

    def _list(self, kind):
        return {item["metadata"]["name"]: item for item in self.api.list(kind, self.namespace)}

    def _ensure(self, kind, found, wanted):
        """Make an object, or give it the wanted spec; return it."""
        name = wanted["metadata"]["name"]
        there = found[kind].get(name)
        if there is None:
            found[kind][name] = self.api.create(kind, self.namespace, wanted)
        elif there["spec"] != wanted["spec"]:
            found[kind][name] = self.api.replace(kind, self.namespace, {**there, "spec": wanted["spec"]})
        return found[kind][name]

    def _create_if_absent(self, kind, wanted):
        try:
            return self.api.create(kind, self.namespace, wanted)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            return self.api.get(kind, self.namespace, wanted["metadata"]["name"])

    def _put_status(self, kind, item, after):
        """Write a status where it has changed, and keep it in the object at hand."""
        if item.get("status") != after:
            item["status"] = after
            item.update(self.api.replace(kind, self.namespace, item, "status"))


def _revisions_of(configuration, revisions):
    uid = configuration["metadata"]["uid"]
    return {name: each for name, each in revisions.items() if labels(each).get(names.CONFIGURATION_UID) == uid}


def _serves(pod):
    if "deletionTimestamp" in pod["metadata"]:
        return False
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
