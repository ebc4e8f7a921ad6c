"""A store of objects on S3, or on a server that speaks its protocol."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any

from skerry.errors import ConfigError, ObjectNotFoundError, SkerryError, StorageError
from skerry.store.objects import faults
from skerry.store.objects.base import ObjectInfo, ObjectStore
from skerry.store.objects.keys import check_key, check_prefix, is_key
from skerry.store.objects.pieces import check_bytes, check_chunk_bytes, cut, spool, verify
from skerry.store.objects.s3_address import S3Address

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta
    from obstore.store import RetryConfig
    from obstore.store import S3Store as Client

_CHECKSUM = "skerry-sha256"
_WRITER = "skerry-writer"
_PART_BYTES = 5 * 2**20  # the least that S3 takes: on a slow line a part has to arrive within the time-out
_PARTS = 9_000  # S3 takes 10,000
_PARTS_AT_ONCE = 2
_RETRIES = 3
_PAGE = 1_000
_ATTEMPTS = 5

# obstore has one set of threads for a process, started by the first request; a child of a fork has them not, and waits
# for them for ever.
_threads_of: list[int] = []


class S3Store(ObjectStore):
    """Objects in a bucket.

    The SHA-256 is in the metadata of the object (``x-amz-meta-skerry-sha256``). As metadata go first, data that come in
    pieces are written to a temporary file, and sent from there when they are complete, a large object in the parts of a
    multipart upload. What a killed writer has sent of one is never visible, but is charged until it is removed: give
    the bucket a lifecycle rule that aborts incomplete multipart uploads after a day.

    The server has to honour conditional writes (``If-None-Match: *``), as S3 does since 2024. Of two that delete an
    object at the same moment, both may be told that there was one.

    Args:
        address: Where it is.
    """

    def __init__(self, address: S3Address) -> None:
        self._address = address
        self._url = address.url
        self._client = _connect(address)

    @property
    def url(self) -> str:
        """The bucket, as ``s3://…``, complete and without credentials."""
        return self._url

    def put(self, key: str, data: bytes | Iterable[bytes]) -> ObjectInfo:
        """Write an object; see `ObjectStore.put`."""
        check_key(key)
        if isinstance(data, bytes | bytearray | memoryview):
            whole = check_bytes(key, data)
            return self._send(key, whole, len(whole), hashlib.sha256(whole).hexdigest())
        with spool(key, data, memory_bytes=_PART_BYTES, refuse=self._refuse_spool) as (file, size_bytes, sha256):
            return self._send(key, file, size_bytes, sha256)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one; see `ObjectStore.put_if_absent`."""
        whole = check_bytes(check_key(key), data)
        writer = secrets.token_hex(16)
        attributes = {_CHECKSUM: hashlib.sha256(whole).hexdigest(), _WRITER: writer}
        for _ in range(_ATTEMPTS):
            failure = self._create(key, whole, attributes)
            if failure is None:
                return True
            # The client repeats a request whose answer was lost, and may then find what it has written itself. So who
            # has written an object stands in it.
            with contextlib.suppress(ObjectNotFoundError):
                if self._open(key, head=True).attributes.get(_WRITER) == writer:
                    return True
                if not isinstance(failure, StorageError):
                    return False
            if isinstance(failure, StorageError):
                raise failure
        raise faults.failed(self._url, key, f"it came and went {_ATTEMPTS} times while it was being written; try again")

    def get(self, key: str) -> bytes:
        """Return the bytes of an object, verified; see `ObjectStore.get`."""
        result = self._open(check_key(key))
        expected = self._checksum(key, result)
        with self._mapped(key):
            data = bytes(result.bytes())
        found = hashlib.sha256(data).hexdigest()
        if found != expected:
            raise faults.mismatch(self._url, key, expected, found)
        return data

    def stream(self, key: str, *, chunk_bytes: int = 2**20) -> Iterator[bytes]:
        """Return an iterator over the bytes of an object; see `ObjectStore.stream`."""
        return self._stream(check_key(key), check_chunk_bytes(chunk_bytes))

    def describe(self, key: str) -> ObjectInfo:
        """Return what is known about an object; see `ObjectStore.describe`."""
        return _info(key, self._open(check_key(key), head=True).meta)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Return an iterator over objects, sorted by key; see `ObjectStore.list`."""
        return self._list(check_prefix(prefix))

    def delete(self, key: str) -> bool:
        """Remove an object; see `ObjectStore.delete`."""
        try:
            self._open(check_key(key), head=True)
        except ObjectNotFoundError:
            return False
        obstore = _obstore()
        with self._mapped(key), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._client, key)
        return True

    def _send(self, key: str, data: bytes | IO[bytes], size_bytes: int, sha256: str) -> ObjectInfo:
        obstore = _obstore()
        with self._mapped(key):
            obstore.put(
                self._client,
                key,
                data,
                attributes={_CHECKSUM: sha256},
                use_multipart=size_bytes > _PART_BYTES,
                chunk_size=max(_PART_BYTES, -(-size_bytes // _PARTS)),
                max_concurrency=_PARTS_AT_ONCE,
            )
        try:
            modified_at = self.describe(key).modified_at
        except ObjectNotFoundError:  # deleted in between
            modified_at = time.time()
        return ObjectInfo(key=key, size_bytes=size_bytes, modified_at=modified_at)

    def _create(self, key: str, data: bytes, attributes: dict[str, str]) -> Exception | None:
        """Write an object where there is none, and return what came in the way."""
        obstore = _obstore()
        try:
            with self._mapped(key):
                obstore.put(self._client, key, data, attributes=attributes, mode="create")
        except (obstore.exceptions.AlreadyExistsError, StorageError) as error:
            return error
        return None

    def _open(self, key: str, *, head: bool = False) -> GetResult:
        obstore = _obstore()
        with self._mapped(key):
            result: GetResult = obstore.get(self._client, key, options={"head": head})
        return result

    def _checksum(self, key: str, result: GetResult) -> str:
        checksum = result.attributes.get(_CHECKSUM)
        if checksum is None:
            raise faults.corrupt(self._url, key, f"it has no checksum ({_CHECKSUM}); another program put it there")
        return checksum

    def _stream(self, key: str, chunk_bytes: int) -> Iterator[bytes]:
        result = self._open(key)
        expected = self._checksum(key, result)
        pieces = cut(self._pieces(key, result, chunk_bytes), chunk_bytes)
        yield from verify(pieces, expected, lambda found: faults.mismatch(self._url, key, expected, found))

    def _pieces(self, key: str, result: GetResult, chunk_bytes: int) -> Iterator[bytes]:
        with self._mapped(key):
            stream = iter(result.stream(min_chunk_size=chunk_bytes))
        while True:
            with self._mapped(key):
                piece = next(stream, None)
            if piece is None:
                return
            yield bytes(piece)

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        obstore = _obstore()
        folder, slash, _ = prefix.rpartition("/")
        with self._mapped(None):
            pages = iter(obstore.list(self._client, folder + slash or None, chunk_size=_PAGE))
        before = ""
        while True:
            with self._mapped(None):
                page = next(pages, None)
            if page is None:
                return
            for found in page:
                key = found["path"]
                if key < before:
                    raise faults.failed(self._url, None, "it does not list keys in their order, as S3 does")
                before = key
                if key.startswith(prefix) and is_key(key):
                    yield _info(key, found)
                elif key > prefix and not key.startswith(prefix):
                    return

    @contextlib.contextmanager
    def _mapped(self, key: str | None) -> Iterator[None]:
        """Tell errors of the client in Skerry's, and refuse what would wait for ever."""
        obstore = _obstore()
        process = os.getpid()
        if not _threads_of:
            _threads_of.append(process)
        if _threads_of[0] != process:
            raise faults.failed(self._url, key, "this process was forked from one that uses S3; start it anew instead")
        try:
            yield
        except obstore.exceptions.AlreadyExistsError:
            raise
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            # Not chained: the client's own text can hold anything that a server has said.
            raise faults.of_service(error, self._url, key) from None

    def _refuse_spool(self, error: OSError, key: str, folder: str, done_bytes: int) -> SkerryError:
        return faults.of_system(error, self._url, key, folder, done_bytes=done_bytes)


def open_s3(url: str) -> S3Store:
    """Return the store at an ``s3://`` address; see `S3Address.parse`.

    Raises:
        ConfigError: The address is wrong, there are no credentials, or the library is missing.
    """
    return S3Store(S3Address.parse(url, os.environ))


def _connect(address: S3Address) -> Client:
    _obstore()
    from obstore.exceptions import BaseError
    from obstore.store import S3Store as Client

    config: dict[str, Any] = {"region": address.region, "disable_bulk_delete": True}
    if address.endpoint:
        # Both: the second is the one that the environment variable of its name would set, and it goes before the first.
        config |= {"endpoint": address.endpoint, "aws_endpoint_url_s3": address.endpoint}
    timeout = timedelta(seconds=address.timeout_s)
    retries: RetryConfig = {
        "max_retries": _RETRIES,
        "retry_timeout": 2 * timeout,
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
    }
    try:
        return Client(
            address.bucket,
            prefix=address.prefix or None,
            config=config,  # type: ignore[arg-type]  # built above from keys that S3Config has
            client_options={
                "allow_http": bool(address.endpoint and address.endpoint.startswith("http://")),
                "connect_timeout": min(timeout, timedelta(seconds=5)),
                "read_timeout": timeout,
                "timeout": timedelta(hours=6),  # of a whole transfer, which goes on as long as it makes progress
            },
            retry_config=retries,
        )
    except BaseError as error:
        certificates = "CA certificates" in str(error)
        raise ConfigError(
            f"{address.url}: no client can be made: "
            + ("this machine has no CA certificates" if certificates else str(error).partition("\n")[0]),
            hint="install them (ca-certificates), or name a file in SSL_CERT_FILE" if certificates else None,
        ) from error


def _obstore() -> Any:
    try:
        import obstore
        import obstore.exceptions
    except ImportError as error:
        raise ConfigError('a store on S3 needs a library: pip install "skerry[s3]"') from error
    return obstore


def _info(key: str, found: ObjectMeta) -> ObjectInfo:
    return ObjectInfo(key=key, size_bytes=found["size"], modified_at=found["last_modified"].timestamp())
