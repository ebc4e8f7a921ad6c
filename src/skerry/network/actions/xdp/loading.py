"""Which loading of xdp-filter an entry belongs to: it goes with it, and an equal one in the next is somebody else's."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from skerry.errors import PlatformError
from skerry.network.actions.journal import BOOT_ID
from skerry.network.actions.xdp.entries import Entry

# Where xdp-filter keeps its maps while it is loaded anywhere.
BPF_FOLDER = Path("/sys/fs/bpf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """The map that an entry is in, which no other one is like.

    Attributes:
        boot: The start of the machine.
        device: The file system of BPF; a container may have one of its own.
        inode: The map's; 0 where xdp-filter is not loaded.
        made_ns: When the map was made, Unix time, nanoseconds.
    """

    boot: str
    device: int
    inode: int
    made_ns: int


def find_loading(entry: Entry) -> Loading:
    """Return where an entry is, or would be, now.

    Raises:
        PlatformError: the file system of BPF cannot be read.
    """
    name = "filter_ports" if entry.address is None else f"filter_{entry.feature}"
    inode = made_ns = 0
    try:
        device = os.stat(BPF_FOLDER).st_dev
        with suppress(FileNotFoundError):
            found = os.stat(BPF_FOLDER / "xdp-filter" / name)
            inode, made_ns = found.st_ino, found.st_mtime_ns  # its ctime changes with its mode
        boot = BOOT_ID.read_text(encoding="ascii").strip()
    except OSError as error:
        raise PlatformError(f"xdp-filter's maps cannot be looked at: {error}", hint="are you root?") from error
    return Loading(boot=boot, device=device, inode=inode, made_ns=made_ns)


def is_of(entry: Entry, loading: Loading) -> bool:
    """Return whether the loading that an entry was added to is there still.

    Args:
        entry: Which.
        loading: What was found when it was added.

    Raises:
        PlatformError: another file system of BPF is mounted here, so the entry may well be in force.
    """
    now = find_loading(entry)
    if now.boot != loading.boot:
        return False
    if now.device != loading.device:
        raise PlatformError(
            f"the file system of BPF in {BPF_FOLDER} is not the one in which xdp-filter was given the entry "
            f"{' '.join(entry.words)}",
            hint="run this outside of containers and of `ip netns exec`",
        )
    return now == loading
