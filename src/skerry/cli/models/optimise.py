"""``skerry models optimise``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skerry.cli.console import Console
from skerry.cli.models.options import nudge_engine, open_repository, reference_argument, store_options
from skerry.cli.options import Command, json_option
from skerry.cli.units import size
from skerry.spec import ModelReference

if TYPE_CHECKING:
    from skerry.serve.optimising import OptimisedModel, Profile


@click.command(
    cls=Command,
    example="skerry models optimise digits@production --method int8-dynamic --data test.npz --floor 0.97\n"
    "skerry models optimise digits@3 --method prune --ratio 0.7 --data test.csv --floor 0.95 --alias candidate",
)
@reference_argument
@click.option(
    "--method",
    required=True,
    type=click.Choice(["graph", "float16", "int8-dynamic", "int8-static", "prune"]),
    help="What to do with it.",
)
@click.option(
    "--data",
    "data_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Rows to calibrate with and to measure on: .npz or .csv; y or label holds what is right.",
)
@click.option("--floor", required=True, type=click.FloatRange(0, 1), help="Lowest accuracy that is accepted.")
@click.option("--ratio", default=0.5, show_default=True, help="For prune: part of the weights that becomes zero.")
@click.option("--alias", help="Point this alias at the new version, such as candidate.")
@store_options
@json_option
@click.pass_obj
def optimise(  # noqa: PLR0913, PLR0917  # each is an option of the command
    console: Console,
    reference: ModelReference,
    method: str,
    data_file: Path,
    floor: float,
    ratio: float,
    alias: str | None,
    home: Path,
    store: str | None,
) -> None:
    """Make a smaller or faster version of a model, and publish it if it is still good enough.

    Size, load time, latency and accuracy are measured before and after, in turns on the same data. Without right
    answers in the data the accuracy is the agreement with the original.
    """
    from skerry.serve.checking.support import require_libraries
    from skerry.serve.optimising import optimise as make
    from skerry.serve.optimising import publish_optimised
    from skerry.serve.optimising.data import read_data
    from skerry.store.models import ModelCache, cache_folder

    require_libraries()
    repository = open_repository(home, store)
    manifest = repository.resolve(reference)
    data = read_data(data_file, manifest.inputs)
    with (
        ModelCache(cache_folder()).take(repository, manifest) as held,
        tempfile.TemporaryDirectory(prefix="skerry-optimise-") as folder,
    ):
        target = Path(folder) / "model.onnx"
        model = make(held.path, manifest, method=method, data=data, floor=floor, target=target, ratio=ratio)
        published = publish_optimised(repository, held.path, manifest, model, alias=alias)
    if alias is not None:
        nudge_engine(home)
    if console.as_json:
        document = json.loads(published.to_json())
        console.json({**document, "size_bytes": published.size_bytes, "aliases": [alias] if alias else []})
        return
    console.data(f"{published}{f', {published.name}@{alias}' if alias else ''}")
    console.table(["FIGURE", f"BEFORE ({manifest})", f"AFTER ({published})", "CHANGE"], _rows(model))
    console.message(f"measured on {model.rows:,} rows with one thread")


def _rows(model: OptimisedModel) -> list[list[str]]:
    before, after = model.before, model.after
    times = {"load": "load_ms", "latency, 1 row": "latency_1_ms", "latency, 32 rows": "latency_32_ms"}
    return [
        ["size", size(before.size_bytes), size(after.size_bytes), _change(before.size_bytes, after.size_bytes)],
        *(_time_row(words, before, after, key) for words, key in times.items()),
        [model.score, f"{before.score:.4f}", f"{after.score:.4f}", f"{after.score - before.score:+.4f}"],
    ]


def _time_row(words: str, before: Profile, after: Profile, key: str) -> list[str]:
    old, new = getattr(before, key), getattr(after, key)
    return [words, f"{old:.3g} ms", f"{new:.3g} ms", _change(old, new)]


def _change(before: float, after: float) -> str:
    return f"{(after / before - 1) * 100:+.0f} %" if before else "-"
