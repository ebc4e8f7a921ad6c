"""The second node of the test cluster, cut off from everything, and who may use the nodes meanwhile.

Nobody else's test runs while a node is lost: they all hold a lock together that who loses a node holds alone.
"""

import contextlib
import fcntl
import os
import signal
from pathlib import Path

import pytest

from support.engine_process import wait_until
from support.shared_cluster import state_folder

BACK_S = 60.0


@contextlib.contextmanager
def share_nodes(folder):
    """Use the nodes together with the tests of other processes.

    Args:
        folder: Of the cluster's state.
    """
    with open(folder / "tests.nodes", "w") as nodes:
        with _at_the_gate(folder):
            fcntl.flock(nodes, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def have_nodes_alone(folder):
    """Wait until nobody else uses the nodes, and keep others from it.

    Args:
        folder: Of the cluster's state.
    """
    with open(folder / "tests.nodes", "w") as nodes, _at_the_gate(folder):
        fcntl.flock(nodes, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def cut_off(api):
    """Lose the second node: its link carries nothing any more, and no connection ends.

    Args:
        api: The cluster, to see that the node and its pods are back in the end.
    """
    file = state_folder() / "run/pids/link"
    if not file.exists():
        pytest.skip("the nodes of this cluster have no link that could be cut")
    pid, since = map(int, file.read_text().split())
    assert _start_time(pid) == since, "the link of the cluster is another process"
    before = {pod["metadata"]["uid"] for pod in api.list("pods", None) if _is_ready(pod)}

    def is_back():
        there = [pod for pod in api.list("pods", None) if pod["metadata"]["uid"] in before]
        return all(_is_ready(pod) or "deletionTimestamp" in pod["metadata"] for pod in there)

    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: all(map(_is_ready, api.list("nodes", None))), within_s=BACK_S, what="the node that is back")
        wait_until(is_back, within_s=BACK_S, what="its pods that are back")


def _is_ready(value):
    """Whether a node or a pod is ready."""
    return any(each["type"] == "Ready" and each["status"] == "True" for each in value["status"].get("conditions", ()))


@contextlib.contextmanager
def _at_the_gate(folder):
    """Go one by one, so that who wants the nodes alone is not kept waiting by those who come later."""
    with open(folder / "tests.gate", "w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield


def _start_time(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
