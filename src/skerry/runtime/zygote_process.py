"""The start of a zygote's process; it is all that the bare runtime needs to have imported before it starts one."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgpack

from skerry.runtime.confinement import thread_environment

if TYPE_CHECKING:
    from pathlib import Path

SEND_LIMIT_S = 10.0
# What a container's image knows of its app: libraries to import ahead, with commas between them.
IMPORTS_VARIABLE = "SKERRY_IMPORTS"
# ONNX Runtime reports home from a thread that it starts when imported (1.29 and later). The thread would keep the
# zygote from being forked, and no function should talk to anybody that its author did not name.
QUIET = {"ORT_DISABLE_TELEMETRY": "1"}


class ZygoteProcess(NamedTuple):  # no dataclass: their library would be imported before the zygote starts
    """A zygote that has been started.

    Args:
        pid: Its process, a child of this one that nobody waits for yet.
        control: The front's end of its socket.
        asked: Libraries that it has been asked to import, with one request that it has not answered.
    """

    pid: int
    control: socket.socket
    asked: tuple[str, ...] = ()


def known_imports(environment: Mapping[str, str]) -> list[str]:
    """Return the libraries that the app is known to import, before it is imported itself.

    Without them it is imported once to see what it holds, and its libraries once more for workers. What apps are made
    with is among them.
    """
    return [*(name for name in environment.get(IMPORTS_VARIABLE, "").split(",") if name), "skerry.app"]


def launch(python: Path | str, environment: Mapping[str, str], imports: Sequence[str] = ()) -> ZygoteProcess:
    """Start a zygote.

    Args:
        python: The interpreter of its environment.
        environment: Its variables; it is told besides to use one thread and to report to nobody.
        imports: Libraries that it imports at once.

    Raises:
        OSError: it cannot be started.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        ours.settimeout(SEND_LIMIT_S)
        process = subprocess.Popen(
            [str(python), "-P", "-m", "skerry.runtime.zygote", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**QUIET, **environment, **thread_environment(1)},
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    process.returncode = 0  # the reaper waits for it, not this object
    if imports:
        request_imports(ours, imports)
    return ZygoteProcess(pid=process.pid, control=ours, asked=tuple(imports))


def request_imports(control: socket.socket, names: Sequence[str]) -> None:
    """Ask a zygote to import libraries; it answers.

    Raises:
        OSError: it has died, or is stuck.
    """
    control.send(msgpack.packb({"import": list(names)}))
