"""An app as a folder with a Dockerfile, for people who build images with docker or podman."""

from __future__ import annotations

import shutil
from pathlib import Path

import skerry.errors
from skerry.app.image_layers import what_to_install
from skerry.app.shipping import collect
from skerry.app.target import Target
from skerry.errors import ConfigError


def write_context(target: Target, folder: Path, *, base: str | None = None) -> Path:
    """Write all that a build with docker or podman needs, and return the Dockerfile.

    Args:
        target: The app, in a file or a package that is not installed.
        folder: Where to write; it must be empty or not there.
        base: The base image's name; the official Python image by default.

    Raises:
        ConfigError: the folder holds something, or the app is an installed module.
    """
    from skerry.platforms.images.base import DEFAULT_BASE, THIS_PYTHON
    from skerry.platforms.images.dockerfile import render_dockerfile

    if base == THIS_PYTHON:
        raise ConfigError(f"a Dockerfile begins with an image of a registry, and {THIS_PYTHON} is none")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not an empty folder", hint="name one that does not exist yet")
    collected = collect(target)
    wanted = what_to_install(collected)
    for file in collected.files:
        place = folder / "app" / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.content)
    package = Path(skerry.errors.__file__).parent
    shutil.copytree(package, folder / "skerry", ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in (
        ("requirements.txt", "".join(f"{line}\n" for line in wanted.requirements)),
        ("skerry.lock", wanted.lock),
        ("versions.txt", wanted.versions),
    ):
        (folder / name).write_text(content, encoding="utf-8")
    written = folder / "Dockerfile"
    rendered = render_dockerfile(base or DEFAULT_BASE, target.inside, is_hashed=bool(wanted.lock))
    written.write_text(rendered, encoding="utf-8")
    return written
