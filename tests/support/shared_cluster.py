"""The test cluster that all processes of a test run share; the last takes it down, unless it was up before."""

import contextlib
import fcntl
import json
import os
import platform
import subprocess
from pathlib import Path

SHAPE = ("--nodes", "2", "--delay-ms", "15")
UP_S = 180.0
MARK = "run/started-by-tests"  # goes with the cluster, whoever takes it down


def shared_folder():
    """Return the folder with what the tests share but do not own, or None."""
    beside = Path(__file__).resolve().parents[3] / "shared"
    folder = Path(os.environ.get("SKERRY_SHARED") or beside)
    return folder if folder.is_dir() else None


def program():
    """Return the path of the program that starts the cluster, or None."""
    folder = shared_folder()
    found = None if folder is None else folder / "cluster" / "cluster"
    return found if found is not None and found.is_file() else None


def state_folder():
    """Return the folder in which the cluster keeps its programs and its state."""
    return Path(os.environ.get("SKERRY_CLUSTER_DIR") or Path.home() / ".cache/skerry-cluster").resolve()


def refusal():
    """Return why this machine cannot have the cluster, or None."""
    if program() is None:
        return "the test cluster is in neither $SKERRY_SHARED nor ../shared"
    if os.geteuid() != 0:
        return "the test cluster needs root"
    if not Path("/etc/debian_version").exists() or platform.machine() != "x86_64":
        return "the test cluster needs Debian on amd64"
    if not Path("/sys/fs/cgroup/cpuset/release_agent").exists():
        return "the test cluster needs cgroup v1"
    if not all((state_folder() / f"bin/{part}.stamp").exists() for part in ("tools", "kubernetes")):
        return f"the test cluster is not built, which takes minutes, once: {program()} build"
    return None


class ClusterProgram:
    """The program ``cluster`` and its state.

    Args:
        command: How it is called.
        folder: Its state, of which it is one per machine.
    """

    def __init__(self, command, folder):
        self.command = [str(part) for part in command]
        self.folder = Path(folder)

    def status(self):
        """Return what it says of itself when it is healthy, else None."""
        done = subprocess.run([*self.command, "status"], capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def start(self):
        """Start it; it has been built."""
        self._run("up", *SHAPE, timeout_s=UP_S)

    def stop(self):
        self._run("down", timeout_s=UP_S)

    def _run(self, *arguments, timeout_s):
        done = subprocess.run(
            [*self.command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s
        )
        if done.returncode != 0:
            raise AssertionError(f"cluster {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}")


@contextlib.contextmanager
def use(cluster):
    """Use the cluster together with other processes; yields what it says of itself.

    Each user holds a shared lock, which the kernel takes back from one that is killed. The last one that leaves takes
    the cluster down, unless it was up before the tests came.
    """
    cluster.folder.mkdir(parents=True, exist_ok=True)
    with open(cluster.folder / "tests.users", "w") as users:
        with _alone(cluster.folder):
            found = cluster.status()
            if found is None:
                cluster.start()
                (cluster.folder / MARK).touch()
                found = cluster.status()
                assert found is not None, "the cluster is up and not healthy"
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield found
        finally:
            with _alone(cluster.folder):
                if (cluster.folder / MARK).exists() and _is_last(users):
                    cluster.stop()


@contextlib.contextmanager
def _alone(folder):
    with open(folder / "tests.lock", "w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield


def _is_last(users):
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
