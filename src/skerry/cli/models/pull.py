"""``skerry models pull``."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.models.options import open_repository, reference_argument, store_options
from skerry.cli.options import Command, json_option
from skerry.errors import ConfigError
from skerry.spec import ModelReference


@click.command(cls=Command, example="skerry models pull digits@production\nskerry models pull digits@3 --to digits-3")
@reference_argument
@click.option(
    "--to", "target", type=click.Path(path_type=Path), help="Copy the files into this new folder, for you to change."
)
@store_options
@json_option
@click.pass_obj
def pull(console: Console, reference: ModelReference, target: Path | None, home: Path, store: str | None) -> None:
    """Fetch a version into this machine's cache, verify it, and print its folder."""
    from skerry.store.models import ModelCache, cache_folder

    if target is not None and target.exists():
        raise ConfigError(f"{target} exists; name a folder that does not")
    repository = open_repository(home, store)
    manifest = repository.resolve(reference)
    with ModelCache(cache_folder()).take(repository, manifest) as held:
        path = held.path
        if target is not None:
            path = _copy(held.path, target)
    if console.as_json:
        console.json({"model": str(manifest), "digest": manifest.digest, "folder": str(path)})
    else:
        console.data(str(path))


def _copy(source: Path, target: Path) -> Path:
    """Copy the files without their modes: what is copied is the user's own."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return target.absolute()
