"""Where the states of a benchmark are kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def backends(store: str | None) -> Iterator[dict[str, str]]:
    """Provide the addresses of what is measured."""
    if store is not None:
        yield {store.partition(":")[0]: store}
        return
    folder = tempfile.mkdtemp(prefix="skerry-state-")
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    found = {"sqlite": f"{folder}/state"}
    server = None
    if program is not None:
        socket = f"{folder}/redis.sock"
        options = ["--port", "0", "--unixsocket", socket, "--dir", folder, "--appendonly", "yes", "--save", ""]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        while not os.path.exists(socket):
            time.sleep(0.01)
        found["redis"] = f"unix://{socket}?db=0"
    try:
        yield found
    finally:
        if server is not None:
            server.terminate()
            server.wait()
        shutil.rmtree(folder)
