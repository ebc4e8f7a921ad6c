"""The template: a process that has loaded one function's handler, and is forked to make its workers.

It holds what the load left in memory once, however many workers use it. The front speaks to it over a socket, one
MessagePack map per packet. The template says::

    {"pid": n}                     before any code of the app runs
    {"ready": {phase: ms, ...}}    it can be forked
    {"refused": reason}            it cannot be forked safely, and ends
    {"failed": problem}            the load failed, and it ends

and is asked, from its first moment on, for workers::

    {"asked_at_s": ..}             with the descriptors of link, progress page and log

Source: D. Li et al., "TrIMS: Transparent and Isolated Model Sharing", CLOUD 2019 (a model in memory once for all that
use it); S. Shillaker, P. Pietzuch, "Faasm", USENIX ATC 2020 (workers restored copy-on-write from an initialised one).
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import msgpack

from skerry.runtime.confinement import check_memory, die_with
from skerry.runtime.forking import fork_orphan, receive_order, redirect_output, reseed, threads
from skerry.runtime.handler import LoadedHandler, find_function, start_error
from skerry.runtime.memory import return_memory
from skerry.runtime.phases import Phases
from skerry.runtime.sharing import check_share_load, load_kind
from skerry.runtime.target import Target, load_app
from skerry.runtime.worker import make_handler, prepare, work_loaded

ORDER_BYTES = 1 << 10
FDS_PER_ORDER = 3  # link, progress page, log
MESSAGE_CHARACTERS = 10_000  # what is said travels as one packet
SETTLE_S = 0.2  # a thread that has been joined may still be ending


def serve(control: socket.socket, target: Target, *, front_pid: int, asked_at_s: float) -> NoReturn:
    """Be a template until the front closes its end.

    Args:
        control: The template's end of the socket to the front.
        target: What to load.
        front_pid: The front, which becomes the parent of the workers.
        asked_at_s: Monotonic clock reading when the front asked for the template, seconds.
    """
    phases = Phases(asked_at_s)
    phases.mark("fork")
    _say(control, {"pid": os.getpid()})
    connections = _connections()
    try:
        handler = _load(target, phases)
    except BaseException as error:
        problem, log = start_error(target.function or target.module, error)
        sys.stderr.write(f"{problem.message}\n{log}\n")
        problem.message = problem.message[:MESSAGE_CHARACTERS]
        _say(control, {"failed": problem.to_problem()})
        _end(1)
    reason = find_obstacle(connections)
    if reason is not None:
        sys.stderr.write(f"function {target.function!r}: share_load is not possible: {reason}\n")
        _say(control, {"refused": reason})
        _end(0)
    return_memory()  # what loading has left free would be in each worker
    gc.disable()
    gc.freeze()  # the collector would write to every object, and so copy its page into each worker
    _say(control, {"ready": phases.since(asked_at_s)})
    _fork_workers(control, handler, phases, front_pid)


def _load(target: Target, phases: Phases) -> LoadedHandler:
    prepare(target)
    phases.mark("confine")
    function = find_function(load_app(target), target)
    phases.mark("import")
    check_share_load(function.name, share_load=True, load=load_kind(function.handler))
    handler, load = make_handler(function, target)
    if load is not None:
        load()
    if target.memory_bytes is not None:
        check_memory(target.memory_bytes, function=function.name)
    phases.mark("load")
    return handler


def find_obstacle(connections: set[str]) -> str | None:
    """Return why this process must not be forked, None where it may be.

    A lock that another thread holds would stay locked in the workers for ever; what is read from a shared connection
    reaches one of them, and nobody knows which.

    Args:
        connections: The sockets that were open before the app was imported, as `/proc` names them.
    """
    until = time.monotonic() + SETTLE_S
    while (count := threads() - 1) and time.monotonic() < until:
        time.sleep(0.001)
    if count:
        named = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        return f"load leaves {count} threads running ({', '.join(named) or 'of native code'})"
    if _connections() - connections:
        return "load leaves a connection open, which the workers would share; open it at the first call"
    if _children():
        return "load leaves a process running, which the workers would share"
    return None


def _fork_workers(control: socket.socket, handler: LoadedHandler, phases: Phases, front_pid: int) -> NoReturn:
    while True:
        packet, fds = receive_order(control, ORDER_BYTES, FDS_PER_ORDER)
        if not packet:
            _end(0)
        sys.stdout.flush()  # else each worker would print once more what is printed already
        sys.stderr.flush()
        if fork_orphan():
            control.close()
            _become_worker(fds, handler, phases, front_pid, asked_at_s=msgpack.unpackb(packet)["asked_at_s"])
        for fd in fds:
            os.close(fd)


def _become_worker(
    fds: list[int], handler: LoadedHandler, phases: Phases, front_pid: int, *, asked_at_s: float
) -> NoReturn:
    link_fd, progress_fd, log_fd = fds
    for fd in (link_fd, progress_fd):
        os.set_inheritable(fd, False)
    os.setsid()
    die_with(front_pid)
    redirect_output(log_fd)
    gc.enable()
    reseed()
    link = socket.socket(fileno=link_fd)
    work_loaded(link, progress_fd, handler, phases, asked_at_s=asked_at_s)
    os._exit(1)


def _say(control: socket.socket, message: dict[str, Any]) -> None:
    try:
        control.send(msgpack.packb(message, default=str))
    except ConnectionError:
        os._exit(0)  # the front does not want it any more, or has died


def _end(code: int) -> NoReturn:
    """End without the exit handlers that were inherited from the zygote."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _connections() -> set[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that lists them
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
    return {name for name in found if name.startswith("socket:")}


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
