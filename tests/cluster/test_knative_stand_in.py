"""The stand-in for Knative's controllers does what Knative does, or the tests that rely on it prove nothing."""

import collections
import textwrap
import threading

from support.engine_process import wait_until
from support.knative_stand_in.conditions import state_of
from support.machine_image import add_machine, machine_container


def revisions(services):
    return {item["metadata"]["name"] for item in services.api.list("revisions", services.namespace)}


def marks(services, url, count):
    return collections.Counter(services.say(url)["MARK"] for _ in range(count))


def test_a_service_becomes_ready_and_its_pod_knows_who_it_is(services):
    services.apply("greet")
    service = services.settled("greet")
    status = service["status"]
    assert status["url"] == f"http://greet.{services.namespace}.example.com"
    assert status["address"]["url"] == f"http://greet.{services.namespace}.svc.cluster.local"
    assert status["latestCreatedRevisionName"] == status["latestReadyRevisionName"] == "greet-00001"
    assert status["traffic"] == [{"latestRevision": True, "percent": 100, "revisionName": "greet-00001"}]
    assert [each["type"] for each in status["conditions"]] == ["ConfigurationsReady", "Ready", "RoutesReady"]
    said = services.say(status["url"], "hello")
    assert (said["K_SERVICE"], said["K_CONFIGURATION"], said["K_REVISION"]) == ("greet", "greet", "greet-00001")
    assert (said["PORT"], said["body"]) == ("8080", "hello")
    assert said["headers"]["x-forwarded-proto"] == "http"
    digest = services.api.get("revisions", services.namespace, "greet-00001")["status"]["containerStatuses"]
    assert digest[0]["imageDigest"].startswith(f"{services.image}@sha256:")
    assert services.call("http://nobody.example.com")[0] == 404


def test_revisions_share_the_traffic_and_can_be_taken_back(services):
    services.apply("greet")
    url = services.settled("greet")["status"]["url"]
    services.apply("greet", mark="2")
    assert services.settled("greet")["status"]["latestReadyRevisionName"] == "greet-00002"
    assert marks(services, url, 10) == {"2": 10}

    stable = {"revisionName": "greet-00001", "percent": 90, "tag": "stable"}
    services.split("greet", stable, {"revisionName": "greet-00002", "percent": 10, "tag": "canary"})
    traffic = services.settled("greet")["status"]["traffic"]
    assert [(each["revisionName"], each["percent"], each["tag"]) for each in traffic] == [
        ("greet-00001", 90, "stable"),
        ("greet-00002", 10, "canary"),
    ]
    assert traffic[1]["url"] == f"http://canary-greet.{services.namespace}.example.com"
    assert marks(services, url, 100) == {"1": 90, "2": 10}
    assert marks(services, traffic[1]["url"], 5) == {"2": 5}
    assert revisions(services) == {"greet-00001", "greet-00002"}  # a change of the traffic is no new revision

    services.split("greet", {"revisionName": "greet-00001", "percent": 100})
    services.settled("greet")
    assert marks(services, url, 10) == {"1": 10}


def test_a_revision_that_does_not_become_ready_leaves_the_old_one_in_place(services):
    services.apply("greet")
    url = services.settled("greet")["status"]["url"]
    services.apply("greet", program="import sys; sys.exit('no such model')")
    service = services.settled("greet", "False")
    status, reason, message = state_of(service, "ConfigurationsReady")
    assert (status, reason) == ("False", "RevisionFailed")
    assert message.startswith('Revision "greet-00002" failed with message: Container failed with: no such model')
    assert state_of(service, "RoutesReady")[0] == "True"
    assert service["status"]["latestCreatedRevisionName"] == "greet-00002"
    assert service["status"]["latestReadyRevisionName"] == "greet-00001"
    revision = services.api.get("revisions", services.namespace, "greet-00002")
    assert state_of(revision, "ContainerHealthy")[1] == "ExitCode1"
    assert marks(services, url, 3) == {"1": 3}


