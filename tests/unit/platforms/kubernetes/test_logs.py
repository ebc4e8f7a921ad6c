"""What is followed of logs, from answers that break off."""

import threading

from skerry.errors import TransportError
from skerry.platforms.kubernetes.pods.logs import LogFollower

NOW = "2026-11-27T10:00:00.000000001Z"
LATER = "2026-11-27T10:00:00.000000002Z"


class Answer:
    """One answer of a log, which may break off."""

    def __init__(self, lines, *, broken=False):
        self.lines, self.broken = lines, broken

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __iter__(self):
        yield from (line.encode() for line in self.lines)
        if self.broken:
            raise TransportError("the API server ended the answer early")

    def close(self):
        pass


class Cluster:
    """A cluster of one pod, whose log is asked for until the answers are over."""

    namespace = "edge"

    def __init__(self, *answers, restarts=(0,)):
        self.answers, self.restarts, self.asked = list(answers), restarts, []
        self.connection = self
        self.over = threading.Event()

    def stream(self, _, *, query, **__):
        self.asked.append((query["tailLines"], query["sinceTime"]))
        answer = self.answers.pop(0)
        if not self.answers:
            self.over.set()
        return answer

    def watch(self, *_, **__):
        for count in self.restarts:
            status = {"name": "function", "state": {"running": {}}, "restartCount": count}
            yield "MODIFIED", {"metadata": {"name": "greet-1"}, "status": {"containerStatuses": [status]}}
        self.over.wait(60)


def follow(cluster, count):
    with LogFollower(cluster, "a=b", tail=5) as lines:
        found = [line.text for _, line in zip(range(count), lines, strict=False)]
    return found


def test_lines_of_one_moment_are_all_there_and_none_comes_twice():
    cluster = Cluster(
        Answer([f"{NOW} one", f"{NOW} two"], broken=True), Answer([f"{NOW} one", f"{NOW} two", f"{LATER} three"])
    )

    assert follow(cluster, 3) == ["one", "two", "three"]
    assert cluster.asked == [(5, None), (None, NOW)]


def test_of_a_container_that_had_started_again_before_the_last_lines_are_read_and_then_all():
    cluster = Cluster(Answer([f"{NOW} old"]), Answer([f"{LATER} new"]), restarts=(3, 4))

    assert sorted(follow(cluster, 2)) == ["new", "old"]
    assert sorted(cluster.asked, key=str) == [(5, None), (None, None)]
