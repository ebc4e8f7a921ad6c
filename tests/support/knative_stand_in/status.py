"""What Knative says of its objects: statuses as pure functions, in the words of its own controllers."""

from support.knative_stand_in import names
from support.knative_stand_in.conditions import TRUE, false, is_ready, merge, state_of, unknown
from support.knative_stand_in.objects import USER_CONTAINER

DEPLOYING = unknown("Deploying")
IDLE = false("NoTraffic", "The target is not receiving traffic.")
REVISION_DEPENDS = ("ContainerHealthy", "ResourcesAvailable")
ROUTE_DEPENDS = ("AllTrafficAssigned", "CertificateProvisioned", "IngressReady")
SERVICE_DEPENDS = ("ConfigurationsReady", "RoutesReady")
NO_TLS = ("True", "TLSNotEnabled", "external-domain-tls is not enabled")
CONFLICTING_NAME = "The revision name %s is taken by a conflicting Revision, so traffic will not be migrated"


def revision_status(revision, deployment, pods, *, image_error=None, digest=None, image=None):
    """Return a revision's status.

    Args:
        revision: The revision.
        deployment: Its deployment, None before there is one.
        pods: Its pods.
        image_error: Why its image cannot be found.
        digest: Its image with the digest.
        image: Its image as it was asked for.
    """
    before = revision.get("status", {})
    if image_error is not None:
        missing = false("ContainerMissing", f'Unable to fetch image "{image}": {image_error}')
        found = {"ContainerHealthy": missing, "ResourcesAvailable": DEPLOYING, "Active": DEPLOYING}
    elif deployment is None:
        found = {"ContainerHealthy": DEPLOYING, "ResourcesAvailable": DEPLOYING, "Active": DEPLOYING}
    else:
        found = _of_pods(deployment, pods, was_ready=is_ready(revision))
    status = {
        "observedGeneration": revision["metadata"]["generation"],
        "conditions": merge(before.get("conditions"), found, dependents=REVISION_DEPENDS),
    }
    if digest is not None:
        status["containerStatuses"] = [{"name": _container_name(revision), "imageDigest": digest}]
    if deployment is not None:
        status["desiredReplicas"] = deployment["spec"]["replicas"]
        status["actualReplicas"] = deployment.get("status", {}).get("availableReplicas", 0)
    return status


