"""Bytecode of the standard library, for bases that come without it.

The official images of Python leave it out. A container whose root cannot be written to would compile all that it
imports of the library at each start, which takes longer than the rest of the start. What is added here is of the kind
that Python compares with the source before it takes it (PEP 552): where the base's source is another one, of a later
patch release perhaps, it is as if it were not there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

from skerry.platforms.images.base import THIS_PYTHON, Base
from skerry.platforms.images.blobs import Blobs
from skerry.platforms.images.bytecode import compile_folder
from skerry.platforms.images.interpreter import LEFT_OUT
from skerry.platforms.images.layer import Layer, list_members, write_layer

# Where the official images have the library; they alone say which Python they hold.
STANDARD_FOLDER = f"usr/local/lib/python{sys.version_info.major}.{sys.version_info.minor}"
_WITHOUT = LEFT_OUT | {
    "test",
    "tests",
    "lib2to3",
    "pydoc_data",
    "distutils",
    "lib-dynload",
    "unittest",
    "curses",
    "venv",
}
# Change it when the layer comes out differently without its inputs changing.
_FORMAT = "1"


def standard_layer(base: Base, blobs: Blobs, *, library: Path | None = None) -> Layer | None:
    """Return the bytecode of the standard library as a layer above a base; none for a base that needs it not.

    Args:
        base: The base.
        blobs: Where layers are kept.
        library: The library; this Python's by default.
    """
    environment = (base.config.get("config") or {}).get("Env") or ()
    if base.name == THIS_PYTHON or not any(entry.startswith("PYTHON_VERSION=") for entry in environment):
        return None
    library = Path(sysconfig.get_path("stdlib")) if library is None else library
    key = hashlib.sha256(json.dumps([_FORMAT, sys.version, str(library)]).encode()).hexdigest()
    recalled = blobs.recall(key)
    if recalled is not None:
        return recalled[1][0]
    with tempfile.TemporaryDirectory(prefix="skerry-image-") as workspace:
        copy = Path(workspace) / "library"
        shutil.copytree(library, copy, ignore=_all_but_sources)
        compile_folder(copy, f"/{STANDARD_FOLDER}", is_checked=True)
        members = [member for member in list_members(copy, STANDARD_FOLDER) if member.path.endswith(".pyc")]
        layer = write_layer("bytecode", members, blobs)
    blobs.remember(key, {}, (layer,))
    return layer


def _all_but_sources(where: str, names: list[str]) -> set[str]:
    return {
        name
        for name in names
        if name in _WITHOUT or name.startswith("config-") or not (name.endswith(".py") or Path(where, name).is_dir())
    }
