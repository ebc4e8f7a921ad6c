"""An app on the bare runtime in a pod of a cluster: what the conformance suite calls like any other place."""

import os
import uuid
from pathlib import Path

from support.container_events import ContainerEvents
from support.container_processes import container_processes
from support.engine_process import wait_until
from support.machine_image import add_machine, machine_container
from support.raw_http import RawClient

PORT = 8080
NOTES = "/conformance"
NODE = {"kubernetes.io/hostname": "node1"}  # the near one: what is measured here is no link
START_S = 90.0
END_S = 60.0
ANSWER_S = 90.0  # a node that starts other pods at the same time leaves little for this one


class PodPlace:
    """The app in a pod.

    Args:
        folder: Where handlers leave what the test is to see.
        app: The app's file.
        api: The cluster.
        namespace: For the pod.
        image: What `support.machine_image.push_machine_image` returned.
    """

    public = False

    def __init__(self, folder, app, *, api, namespace, image):
        self.folder, self.app = Path(folder), Path(app)
        self.api, self.namespace, self.image = api, namespace, image
        self.name = f"{self.app.stem.replace('_', '-')}-{uuid.uuid4().hex[:6]}"
        self.port = PORT
        self._container = self._address = None
        self._events = ContainerEvents(NODE["kubernetes.io/hostname"], self.folder / f"{self.name}-events")

    def start(self):
        """Start the pod and wait until it is ready; it listens before that."""
        self.folder.chmod(0o777)  # the pod's user is not the test's
        container = machine_container(
            self.image,
            ["python", "-m", "skerry.runtime", self._app_in_pod(), "--host", "0.0.0.0"],
            environment={"PORT": str(PORT), "CONFORMANCE_FOLDER": NOTES},
        )
        spec = add_machine({"containers": [container], "enableServiceLinks": False}, {NOTES: self.folder})
        spec |= {"restartPolicy": "Never", "nodeSelector": NODE, "terminationGracePeriodSeconds": 30}
        self._events.start()
        self.api.create("pods", self.namespace, {"metadata": {"name": self.name}, "spec": spec})
        wait_until(self._is_ready, within_s=START_S, what=f"a pod of {self.app.name} that is ready")

    def _app_in_pod(self):
        """Return where the pod finds the app: the tests' folder is there, other files are beside the notes."""
        return f"{NOTES}/{self.app.name}" if self.app.parent == self.folder else self.app

    def _is_ready(self):
        status = self.api.get("pods", self.namespace, self.name)["status"]
        for container in status.get("containerStatuses") or []:
            if ended := container["state"].get("terminated"):
                raise AssertionError(f"the runtime ended with {ended['exitCode']}\n{self.log(None)}")
            self._container = container.get("containerID", "").rpartition("/")[2]
        self._address = status.get("podIP")
        if not self._address or not self._container or not self._events.has_started(self._container):
            return False
        try:
            with self.connect() as client:
                client.send(b"GET /health/readiness HTTP/1.1\r\nhost: x\r\n\r\n")
                return client.read_answer().status == 200
        except (OSError, EOFError):
            return False

    def connect(self):
        return RawClient(PORT, host=self._address, timeout_s=ANSWER_S)

    @property
    def pid(self):
        """The front's process, as this machine counts."""
        return self.machine_pid(1)

    def machine_pid(self, pid):
        """Return what this machine calls a process of the pod."""
        found = [each for each in container_processes(self._container) if _pid_within(each) == pid]
        assert len(found) == 1, f"process {pid} of the pod: {found}"
        return found[0]

    def kill(self, pid, number):
        os.kill(self.machine_pid(pid), number)

    def is_alive(self, pid):
        """Whether a process of the pod exists and is no zombie."""
        return any(_pid_within(each) == pid for each in container_processes(self._container))

    def read(self, name):
        """Return what handlers have left in a file."""
        file = self.folder / name
        return file.read_text() if file.exists() else ""

    def release(self, name):
        (self.folder / name).touch()

    def log(self, function):
        return self.api.log(self.namespace, self.name)

    def terminate(self):
        """Delete the pod: SIGTERM, and the grace period before SIGKILL."""
        self.api.delete("pods", self.namespace, self.name)

    def wait(self):
        """Wait for the end of the pod's container; return its exit code."""
        return wait_until(lambda: self._events.exit_codes(self._container), within_s=END_S, what="the pod's end")[0]

    def close(self):
        self._events.stop()
        self.api.delete("pods", self.namespace, self.name, gracePeriodSeconds=0)


def _pid_within(pid):
    """Return what a process is called in its own namespace, None when it is gone or a zombie."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    found = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    return None if found["State"][0] in ("Z", "X") else int(found["NSpid"][-1])
