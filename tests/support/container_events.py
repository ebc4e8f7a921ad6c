"""What a node's container runtime says of its containers.

It is asked how a container ended, for a busy kubelet of Kubernetes 1.20 forgets it: it removes the container of a pod
that is being deleted before it has read the exit code, and calls that `ContainerStatusUnknown`.
"""

import json
import subprocess

from support.shared_cluster import state_folder

START, EXIT = "/tasks/start", "/tasks/exit"


class ContainerEvents:
    """The events of a node's containers, from now on.

    Args:
        node: The node's name.
        file: Where they are written as they come.
    """

    def __init__(self, node, file):
        self._socket = state_folder() / "run" / node / "run/containerd/containerd.sock"
        self._file, self._program = file, None

    def start(self):
        """Listen; whether that has begun is seen by `has_started` of a container that is made afterwards."""
        command = [state_folder() / "bin/ctr", "--address", self._socket, "--namespace", "k8s.io", "events"]
        with open(self._file, "w") as output:
            self._program = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    def stop(self):
        if self._program is not None:
            self._program.kill()
            self._program.wait()

    def has_started(self, container):
        """Whether a container's start was heard of."""
        return any(self._of(container, START))

    def exit_codes(self, container):
        """Return how a container's first process has ended: one number, none while it runs."""
        return [told.get("exit_status", 0) for told in self._of(container, EXIT) if told["id"] == container]

    def _of(self, container, topic):
        for line in self._file.read_text().splitlines(keepends=True):
            _, found, told = line.partition(f" {topic} ")
            if found and line.endswith("\n") and json.loads(told).get("container_id") == container:
                yield json.loads(told)
