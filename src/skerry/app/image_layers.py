"""The layers of an app's image above its base, each kept by what it is made of."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import skerry.errors
from skerry.app.shipping import Collected
from skerry.version import __version__

if TYPE_CHECKING:
    from skerry.platforms.images.blobs import Blobs
    from skerry.platforms.images.layer import Layer, Member

# Change it when layers come out differently without their inputs changing.
_FORMAT = "2"
_PARTS = ("requirements", "libraries")
_HASH = "--hash="
_PINNED = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)\s*==\s*([^\s;\\]+)", re.MULTILINE)


def library_layers(
    collected: Collected, blobs: Blobs, tell: Callable[[str], None]
) -> tuple[dict[str, tuple[str, str]], tuple[Layer, ...]]:
    """Return what is installed, with versions and licences by name, and its layers: for the app, and for Skerry.

    Args:
        collected: The app.
        blobs: Where layers are kept.
        tell: Called with each line of an installation.

    Raises:
        EnvironmentBuildError: the requirements cannot be installed.
    """
    from skerry.engine.sources.environment import to_install
    from skerry.platforms.images.installing import install

    wanted = what_to_install(collected)
    machine = [platform.python_version(), platform.machine(), *platform.libc_ver()]
    parts = [_FORMAT, wanted.requirements, wanted.versions, wanted.lock, machine]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    recalled = blobs.recall(key)
    if recalled is not None:
        return {name: (version, licence) for name, (version, licence) in recalled[0].items()}, recalled[1]
    if collected.requirements and not collected.lock:
        tell("the app has no skerry.lock: taking the versions that are installed here")
    with tempfile.TemporaryDirectory(prefix="skerry-image-") as workspace:
        folder = install(wanted.requirements, wanted.versions, Path(workspace), tell, lock=wanted.lock)
        packages, layers = _split(folder, blobs, to_install(()))
    blobs.remember(key, packages, layers)
    return packages, layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What pip is asked for.

    Args:
        requirements: As pip reads them, Skerry's own libraries among them.
        versions: The exact versions that it may choose, as constraints.
        lock: The app's lock file, if it has hashes; empty otherwise.
    """

    requirements: tuple[str, ...]
    versions: str
    lock: str


def what_to_install(collected: Collected) -> Wanted:
    """Return what pip is asked for.

    The versions are those of the app's lock file; where it has none, or says nothing of Skerry's own libraries, those
    installed here.
    """
    from skerry.engine.sources.environment import to_install
    from skerry.engine.sources.requirements import lock_of

    requirements = to_install({requirement.strip() for requirement in collected.requirements})
    is_hashed = _HASH in collected.lock
    versions = collected.lock or lock_of(requirements)
    if is_hashed:
        versions = "".join(f"{name}=={version}\n" for name, version in _PINNED.findall(collected.lock))
    return Wanted(
        requirements=tuple(requirements),
        versions=_with_core(versions, lock_of(to_install(()))),
        lock=collected.lock if is_hashed else "",
    )


def _with_core(lock: str, core: str) -> str:
    """Return a lock that also has the versions of Skerry's own libraries, where it says nothing of them."""
    named = {re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", line, maxsplit=1)[0]).lower() for line in lock.splitlines()}
    lock = lock if not lock or lock.endswith("\n") else f"{lock}\n"
    return lock + "".join(f"{line}\n" for line in core.splitlines() if line.partition("==")[0] not in named)


def _split(folder: Path, blobs: Blobs, core: Sequence[str]) -> tuple[dict[str, tuple[str, str]], tuple[Layer, ...]]:
    from skerry.platforms.images.bytecode import compile_folder
    from skerry.platforms.images.installing import closure, files_of, name_of
    from skerry.platforms.images.layer import list_members, write_layer
    from skerry.platforms.images.manifest import SITE_FOLDER
    from skerry.platforms.images.sbom import list_packages

    packages = list_packages(folder)
    names = closure(folder, core)
    owned: set[str] = set()
    for found in importlib.metadata.distributions(path=[str(folder)]):
        if name_of(found) in names:
            owned |= {f"{SITE_FOLDER.strip('/')}/{file}" for file in files_of(found)}
    compile_folder(folder, SITE_FOLDER)
    groups: dict[str, list[Member]] = {part: [] for part in _PARTS}
    for member in list_members(folder, SITE_FOLDER.strip("/")):
        if member.source is not None:  # folders come with what is in them
            groups["libraries" if _source_of(member.path) in owned else "requirements"].append(member)
    layers = [write_layer(part, members, blobs) for part, members in groups.items() if members]
    return packages, tuple(layers)


def _source_of(path: str) -> str:
    """Return the path of what a file is the bytecode of, or the path itself."""
    folder, _, name = path.rpartition("/")
    if not folder.endswith("/__pycache__"):
        return path
    return f"{folder.removesuffix('/__pycache__')}/{name.partition('.')[0]}.py"


def own_layer(blobs: Blobs) -> Layer:
    """Return the layer with Skerry itself, as it is installed here."""
    from skerry.platforms.images.bytecode import compile_folder
    from skerry.platforms.images.layer import Member, list_members, write_layer
    from skerry.platforms.images.manifest import SITE_FOLDER

    package = Path(skerry.errors.__file__).parent
    members = list(list_members(package, "", without=frozenset({"__pycache__"})))
    key = _key_of(members)
    recalled = blobs.recall(key)
    if recalled is not None:
        return recalled[1][0]
    where = SITE_FOLDER.strip("/")
    with tempfile.TemporaryDirectory(prefix="skerry-image-") as workspace:
        copy = Path(workspace) / "skerry"
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        compile_folder(copy, f"{SITE_FOLDER}/skerry")
        metadata = importlib.metadata.distribution("skerry").read_text("METADATA") or ""
        information = Member(path=f"{where}/skerry-{__version__}.dist-info/METADATA", source=metadata.encode())
        layer = write_layer("runtime", [*list_members(copy, f"{where}/skerry"), information], blobs)
    blobs.remember(key, {}, (layer,))
    return layer


def _key_of(members: Sequence[Member]) -> str:
    total = hashlib.sha256(f"{_FORMAT} {platform.python_version()}".encode())
    for member in members:
        content = member.source.read_bytes() if isinstance(member.source, Path) else member.source or b""
        total.update(f"{member.path} {member.mode} {len(content)}\0".encode() + content)
    return total.hexdigest()


def app_layer(collected: Collected, sbom: bytes, blobs: Blobs) -> Layer:
    """Return the layer with an app's source and the bill of materials: the one that most builds change."""
    from skerry.platforms.images.bytecode import compile_folder
    from skerry.platforms.images.layer import Member, list_members, write_layer
    from skerry.platforms.images.manifest import APP_FOLDER
    from skerry.platforms.images.sbom import PLACE

    with tempfile.TemporaryDirectory(prefix="skerry-image-") as workspace:
        root = Path(workspace) / "app"
        for file in collected.files:
            place = root / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.content)
            os.chmod(place, 0o755 if file.executable else 0o644)
        compile_folder(root, APP_FOLDER)
        members = [*list_members(root, APP_FOLDER.strip("/")), Member(path=PLACE, source=sbom)]
        return write_layer("app", members, blobs)
