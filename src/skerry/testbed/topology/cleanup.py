"""Removes all that a testbed has on a machine, found by its mark: also when nobody remembers having made it."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from skerry.errors import PlatformError
from skerry.testbed.links.namespace import FOLDER, delete_namespace, list_namespaces
from skerry.testbed.topology.resources import group_folders, members, remove_groups
from skerry.testbed.topology.state import PREFIX

# The variable that everything in a testbed is started with; its value is the testbed's mark.
MARK_VARIABLE = "SKERRY_TESTBED"
MARK = re.compile(rf"{PREFIX}[0-9a-f]{{6}}")
TERM_S = 3.0
KILL_S = 10.0
POLL_S = 0.02


def find_marks() -> list[str]:
    """Return the marks of all testbeds that have a namespace, a control group or a process on this machine."""
    found = {match[0] for name in list_namespaces(PREFIX) if (match := MARK.match(name))}
    for base in group_folders(""):
        found |= {match[0] for path in base.glob(f"{PREFIX}*") if (match := MARK.fullmatch(path.name))}
    for folder in Path("/proc").glob("[0-9]*"):
        mark = _marked(folder)
        if mark is not None and MARK.fullmatch(mark):
            found.add(mark)
    return sorted(found)


def find_processes(mark: str) -> list[int]:
    """Return the processes of a testbed: those with its mark, in its namespaces or in its control groups.

    This process and those above it are left out: what is brought down may be brought down from inside.
    """
    inodes = set()
    for name in list_namespaces(f"{mark}-"):
        try:
            inodes.add((FOLDER / name).stat().st_ino)
        except OSError:
            continue
    found = members(mark)
    for folder in Path("/proc").glob("[0-9]*"):
        if _marked(folder) == mark or _network(folder) in inodes:
            found.add(int(folder.name))
    return sorted(found - _own_line())


def end_processes(mark: str) -> int:
    """End all processes of a testbed, politely first; return how many there were.

    Raises:
        PlatformError: some could not be ended.
    """
    ended: set[int] = set()
    for number, patience_s in ((signal.SIGTERM, TERM_S), (signal.SIGKILL, KILL_S)):
        ends_at = time.monotonic() + patience_s
        told: set[int] = set()
        while found := find_processes(mark):
            # What is told to end may start something new on its way: it is told as well.
            for pid in set(found) - told:
                _tell(pid, number)
            told |= set(found)
            ended |= told
            if time.monotonic() > ends_at:
                break
            time.sleep(POLL_S)
    left = find_processes(mark)
    if left:
        raise PlatformError(f"processes of the testbed {mark} do not end: {', '.join(map(str, left))}")
    return len(ended)


def remove_all(mark: str) -> None:
    """Remove processes, namespaces with their interfaces, and control groups of a testbed.

    Raises:
        PlatformError: something could not be removed.
    """
    end_processes(mark)
    for name in list_namespaces(f"{mark}-"):
        delete_namespace(name)
    ends_at = time.monotonic() + KILL_S
    while left := remove_groups(mark):
        if time.monotonic() > ends_at:
            raise PlatformError(f"control groups of the testbed {mark} cannot be removed: {', '.join(left)}")
        time.sleep(POLL_S)


def _tell(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise PlatformError(f"process {pid} of a testbed belongs to another user") from error


def _marked(folder: Path) -> str | None:
    try:
        variables = (folder / "environ").read_bytes()
    except OSError:
        return None
    for variable in variables.split(b"\0"):
        if variable.startswith(f"{MARK_VARIABLE}=".encode()):
            return variable.partition(b"=")[2].decode(errors="replace")
    return None


def _network(folder: Path) -> int | None:
    try:
        return (folder / "ns" / "net").stat().st_ino
    except OSError:
        return None


def _own_line() -> set[int]:
    """Return this process and its ancestors."""
    line: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in line:
        line.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except OSError:
            break
    return line
