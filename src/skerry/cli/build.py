"""``skerry build``: an image of an app."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, complete_target, json_option
from skerry.cli.project import find_target
from skerry.errors import ConfigError

if TYPE_CHECKING:
    from skerry.app.imaging import BuiltImage
    from skerry.app.target import Target


@click.command(
    cls=Command,
    example=(
        "skerry build app.py --push registry.example.com/me/digits:1\n"
        "skerry build app.py --base this-python --output digits.oci.tar\n"
        "skerry build app.py --engine podman"
    ),
)
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--push", metavar="REGISTRY/NAME[:TAG]", help="Push it there; layers that are there do not travel.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it there as an OCI archive.")
@click.option(
    "--base", metavar="IMAGE", help="Image of a registry, OCI archive, or this-python. [default: python:X.Y-slim]"
)
@click.option(
    "--base-rootfs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with a root file system to build upon.",
)
@click.option("--insecure-registry", is_flag=True, help="Allow plain HTTP to registries of other machines.")
@click.option(
    "--dockerfile",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write a Dockerfile, and what it needs, there, and build nothing.",
)
@click.option("--engine", type=click.Choice(["docker", "podman"]), help="Build with this program and a Dockerfile.")
@click.option("--sbom", is_flag=True, help="Print the bill of materials (CycloneDX) in place of a summary.")
@json_option
@click.pass_obj
def build(console: Console, /, target: str | None, sbom: bool, **options: Any) -> None:
    """Make a container image of an app, without Docker.

    TARGET is FILE[:APP] or package.module[:APP]; without it, the one that skerry.toml names. The same app, lock file
    and base give the same digest. Without --push and --output, the image is written to dist/NAME.oci.tar.
    SOURCE_DATE_EPOCH sets its time.
    """
    found = find_target(target)
    if options["dockerfile"] is not None or options["engine"] is not None:
        _build_elsewhere(console, found, **options)
        return
    built = _build_here(console, found, **options)
    if sbom:
        console.json(built.sbom)
    elif console.as_json:
        console.json(_to_json(built))
    else:
        _say(console, built)


def _build_here(console: Console, target: Target, **options: Any) -> BuiltImage:
    from skerry.app.imaging import BuildSettings, build_image, image_name

    output = options["output"]
    if output is None and options["push"] is None:
        output = Path("dist") / f"{image_name(target)}.oci.tar"
    with _telling(console) as tell:
        settings = BuildSettings(
            base=options["base"],
            base_rootfs=options["base_rootfs"],
            output=output,
            push=options["push"],
            insecure=options["insecure_registry"],
            created_s=_created_s(),
            tell=tell,
        )
        return build_image(target, settings)


def _build_elsewhere(console: Console, target: Target, **options: Any) -> None:
    """Write a Dockerfile, and have docker or podman build it where one was named."""
    from skerry.app.containerfile import write_context
    from skerry.app.imaging import image_name
    from skerry.platforms.images.dockerfile import run_engine

    engine, folder, push = options["engine"], options["dockerfile"], options["push"]
    if options["output"] is not None or options["base_rootfs"] is not None:
        raise click.UsageError("a Dockerfile does not go with --output and --base-rootfs; push it, or leave both out")
    if engine is None:
        if push is not None:
            raise click.UsageError("--dockerfile alone builds nothing that could be pushed; add --engine")
        _say_one(console, "dockerfile", str(write_context(target, folder, base=options["base"])))
        return
    with tempfile.TemporaryDirectory(prefix="skerry-build-") as workspace:
        context = folder or Path(workspace) / "context"
        write_context(target, context, base=options["base"])
        tag = push or f"localhost/{image_name(target)}:latest"
        run_engine(engine, context, tag, push=push is not None)
    _say_one(console, "reference", tag)


def _say_one(console: Console, name: str, value: str) -> None:
    if console.as_json:
        console.json({name: value})
    else:
        console.data(value)


def _say(console: Console, built: BuiltImage) -> None:
    rows = [
        [layer.title, _size(layer.size_bytes), _size(layer.unpacked_bytes), layer.digest[7:19]]
        for layer in built.layers
    ]
    console.message(f"base {built.base}; {_size(built.own_bytes)} above it")
    if built.output is not None:
        console.message(f"wrote {built.output}")
    if built.pushed_bytes:
        console.message(f"pushed {_size(built.pushed_bytes)}")
    console.table(["LAYER", "SIZE", "UNPACKED", "DIGEST"], rows)
    console.data(built.reference)


def _to_json(built: BuiltImage) -> dict[str, Any]:
    return {
        "reference": built.reference,
        "digest": built.digest,
        "target": built.target,
        "base": built.base,
        "layers": [
            {
                "title": layer.title,
                "digest": layer.digest,
                "size_bytes": layer.size_bytes,
                "unpacked_bytes": layer.unpacked_bytes,
            }
            for layer in built.layers
        ],
        "own_bytes": built.own_bytes,
        "pushed_bytes": built.pushed_bytes,
        "output": None if built.output is None else str(built.output),
    }


def _size(size_bytes: int) -> str:
    if not size_bytes:
        return "?"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"


def _created_s() -> int:
    text = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not text.isdecimal():
        raise ConfigError(f"SOURCE_DATE_EPOCH = {text!r}: must be whole seconds since 1970")
    return int(text)


@contextmanager
def _telling(console: Console) -> Iterator[Callable[[str], None]]:
    """Give what shows how a build is getting on: one line that changes on a terminal, nothing where JSON is wanted."""
    if console.as_json:
        yield lambda line: None
        return
    if not sys.stderr.isatty():
        yield lambda line: None if line.startswith(" ") else console.message(line)
        return
    from rich.console import Console as Terminal

    from skerry.cli.words import words

    with Terminal(stderr=True).status("building") as status:
        yield lambda line: status.update(words(line[:100]))
