import os
import re
import signal
import ssl
import time
from pathlib import Path

import pytest

from support.engine_process import Engine, wait_until
from support.knative_place import KnativePlace
from support.pod_place import PodPlace
from support.raw_http import RawClient, request
from support.runtime_process import RuntimeProcess, is_alive

APPS = Path(__file__).with_name("serving")
WAIT_S = 60.0  # for what takes milliseconds, unless a worker has to start before it


class Place:
    """Where an app runs: on this machine, unless it says otherwise."""

    public = False

    def kill(self, pid, number):
        """Send a signal to a process that handlers have named."""
        os.kill(pid, number)

    def is_alive(self, pid):
        return is_alive(pid)

    def read(self, name):
        """Return what handlers have left in a file."""
        file = self.folder / name
        return file.read_text() if file.exists() else ""

    def release(self, name):
        (self.folder / name).touch()


class BarePlace(Place):
    """The app on a bare runtime."""

    def __init__(self, folder, app):
        self.folder = folder
        self._runtime = RuntimeProcess(folder / "runtime", app, environment={"CONFORMANCE_FOLDER": str(folder)})

    def start(self):
        self._runtime.start()

    @property
    def port(self):
        return self._runtime.port

    @property
    def pid(self):
        return self._runtime.pid

    def connect(self):
        return RawClient(self.port)

    def log(self, function):
        return self._runtime.log()

    def terminate(self):
        self._runtime.terminate()

    def wait(self):
        return self._runtime.wait()

    def close(self):
        self._runtime.close()


class EnginePlace(Place):
    """The app on an engine."""

    def __init__(self, folder, app):
        self.folder = folder
        self._app = app
        self._engine = Engine(folder / "home", environment={"CONFORMANCE_FOLDER": str(folder)}, public=self.public)

    def start(self):
        try:
            self._engine.start(self._app)
        except AssertionError:  # it has ended by itself, and its log may hold the traceback of the app's own fault
            self._engine.process.stdout.close()
            self._engine.process = None
            raise

    @property
    def port(self):
        return self._engine.port

    @property
    def pid(self):
        return self._engine.pid

    def connect(self):
        return RawClient(self.port)

    def log(self, function):
        return self._engine.control("GET", f"/functions/{function}/logs?tail=1000").json()["text"]

    def terminate(self):
        self._engine.process.terminate()

    def wait(self):
        return self._engine.process.wait(60)

    def close(self):
        self._engine.close()


class SitePlace(EnginePlace):
    """The app on an engine, called as from another machine: over TLS, with the token."""

    public = True

    def connect(self):
        home = self._engine.home
        context = ssl.create_default_context(cafile=home / "certificate.pem")
        return RawClient(self._engine.public_port, tls=context, bearer=(home / "token").read_text().strip())


