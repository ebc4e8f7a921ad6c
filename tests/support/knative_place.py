"""An app as one Knative service of somebody's cluster: what the conformance suite calls where Knative is an actual one.

The suite speaks with the pod that Knative made, by the pod's address, as it does elsewhere with the runtime: an ingress
reads and writes HTTP in its own way, which is not what is tested. That cluster shares no files with this machine, so
functions that are added to the app tell what handlers have left. Pods' addresses must lead from here to the pods, as
they do on a node of k3s.
"""

import contextlib
import textwrap
import uuid
from pathlib import Path

import pytest

from support.engine_process import wait_until
from support.knative_stand_in.conditions import state_of
from support.raw_http import RawClient

PORT = 8080
CODE = "/conformance-app"
NOTES = "/tmp"
START_S = 180.0
END_S = 90.0
AGENT = """
    import os
    from pathlib import Path

    from {module} import app

    FOLDER = Path(os.environ["CONFORMANCE_FOLDER"])

    @app.function
    def agent_read(name: str) -> str:
        file = FOLDER / name
        return file.read_text() if file.exists() else ""

    @app.function
    def agent_release(name: str) -> None:
        (FOLDER / name).touch()

    @app.function
    def agent_kill(pid: int, number: int) -> bool:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True
"""


class KnativePlace:
    """The app in a pod that Knative has made.

    Args:
        folder: The test's own, here for apps that it has written.
        app: The app's file; others beside it go with it.
        api: The cluster.
        namespace: For the service.
        image: An image with Skerry and NumPy, in which ``python`` is found.
    """

    public = False

    def __init__(self, folder, app, *, api, namespace, image):
        self.folder, self.app = Path(folder), Path(app)
        self.api, self.namespace, self.image = api, namespace, image
        self.name = f"{self.app.stem.replace('_', '-')}-{uuid.uuid4().hex[:6]}"
        self.port = PORT
        self._pod = self._address = self._watch = None

    def start(self):
        """Make the service and wait until Knative says that it is ready."""
        files = {file.name: file.read_text() for file in self.app.parent.glob("*.py")}
        files["agent.py"] = textwrap.dedent(AGENT.format(module=self.app.stem))
        self.api.create("configmaps", self.namespace, {"metadata": {"name": self.name}, "data": files})
        service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": self.name}}
        service["spec"] = {"template": self._template()}
        self.api.create("ksvc", self.namespace, service)
        wait_until(self._is_ready, within_s=START_S, what=f"a Knative service of {self.app.name}")
        pods = self.api.list("pods", self.namespace, labelSelector=f"serving.knative.dev/service={self.name}")
        self._pod, self._address = pods[0]["metadata"]["name"], pods[0]["status"]["podIP"]
        try:
            self.connect().socket.close()
        except OSError as error:
            pytest.skip(f"the addresses of the cluster's pods do not lead to them from here: {error}")

    def _template(self):
        # One service holds all functions of the app, so its name is none of theirs.
        names = [part for name in ("K_SERVICE", "K_CONFIGURATION", "K_REVISION") for part in ("-u", name)]
        command = ["env", *names, "python", "-m", "skerry.runtime", f"{CODE}/agent.py", "--host", "0.0.0.0"]
        container = {
            "image": self.image,
            "command": command,
            "env": [{"name": "CONFORMANCE_FOLDER", "value": NOTES}],
            "resources": {"requests": {"cpu": "250m"}},
            "readinessProbe": {"httpGet": {"path": "/health/liveness"}},
            "volumeMounts": [{"name": "code", "mountPath": CODE}, {"name": "tmp", "mountPath": NOTES}],
        }
        volumes = [{"name": "code", "configMap": {"name": self.name}}, {"name": "tmp", "emptyDir": {}}]
        one = {"autoscaling.knative.dev/min-scale": "1", "autoscaling.knative.dev/max-scale": "1"}
        return {"metadata": {"annotations": one}, "spec": {"containers": [container], "volumes": volumes}}

    def _is_ready(self):
        found = self.api.get("ksvc", self.namespace, self.name)
        status, _, message = state_of(found)
        if status == "False":
            revision = self.api.get("revisions", self.namespace, f"{self.name}-00001")
            code = (state_of(revision, "ContainerHealthy")[1] or "").removeprefix("ExitCode")
            raise AssertionError(f"the runtime ended with {code}\n{message}")
        return status == "True"

    def connect(self):
        return RawClient(PORT, host=self._address)

    def _ask(self, function, body):
        with self.connect() as client:
            answer = client.call(f"/function/{function}", body)
        assert answer.status == 200, answer
        return answer.json()

    def read(self, name):
        return self._ask("agent_read", name)

    def release(self, name):
        self._ask("agent_release", name)

    def kill(self, pid, number):
        self._ask("agent_kill", {"pid": pid, "number": int(number)})

    def is_alive(self, pid):
        """Whether a process of the pod exists; none does when the pod has none."""
        try:
            return self._ask("agent_kill", {"pid": pid, "number": 0})
        except (OSError, EOFError):
            return False

    @property
    def pid(self):
        pytest.skip("nobody but the node's owner may stop the first process of a container")

    def log(self, function):
        return self.api.log(self.namespace, self._pod, container="user-container")

    def terminate(self):
        """Delete the service: its pod gets SIGTERM, and its grace period before SIGKILL."""
        version = self.api.get("pods", self.namespace, self._pod)["metadata"]["resourceVersion"]
        connection = self.api.connect(timeout_s=END_S)
        self._watch = connection, self.api.watch("pods", self.namespace, version, connection)
        self.api.delete("ksvc", self.namespace, self.name)
        self.api.delete("pods", self.namespace, self._pod)

    def wait(self):
        """Wait for the end of the pod's main container; return its exit code."""
        connection, events = self._watch
        with contextlib.closing(connection), contextlib.closing(events):
            for _, pod in events:
                if pod["metadata"]["name"] == self._pod:
                    states = {each["name"]: each["state"] for each in pod["status"].get("containerStatuses") or []}
                    if ended := states.get("user-container", {}).get("terminated"):
                        return ended["exitCode"]
        raise AssertionError("the pod has not ended")

    def close(self):
        self.api.delete("ksvc", self.namespace, self.name)
        self.api.delete("configmaps", self.namespace, self.name)
