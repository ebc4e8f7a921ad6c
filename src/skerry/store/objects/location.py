"""From an address to a store."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from skerry.errors import ConfigError
from skerry.store.objects.base import ObjectStore
from skerry.store.objects.folder import FolderStore

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://|(file|s3):", re.IGNORECASE)
_KNOWN = (
    "known are: the path of a folder, file:///PATH, and "
    "s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION (both optional), with the keys in AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY"
)


def open_store(url: str | Path) -> ObjectStore:
    """Return the store at an address. Nothing is read, written or connected yet.

    Args:
        url: One of

            - the path of a folder, absolute or from the current one; ``~`` is the home;
            - ``file:///PATH``, with ``%20`` and the like for what may not stand in an address;
            - ``s3://BUCKET/PREFIX``, see `skerry.store.objects.s3`.

    Raises:
        ConfigError: The address is none of these. The message says what is known, and repeats no secret.

    Example:
        >>> open_store("/var/lib/skerry/models").url
        'file:///var/lib/skerry/models'
    """
    text = str(url)
    scheme = _SCHEME.match(text)
    name = (scheme[1] or scheme[2]).lower() if scheme else None
    if name is None:
        return _open_folder(text)
    if name == "file":
        return _open_file_url(text)
    if name == "s3":
        from skerry.store.objects.s3 import open_s3

        return open_s3(text)
    raise ConfigError(f"no store of objects is reached by {name}://; {_KNOWN}")


def _open_file_url(text: str) -> ObjectStore:
    parts = urlsplit(text)
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise ConfigError(f"a file: address has three slashes, a whole path and nothing behind it; {_KNOWN}")
    return _open_folder(unquote(parts.path), expand=False)


def _open_folder(text: str, *, expand: bool = True) -> ObjectStore:
    if not text.strip() or "\0" in text:
        raise ConfigError(f"{text!r} is not the path of a folder; {_KNOWN}")
    try:
        path = Path(text).expanduser() if expand else Path(text)
    except RuntimeError as error:
        raise ConfigError(f"the path {text} has no meaning here: {error}") from None
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path} is a file; objects are kept in a folder")
    return FolderStore(path)
