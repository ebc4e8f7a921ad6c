"""What an app's pods write, line by line, over all replicas and as they come and go."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from skerry.errors import SkerryError
from skerry.platforms.kubernetes.api.connection import Lines

if TYPE_CHECKING:
    from skerry.platforms.kubernetes.api.cluster import Cluster

SIDECARS: Final = frozenset({"queue-proxy", "istio-proxy", "linkerd-proxy"})
AGAIN_S: Final = 1.0
WATCH_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a pod wrote.

    Args:
        pod: The pod's name.
        text: The line.
        written_at: When, as the cluster says it (RFC 3339); to sort by.
    """

    pod: str
    text: str
    written_at: str = ""


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of one container of one pod."""

    pod: str
    container: str
    number: int


def read_lines(cluster: Cluster, selector: str, *, tail: int | None = None) -> list[LogLine]:
    """Return what the pods have written, by time.

    Args:
        cluster: Where they are.
        selector: Which pods.
        tail: At most so many lines of each pod; all by default.
    """
    lines: list[LogLine] = []
    for pod in cluster.list("v1", "Pod", selector=selector):
        for run in _runs(pod):
            try:
                with _open(cluster, run, follow=False, tail=tail, since="") as answer:
                    lines += [_parse(run.pod, line) for line in answer]
            except SkerryError as error:
                if error.details.get("reason") not in ("not_found", "bad"):  # it has just gone, or has just come
                    raise
    return sorted(lines, key=lambda line: line.written_at)


class LogFollower:
    """Lines of pods as they are written, also of pods that come later and of containers that start again.

    Args:
        cluster: Where they are.
        selector: Which pods.
        tail: At most so many lines of what each pod had written before.

    Example:
        >>> with LogFollower(cluster, selector, tail=10) as lines:  # doctest: +SKIP
        ...     for line in lines:
        ...         print(line.pod, line.text)
    """

    def __init__(self, cluster: Cluster, selector: str, *, tail: int | None = None) -> None:
        self._cluster, self._selector, self._tail = cluster, selector, tail
        self._queue: queue.Queue[LogLine | SkerryError | None] = queue.Queue(maxsize=10_000)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._seen: set[_Run] = set()
        self._open: set[Lines] = set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, name="follow pods", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[LogLine]:
        while True:
            try:
                item = self._queue.get(timeout=AGAIN_S)
            except queue.Empty:
                if self._closing.is_set():
                    return
                continue
            if item is None:
                return
            if isinstance(item, SkerryError):
                raise item
            yield item

    def close(self) -> None:
        """End it: whoever reads gets no more lines."""
        self._closing.set()
        with self._lock:
            pending = list(self._open)
        for lines in pending:
            lines.close()

    def _watch(self) -> None:
        """Read the log of each run of a container once it has begun."""
        failures = 0
        while not self._closing.is_set():
            try:
                for kind, pod in self._cluster.watch("v1", "Pod", selector=self._selector, timeout_s=WATCH_S):
                    failures = 0
                    if self._closing.is_set():
                        return
                    if kind != "DELETED":
                        self._begin(pod)
            except SkerryError as error:
                failures += 1
                if failures > 3 or error.details.get("reason") in ("forbidden", "no_namespace"):
                    self._put(error)
                    return
                self._closing.wait(AGAIN_S)

    def _begin(self, pod: Mapping[str, Any]) -> None:
        for run in _runs(pod):
            with self._lock:
                if run in self._seen:
                    continue
                again = any((one.pod, one.container) == (run.pod, run.container) for one in self._seen)
                self._seen.add(run)
            tail = None if again else self._tail  # of a container that starts again, everything is new
            threading.Thread(target=self._read, args=(run, tail), name=f"follow {run.pod}", daemon=True).start()

    def _read(self, run: _Run, tail: int | None) -> None:
        """Read one run's log to its end; a broken connection is made again from where it broke."""
        since = ""
        while not self._closing.is_set():
            read_until = since
            try:
                lines = _open(self._cluster, run, follow=True, tail=None if since else tail, since=since)
            except SkerryError:  # the pod has gone, or its node: the watch tells of the next one
                return
            with self._lock:
                self._open.add(lines)
            try:
                with lines:
                    for raw in lines:
                        line = _parse(run.pod, raw)
                        if line.written_at > read_until:  # two lines may be of one moment
                            since = line.written_at
                            self._put(line)
                return
            except SkerryError:
                self._closing.wait(AGAIN_S)
            finally:
                with self._lock:
                    self._open.discard(lines)

    def _put(self, item: LogLine | SkerryError) -> None:
        while not self._closing.is_set():
            try:
                return self._queue.put(item, timeout=AGAIN_S)
            except queue.Full:  # whoever reads is slower than the pods write: the pods' logs wait for them
                continue
        return None


def _open(cluster: Cluster, run: _Run, *, follow: bool, tail: int | None, since: str) -> Lines:
    query = {
        "container": run.container,
        "follow": follow,
        "timestamps": True,
        "tailLines": tail,
        "sinceTime": since or None,
    }
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{run.pod}/log"
    timeout_s = None if follow else 60.0
    return cluster.connection.stream(path, doing=f"reading the log of {run.pod}", query=query, timeout_s=timeout_s)


def _runs(pod: Mapping[str, Any]) -> list[_Run]:
    """Return the runs of the pod's own containers that have begun."""
    found = []
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        state = status.get("state") or {}
        if status["name"] not in SIDECARS and ("running" in state or "terminated" in state):
            found.append(_Run(pod["metadata"]["name"], status["name"], int(status.get("restartCount", 0))))
    return found


def _parse(pod: str, raw: bytes) -> LogLine:
    written_at, _, text = raw.decode(errors="replace").partition(" ")
    return LogLine(pod, text, written_at)
