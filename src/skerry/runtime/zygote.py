"""The zygote: a process that has imported the heavy libraries, holds no threads, and is forked to make workers.

One zygote stands for one Python environment. It is asked over a socket, one MessagePack map per packet::

    {"import": ["numpy", ...], "patience_s": ..}  answered {"imported": n, "failed": {...}, "threaded": [...]}
                                                  with a library in "threaded", it begins again without any library
    {"spawn": {...}, "asked_at_s": ..}      with the descriptors of link, progress page and log
    {"template": {...}, "asked_at_s": ..}   with the descriptors of its socket and log; see `template`

A worker is forked twice, so that it becomes a child of the front (which is a subreaper) and outlives the zygote. One
spare process is forked ahead and waits to be told what to be.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import msgpack

from skerry.runtime import worker
from skerry.runtime.confinement import die_with
from skerry.runtime.forking import fork_orphan, receive_order, redirect_output, reseed, threads
from skerry.runtime.target import Target

PACKET_BYTES = 1 << 20
FDS_PER_SPAWN = 3  # link, progress page, log
SPARE_DELAY_S = 0.05  # leave the processors to the worker that has just started


def main() -> None:
    """Serve requests on the socket whose descriptor is the first argument, until the other end closes."""
    serve(socket.socket(fileno=int(sys.argv[1])), os.getppid())


def serve(
    control: socket.socket, front_pid: int, imports: Sequence[str] = (), *, patience_s: float = SPARE_DELAY_S
) -> None:
    """Serve requests until the other end closes.

    Args:
        control: The zygote's end of its socket.
        front_pid: Its parent.
        imports: Libraries that the front has asked for already.
        patience_s: How long nothing has to be asked before what makes later forks cheaper is done, up to the next
            request for imports.
    """
    die_with(front_pid)
    faulthandler.enable()  # a crash of native code in a worker leaves the line that it happened at in the log
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group, they are the front's business
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    gc.disable()
    spare: socket.socket | None = None
    settled = False
    if imports and not _answer_import(control, imports):
        return
    while True:
        if spare is None and not select.select([control], [], [], patience_s)[0]:
            if not settled:
                _settle()
                settled = True
            spare = _fork_spare(control, front_pid)
        packet, fds = receive_order(control, PACKET_BYTES, FDS_PER_SPAWN)
        if not packet:
            return
        request = msgpack.unpackb(packet)
        if "import" in request:
            if spare is not None:
                spare.close()  # it lacks what is imported now; it reads the end of its socket and exits
                spare = None
            settled, patience_s = False, request.get("patience_s", SPARE_DELAY_S)
            if not _answer_import(control, request["import"]):
                return
            continue
        if spare is None or not _hand_over(spare, packet, fds):
            spare = _fork_spare(control, front_pid, ordered=fds)
            _hand_over(spare, packet, fds)
        spare.close()
        spare = None
        for fd in fds:
            os.close(fd)


def _answer_import(control: socket.socket, names: Sequence[str]) -> bool:
    """Import libraries and say how that went; False when nobody listens."""
    answer = _import(names)
    try:
        control.send(msgpack.packb(answer))
    except ConnectionError:
        return False  # the front has died, perhaps before this process could ask to die with it
    if answer["threaded"]:
        _begin_again(control)
    return True


def _import(names: Sequence[str]) -> dict[str, Any]:
    """Import libraries; stop at the first one that leaves a thread running, since forking is not safe from there on."""
    failed: dict[str, str] = {}
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:
            failed[name] = f"{type(error).__name__}: {error}"
        if threads() > 1:
            return {"imported": 0, "failed": failed, "threaded": [name]}
    return {"imported": len(names) - len(failed), "failed": failed, "threaded": []}


def _settle() -> None:
    """Do what makes later forks cheaper, while nobody waits for one."""
    from skerry.runtime import template  # noqa: F401  # loaded before the fork, for those who use it

    worker.rehearse()  # what pydantic and others import at their first use is there before the next fork
    gc.unfreeze()
    gc.collect()


def _begin_again(control: socket.socket) -> None:
    """Replace this process by a fresh zygote on the same socket, so that no request that waits there is lost."""
    os.set_inheritable(control.fileno(), True)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "skerry.runtime.zygote", str(control.fileno())])  # noqa: S606  # own code


def _fork_spare(control: socket.socket, front_pid: int, *, ordered: Sequence[int] = ()) -> socket.socket:
    """Fork a process that waits to be told which worker to be; return the socket that tells it.

    Forked in idle moments, it takes the fork and most page faults out of the next cold start.

    Args:
        control: The zygote's socket.
        front_pid: Its parent to be.
        ordered: Descriptors of the order that is waiting for it. It inherits them and must not keep them: it is given
            its own.
    """
    gc.freeze()  # the collector of a worker would write to every object, and so copy its page
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PACKET_BYTES)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PACKET_BYTES)
    if fork_orphan():
        control.close()
        ours.close()
        for fd in ordered:
            os.close(fd)
        _become_worker(theirs, front_pid, ahead=not ordered)
    theirs.close()
    return ours


def _hand_over(spare: socket.socket, packet: bytes, fds: list[int]) -> bool:
    """Tell the spare what to be; False when it has died in the meantime."""
    try:
        socket.send_fds(spare, [packet], fds)
    except OSError:
        return False
    return True


def _become_worker(orders: socket.socket, front_pid: int, *, ahead: bool) -> None:
    try:
        os.setsid()
        die_with(front_pid)
        gc.enable()
        if ahead:
            worker.rehearse()
        reseed()
        packet, fds = receive_order(orders, PACKET_BYTES, FDS_PER_SPAWN)
        orders.close()
        if not packet:
            os._exit(0)
        request = msgpack.unpackb(packet)
        *ends, log_fd = fds
        for fd in ends:
            os.set_inheritable(fd, False)  # what the handler starts must not hold the link open
        redirect_output(log_fd)
        if "template" in request:
            control = socket.socket(fileno=ends[0])
            from skerry.runtime import template  # few functions have one

            target = Target(**request["template"])
            template.serve(control, target, front_pid=front_pid, asked_at_s=request["asked_at_s"])
        link, progress_fd = socket.socket(fileno=ends[0]), ends[1]
        worker.work(link, progress_fd, Target(**request["spawn"]), asked_at_s=request["asked_at_s"])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
