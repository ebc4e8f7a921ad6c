"""``skerry models list``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from skerry.cli.console import Console
from skerry.cli.models.options import aliases_of, complete_reference, open_repository, store_options
from skerry.cli.options import Command, json_option
from skerry.cli.units import moment, size

if TYPE_CHECKING:
    from skerry.store.models import Manifest, ModelRepository


@click.command("list", cls=Command, example="skerry models list\nskerry models list digits --json")
@click.argument("name", required=False, shell_complete=complete_reference)
@store_options
@json_option
@click.pass_obj
def list_models(console: Console, name: str | None, home: Path, store: str | None) -> None:
    """List the models, or with NAME the versions of one, the newest last."""
    repository = open_repository(home, store)
    if name is not None:
        _list_versions(console, repository, name)
        return
    models = {known: repository.versions(known) for known in repository.names()}
    newest = [(repository.manifest(known, versions[-1]), versions) for known, versions in models.items()]
    if console.as_json:
        console.json([_model(repository, manifest, versions) for manifest, versions in newest])
        return
    if not newest:
        console.message("no models; push one with: skerry models push NAME FILE")
        return
    console.table(
        ["NAME", "VERSIONS", "NEWEST", "PUBLISHED", "SIZE", "ALIASES"],
        [
            [
                manifest.name,
                str(len(versions)),
                str(manifest.version),
                moment(manifest.created_at),
                size(manifest.size_bytes),
                ", ".join(f"{alias}={number}" for alias, number in repository.aliases(manifest.name).items()) or "-",
            ]
            for manifest, versions in newest
        ],
    )


def _list_versions(console: Console, repository: ModelRepository, name: str) -> None:
    manifests = [repository.manifest(name, version) for version in repository.versions(name)]
    aliases = repository.aliases(name)
    if console.as_json:
        console.json([_version(manifest, aliases) for manifest in manifests])
        return
    if not manifests:
        console.message(f"no versions of {name}; push one with: skerry models push {name} FILE")
        return
    console.table(
        ["VERSION", "PUBLISHED", "SIZE", "KIND", "PARENT", "METRICS", "ALIASES"],
        [
            [
                str(manifest.version),
                moment(manifest.created_at),
                size(manifest.size_bytes),
                manifest.kind,
                str(manifest.parent or "-"),
                ", ".join(f"{metric}={value:.4g}" for metric, value in manifest.metrics.items()) or "-",
                aliases_of(aliases, manifest.version),
            ]
            for manifest in manifests
        ],
    )


def _model(repository: ModelRepository, newest: Manifest, versions: list[int]) -> dict[str, object]:
    return {
        "name": newest.name,
        "versions": versions,
        "aliases": repository.aliases(newest.name),
        "published_at": newest.created_at,
        "size_bytes": newest.size_bytes,
    }


def _version(manifest: Manifest, aliases: dict[str, int]) -> dict[str, object]:
    return {
        "version": manifest.version,
        "digest": manifest.digest,
        "published_at": manifest.created_at,
        "size_bytes": manifest.size_bytes,
        "kind": manifest.kind,
        "parent": manifest.parent,
        "metrics": dict(manifest.metrics),
        "aliases": [alias for alias, version in aliases.items() if version == manifest.version],
    }
