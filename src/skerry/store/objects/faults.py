"""What goes wrong outside, told in errors of Skerry: the one place where foreign errors are read."""

from __future__ import annotations

import errno
import os
import re
import shutil

from skerry.errors import CorruptObjectError, ObjectNotFoundError, SkerryError, StorageError
from skerry.store.objects.s3_address import SECRETS

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "a file may not grow so far",
}
_SAID = re.compile(r"<(Code|Message)>([^<]*)</")
_DENIED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"}


def missing(url: str, key: str) -> ObjectNotFoundError:
    """Return the error about an object that is not there."""
    return ObjectNotFoundError(f"there is no object {key} in {url}", key=key)


def corrupt(url: str, key: str, reason: str) -> CorruptObjectError:
    """Return the error about an object that is not what was put there."""
    return CorruptObjectError(
        f"the object {key} in {url} is not what was put there: {reason}; put it again, or restore it from a copy",
        key=key,
    )


def mismatch(url: str, key: str, expected: str, found: str) -> CorruptObjectError:
    """Return the error about bytes with another checksum than they had when they were put."""
    return corrupt(url, key, f"its SHA-256 is {found}, and was {expected}")


def failed(url: str, key: str | None, reason: str) -> StorageError:
    """Return the error about a store that did not do what it was asked for."""
    where = f"{url}, object {key}" if key else url
    return StorageError(f"the store failed at {where}: {reason}", **({"key": key} if key else {}))


def of_system(error: OSError, url: str, key: str | None, folder: str, *, done_bytes: int | None = None) -> SkerryError:
    """Return what an error of the operating system means.

    Args:
        error: The error.
        url: The address of the store.
        key: The object that it was about, if one.
        folder: Where it happened, to say how much room is left.
        done_bytes: How much of the object had been written.
    """
    if error.errno in _FULL:
        written = "" if done_bytes is None else f" after {done_bytes:,} bytes of the object"
        return failed(url, key, f"{_FULL[error.errno]}{written}; {_room(folder)}. Make room, or use another disk")
    if isinstance(error, PermissionError) and os.path.isdir(folder) and not os.access(folder, os.W_OK):
        return failed(url, key, f"no permission to write in {folder}; its owner has to allow it")
    return failed(url, key, error.strerror or type(error).__name__)


def _room(folder: str) -> str:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    usage = shutil.disk_usage(folder)
    return f"{usage.free:,} of {usage.total:,} bytes are free in {folder}"


def of_service(error: Exception, url: str, key: str | None) -> SkerryError:
    """Return what an error of the S3 client means, without what it quotes of credentials.

    Args:
        error: The error of the client.
        url: The address of the store.
        key: The object that it was about, if one.
    """
    text = str(error).partition("\n\nDebug source")[0]
    said = dict(_SAID.findall(text))
    if said.get("Code") == "NoSuchBucket":
        return failed(url, key, "there is no such bucket; make it, or change the address")
    if isinstance(error, FileNotFoundError) and key is not None:
        return missing(url, key)
    reason = ": ".join(filter(None, (said.get("Code"), said.get("Message")))) or " ".join(text.split())
    reason = reason.removeprefix("Generic S3 error: ")
    if type(error).__name__ in {"PermissionDeniedError", "UnauthenticatedError"} or said.get("Code") in _DENIED:
        reason += "; look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and at what they are allowed to do"
    return failed(url, key, _without_secrets(reason)[:600])


def _without_secrets(text: str) -> str:
    for name in SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, f"${name}")
    return text