def test_an_image_that_is_nowhere_is_told_as_knative_tells_it(services):
    image = f"{services.knative.cluster.registry}/skerry-test/nothing:7"
    services.apply("greet", image=image)
    service = services.settled("greet", "False")
    said = f'Unable to fetch image "{image}": failed to resolve image to digest: HEAD http://'
    assert said in state_of(service)[2]
    revision = services.api.get("revisions", services.namespace, "greet-00001")
    assert state_of(revision)[1] == "ContainerMissing"
    route = services.api.get("routes", services.namespace, "greet")
    assert state_of(route) == ("False", "RevisionMissing", 'Configuration "greet" does not have any ready Revision.')


def test_names_and_traffic_that_cannot_be_are_refused(services):
    services.apply("greet", revision="greet-first")
    services.settled("greet")
    services.apply("greet", revision="greet-first", mark="2")
    service = services.settled("greet", "False")
    assert state_of(service, "RoutesReady")[1] == "RevisionNameTaken"
    services.apply("greet", revision="greet-second")
    services.settled("greet")
    services.split("greet", {"revisionName": "greet-third", "percent": 100})
    services.settled("greet", "False")
    said = 'Revision "greet-third" referenced in traffic not found.'
    assert state_of(services.get("greet"), "RoutesReady") == ("False", "RevisionMissing", said)


def test_pods_go_when_nobody_calls_and_come_when_somebody_does(services):
    services.knative.stand_in.reconciler.stable_window_s = 1.0
    services.apply("greet")
    url = services.settled("greet")["status"]["url"]
    wait_until(lambda: services.replicas("greet-00001") == 0, within_s=60, what="no pods")
    assert state_of(services.settled("greet"))[0] == "True"
    revision = services.settled("greet-00001", kind="revisions")
    wait_until(
        lambda: state_of(services.api.get("revisions", services.namespace, "greet-00001"), "Active")[1] == "NoTraffic"
    )
    assert state_of(revision)[0] == "True"
    found = []
    callers = [threading.Thread(target=lambda: found.append(services.say(url)["MARK"])) for _ in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert found == ["1"] * 5


def test_pods_call_each_other_by_the_name_of_the_service(services):
    services.apply("greet")
    services.settled("greet")
    program = """
        import os, urllib.request
        print(urllib.request.urlopen(os.environ["MARK"], data=b"from a pod", timeout=30).read().decode())
    """
    address = f"http://greet.{services.namespace}.svc.cluster.local"
    container = machine_container(
        services.image, ["python", "-c", textwrap.dedent(program)], environment={"MARK": address}
    )
    spec = add_machine({"containers": [container], "restartPolicy": "Never"})
    services.api.create("pods", services.namespace, {"metadata": {"name": "caller"}, "spec": spec})

    def ended():
        return services.api.get("pods", services.namespace, "caller")["status"]["phase"] in ("Succeeded", "Failed")

    wait_until(ended, within_s=60, what="the end of the calling pod")
    assert '"body": "from a pod"' in services.api.log(services.namespace, "caller")


def test_a_service_that_is_deleted_leaves_nothing_behind(services):
    services.apply("greet")
    url = services.settled("greet")["status"]["url"]
    services.api.delete("ksvc", services.namespace, "greet")
    kinds = ("ksvc", "configurations", "routes", "revisions", "deployments", "replicasets", "services", "pods")

    def left():
        """Return what is there and is not ending: a pod may take its grace period."""
        found = [item["metadata"] for kind in kinds for item in services.api.list(kind, services.namespace)]
        return [each["name"] for each in found if "deletionTimestamp" not in each]

    wait_until(lambda: not left(), within_s=90, what="an empty namespace")
    wait_until(lambda: services.call(url)[0] == 404, within_s=30, what="an ingress that has forgotten it")
