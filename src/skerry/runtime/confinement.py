"""The limits that a worker puts on itself before it imports the app: memory, threads, file descriptors, lifetime."""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping

from skerry.errors import MemoryLimitError

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
    "SKERRY_THREADS",  # for libraries that take a number of threads as an argument
)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STACK_SLACK_BYTES = 64 * 2**20  # thread stacks are reserved whole, and hardly used
PARENT_WAIT_S = 5.0
MOST_FILES = 1 << 20  # what the kernel allows by default


def become_subreaper() -> None:
    """Make this process the parent of its descendants' orphans, so that it sees every worker end.

    Raises:
        OSError: the kernel refuses.
    """
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent_pid: int) -> None:
    """Have the kernel kill this process when ``parent_pid`` ends, however that ends.

    A worker is forked twice, so that its parent is the front and not the zygote: it waits here until it has been handed
    over. When the front is gone already, the process ends.
    """
    until = time.monotonic() + PARENT_WAIT_S
    while os.getppid() != parent_pid:
        if time.monotonic() > until or not _exists(parent_pid):
            os._exit(1)
        time.sleep(0.00005)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended between the two
        os._exit(1)


def limit_files(files: int) -> None:
    """Let this process hold ``files`` descriptors at most, and leave no core dumps."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def raise_file_limit() -> None:
    """Let this process hold as many descriptors as it may: each connection takes one, and the usual limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(most, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), hard))


def limit_memory(memory_bytes: int, *, function: str) -> None:
    """Let this process hold ``memory_bytes`` in all, what it inherited from the zygote included.

    Allocations beyond that raise `MemoryError` in the handler. Memory that escapes this limit (it counts private
    writable pages) is caught by the supervisor, which reads the resident size.

    Raises:
        MemoryLimitError: the process holds more than that already.
    """
    data_bytes, resident_bytes = _memory_of_self()
    headroom_bytes = memory_bytes - resident_bytes
    if headroom_bytes <= 0:
        raise MemoryLimitError(
            f"function {function!r}: memory is {memory_bytes // 2**20} MiB, but a worker holds "
            f"{resident_bytes // 2**20} MiB before it begins; raise memory, or import fewer libraries"
        )
    limit = data_bytes + headroom_bytes + STACK_SLACK_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def check_memory(memory_bytes: int, *, function: str) -> None:
    """Refuse what has been loaded when it fills a worker's memory, before workers are made of it.

    Raises:
        MemoryLimitError: the process holds more than ``memory_bytes``.
    """
    _, resident_bytes = _memory_of_self()
    if resident_bytes > memory_bytes:
        raise MemoryLimitError(
            f"function {function!r}: memory is {memory_bytes // 2**20} MiB, but a worker holds "
            f"{resident_bytes // 2**20} MiB once it has loaded; raise memory"
        )


def limit_threads(cpu: float) -> None:
    """Pin the thread pools of numeric libraries to ``cpu`` processors, rounded up."""
    threads = max(1, math.ceil(cpu))
    os.environ.update(thread_environment(threads))
    if threads > 1 and "numpy" in sys.modules:
        try:
            import threadpoolctl  # comes with scikit-learn; not every environment has it
        except ImportError:
            return
        threadpoolctl.threadpool_limits(threads)


def thread_environment(threads: int) -> Mapping[str, str]:
    """Return the variables that numeric libraries read their number of threads from."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def resident_bytes(pid: int) -> int:
    """Return the private resident memory of a process in bytes; 0 when it has ended."""
    return _status(pid).get("RssAnon", 0)


def share_bytes(pid: int) -> int:
    """Return a process's share of the memory: its own pages, and its part of those it has in common with others.

    Summed over a zygote and its workers this counts every page once. 0 when the process has ended.
    """
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def is_child(pid: int) -> bool:
    """Whether a process is a child of this one, or has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1]) == os.getpid()
    except OSError:
        return True


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _memory_of_self() -> tuple[int, int]:
    status = _status(os.getpid())
    return status.get("VmData", 0), status.get("RssAnon", 0)


def _status(pid: int) -> dict[str, int]:
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        key, _, value = line.partition(":")
        if value.endswith(" kB"):
            found[key] = int(value[:-3]) * 1024
    return found


def _prctl(what: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(what, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