class Client:
    """What a caller sees, and what handlers leave in the test's folder."""

    def __init__(self, place):
        self.place = place

    def connect(self):
        return self.place.connect()

    def call(self, function, body=b"null", *headers):
        with self.connect() as client:
            return client.call(f"/function/{function}", body, headers)

    def start_call(self, function, body=b"null", *headers):
        """Send a request; the caller reads the answer from the returned connection."""
        client = self.connect()
        client.send(request(f"/function/{function}", body, headers))
        return client

    def send(self, method, path, body=b"", *headers):
        with self.connect() as client:
            client.send(request(path, body, headers, method=method))
            return client.read_answer(head_only=method == "HEAD")

    def wait_for_log(self, function, *words):
        """Return a function's log once all of these are in it: a pod's output has a longer way than its answers."""

        def look():
            log = self.place.log(function)
            return log if all(word in log for word in words) else None

        return wait_until(look, within_s=WAIT_S, what=f"{words} in the log of {function}")

    def kill(self, pid):
        """End a process that handlers have named, as the kernel's out-of-memory killer would."""
        self.place.kill(pid, signal.SIGKILL)

    def notes(self, name):
        return len(self.lines(name))

    def lines(self, name):
        """Return what handlers have noted in a file."""
        return self.place.read(name).splitlines()

    def wait_for_notes(self, name, count=1):
        wait_until(lambda: self.notes(name) >= count, within_s=WAIT_S, what=f"{count} lines in {name}")

    def settled(self, name, *, for_s=0.3):
        """Return the number of lines in a file once it has not grown for so long."""
        until = time.monotonic() + 20
        count, since = self.notes(name), time.monotonic()
        while time.monotonic() - since < for_s:
            assert time.monotonic() < until, f"{name} still grows: {count}"
            time.sleep(0.01)
            if (found := self.notes(name)) != count:
                count, since = found, time.monotonic()
        return count

    def release(self, name):
        self.place.release(name)

    def metrics(self, prefix=""):
        """Return the samples of ``/metrics`` whose names begin so: by name and labels."""
        answer = self.send("GET", "/metrics")
        assert answer.status == 200
        return samples(line for line in answer.body.decode().splitlines() if line.startswith(prefix))

    def metric(self, name, function, **labels):
        """Return the sum of a metric's samples for a function."""
        wanted = {("faas_name", function), *labels.items()}
        return sum(value for (found, having), value in self.metrics(name).items() if found == name and wanted <= having)

    def wait_for_worker(self, function):
        """Wait until a worker of a function is ready: a call waits for one no longer than its function's timeout."""
        wait_until(
            lambda: self.metric("skerry_workers", function, state="ready") >= 1,
            within_s=WAIT_S,
            what=f"a worker of {function}",
        )

    def wait_until_active(self, function):
        """Wait until a request of a function runs."""
        wait_until(
            lambda: self.metric("kn_revision_request_active", function) == 1,
            within_s=WAIT_S,
            what=f"a request of {function} that runs",
        )

    def wait_for_queue(self, function, count):
        """Wait until so many requests of a function wait for a worker."""
        wait_until(
            lambda: self.metric("kn_revision_request_queued", function) == count,
            within_s=WAIT_S,
            what=f"{count} requests in the queue of {function}",
        )

    def wait_until_idle(self, function):
        """Wait until the gauges say that nothing of a function waits or runs."""
        gauges = ("kn_revision_request_active", "kn_revision_request_queued", "kn_serving_queue_depth")
        wait_until(
            lambda: all(self.metric(gauge, function) == 0 for gauge in gauges),
            within_s=WAIT_S,
            what=f"gauges of {function} at 0",
        )


SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def samples(lines):
    """Read Prometheus' text format, strictly: what is no sample and no comment is an error."""
    found = {}
    for line in lines:
        if line.startswith("# "):
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        pairs = LABEL.findall(labels or "")
        assert LABEL.sub("", labels or "") == "", line
        key = (name, frozenset(pairs))
        assert key not in found, f"twice: {line}"
        found[key] = float(value)
    return found


PLACES = {"bare": BarePlace, "engine": EnginePlace, "site": SitePlace, "pod": PodPlace}
# Where what travels matters: bodies, connections, their ends. An engine does the same with a call however it came in.
OVER_TLS = {"test_calls", "test_drain", "test_http", "test_leaving", "test_limits", "test_overload", "test_streaming"}


def pytest_generate_tests(metafunc):
    """Run each test at each place; calls over TLS where they can differ from plain ones on the same engine."""
    over_tls = metafunc.module.__name__.rpartition(".")[2] in OVER_TLS
    places = [
        pytest.param(name, marks=pytest.mark.pods) if name == "pod" else name
        for name in PLACES
        if name != "site" or over_tls
    ]
    for name, scope in {"platform": "module", "make_place": "function", "own_platform": "function"}.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, places, indirect=True, scope=scope)


def place_of(request, folder, app):
    """Return a place of the kind that the test's parameter names; pods need a cluster."""
    if request.param != "pod":
        return PLACES[request.param](folder, app)
    cluster = request.getfixturevalue("cluster")
    place = KnativePlace if cluster.is_real else PodPlace
    image = request.getfixturevalue("real_image" if cluster.is_real else "machine_image")
    return place(folder, app, api=cluster.api, namespace=request.getfixturevalue("shared_namespace"), image=image)


def app_of(module):
    """Return the app that a module names: with few functions, because each costs a start."""
    return APPS / module.APP


@pytest.fixture(scope="module")
def platform(request, tmp_path_factory):
    """One platform that runs the module's app for all its tests."""
    place = place_of(request, tmp_path_factory.mktemp(request.param), app_of(request.module))
    try:
        place.start()
        yield Client(place)
    finally:
        place.close()


@pytest.fixture
def make_place(request, tmp_path):
    """Make a place for an app; the test starts it."""
    made = []

    def make(app):
        made.append(place_of(request, tmp_path, app))
        return made[-1]

    yield make
    for place in made:
        place.close()


@pytest.fixture
def own_platform(request, tmp_path):
    """A platform that the test may end."""
    place = place_of(request, tmp_path, app_of(request.module))
    try:
        place.start()
        yield Client(place)
    finally:
        place.close()
