"""The bundles that an engine was sent: taken once per digest, and kept as folders to deploy from."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import zlib
from pathlib import Path

from skerry.engine.home import TEMPORARY_PREFIX, Home
from skerry.engine.sources.bundle import MAX_BUNDLE_BYTES, digest_of, unpack, write
from skerry.engine.sources.location import ROOT_MARK
from skerry.errors import (
    BodyTooLargeError,
    ConfigError,
    MalformedBodyError,
    ObjectNotFoundError,
    UnsupportedMediaTypeError,
)
from skerry.runtime.front import Front
from skerry.runtime.message import Request, Response

KEPT = 32  # the newest ones; what was deployed from the others has a copy of its own
DIGEST = re.compile(r"sha256-[0-9a-f]{64}")


class Bundles:
    """Takes and keeps bundles.

    Args:
        home: The engine's folder.
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    def add_routes(self, front: Front) -> None:
        """Serve the addresses on a front."""
        front.route("GET", "/bundles/*", self._get)
        front.route("PUT", "/bundles/*", self._put, max_body_bytes=MAX_BUNDLE_BYTES)

    def target(self, digest: str, target: str) -> str:
        """Return the target on this machine of an app in a bundle.

        Args:
            digest: The bundle's.
            target: ``FILE[:app]`` or ``[FOLDER/]package.module[:app]`` in it.

        Raises:
            MalformedBodyError: the target is not in a bundle.
            ObjectNotFoundError: the bundle is not here.
        """
        folder = self._folder(digest)
        file = target.partition(":")[0]
        if file.startswith("/") or ".." in file.split("/"):
            raise MalformedBodyError(f"target {target!r}: write FILE.py:app, with a file of the bundle")
        if not folder.is_dir():
            raise ObjectNotFoundError(f"bundle {digest} is not here; send it with PUT /bundles/{digest}")
        os.utime(folder)
        return f"{folder}{ROOT_MARK}{target}"

    def _get(self, request: Request) -> Response:
        digest = request.path.strip("/").split("/")[1]
        if not self._folder(digest).is_dir():
            raise ObjectNotFoundError(f"bundle {digest} is not here")
        return Response.of_json({"bundle": digest})

    async def _put(self, request: Request) -> Response:
        digest = request.path.strip("/").split("/")[1]
        folder = self._folder(digest)
        if folder.is_dir():
            return Response.of_json({"bundle": digest})
        bundle = await asyncio.to_thread(_decode, request)
        await asyncio.to_thread(self._take, digest, bundle, folder)
        return Response.of_json({"bundle": digest}, status=201)

    def _take(self, digest: str, bundle: bytes, folder: Path) -> None:
        found = digest_of(bundle)
        if found != digest:
            raise MalformedBodyError(f"the bundle is {found}, not {digest}: it was changed on its way; send it again")
        self._home.bundles.mkdir(mode=0o700, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=self._home.bundles))
        try:
            copy = temporary / "copy"
            copy.mkdir(mode=0o700)
            write(unpack(bundle), copy)
            try:
                os.rename(copy, folder)
            except OSError:
                if not folder.is_dir():  # somebody else was faster with the same files
                    raise
        except OSError as error:
            raise ConfigError(f"bundle {digest} cannot be written: {error.strerror}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._forget_old()

    def _forget_old(self) -> None:
        found = [path for path in self._home.bundles.iterdir() if DIGEST.fullmatch(path.name)]
        for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
            shutil.rmtree(path, ignore_errors=True)

    def _folder(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise MalformedBodyError(f"bundle {digest!r}: write sha256- and 64 hexadecimal digits")
        return self._home.bundles / digest


def _decode(request: Request) -> bytes:
    """Return the bundle that a request carries, as it is or compressed by gzip."""
    coding = request.headers.get("content-encoding", "identity")
    if coding == "identity":
        return request.body
    if coding != "gzip":
        raise UnsupportedMediaTypeError(f"content-encoding {coding!r}: send the bundle as it is, or as gzip")
    reader = zlib.decompressobj(wbits=31)
    try:
        bundle = reader.decompress(request.body, MAX_BUNDLE_BYTES + 1)
    except zlib.error as error:
        raise MalformedBodyError(f"the bundle is no gzip: {error}") from error
    if len(bundle) > MAX_BUNDLE_BYTES:
        raise BodyTooLargeError(f"the bundle is larger than {MAX_BUNDLE_BYTES} bytes")
    if not reader.eof or reader.unused_data:
        raise MalformedBodyError("the bundle's gzip is cut off, or goes on after its end")
    return bundle
