"""Published models as plain files: ``NAME/0001/`` with the model's own files and a manifest, never changed afterwards.

A version appears whole or not at all (written beside, then renamed), and its manifest holds the size and SHA-256 of
every file, so that whoever opens it knows that it reads what was published. Any file format that is data may be
published; pickles are refused, because opening one runs whatever its author wrote into it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skerry.errors import DataError

MANIFEST = "manifest.json"
_FORMAT = 1
_NAME = re.compile(r"[a-z]([a-z0-9_-]{0,61}[a-z0-9])?")
_VERSION = re.compile(r"[0-9]{4,}")
_CODE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One published version, opened for reading.

    Args:
        name: The model's name.
        number: Its version, from 1.
        folder: Where its files lie.
        manifest: ``name``, ``version``, ``published_at`` (Unix seconds), ``files`` (name to ``bytes`` and ``sha256``)
            and ``about``, which is what the publisher said of it.
    """

    name: str
    number: int
    folder: Path
    manifest: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}/{self.folder.name}"

    @property
    def about(self) -> Mapping[str, Any]:
        """What the publisher said of the model."""
        about: Mapping[str, Any] = self.manifest["about"]
        return about

    def read(self, file: str) -> bytes:
        """Return the content of one of the version's files.

        Raises:
            DataError: the version has no such file, or it is not as it was published.
        """
        published = self.manifest["files"].get(file)
        if published is None:
            there = ", ".join(sorted(self.manifest["files"]))
            raise DataError(f"model {self}: no file {file!r}; there are: {there}")
        try:
            content = (self.folder / file).read_bytes()
        except OSError as error:
            raise DataError(f"model {self}: {file} cannot be read: {error}") from error
        if hashlib.sha256(content).hexdigest() != published["sha256"]:
            raise DataError(f"model {self}: {file} was changed after it was published; publish a new version")
        return content


class ModelFolder:
    """A folder of published models.

    Args:
        root: The folder; it is made at the first publication.

    Example:
        ``ModelFolder(Path("models")).publish("digits", {"model.onnx": content}, about={"score": 0.98})``
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def publish(self, name: str, files: Mapping[str, bytes], *, about: Mapping[str, Any]) -> ModelVersion:
        """Write the next version of a model; no version is ever written twice.

        Args:
            name: Lower-case letters, digits, - and _, a letter first, at most 63.
            files: Content by file name.
            about: What readers should know, as JSON can carry it.

        Raises:
            DataError: a wrong name, no file, or a file in a format that runs code when it is opened.
        """
        _check(name, files)
        parent = self.root / name
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            number = max(self.versions(name), default=0) + 1
            manifest = {
                "format": _FORMAT,
                "name": name,
                "version": number,
                "published_at": time.time(),
                "files": {file: _describe(content) for file, content in sorted(files.items())},
                "about": dict(about),
            }
            content = json.dumps(manifest, indent=2, sort_keys=True).encode()
            folder = parent / f"{number:04d}"
            if _write_once(folder, {**files, MANIFEST: content}):
                return self.open(name, number)

    def versions(self, name: str) -> list[int]:
        """Return the numbers of a model's versions, lowest first; none where there is no such model."""
        parent = self.root / name
        if not parent.is_dir():
            return []
        return sorted(int(entry.name) for entry in parent.iterdir() if _VERSION.fullmatch(entry.name))

    def open(self, name: str, number: int | None = None) -> ModelVersion:
        """Return one version of a model, the newest unless told.

        Raises:
            DataError: there is no such model or version, or its manifest cannot be read.
        """
        versions = self.versions(name)
        if not versions or (number is not None and number not in versions):
            wanted = name if number is None else f"{name}, version {number}"
            raise DataError(f"model {wanted}: nothing is published in {self.root}")
        number = versions[-1] if number is None else number
        folder = self.root / name / f"{number:04d}"
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(f"model {name}, version {number}: {MANIFEST} cannot be read: {error}") from error
        if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
            raise DataError(f"model {name}, version {number}: {MANIFEST} is not of format {_FORMAT}; publish it again")
        return ModelVersion(name=name, number=number, folder=folder, manifest=manifest)


def _check(name: str, files: Mapping[str, bytes]) -> None:
    if not _NAME.fullmatch(name):
        raise DataError(f"model name {name!r}: use lower-case letters, digits, - and _, a letter first, at most 63")
    if not files:
        raise DataError(f"model {name}: give at least one file")
    for file in files:
        if file in {"", ".", "..", MANIFEST} or "/" in file or file != Path(file).name:
            raise DataError(f"model {name}: {file!r} cannot be the name of a model's file")
        if Path(file).suffix.lower() in _CODE_SUFFIXES:
            raise DataError(f"model {name}: {file} can hold code that runs when it is opened; export it, to ONNX say")


def _describe(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _write_once(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Write a folder as one step and return whether it was free: whoever looks sees all of it or nothing."""
    temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        for file, content in files.items():
            with (temporary / file).open("xb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
        temporary.chmod(0o755)
        try:
            # The kernel refuses to put a folder in the place of one that has files.
            temporary.rename(folder)
        except OSError:
            if folder.is_dir():
                return False
            raise
        _sync_folder(folder.parent)
        return True
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
