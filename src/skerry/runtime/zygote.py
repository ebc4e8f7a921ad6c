"""The zygote: a process that has imported the heavy libraries, holds no threads, and is forked to make workers.

One zygote stands for one Python environment. It is asked over a socket, one MessagePack map per packet::

    {"import": ["numpy", ...]}                    answered {"imported": n, "failed": {...}, "threaded": [...]}
    {"spawn": {...}, "front_pid": .., "asked_at_s": ..}   with the descriptors of link, progress page and log

A worker is forked twice, so that it becomes a child of the front (which is a subreaper) and outlives the zygote.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
import traceback
from typing import Any

import msgpack

from skerry.payload import Signature
from skerry.runtime import worker
from skerry.runtime.confinement import die_with
from skerry.runtime.target import Target

PACKET_BYTES = 1 << 20
FDS_PER_SPAWN = 3  # link, progress page, log


def main() -> None:
    """Serve requests on the socket whose descriptor is the first argument, until the other end closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    die_with(os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the front's business
    os.chdir("/")
    Signature.of(_sample)  # what pydantic and others import at their first use is there before the first fork
    gc.disable()
    while True:
        packet, fds, _, _ = socket.recv_fds(control, PACKET_BYTES, FDS_PER_SPAWN)
        if not packet:
            return
        request = msgpack.unpackb(packet)
        if "spawn" in request:
            _spawn(control, request, fds)
        else:
            control.send(msgpack.packb(_import(request["import"])))


def _sample(value: dict[str, float]) -> list[int]:
    return [len(value)]


def _import(names: list[str]) -> dict[str, Any]:
    """Import libraries; stop at the first one that leaves a thread running, since forking is not safe from there on."""
    failed: dict[str, str] = {}
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:
            failed[name] = f"{type(error).__name__}: {error}"
        if _threads() > 1:
            return {"imported": 0, "failed": failed, "threaded": [name]}
    gc.collect()
    gc.freeze()
    return {"imported": len(names) - len(failed), "failed": failed, "threaded": []}


def _spawn(control: socket.socket, request: dict[str, Any], fds: list[int]) -> None:
    link_fd, progress_fd, log_fd = fds
    middle = os.fork()
    if middle == 0:
        if os.fork() == 0:
            control.close()
            _become_worker(request, link_fd, progress_fd, log_fd)
        os._exit(0)
    for fd in fds:
        os.close(fd)
    os.waitpid(middle, 0)


def _become_worker(request: dict[str, Any], link_fd: int, progress_fd: int, log_fd: int) -> None:
    try:
        os.setsid()
        _redirect_output(log_fd)
        gc.enable()
        worker.work(
            socket.socket(fileno=link_fd),
            progress_fd,
            Target(**request["spawn"]),
            front_pid=request["front_pid"],
            asked_at_s=request["asked_at_s"],
        )
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _redirect_output(log_fd: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    os.close(null)
    os.close(log_fd)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # both are text files here


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


if __name__ == "__main__":
    main()
