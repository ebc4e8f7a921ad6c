"""What a front sends away to have a worker made: the worker's half of all that the two have in common."""

from __future__ import annotations

import mmap
import os
import socket
from collections.abc import Callable

from skerry.runtime.progress import PROGRESS_BYTES


def order_worker(send: Callable[[list[int]], None], log_fd: int) -> tuple[socket.socket, mmap.mmap]:
    """Make what a worker and the front have in common, and send the worker's part away.

    Args:
        send: Sends descriptors to the process that makes the worker: its end of the link, the shared page, the log.
        log_fd: The log.

    Returns:
        The front's end of the link, not blocking, and the shared page.

    Raises:
        OSError: there are no descriptors left, or ``send`` raised it.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setblocking(False)
    progress_fd = os.memfd_create("skerry-progress", os.MFD_CLOEXEC)
    try:
        os.ftruncate(progress_fd, PROGRESS_BYTES)
        progress = mmap.mmap(progress_fd, PROGRESS_BYTES)
        send([theirs.fileno(), progress_fd, log_fd])
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(progress_fd)
    return ours, progress
