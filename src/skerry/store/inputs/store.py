"""The inputs that a site has: each content once, under its digest; what is in use stays.

::

    contents/HEX       a file's content, or a folder's listing; verified when it came
    views/HEX/NAME     the content under its name, or the folder: hard links to contents
    places/HEX         where the content lies on this machine, when it did not have to be copied
    labels/HEX         there when the content must not leave this site
    arriving/HEX       the beginning of a content that is on its way

Whoever uses an input holds a shared lock on its content or its folder, which the kernel gives back when its process
ends; what is locked is never evicted.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from skerry.errors import InputNotFoundError, StorageError
from skerry.payload.file import Kind, Reference
from skerry.store.inputs.digests import FileStamp
from skerry.store.inputs.listing import Listing
from skerry.store.models.files import close_folder, link, remove_folder, same_file

INPUTS_VARIABLE = "SKERRY_INPUTS"
LIMIT_VARIABLE = "SKERRY_INPUTS_LIMIT"
LOCAL = "local"
_TRIES = 10


class InputStore:
    """A folder of inputs; safe for threads and processes. It is made when something is put into it.

    Args:
        folder: Where.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).absolute()
        self.contents = self.folder / "contents"
        self.views = self.folder / "views"
        self.places = self.folder / "places"
        self.labels = self.folder / "labels"
        self.arriving = self.folder / "arriving"

    def create(self) -> None:
        """Make the folders."""
        for folder in (self.contents, self.views, self.places, self.labels, self.arriving):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has(self, sha256: str) -> bool:
        """Return whether a content was copied to here; whoever asks means to use it, so it is not evicted soon."""
        try:
            os.utime(self.contents / sha256)
        except FileNotFoundError:
            return False
        return True

    def arrived_bytes(self, sha256: str) -> int:
        """Return how much of a content that is on its way has arrived."""
        try:
            return (self.arriving / sha256).stat().st_size
        except FileNotFoundError:
            return 0

    # What lies on this machine already

    def place(self, reference: Reference, path: str, stamps: dict[str, FileStamp]) -> None:
        """Note where an input lies, instead of copying it.

        Args:
            reference: The input.
            path: Of the file or the folder.
            stamps: Of each file by its path in the folder; a file's own under the empty path.
        """
        self.create()
        record = {"path": path, "stamps": {name: stamp.to_list() for name, stamp in stamps.items()}}
        _write_whole(self.places / reference.hex, json.dumps(record).encode())

    def label(self, contents: Iterable[tuple[str, int]]) -> None:
        """Note that contents, each a digest and a size in bytes, must not leave this site; that cannot be undone."""
        self.create()
        for sha256, size_bytes in contents:
            _write_whole(self.labels / sha256, b"%d" % size_bytes)

    def is_local(self, sha256: str) -> bool:
        """Return whether a content must not leave this site."""
        return (self.labels / sha256).exists()

    def local_sizes(self) -> set[int]:
        """Return the sizes of what must not leave this site, in bytes."""
        sizes = set()
        with contextlib.suppress(FileNotFoundError):
            for label in self.labels.iterdir():
                with contextlib.suppress(ValueError):  # being written
                    sizes.add(int(label.read_bytes()))
        return sizes

    # Use

    def open(self, reference: Reference, kind: Kind) -> tuple[str, Hold | None]:
        """Return the path of an input, and what keeps it there.

        Raises:
            InputNotFoundError: it is not here, or not any more; ``details["digests"]`` says what is missing.
            InvalidPayloadError: it is a file where a folder was meant.
            StorageError: the disk failed.
        """
        for _ in range(_TRIES):
            with contextlib.suppress(FileNotFoundError), disk_errors(self.folder):
                found = self._open_file(reference) if kind == "file" else self._open_folder(reference)
                if found is not None:
                    return found
        placed = self._placed(reference)
        if placed is not None:
            return placed, None
        raise missing([reference.hex])

    def read(self, sha256: str, *, offset_bytes: int, most_bytes: int) -> tuple[bytes, int]:
        """Return a part of a content, and the size of the whole.

        Raises:
            InputNotFoundError: it is not here.
        """
        try:
            with open(self.contents / sha256, "rb", buffering=0) as file:
                size_bytes = os.fstat(file.fileno()).st_size
                return os.pread(file.fileno(), most_bytes, offset_bytes), size_bytes
        except FileNotFoundError:
            raise missing([sha256]) from None

    def _open_file(self, reference: Reference) -> tuple[str, Hold] | None:
        content = self.contents / reference.hex
        hold = Hold(content)
        view = self.views / reference.hex / reference.name
        if not view.exists():
            view.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                link(content, view)
        return str(view), hold

    def _open_folder(self, reference: Reference) -> tuple[str, Hold] | None:
        parent = self.views / reference.hex
        view = parent / reference.name
        if not view.is_dir():
            self._make_view(reference, view)
        # The lock is on the folder around the view: all names of one folder are evicted together.
        return str(view), Hold(parent)

    def _make_view(self, reference: Reference, view: Path) -> None:
        content = self.contents / reference.hex
        if not content.exists():
            raise FileNotFoundError
        listing = Listing.parse(content.read_bytes())
        gone = [sha256 for _, _, sha256 in listing.files if not (self.contents / sha256).exists()]
        if gone:
            raise missing(gone)
        view.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".making-", dir=view.parent))
        try:
            for place, _, sha256 in listing.files:
                link(self.contents / sha256, beside / place)
            close_folder(beside)
            with contextlib.suppress(OSError):  # another was faster
                beside.rename(view)
        finally:
            if beside.exists():
                remove_folder(beside)

    def _placed(self, reference: Reference) -> str | None:
        try:
            record: dict[str, Any] = json.loads((self.places / reference.hex).read_bytes())
            path = str(record["path"])
            for name, stamp in record["stamps"].items():
                if FileStamp.of(os.stat(os.path.join(path, name) if name else path)) != FileStamp(*stamp):
                    return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return path


class Hold:
    """An input in use: a shared lock on its content, or on its folder, until this is closed or collected.

    Raises:
        FileNotFoundError: it was evicted.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        if not same_file(self._descriptor, path):
            self.close()
            raise FileNotFoundError(path)
        os.utime(path)

    def close(self) -> None:
        """Let it be evicted; further calls do nothing."""
        descriptor, self._descriptor = getattr(self, "_descriptor", -1), -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def missing(digests: Iterable[str]) -> InputNotFoundError:
    """Return what says that contents are not at this site."""
    named = [f"sha256:{sha256}" for sha256 in digests]
    return InputNotFoundError(
        f"{named[0]}{f' and {len(named) - 1} more' if len(named) > 1 else ''}: no such content here, or not any more; "
        "send it first: a call with skerry.File or skerry.Folder does",
        digests=named,
    )


def _write_whole(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.replace(name, path)


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into a StorageError; what is not there stays FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(f"the inputs in {folder} cannot be used: {error.strerror}") from error
