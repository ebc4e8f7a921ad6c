"""The addresses of inputs: what is here, what has arrived, and where it is put."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from skerry.errors import (
    BodyTooLargeError,
    InvalidPayloadError,
    MalformedBodyError,
    PrivacyError,
    UnauthorizedError,
    UnavailableError,
)
from skerry.payload.file import DIGEST
from skerry.runtime.front import Front
from skerry.runtime.message import Request, Response
from skerry.spec.quantity import parse_size
from skerry.store.inputs import LIMIT_VARIABLE, InputStore
from skerry.store.inputs.coding import ZSTD, codings
from skerry.store.inputs.eviction import evict
from skerry.store.inputs.placing import Placed, adopt
from skerry.store.inputs.upload import Upload, absorb

DEFAULT_LIMIT_BYTES = 10 * 2**30
PART_BYTES = 8 * 2**20  # most of one answer; the rest is asked for after it
STALE_S = 2.0  # an upload that has been silent for so long gives way to another one of the same content
SLACK_BYTES = 2**20  # by which what does not compress may grow


class Inputs:
    """Takes the inputs of calls for one engine.

    Args:
        store: Where they go.
        environment: Of the engine; says how much room there is.

    Raises:
        SpecError: the limit is no size.
    """

    def __init__(self, store: InputStore, environment: Mapping[str, str]) -> None:
        self._store = store
        text = environment.get(LIMIT_VARIABLE)
        self._limit_bytes = parse_size(text, key=LIMIT_VARIABLE) if text else DEFAULT_LIMIT_BYTES
        self._uploads: dict[str, Arrival] = {}

    def add_routes(self, front: Front) -> None:
        """Serve the addresses on a front."""
        front.route("POST", "/inputs/missing", self._missing)
        front.route("POST", "/inputs/here", self._here)
        front.route("GET", "/inputs/*", self._get)
        front.route_body("PUT", "inputs", self._put)

    async def _missing(self, request: Request) -> Response:
        """Say which of some contents are not here, and how much of them has arrived."""
        asked = request.json_object().get("contents")
        if not isinstance(asked, list):
            raise MalformedBodyError('send {"contents": [["sha256:…", SIZE_BYTES], …]}')
        contents = [_content(item) for item in asked]
        absent = await asyncio.to_thread(self._absent, contents)
        return Response.of_json({"missing": absent, "codings": codings()})

    def _absent(self, contents: list[tuple[str, int]]) -> dict[str, int]:
        absent = {}
        for sha256, size_bytes in contents:
            if not self._store.has(sha256):
                if sha256 not in self._uploads:
                    absorb(self._store, sha256, size_bytes)
                absent[f"sha256:{sha256}"] = self._store.arrived_bytes(sha256)
        return absent

    async def _here(self, request: Request) -> Response:
        """Take a file or folder where it lies, from a caller on this machine."""
        if not request.trusted:
            raise UnauthorizedError("where a file lies can be told over the engine's socket only")
        placed = Placed.parse(request.json_object())
        await asyncio.to_thread(self._place, placed)
        return Response.of_json({"here": placed.reference.digest}, status=201)

    def _place(self, placed: Placed) -> None:
        placed.check()
        if placed.local:  # before anybody can see it
            self._store.label(placed.labelled())
        if not placed.keep:
            self._store.place(placed.reference, placed.path, placed.stamps)
            return
        self._make_room(placed.reference.size_bytes)
        for sha256, path, _ in placed.contents:
            adopt(self._store, sha256, path)
        placed.check()  # nothing has changed while it was copied
        if placed.listing is not None:
            adopt(self._store, placed.reference.hex, placed.listing.encode())

    async def _get(self, request: Request) -> Response:
        """Hand out a part of a content; of ``HEAD``, say whether it is here, or how much of it has arrived."""
        sha256 = _digest(request)
        if self._store.is_local(sha256):
            raise PrivacyError(f"sha256:{sha256} is labelled local: it does not leave this site")
        if request.method == "HEAD" and not self._store.has(sha256):
            return Response(status=404, headers={"upload-offset": str(self._store.arrived_bytes(sha256))})
        offset_bytes = _whole_number(request.parameter("offset") or "0", "offset")
        part, size_bytes = await asyncio.to_thread(
            self._store.read, sha256, offset_bytes=offset_bytes, most_bytes=PART_BYTES
        )
        headers = {"content-range": f"bytes {offset_bytes}-{offset_bytes + len(part) - 1}/{size_bytes}"}
        return Response(part, content_type="application/octet-stream", headers=headers)

    def _put(self, request: Request) -> Arrival:
        """Begin to take a content, or go on with it."""
        sha256 = _digest(request)
        size_bytes = _whole_number(request.parameter("size_bytes"), "size_bytes")
        offset_bytes = _whole_number(request.headers.get("upload-offset", "0"), "upload-offset")
        coding = request.headers.get("content-encoding", "")
        if coding not in ("", "identity", *codings()):
            raise InvalidPayloadError(
                f"content-encoding {coding!r}: this engine reads {', '.join(codings()) or 'none'}"
            )
        if size_bytes > self._limit_bytes:
            raise BodyTooLargeError(
                f"sha256:{sha256} has {size_bytes} bytes, the inputs of this engine may have {self._limit_bytes}; "
                f"raise {LIMIT_VARIABLE} there"
            )
        before = self._uploads.get(sha256)
        if before is not None and not before.give_way():
            raise UnavailableError(f"sha256:{sha256} is being sent by another caller; ask again")
        if not self._store.has(sha256):
            self._make_room(size_bytes - offset_bytes)
        upload = Upload(self._store, sha256, size_bytes=size_bytes, offset_bytes=offset_bytes, coded=coding == ZSTD)
        arrival = Arrival(upload, size_bytes - offset_bytes, ended=lambda: self._forget(sha256, arrival))
        self._uploads[sha256] = arrival
        return arrival

    def _make_room(self, size_bytes: int) -> None:
        left_bytes = evict(self._store, max(0, self._limit_bytes - size_bytes))
        if left_bytes + size_bytes > self._limit_bytes:
            raise UnavailableError(
                f"the inputs of this engine hold {left_bytes} bytes that are in use, and {size_bytes} more are over "
                f"their limit of {self._limit_bytes}; wait, or raise {LIMIT_VARIABLE} there"
            )

    def _forget(self, sha256: str, arrival: Arrival) -> None:
        if self._uploads.get(sha256) is arrival:
            del self._uploads[sha256]


class Arrival:
    """The body of one request, on its way into the store."""

    def __init__(self, upload: Upload, left_bytes: int, *, ended: Callable[[], None]) -> None:
        self.limit_bytes = max(0, left_bytes) + SLACK_BYTES
        self._upload: Upload | None = upload
        self._ended = ended
        self._heard_s = time.monotonic()

    def write(self, piece: bytes) -> None:
        """Take a piece of the body; see `skerry.runtime.intake.Intake`."""
        self._heard_s = time.monotonic()
        if self._upload is None:
            raise UnavailableError("another caller goes on with this content")
        self._upload.write(piece)

    def finish(self) -> Awaitable[Response]:
        """Answer how much has arrived."""
        return self._finish()

    def abort(self) -> None:
        """Keep what has arrived."""
        if self._upload is not None:
            self._upload.close()
            self._upload = None
        self._ended()

    def give_way(self) -> bool:
        """Let another caller go on with the content, unless bytes have come just now."""
        if time.monotonic() - self._heard_s < STALE_S:
            return False
        self.abort()
        return True

    async def _finish(self) -> Response:
        upload, self._upload = self._upload, None
        try:
            if upload is None:
                raise UnavailableError("another caller goes on with this content")
            received_bytes = await asyncio.to_thread(upload.finish)
        finally:
            self._ended()
        return Response.of_json({"received_bytes": received_bytes}, status=201)


def _digest(request: Request) -> str:
    text = request.path.removeprefix("/inputs/")
    if not DIGEST.fullmatch(text):
        raise InvalidPayloadError(f"{request.path}: write /inputs/sha256:HEX, with 64 hexadecimal digits")
    return text.removeprefix("sha256:")


def _content(item: Any) -> tuple[str, int]:
    match item:
        case [str(digest), int(size_bytes)] if DIGEST.fullmatch(digest) and size_bytes >= 0:
            return digest.removeprefix("sha256:"), size_bytes
    raise MalformedBodyError('each of "contents" is ["sha256:…", SIZE_BYTES]')


def _whole_number(text: str | None, name: str) -> int:
    if text is None or not text.isascii() or not text.isdecimal():
        raise MalformedBodyError(f"{name} = {text!r}: must be a whole number of bytes")
    return int(text)
