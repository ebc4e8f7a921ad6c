"""The objects that Knative's controllers make of a service: pure functions from one object to another."""

import copy

from support.knative_stand_in import names
from support.knative_stand_in.names import API_VERSION, annotations, labels, owned_by

USER_CONTAINER = "user-container"
DEFAULT_PORT = 8080
DEFAULT_TIMEOUT_S = 300
DEFAULT_PROGRESS = "600s"
NOT_OF_PODS = ("containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds")
LATEST = [{"latestRevision": True, "percent": 100}]


def configuration_of(service):
    """Return the configuration of a service: its template, without its traffic."""
    return _child(service, "Configuration", {"template": service["spec"]["template"]})


def route_of(service):
    """Return the route of a service: its traffic, with what ``latestRevision`` stands for."""
    traffic = []
    for target in service["spec"].get("traffic") or LATEST:
        latest = not target.get("revisionName")
        traffic.append(
            {**target, "latestRevision": latest, **({"configurationName": _name(service)} if latest else {})}
        )
    return _child(service, "Route", {"traffic": traffic})


def revision_name(configuration):
    """Return the name of a configuration's newest revision: the template's own, or one with the generation's number."""
    given = configuration["spec"]["template"].get("metadata", {}).get("name")
    return given or f"{_name(configuration)}-{configuration['metadata']['generation']:05d}"


def revision_of(configuration):
    """Return the revision that a configuration's template describes, with Knative's defaults."""
    template = configuration["spec"]["template"]
    own = template.get("metadata", {})
    name = _name(configuration)
    service = configuration["metadata"]["ownerReferences"][0]
    spec = copy.deepcopy(template["spec"])
    spec.setdefault("containerConcurrency", 0)
    spec.setdefault("timeoutSeconds", DEFAULT_TIMEOUT_S)
    spec.setdefault("enableServiceLinks", False)
    _main_container(spec).setdefault("name", USER_CONTAINER)
    return {
        "apiVersion": API_VERSION,
        "kind": "Revision",
        "metadata": {
            "name": revision_name(configuration),
            "ownerReferences": owned_by(configuration, "Configuration"),
            "annotations": {**(own.get("annotations") or {}), names.ROUTES: name},
            "labels": {
                **(own.get("labels") or {}),
                names.CONFIGURATION: name,
                names.CONFIGURATION_UID: configuration["metadata"]["uid"],
                names.GENERATION: str(configuration["metadata"]["generation"]),
                names.SERVICE: service["name"],
                names.SERVICE_UID: service["uid"],
                names.ROUTING_STATE: "pending",
            },
        },
        "spec": spec,
    }


def deployment_of(revision, image, replicas):
    """Return the deployment of a revision.

    Args:
        revision: The revision.
        image: Of its main container, with its digest where there is one.
        replicas: With how many pods it begins.
    """
    name = _name(revision)
    selector = {names.REVISION_UID: revision["metadata"]["uid"]}
    own = {key: value for key, value in labels(revision).items() if key != names.ROUTING_STATE}
    pod_labels = {**own, names.REVISION: name, "app": name, **selector}
    progress_s = int(names.seconds(annotations(revision).get(names.PROGRESS_DEADLINE, DEFAULT_PROGRESS)))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": f"{name}-deployment",
            "labels": pod_labels,
            "annotations": annotations(revision),
            "ownerReferences": owned_by(revision, "Revision"),
        },
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": progress_s,
            "selector": {"matchLabels": selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": pod_labels, "annotations": annotations(revision)},
                "spec": _pod_spec(revision, image),
            },
        },
    }


def private_service_of(revision):
    """Return the service by which the pods of one revision can be reached."""
    name = _name(revision)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"{name}-private",
            "labels": {names.REVISION: name},
            "ownerReferences": owned_by(revision, "Revision"),
        },
        "spec": {
            "selector": {names.REVISION_UID: revision["metadata"]["uid"]},
            "ports": [{"name": "http", "port": 80, "targetPort": port_of(revision)}],
        },
    }


def placeholder_of(route, address, port):
    """Return the service and its endpoints by which pods call a route: the ingress is behind it."""
    meta = {
        "name": _name(route),
        "labels": {names.ROUTE: _name(route), names.SERVICE: _name(route)},
        "ownerReferences": owned_by(route, "Route"),
    }
    ports = {"name": "http", "port": 80}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {"ports": [{**ports, "targetPort": port}]},
    }
    subset = {"addresses": [{"ip": address}], "ports": [{**ports, "port": port}]}
    return service, {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": [subset]}


def port_of(revision):
    """Return the port on which a revision's main container listens."""
    ports = _main_container(revision["spec"]).get("ports") or [{}]
    return ports[0].get("containerPort", DEFAULT_PORT)


def image_of(revision):
    return _main_container(revision["spec"])["image"]


def _pod_spec(revision, image):
    spec = copy.deepcopy({key: value for key, value in revision["spec"].items() if key not in NOT_OF_PODS})
    spec["terminationGracePeriodSeconds"] = revision["spec"]["timeoutSeconds"]
    main, port = _main_container(spec), port_of(revision)
    main["image"] = image
    main["ports"] = [{"name": "user-port", "containerPort": port}]
    main["env"] = [*(main.get("env") or []), *_identity(revision, port)]
    main["terminationMessagePolicy"] = "FallbackToLogsOnError"
    main.setdefault("readinessProbe", {"tcpSocket": {}, "periodSeconds": 1})
    for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
        _complete_probe(main.get(kind), port)
    return spec


def _identity(revision, port):
    own = labels(revision)
    values = {
        "PORT": str(port),
        "K_REVISION": _name(revision),
        "K_CONFIGURATION": own[names.CONFIGURATION],
        "K_SERVICE": own[names.SERVICE],
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def _complete_probe(probe, port):
    for kind in ("httpGet", "tcpSocket"):
        if probe and kind in probe and not probe[kind].get("port"):
            probe[kind]["port"] = port
    if probe and probe.get("periodSeconds") == 0:  # Knative's own: as often as queue-proxy likes
        probe["periodSeconds"] = 1


def _main_container(spec):
    """Return the container that serves: the only one, or the one with a port."""
    containers = spec["containers"]
    return next((each for each in containers if each.get("ports")), containers[0])


def _child(service, kind, spec):
    name = _name(service)
    kept = {key: value for key, value in annotations(service).items() if "last-applied" not in key}
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {
            "name": name,
            "labels": {**labels(service), names.SERVICE: name, names.SERVICE_UID: service["metadata"]["uid"]},
            "annotations": kept,
            "ownerReferences": owned_by(service, "Service"),
        },
        "spec": spec,
    }


def _name(item):
    return item["metadata"]["name"]
