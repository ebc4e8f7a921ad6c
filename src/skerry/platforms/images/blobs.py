"""Where layers and configurations lie on this machine, by digest, and what was built from what."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skerry.errors import ConfigError, CorruptObjectError
from skerry.platforms.images.layer import Layer

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CACHE_VARIABLE = "SKERRY_IMAGE_CACHE"


def default_cache() -> Path:
    """Return where layers are kept: ``$SKERRY_IMAGE_CACHE``, else ``skerry/images`` in the user's cache."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "skerry" / "images"


def digest_of(content: bytes) -> str:
    """Return the digest of a content, ``sha256:HEX``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def check_digest(digest: str) -> str:
    """Return a digest that a registry or an archive has named.

    Raises:
        CorruptObjectError: it is no SHA-256 digest: it might lead anywhere.
    """
    if not DIGEST.fullmatch(digest):
        raise CorruptObjectError(f"{digest!r} is no SHA-256 digest, the one kind that images of Skerry may have")
    return digest


class BlobFile:
    """A file that is being written, whose name will be its digest.

    Args:
        descriptor: Of the open file.
        path: Where it is for now.
        most_bytes: How large it may become; none means any size.
    """

    def __init__(self, descriptor: int, path: Path, most_bytes: int | None = None) -> None:
        self._most_bytes = most_bytes
        self._file = os.fdopen(descriptor, "wb")
        self._sha256 = hashlib.sha256()
        self.path = path
        self.size_bytes = 0

    @property
    def digest(self) -> str:
        """What was written so far, ``sha256:HEX``."""
        return f"sha256:{self._sha256.hexdigest()}"

    def write(self, data: bytes) -> int:
        """Write bytes.

        Raises:
            CorruptObjectError: they are more than there may be.
        """
        if self._most_bytes is not None and self.size_bytes + len(data) > self._most_bytes:
            raise CorruptObjectError(f"a content is larger than the {self._most_bytes} bytes that were announced")
        self._sha256.update(data)
        self.size_bytes += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()


class Blobs:
    """A folder of contents by digest. Several processes may use it at once.

    Args:
        folder: It is made when it is first written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Return where a content is, or would be.

        Raises:
            CorruptObjectError: it is no SHA-256 digest.
        """
        return self.folder / "blobs" / "sha256" / check_digest(digest).removeprefix("sha256:")

    def has(self, digest: str) -> bool:
        """Whether a content is there."""
        return self.path(digest).is_file()

    @contextmanager
    def writing(self, *, expect: str | None = None, most_bytes: int | None = None) -> Iterator[Any]:
        """Give a `BlobFile` to write to; it gets its name when the body ends well.

        Args:
            expect: The digest that the content must have.
            most_bytes: How large it may be; none means any size.

        Raises:
            CorruptObjectError: it has another one, or is larger.
        """
        where = self.folder / "blobs" / "sha256"
        where.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=where)
        file = BlobFile(descriptor, Path(name), most_bytes)
        try:
            yield file
            file.close()
            if expect is not None and file.digest != expect:
                raise CorruptObjectError(f"{expect} was asked for, and {file.digest} came")
            os.replace(name, self.path(file.digest))
        finally:
            file.close()
            file.path.unlink(missing_ok=True)

    def put(self, content: bytes) -> str:
        """Keep a content and return its digest."""
        with self.writing() as file:
            file.write(content)
        return str(file.digest)

    def read(self, digest: str) -> bytes:
        """Return a small content.

        Raises:
            ConfigError: it is not there.
        """
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError as error:
            raise ConfigError(f"{digest} is not in {self.folder}", hint="build the image again") from error

    def recall(self, key: str) -> tuple[dict[str, Any], tuple[Layer, ...]] | None:
        """Return the note and the layers that were built for a key, if all of them are there still."""
        try:
            record = json.loads((self.folder / "built" / f"{key}.json").read_text(encoding="utf-8"))
            layers = tuple(Layer(**values) for values in record["layers"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return (record["note"], layers) if all(self.has(layer.digest) for layer in layers) else None

    def remember(self, key: str, note: Mapping[str, Any], layers: tuple[Layer, ...]) -> None:
        """Keep that layers were built for a key, with a note of plain JSON values."""
        where = self.folder / "built"
        where.mkdir(parents=True, exist_ok=True)
        kept = [{name: getattr(layer, name) for name in Layer.__slots__} for layer in layers]
        with tempfile.NamedTemporaryFile("w", dir=where, delete=False, encoding="utf-8") as file:
            json.dump({"note": dict(note), "layers": kept}, file)
        os.replace(file.name, where / f"{key}.json")
