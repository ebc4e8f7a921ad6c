"""``skerry build``: an image of an app."""

from __future__ import annotations

import os
import sys
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


@click.command(
    cls=Command,
    example=(
        "skerry build app.py --push registry.example.com/me/digits:1\n"
        "skerry build app.py --base this-python --output digits.tar\n"
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
@click.option("--sbom", is_flag=True, help="Print the bill of materials (CycloneDX) in place of a summary.")
@json_option
@click.pass_obj
def build(
    console: Console,
    target: str | None,
    push: str | None,
    output: Path | None,
    base: str | None,
    base_rootfs: Path | None,
    insecure_registry: bool,
    sbom: bool,
) -> None:
    """Make a container image of an app, without Docker.

    TARGET is FILE[:APP]; without it, the one that skerry.toml names. The same app, lock file and base give the same
    digest. Without --push and --output, the image is written to dist/NAME.oci.tar. SOURCE_DATE_EPOCH sets its time.
    """
    from skerry.app.imaging import BuildSettings, build_image, image_name

    found = find_target(target)
    if output is None and push is None:
        output = Path("dist") / f"{image_name(found)}.oci.tar"
    with _telling(console) as tell:
        settings = BuildSettings(
            base=base,
            base_rootfs=base_rootfs,
            output=output,
            push=push,
            insecure=insecure_registry,
            created_s=_created_s(),
            tell=tell,
        )
        built = build_image(found, settings)
    if sbom:
        console.json(built.sbom)
    elif console.as_json:
        console.json(_to_json(built))
    else:
        _say(console, built)


def _say(console: Console, built: BuiltImage) -> None:
    rows = [
        [layer.title, _megabytes(layer.size_bytes), _megabytes(layer.unpacked_bytes), layer.digest[7:19]]
        for layer in built.layers
    ]
    console.message(f"base {built.base}; {_megabytes(built.own_bytes)} above it")
    if built.output is not None:
        console.message(f"wrote {built.output}")
    if built.pushed_bytes:
        console.message(f"pushed {built.pushed_bytes / 1e3:.1f} kB")
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


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes else "?"


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

    with Terminal(stderr=True).status("building") as status:
        yield lambda line: status.update(line[:100])