def _of_pods(deployment, pods, *, was_ready):
    wanted = deployment["spec"]["replicas"]
    available = deployment.get("status", {}).get("availableReplicas", 0)
    if wanted == 0:  # at zero: ready once it has been, or when it was to begin there
        return {"ContainerHealthy": TRUE, "ResourcesAvailable": TRUE, "Active": IDLE}
    if available:
        return {"ContainerHealthy": TRUE, "ResourcesAvailable": TRUE, "Active": TRUE}
    if was_ready:  # on the way up from zero
        queued = unknown("Queued", "Requests to the target are being buffered as resources are provisioned.")
        return {"ContainerHealthy": TRUE, "ResourcesAvailable": TRUE, "Active": queued}
    found = {"ContainerHealthy": DEPLOYING, "ResourcesAvailable": DEPLOYING, "Active": DEPLOYING}
    timed_out = None
    for condition in deployment.get("status", {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            found["ResourcesAvailable"] = false(condition.get("reason"), condition.get("message"))
        if condition["type"] == "Progressing" and condition["status"] == "False":
            timed_out = false(condition.get("reason"), condition.get("message"))
            if found["ResourcesAvailable"] == DEPLOYING:
                found["ResourcesAvailable"] = timed_out
    if pods:
        found |= _of_pod(pods[0], timed_out=timed_out is not None)
    return found


def _of_pod(pod, *, timed_out):
    found = {}
    status = pod.get("status", {})
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            found["ResourcesAvailable"] = false(condition.get("reason"), condition.get("message"))
    for container in (status.get("containerStatuses") or [])[:1]:
        ended = container.get("lastState", {}).get("terminated")
        waiting = container.get("state", {}).get("waiting")
        if ended:
            message = f"Container failed with: {ended.get('message', '')}"
            found["ContainerHealthy"] = false(f"ExitCode{ended['exitCode']}", message)
        elif waiting and timed_out:
            found["ResourcesAvailable"] = false(waiting.get("reason"), waiting.get("message"))
    return found


def configuration_status(configuration, revisions, latest, *, refused=None):
    """Return a configuration's status.

    Args:
        configuration: The configuration.
        revisions: Its revisions by name.
        latest: Name of the newest one.
        refused: Why that could not be made.
    """
    before = configuration.get("status", {})
    ready = before.get("latestReadyRevisionName")
    created = [revision for revision in revisions.values() if is_ready(revision)]
    newest = max(created, key=_generation, default=None)
    if newest is not None and (ready not in revisions or _generation(newest) >= _generation(revisions[ready])):
        ready = newest["metadata"]["name"]
    elif ready not in revisions:
        ready = None
    state, _, message = state_of(revisions[latest]) if latest in revisions else unknown()
    if refused is not None:
        found = false("RevisionFailed", f"Revision creation failed with message: {refused}.")
    elif state == "False":
        found = false("RevisionFailed", f'Revision "{latest}" failed with message: {message}.')
    else:
        found = TRUE if ready == latest else unknown()
    status = {
        "observedGeneration": configuration["metadata"]["generation"],
        "conditions": merge(before.get("conditions"), {"Ready": found}, dependents=()),
        "latestCreatedRevisionName": latest,
    }
    return {**status, **({"latestReadyRevisionName": ready} if ready else {})}


def resolve_traffic(route, configuration, revisions):
    """Return the targets of a route with the names of their revisions, and the first thing that is wrong with them."""
    name = route["metadata"]["name"]
    targets, wrong = [], None
    for target in route["spec"]["traffic"]:
        found = {key: value for key, value in target.items() if key != "configurationName"}
        if target["latestRevision"]:
            found["revisionName"] = configuration.get("status", {}).get("latestReadyRevisionName")
            problem = None if found["revisionName"] else _no_revision(name, configuration)
        else:
            problem = _wrong_revision(target["revisionName"], revisions)
        targets.append(found)
        wrong = wrong or problem
    return targets, wrong


def _no_revision(name, configuration):
    if state_of(configuration)[0] == "False":
        return false("RevisionMissing", f'Configuration "{name}" does not have any ready Revision.')
    return unknown("RevisionMissing", f'Configuration "{name}" is waiting for a Revision to become ready.')


def _wrong_revision(name, revisions):
    if name not in revisions:
        return false("RevisionMissing", f'Revision "{name}" referenced in traffic not found.')
    state = state_of(revisions[name])[0]
    if state == "False":
        return false("RevisionMissing", f'Revision "{name}" failed to become ready.')
    return None if state == "True" else unknown("RevisionMissing", f'Revision "{name}" is not yet ready.')


def route_status(route, targets, wrong, *, namespace, domain):
    """Return a route's status; where something is wrong, the traffic of before stands."""
    before = route.get("status", {})
    name = route["metadata"]["name"]
    is_local = names.labels(route).get(names.VISIBILITY) == "cluster-local"
    outside = f"{namespace}.{local_domain() if is_local else domain}"
    ingress = TRUE if wrong is None else unknown("IngressNotConfigured", "Ingress has not yet been reconciled.")
    if wrong is not None and before.get("traffic"):
        ingress = TRUE
    found = {"AllTrafficAssigned": wrong or TRUE, "CertificateProvisioned": NO_TLS, "IngressReady": ingress}
    tagged = [
        {**target, "url": f"http://{target['tag']}-{name}.{outside}"} if target.get("tag") else target
        for target in targets
    ]
    return {
        "observedGeneration": route["metadata"]["generation"],
        "conditions": merge(before.get("conditions"), found, dependents=ROUTE_DEPENDS),
        "url": f"http://{name}.{outside}",
        "address": {"url": f"http://{name}.{namespace}.{local_domain()}"},
        "traffic": tagged if wrong is None else before.get("traffic", []),
    }


def service_status(service, configuration, route, *, taken=None):
    """Return a service's status: that of its configuration and of its route."""
    before = service.get("status", {})
    of_configuration, of_route = configuration.get("status", {}), route.get("status", {})
    routes = state_of(route)
    latest = of_configuration.get("latestReadyRevisionName")
    follows = [target for target in of_route.get("traffic", []) if target.get("latestRevision")]
    if taken is not None:
        routes = false("RevisionNameTaken", CONFLICTING_NAME % f'"{taken}"')
    elif routes[0] == "True" and any(target["revisionName"] != latest for target in follows):
        routes = unknown("TrafficNotMigrated", "Traffic is not yet migrated to the latest revision.")
    found = {"ConfigurationsReady": state_of(configuration), "RoutesReady": routes}
    status = {
        "observedGeneration": service["metadata"]["generation"],
        "conditions": merge(before.get("conditions"), found, dependents=SERVICE_DEPENDS),
    }
    for key in ("latestCreatedRevisionName", "latestReadyRevisionName"):
        if key in of_configuration:
            status[key] = of_configuration[key]
    return {**status, **{key: of_route[key] for key in ("url", "address", "traffic") if key in of_route}}


def local_domain():
    return "svc.cluster.local"


def _container_name(revision):
    containers = revision["spec"]["containers"]
    return containers[0].get("name", USER_CONTAINER)


def _generation(revision):
    return int(names.labels(revision)[names.GENERATION])
