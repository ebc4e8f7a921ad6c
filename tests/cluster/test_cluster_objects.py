"""Objects on a real cluster: applied, pruned, deleted; their pods' logs and ports."""

import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from skerry.errors import PlatformError
from skerry.platforms.kubernetes.api.cluster import Cluster
from skerry.platforms.kubernetes.api.objects import PART_OF_LABEL, app_selector, refer
from skerry.platforms.kubernetes.waiting.waiting import wait_ready
from support.cluster_apps import APP, SERVE, deployment, labels, service
from support.cluster_fixtures import drop_namespace, make_namespace
from support.engine_process import wait_until


@pytest.fixture(scope="module")
def place(cluster):
    name = make_namespace(cluster.api)
    found = Cluster(cluster.kubeconfig, namespace=name)
    yield found
    found.close()
    drop_namespace(cluster.api, name)


@pytest.fixture(scope="module")
def echo(place, machine_image):
    """A Deployment of two pods that say who they are, and its Service."""
    values = [deployment("echo", machine_image, SERVE, replicas=2, ready="/"), service("echo")]
    place.apply(values)
    told = []
    wait_ready(place, values, told.append, deadline_s=120)
    assert told
    return values


def settings(name, app=APP, **data):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels(name, app)},
        "data": data,
    }


def ask(address, *, wanted=0):
    request = urllib.request.Request(f"http://{address}/hello", headers={"wanted": str(wanted)})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def test_a_dry_run_checks_and_changes_nothing(place):
    value = settings("dry", colour="red")

    assert place.apply([value], dry_run=True)[0]["data"] == {"colour": "red"}
    assert place.get(refer(value)) is None


def test_a_field_that_somebody_else_owns_is_named_with_its_owner(place, cluster):
    value = settings("shared", colour="red")
    place.apply([value])
    cluster.api.patch("configmaps", place.namespace, "shared", {"data": {"colour": "blue"}})

    with pytest.raises(PlatformError, match=r"applying ConfigMap shared: others own fields .*data\.colour \(.*--force"):
        place.apply([value])
    assert place.apply([value], force=True)[0]["data"] == {"colour": "red"}


def test_pruning_removes_what_the_app_no_longer_has_and_nothing_of_others(place, cluster):
    old, new, other = settings("old", "p"), settings("new", "p"), settings("other", "q")
    place.apply([old, new, other])
    theirs = settings("theirs", "p")
    cluster.api.create("configmaps", place.namespace, theirs)

    assert [found.name for found in place.prune("p", [new])] == ["old"]
    left = place.list("v1", "ConfigMap", selector=f"{PART_OF_LABEL} in (p,q)")
    assert sorted(value["metadata"]["name"] for value in left) == ["new", "other", "theirs"]


def test_deleting_waits_until_nothing_is_left(place, machine_image):
    value = deployment("short", machine_image, SERVE)
    place.apply([value])
    selector = app_selector(APP, "short")
    wait_ready(place, [value], deadline_s=120)
    assert place.list("v1", "Pod", selector=selector)

    assert place.delete([refer(value)]) == [refer(value)]
    assert place.list("v1", "Pod", selector=selector) == []
    assert place.delete([refer(value)]) == []


def test_a_watch_tells_of_what_is_there_and_of_what_comes(place):
    seen = []
    place.apply([settings("first", "watched")])
    for kind, value in place.watch("v1", "ConfigMap", selector=f"{PART_OF_LABEL}=watched", timeout_s=60):
        seen.append((kind, value["metadata"]["name"]))
        if len(seen) == 2:
            break
        place.apply([settings("second", "watched")])
    else:
        pytest.fail("the watch ended")

    assert seen[1] == ("ADDED", "second")


def test_a_forward_takes_many_connections_and_large_answers(place, echo):
    with place.forward(refer(echo[1]), 80) as address, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(address, wanted=300_000), range(16)))

    assert {len(answer.partition(" ")[2]) for answer in answers} == {300_000}
    assert len({answer.partition(" ")[0] for answer in answers}) == 2


def test_a_forward_and_a_followed_log_survive_that_pods_are_replaced(place, echo):
    lines, selector = [], app_selector(APP, "echo")

    def follow(log):
        lines.extend(log_line.pod for log_line in iter_until(log, "asked /hello"))

    def iter_until(log, text):
        for line in log:
            if text in line.text:
                yield line

    before = {pod["metadata"]["name"] for pod in place.list("v1", "Pod", selector=selector)}
    with place.logs(refer(echo[0]), follow=True) as log, place.forward(refer(echo[0]), 8080) as address:
        reader = threading.Thread(target=follow, args=(log,))
        reader.start()
        ask(address)
        wait_until(lambda: set(lines) & before, within_s=60, what="a line of an old pod")
        place.delete([refer({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}) for name in before])

        def answered_by_new():
            try:
                return ask(address).split()[0] not in before
            except OSError:  # the connection was let go because no pod was ready for a while
                return False

        wait_until(answered_by_new, within_s=120, what="an answer of a new pod")
        wait_until(lambda: set(lines) - before, within_s=60, what="a line of a new pod")
    reader.join(timeout=30)
    assert not reader.is_alive()


def test_logs_of_all_replicas_are_read_by_time(place, echo):
    wait_ready(place, echo, deadline_s=120)
    with place.logs(refer(echo[0])) as log:
        lines = list(log)

    assert len({line.pod for line in lines if line.text == "begun"}) == 2
    assert [line.written_at for line in lines] == sorted(line.written_at for line in lines)
    with place.logs(refer(echo[0]), tail=1) as log:
        assert len(list(log)) == 2


def test_a_forward_to_what_is_not_there_is_refused_at_once(place, echo):
    missing = refer(service("missing"))

    with pytest.raises(PlatformError, match=r"there is no Service missing; skerry list"), place.forward(missing, 80):
        pytest.fail("it was opened")
