"""The starts that are compared: of a bare interpreter with its libraries, and of the bare runtime up to an answer."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

POLL_S = 0.002
LIMIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start.

    Args:
        wall_ms: From exec to the end of the arm: the exit of the interpreter, or the last byte of the answer, ms.
        cpu_ms: Processor time of all its processes, their end included, ms.
    """

    wall_ms: float
    cpu_ms: float


def time_command(command: Sequence[str], environment: Mapping[str, str]) -> Start:
    """Run a command to its end."""
    used_s, began = _children_cpu_s(), time.perf_counter()
    subprocess.run(
        command,
        env=environment,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    return Start(wall_ms=(time.perf_counter() - began) * 1000, cpu_ms=(_children_cpu_s() - used_s) * 1000)


def time_first_answer(command: Sequence[str], environment: Mapping[str, str], value: Any, wanted: Any) -> Start:
    """Start a server on a free port, ask until it answers, stop it, and return how long the answer took.

    Raises:
        RuntimeError: the server ended, gave another answer, or gave none within two minutes.
    """
    port = _free_port()
    used_s, began = _children_cpu_s(), time.perf_counter()
    server = subprocess.Popen(
        command,
        env={**environment, "PORT": str(port)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        answer = _ask_until_answered(server, port, json.dumps(value), until=began + LIMIT_S)
        wall_ms = (time.perf_counter() - began) * 1000
    finally:
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=LIMIT_S)
        _await_orphans()
    if answer is None or json.loads(answer) != wanted or server.returncode:
        raise RuntimeError(f"exit code {server.returncode}, answer {answer!r}, wanted {wanted}: {said.decode()}")
    return Start(wall_ms=wall_ms, cpu_ms=(_children_cpu_s() - used_s) * 1000)


def _ask_until_answered(server: subprocess.Popen[bytes], port: int, body: str, *, until: float) -> bytes | None:
    while time.perf_counter() < until and server.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
        try:
            connection.request("POST", "/", body, {"content-type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            if response.status == 200:
                return answer
        except (OSError, http.client.HTTPException):
            time.sleep(POLL_S)
        finally:
            connection.close()
    return None


def _await_orphans() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def clean_environment(**variables: str) -> dict[str, str]:
    """Return what a container would find in its environment, and what the arms need to find their modules."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    return {**kept, "ORT_DISABLE_TELEMETRY": "1", **variables}
