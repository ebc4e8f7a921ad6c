"""``skerry models push``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.models.objects import Objects, is_object
from skerry.cli.models.options import nudge_engine, open_for_publishing, store_options
from skerry.cli.options import Command, json_option
from skerry.cli.units import size
from skerry.errors import ConfigError


@click.command(
    cls=Command,
    example="skerry models push digits digits.onnx --alias production\n"
    "skerry models push digits train.py:pipeline --sample train.py:X --metric accuracy=0.97",
)
@click.argument("name")
@click.argument("source")
@click.option("--sample", metavar="FILE|FILE.py:NAME", help="Rows to compare and warm up with: .npy, .npz, .json.")
@click.option(
    "--label", "labels", multiple=True, help="Name of a class, in the order of the probabilities; repeatable."
)
@click.option("--metric", "metrics", multiple=True, metavar="NAME=NUMBER", help="How good it is; repeatable.")
@click.option("--alias", help="Point this alias at the new version, such as production.")
@store_options
@json_option
@click.pass_obj
def push(  # noqa: PLR0913, PLR0917  # each is an option of the command
    console: Console,
    name: str,
    source: str,
    sample: str | None,
    labels: tuple[str, ...],
    metrics: tuple[str, ...],
    alias: str | None,
    home: Path,
    store: str | None,
) -> None:
    """Check a model and publish it as the next version of NAME.

    SOURCE is an .onnx file, a folder with model.onnx and its external data, or FILE.py:NAME: a scikit-learn estimator
    or a torch module, which is exported to ONNX and compared with the original on the sample. Pickles are never loaded.
    """
    from skerry.serve import push as publish
    from skerry.store.models.names import check_name

    check_name(name)  # before a file is run that may train for hours
    if alias is not None:
        check_name(alias, "alias")
    objects = Objects()
    manifest = publish(
        name,
        objects.find(source) if is_object(source) else source,
        sample=None if sample is None else objects.read_sample(sample),
        repository=open_for_publishing(home, store),
        labels=labels or None,
        metrics=dict(map(read_metric, metrics)),
        alias=alias,
    )
    if alias is not None:
        nudge_engine(home)
    if console.as_json:
        document = json.loads(manifest.to_json())
        console.json({**document, "size_bytes": manifest.size_bytes, "aliases": [alias] if alias else []})
        return
    console.data(f"{manifest}{f', {name}@{alias}' if alias else ''}")
    exported = manifest.about.get("export")
    if exported:
        console.message(
            f"exported from {exported['from']}; on {exported['compared_rows']:,} rows it differs from the original by "
            f"{exported['worst_difference']:.2g} at most"
        )
    console.message(f"{manifest.kind}, {size(manifest.size_bytes)}, {manifest.digest[:19]}")


def read_metric(text: str) -> tuple[str, float]:
    """Return what ``NAME=NUMBER`` means.

    Raises:
        ConfigError: it is not of that form.
    """
    key, equals, value = text.partition("=")
    try:
        if key and equals:
            return key, float(value)
    except ValueError:
        pass
    raise ConfigError(f"--metric {text!r}: write NAME=NUMBER, such as accuracy=0.97")
