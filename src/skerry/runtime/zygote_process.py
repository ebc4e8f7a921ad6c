"""The start of a zygote's process; it is all that the bare runtime needs to have imported before it starts one."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from skerry.runtime.confinement import thread_environment

if TYPE_CHECKING:
    from pathlib import Path

SEND_LIMIT_S = 10.0
# What workers need besides their libraries.
OWN_IMPORTS = ("skerry.app.application", "skerry.spec.function")
# What a container's image knows of its app: libraries to import ahead, with commas between them.
IMPORTS_VARIABLE = "SKERRY_IMPORTS"
# ONNX Runtime reports home from a thread that it starts when imported (1.29 and later). The thread would keep the
# zygote from being forked, and no function should talk to anybody that its author did not name.
QUIET = {"ORT_DISABLE_TELEMETRY": "1"}
# A zygote that was forked for a first worker leaves the processors to it for so long.
FIRST_PATIENCE_S = 2.0


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

    What apps are made with is among them.
    """
    return [*(name for name in environment.get(IMPORTS_VARIABLE, "").split(",") if name), *OWN_IMPORTS]


def launch(python: Path | str, environment: Mapping[str, str], imports: Sequence[str] = ()) -> ZygoteProcess:
    """Start a zygote.

    Args:
        python: The interpreter of its environment.
        environment: Its variables; it is told besides to use one thread and to report to nobody.
        imports: Libraries that it imports at once.

    Raises:
        OSError: it cannot be started.
    """
    import subprocess  # not where the zygote is forked

    ours, theirs = _sockets()
    try:
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


def fork(imports: Sequence[str]) -> ZygoteProcess:
    """Make a zygote out of this process's fork, which spares it the start of an interpreter.

    To be called by a process that has imported next to nothing, and runs no thread.

    Args:
        imports: Libraries that it imports at once.

    Raises:
        OSError: the kernel has no room for another process.
    """
    ours, theirs = _sockets()
    front_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            _be_zygote(theirs, front_pid, imports)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(0)
    theirs.close()
    return ZygoteProcess(pid=pid, control=ours, asked=tuple(imports))


def _be_zygote(control: socket.socket, front_pid: int, imports: Sequence[str]) -> None:
    from skerry.runtime import zygote

    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.environ.update({**QUIET, **os.environ, **thread_environment(1)})
    del sys.argv[1:]
    zygote.serve(control, front_pid, imports, patience_s=FIRST_PATIENCE_S)


def _sockets() -> tuple[socket.socket, socket.socket]:
    """Return the front's end and the zygote's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    ours.settimeout(SEND_LIMIT_S)
    return ours, theirs


def request_imports(control: socket.socket, names: Sequence[str], *, patience_s: float | None = None) -> None:
    """Ask a zygote to import libraries; it answers.

    Args:
        control: The front's end of its socket.
        names: The libraries.
        patience_s: How long nothing has to be asked from now on before it makes later forks cheaper; none is a moment.

    Raises:
        OSError: it has died, or is stuck.
    """
    import msgpack  # as above

    request: dict[str, object] = {"import": list(names)}
    if patience_s is not None:
        request["patience_s"] = patience_s
    control.send(msgpack.packb(request))
