"""``skerry models describe``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skerry.cli.console import Console
from skerry.cli.models.options import aliases_of, open_repository, reference_argument, store_options
from skerry.cli.options import Command, json_option
from skerry.cli.units import moment, size
from skerry.spec import ModelReference

if TYPE_CHECKING:
    from skerry.store.models import HistoryEntry, Manifest, TensorSpec


@click.command(
    cls=Command, example="skerry models describe digits@production\nskerry models describe digits --history --json"
)
@reference_argument
@click.option("--history", "as_history", is_flag=True, help="Show what happened to the model's aliases instead.")
@store_options
@json_option
@click.pass_obj
def describe(console: Console, reference: ModelReference, as_history: bool, home: Path, store: str | None) -> None:
    """Show a version: its files, what goes in and out, how good it is, where it came from, who points at it."""
    repository = open_repository(home, store)
    if as_history:
        _show_history(console, repository.history(reference.name))
        return
    manifest = repository.resolve(reference)
    aliases = repository.aliases(manifest.name)
    if console.as_json:
        pointing = [alias for alias, version in aliases.items() if version == manifest.version]
        console.json({**json.loads(manifest.to_json()), "size_bytes": manifest.size_bytes, "aliases": pointing})
        return
    for key, value in _lines(manifest, aliases_of(aliases, manifest.version)):
        console.data(f"{key + ':':<13}{value}")


def _show_history(console: Console, entries: list[HistoryEntry]) -> None:
    if console.as_json:
        console.json([asdict(entry) for entry in entries])
        return
    if not entries:
        console.message("nothing has happened to its aliases")
        return
    rows = [
        [
            str(entry.number),
            moment(entry.at),
            entry.action,
            entry.alias or "-",
            str(entry.previous or "-"),
            str(entry.version or "-"),
            entry.by,
            entry.reason,
        ]
        for entry in entries
    ]
    console.table(["ENTRY", "AT", "ACTION", "ALIAS", "FROM", "TO", "BY", "REASON"], rows)


def _lines(manifest: Manifest, aliases: str) -> Iterable[tuple[str, str]]:
    yield "model", str(manifest)
    yield "aliases", aliases
    yield "digest", manifest.digest
    yield "published", moment(manifest.created_at)
    yield "framework", f"{manifest.framework}, {manifest.kind}"
    for tensor in manifest.inputs:
        yield "input", _tensor(tensor)
    for tensor in manifest.outputs:
        yield "output", _tensor(tensor)
    if manifest.labels is not None:
        yield "labels", ", ".join(manifest.labels)
    for file, entry in manifest.files.items():
        yield "file", f"{file}, {size(entry.size_bytes)}, sha256 {entry.sha256[:12]}"
    for metric, value in manifest.metrics.items():
        yield "metric", f"{metric} {value:.6g}"
    for what, origin in (("data", manifest.data_digest), ("code", manifest.code_digest), ("parent", manifest.parent)):
        if origin is not None:
            yield what, str(origin)
    if manifest.about:
        yield "about", json.dumps(dict(manifest.about), sort_keys=True)


def _tensor(tensor: TensorSpec) -> str:
    lengths = ", ".join("any" if length is None else str(length) for length in tensor.shape)
    return f"{tensor.name}, {tensor.dtype} [{lengths}]"
