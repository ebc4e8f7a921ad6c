"""Files and folders as arguments: named by their content, sent apart from the call, read by a path."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from skerry.errors import InvalidPayloadError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import LiteralString, Self

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import PydanticCustomError, core_schema

Kind = Literal["file", "folder"]

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_NAME_BYTES = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What stands for a file or a folder in a call.

    Args:
        digest: ``sha256:`` and 64 hexadecimal digits: of a file's bytes, or of a folder's listing.
        size_bytes: Of the file, or of all files of the folder.
        name: The last part of its path; without meaning, except that some libraries look at its ending.
    """

    digest: str
    size_bytes: int
    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.digest, str) or not DIGEST.fullmatch(self.digest):
            raise ValueError("digest: expected sha256: and 64 hexadecimal digits")
        if type(self.size_bytes) is not int or self.size_bytes < 0:
            raise ValueError("size_bytes: expected a whole number from 0")
        if not isinstance(self.name, str) or not is_name(self.name):
            raise ValueError("name: expected the last part of a path")

    @property
    def hex(self) -> str:
        """The digest's hexadecimal digits."""
        return self.digest.removeprefix("sha256:")


def is_name(text: str) -> bool:
    """Return whether a text can be the last part of a path anywhere, and stays inside the folder that it is put in."""
    if text in ("", ".", "..") or any(char in "/\\" or not char.isprintable() for char in text):
        return False
    return len(text.encode("utf-8", "surrogatepass")) <= _MOST_NAME_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a reference means in this process.

    Args:
        path: Where it lies; None where that is elsewhere.
        hold: What keeps it there, for as long as it lives.
        local: Whether it must not leave this site.
    """

    path: str | None = None
    hold: object = None
    local: bool = False


class Port(Protocol):
    """How this process turns files into references and back; see :func:`use_port`."""

    def refer(self, item: Input) -> Reference:
        """Return what stands for a file or folder that leaves this process."""

    def open(self, reference: Reference, kind: Kind) -> Found:
        """Return what a reference means.

        Raises:
            InputNotFoundError: it is not here.
        """


_annotated: list[type] = []  # the classes that some annotation of this process names
_used: ContextVar[Port | None] = ContextVar("skerry_input_port", default=None)
_installed: list[Port] = []


@contextmanager
def use_port(port: Port) -> Iterator[None]:
    """Have arguments that are written or read in this block go through a port."""
    token = _used.set(port)
    try:
        yield
    finally:
        _used.reset(token)


def install_port(port: Port) -> None:
    """Use a port wherever no other is used, in the whole process: what a worker does."""
    _installed[:] = [port]


def are_annotated() -> bool:
    """Return whether any annotation of this process, by now, says that something is a file or a folder."""
    return bool(_annotated)


def _current_port() -> Port | None:
    return _used.get() or (_installed[0] if _installed else None)


class Input(os.PathLike[str]):
    """What `File` and `Folder` have in common.

    Args:
        path: Where it lies.
        name: How it is called where it arrives; None means the last part of the path.
        local: Whether it must never leave its site; see :class:`File`.
    """

    kind: ClassVar[Kind]
    __slots__ = ("_hold", "_name", "_path", "local", "reference")

    def __init__(self, path: str | os.PathLike[str], *, name: str | None = None, local: bool = False) -> None:
        self._path: str | None = os.fspath(path)
        self._name = name
        self._hold: object = None
        self.local = local
        self.reference: Reference | None = None

    @classmethod
    def of(cls, reference: Reference, found: Found) -> Self:
        """Return what a reference means."""
        made = cls(found.path or "", name=reference.name, local=found.local)
        made._path, made._hold, made.reference = found.path, found.hold, reference
        return made

    @classmethod
    def at_site(cls, digest: str, *, size_bytes: int, name: str) -> Self:
        """Return what a site has already, and perhaps nobody else: the function goes to the data.

        Args:
            digest: ``sha256:`` and 64 hexadecimal digits.
            size_bytes: Its size, as the site knows it.
            name: How it is called in the handler.

        Raises:
            InvalidPayloadError: one of them is not of that form.
        """
        try:
            return cls.of(Reference(digest=digest, size_bytes=size_bytes, name=name), Found())
        except ValueError as error:
            raise InvalidPayloadError(f"{cls.__name__}.at_site: {error}") from error

    @property
    def is_here(self) -> bool:
        """Whether it has a path on this machine."""
        return self._path is not None

    @property
    def path(self) -> Path:
        """Where it lies on this machine; it is for reading only.

        Raises:
            InvalidPayloadError: it is not on this machine.
        """
        from pathlib import Path  # it takes a dozen modules, and few functions take files

        return Path(os.fspath(self))

    @property
    def name(self) -> str:
        """How it is called where it arrives."""
        return self._name if self._name is not None else os.path.basename(os.path.abspath(os.fspath(self)))

    @property
    def digest(self) -> str:
        """The SHA-256 digest, like ``sha256:9f86…``; known in a handler, and at the caller once it was sent.

        Raises:
            InvalidPayloadError: it is not known yet.
        """
        if self.reference is None:
            raise InvalidPayloadError(f"{self!r}: its digest is known in a handler, and once it was sent")
        return self.reference.digest

    def __fspath__(self) -> str:
        if self._path is None:
            raise InvalidPayloadError(f"{self!r} is not on this machine: a platform gave a reference to it")
        return self._path

    def __repr__(self) -> str:
        shown = self._path if self._path is not None else (self.reference.digest if self.reference else "")
        return f"{type(self).__name__}({shown!r}{', local=True' if self.local else ''})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or not isinstance(other, Input):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[str | None, str | None, bool]:
        digest = None if self._path is not None or self.reference is None else self.reference.digest
        return self._path, digest, self.local

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        from pydantic_core import core_schema

        _annotated.append(cls)
        return core_schema.no_info_plain_validator_function(
            cls._read, serialization=core_schema.plain_serializer_function_ser_schema(cls._write)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        members = {
            "digest": {"type": "string", "pattern": f"^{DIGEST.pattern}$"},
            "size_bytes": {"type": "integer", "minimum": 0},
            "name": {"type": "string"},
        }
        title = f"{cls.__name__} by content; send it to /inputs first"
        return {"title": title, "type": "object", "properties": members, "required": [*members]}

    @classmethod
    def _read(cls, value: Any) -> Self:
        if isinstance(value, cls):
            return value
        expected = {"expected": f'a {cls.kind} as {{"digest": "sha256:…", "size_bytes": …, "name": …}}'}
        if not isinstance(value, Mapping) or set(value) != {"digest", "size_bytes", "name"}:
            given = {"given": type(value).__name__}
            raise _refusal("expected {expected}, got {given}", **expected, **given)
        try:
            reference = Reference(**value)
        except ValueError as error:
            raise _refusal("{reason}", reason=str(error)) from error
        port = _current_port()
        return cls.of(reference, Found() if port is None else port.open(reference, cls.kind))

    @classmethod
    def _write(cls, value: Any) -> dict[str, Any]:
        if not isinstance(value, cls):
            raise _refusal("expected a {kind}", kind=f"skerry.{cls.__name__}")
        return write_reference(value)


def _refusal(message: LiteralString, **parts: str) -> PydanticCustomError:
    from pydantic_core import PydanticCustomError

    return PydanticCustomError("input", message, parts)


class File(Input):
    """A file by its content: in a handler's annotation, and as the argument of a call.

    The caller's side sends the bytes once for each site, however often the file is used; the handler gets an object
    with the path of a file that it may only read, which everything takes that takes a path.

    Args:
        path: Where it lies; ``~`` is not expanded.
        name: How it is called where it arrives; None means the last part of the path.
        local: Whether it must never leave its site: then only an engine on this machine may have it.

    Example:
        >>> import os
        >>> os.fspath(File("data/articles.npz"))
        'data/articles.npz'
    """

    kind = "file"
    __slots__ = ()


class Folder(Input):
    """A folder by the content of its files; see `File`. Files that a site has already are not sent to it again.

    Empty folders, times and permissions are no content.

    Args:
        path: Where it lies; ``~`` is not expanded.
        name: How it is called where it arrives; None means the last part of the path.
        local: Whether it must never leave its site.

    Example:
        >>> Folder("data/articles").name
        'articles'
    """

    kind = "folder"
    __slots__ = ()


def write_reference(item: Input) -> dict[str, Any]:
    """Return what stands for a file or folder in a body.

    Raises:
        InvalidPayloadError: nothing here could send it.
    """
    port = _current_port()
    if port is not None:
        return asdict(port.refer(item))
    if item.reference is not None:
        return asdict(item.reference)
    raise InvalidPayloadError(
        f"{item!r}: a {item.kind} can be sent by .remote(), .map(), .spawn() and .stream() only: they send its content"
    )
