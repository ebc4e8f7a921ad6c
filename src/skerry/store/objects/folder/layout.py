"""Where objects are in a folder.

The object ``models/digits/1/model.onnx`` is::

    models@/digits@/1@/model.onnx                    a symbolic link to what stands beside it:
    models@/digits@/1@/@<SHA-256>.<random number>    its bytes, a plain file that never changes

One rename of the link replaces bytes and checksum together, and making a link fails when there is one. Nobody needs a
lock for either. ``@`` cannot be in a key: it marks folders, so ``a`` and ``a/b`` can both be keys, and hides what is no
object.
"""

from __future__ import annotations

import os
import re
import secrets

_HIDDEN = "@"
_FOLDER = "@"
_BLOB = re.compile(r"@([0-9a-f]{64})\.[0-9a-f]{16}")


def place_of(root: str, key: str) -> tuple[str, str]:
    """Return the folder that holds an object's link, and the name of the link."""
    *folders, name = key.split("/")
    return os.path.join(root, *map(folder_name, folders)), name


def is_hidden(name: str) -> bool:
    """Whether a name in a folder is neither an object nor a folder of objects."""
    return name.startswith(_HIDDEN)


def folder_name(segment: str) -> str:
    """Return the name of the folder that stands for a segment of keys."""
    return segment + _FOLDER


def folder_segment(name: str) -> str | None:
    """Return the segment of keys that a folder stands for, or None when it is not one of the layout."""
    return name.removesuffix(_FOLDER) if name.endswith(_FOLDER) and not is_hidden(name) else None


def new_draft() -> str:
    """Return a name for bytes that are being written."""
    return f"@new.{secrets.token_hex(8)}"


def new_link() -> str:
    """Return a name for a link on its way to or from its place."""
    return f"@link.{secrets.token_hex(8)}"


def new_blob(sha256: str) -> str:
    """Return a name for the finished bytes of an object; it is never used again."""
    return f"@{sha256}.{secrets.token_hex(8)}"


def checksum_of(target: str) -> str | None:
    """Return the SHA-256 that a link's target carries, or None when the link is not one of the layout."""
    match = _BLOB.fullmatch(target)
    return match[1] if match else None
