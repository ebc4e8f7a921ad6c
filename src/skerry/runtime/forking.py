"""What zygotes and templates do to become workers: fork twice, turn to another log, forget what must not be shared."""

from __future__ import annotations

import contextlib
import os
import socket
import sys


def fork_orphan() -> bool:
    """Fork twice; True in the new process, whose parent ends at once, and False in this one.

    The orphan becomes a child of the nearest subreaper, the front, and outlives this process.

    Raises:
        OSError: the kernel has no room for another process.
    """
    middle = os.fork()
    if middle == 0:
        with contextlib.suppress(OSError):
            if os.fork() == 0:
                return True
        os._exit(0)
    with contextlib.suppress(ChildProcessError):  # this process ignores its children's ends
        os.waitpid(middle, 0)
    return False


def receive_order(control: socket.socket, most_bytes: int, most_fds: int) -> tuple[bytes, list[int]]:
    """Return the next packet and the descriptors that came with it; nothing when the other end is gone.

    A front that dies with an answer unread resets the connection, and the kernel ends this process only a moment later.
    """
    try:
        packet, fds, _, _ = socket.recv_fds(control, most_bytes, most_fds)
    except ConnectionError:
        return b"", []
    return packet, fds


def redirect_output(log_fd: int) -> None:
    """Write what is printed to ``log_fd`` from now on, line by line, and read nothing; the descriptor is closed.

    A line is written at once when it ends, and in one piece: workers share a log. Python's own way of not buffering
    (``PYTHONUNBUFFERED``, which many containers set) would write each argument of a ``print`` by itself.
    """
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    os.close(null)
    os.close(log_fd)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=False)  # type: ignore[union-attr]  # both are text files here


def reseed() -> None:
    """Seed the global generators of random numbers anew: one process's state must not be everybody's."""
    if "random" in sys.modules:
        sys.modules["random"].seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if "torch" in sys.modules:
        sys.modules["torch"].seed()


def threads() -> int:
    """Return the number of threads of this process, those of native code included."""
    return len(os.listdir("/proc/self/task"))
