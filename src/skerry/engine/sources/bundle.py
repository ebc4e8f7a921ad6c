"""A source bundle: the files of one app on their way to a site, in one archive with one digest.

The form is that of a USTAR archive, so that ``tar`` lists it, of plain files only, sorted by name, with nothing in it
that depends on when or by whom it was made: the same files are the same bytes. The reader knows nothing else. Links,
devices, sparse files and extension headers are not filtered out; there is no code that would understand them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from skerry.engine.sources.tree import LIMIT_BYTES, LIMIT_FILES
from skerry.errors import ConfigError, MalformedBodyError

BLOCK_BYTES = 512
MAX_BUNDLE_BYTES = LIMIT_BYTES + (2 * LIMIT_FILES + 2) * BLOCK_BYTES  # a head and padding each, and the end
_END = bytes(2 * BLOCK_BYTES)
_MAGIC = b"ustar\x0000"
_PLAIN, _EXECUTABLE = 0o644, 0o755
_NAME_BYTES, _PREFIX_BYTES = 100, 155


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a bundle.

    Args:
        path: Relative to the bundle, with ``/``.
        content: Its bytes.
        executable: Whether it may be run.
    """

    path: str
    content: bytes
    executable: bool = False


def digest_of(bundle: bytes) -> str:
    """Return a bundle's name: ``sha256-`` and the digest of its bytes, hexadecimal."""
    return f"sha256-{hashlib.sha256(bundle).hexdigest()}"


def pack(members: Iterable[Member]) -> bytes:
    """Return files as a bundle.

    Raises:
        ConfigError: a path is too long, or one that no bundle may have.
    """
    parts = []
    for member in sorted(members, key=lambda member: os.fsencode(member.path)):
        try:
            _check_path(member.path)
        except MalformedBodyError as error:
            raise ConfigError(f"{error.message}; rename it, or name it in .skerryignore") from error
        parts += [_head(member), member.content, bytes(-len(member.content) % BLOCK_BYTES)]
    return b"".join([*parts, _END])


def unpack(bundle: bytes) -> Iterator[Member]:
    """Yield the files of a bundle that came over the network.

    Raises:
        MalformedBodyError: it is none, or has a path that leads out of it.
    """
    at, total_bytes, count, before = 0, 0, 0, b""
    files: set[str] = set()
    while True:
        head = bundle[at : at + BLOCK_BYTES]
        if bundle[at:] == _END:
            return
        member, size_bytes = _read_head(head)
        encoded = member.path.encode()
        if encoded <= before:
            raise MalformedBodyError(f"the bundle's files are not in order at {member.path!r}")
        # A folder sorts after a file of its name, if not always right after it.
        if not files.isdisjoint(_parents(member.path)):
            raise MalformedBodyError(f"a file in the bundle is the folder of {member.path!r} too")
        files.add(member.path)
        before, count, total_bytes = encoded, count + 1, total_bytes + size_bytes
        if total_bytes > LIMIT_BYTES or count > LIMIT_FILES:
            raise MalformedBodyError(f"the bundle is over the limit of {LIMIT_BYTES} bytes in {LIMIT_FILES} files")
        begin, end = at + BLOCK_BYTES, at + BLOCK_BYTES + size_bytes
        at = end + -size_bytes % BLOCK_BYTES
        if at > len(bundle) or any(bundle[end:at]):
            raise MalformedBodyError(f"the bundle is cut off in {member.path!r}")
        yield Member(member.path, bundle[begin:end], member.executable)


def write(members: Iterable[Member], folder: Path) -> None:
    """Write a bundle's files below an empty folder of the engine's own."""
    for member in members:
        place = folder / member.path
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Exclusive: nothing is written through what is there already.
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(member.content)
        place.chmod(0o700 if member.executable else 0o600)


def _head(member: Member) -> bytes:
    name, prefix = _split(member.path)
    mode = _EXECUTABLE if member.executable else _PLAIN
    fields = [
        name.ljust(_NAME_BYTES, b"\0"),
        b"%07o\0" % mode,
        b"%07o\0" % 0,  # owner
        b"%07o\0" % 0,  # group
        b"%011o\0" % len(member.content),
        b"%011o\0" % 0,  # time
        b" " * 8,  # checksum, counted as spaces
        b"0",
        bytes(100),
        _MAGIC,
        bytes(32),
        bytes(32 + 2 * 8),  # and no device
        prefix.ljust(_PREFIX_BYTES, b"\0"),
        bytes(12),
    ]
    head = b"".join(fields)
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def _read_head(head: bytes) -> tuple[Member, int]:
    """Return the file that a head announces, without its content, and the content's size."""
    if len(head) < BLOCK_BYTES or head[257:265] != _MAGIC:
        raise MalformedBodyError("this is no bundle, or one that was cut off: a head of a file is missing")
    try:
        path = (head[345:500].rstrip(b"\0") + b"/" + head[:100].rstrip(b"\0")).decode().removeprefix("/")
        size_bytes = int(head[124:135].decode("ascii"), 8)
    except ValueError as error:
        raise MalformedBodyError("the bundle's head of a file cannot be read") from error
    _check_path(path)
    try:
        expected = _head(Member(path, b"", head[100:107] == b"%07o" % _EXECUTABLE))
    except ConfigError as error:
        raise MalformedBodyError(error.message) from error
    # The only head that a file of this path and size can have: whatever else one might say is refused with it.
    sized = expected[:124] + b"%011o\0" % size_bytes + expected[136:148] + b" " * 8 + expected[156:]
    if head != sized[:148] + b"%06o\0 " % sum(sized) + sized[156:]:
        raise MalformedBodyError(f"the bundle's head of {path!r} is not that of a plain file")
    return Member(path, b"", head[100:107] == b"%07o" % _EXECUTABLE), size_bytes


def _split(path: str) -> tuple[bytes, bytes]:
    """Return a path as the two fields of a head."""
    encoded = path.encode()
    if len(encoded) <= _NAME_BYTES:
        return encoded, b""
    cut = encoded.rfind(b"/", 0, _PREFIX_BYTES + 1)
    if cut <= 0 or len(encoded) - cut - 1 > _NAME_BYTES:
        raise ConfigError(f"{path!r}: the path is too long for a bundle; shorten it")
    return encoded[cut + 1 :], encoded[:cut]


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def _check_path(path: str) -> None:
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or any(not part or part.startswith(".") for part in parts):
        raise MalformedBodyError(f"{path!r}: no bundle may have a file of this path")
