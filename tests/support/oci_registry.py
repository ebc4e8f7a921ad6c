"""A real image registry (Debian's package docker-registry) for one test, on a port of its own."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from support.held_port import HeldPort

PLACES = (
    Path(os.environ.get("SKERRY_CLUSTER_DIR") or "~/.cache/skerry-cluster").expanduser() / "bin" / "docker-registry",
    Path("/usr/bin/docker-registry"),
)
DEADLINE_S = 30.0


def find_program():
    """Return the path of the registry's program, or none."""
    found = next((str(place) for place in PLACES if place.exists()), None)
    return found or shutil.which("docker-registry")


class OciRegistry:
    """A registry that is running.

    Args:
        folder: Where it keeps its contents.
        password_file: File of htpasswd lines; none for a registry that everybody may use.
    """

    def __init__(self, folder, password_file=None):
        self._held = HeldPort()
        self.address = f"127.0.0.1:{self._held.number}"
        folder.mkdir()
        login = f"auth: {{htpasswd: {{realm: tests, path: {password_file}}}}}\n" if password_file else ""
        (folder / "config.yml").write_text(
            "version: 0.1\nlog: {accesslog: {disabled: false}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}}}}}\nhttp: {{addr: '{self.address}'}}\n{login}"
        )
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [find_program(), "serve", str(folder / "config.yml")], stdout=self._log, stderr=subprocess.STDOUT
        )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self):
        until = time.monotonic() + DEADLINE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._held.number), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.05)  # between looks at a condition that has a deadline

    def close(self):
        """End it."""
        self._process.kill()
        self._process.wait()
        self._log.close()
