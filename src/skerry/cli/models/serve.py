"""``skerry models serve``."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.deploy import deploy_target
from skerry.cli.models.options import open_repository, reference_argument
from skerry.cli.options import Command, home_option, json_option
from skerry.errors import SpecError
from skerry.spec import ModelReference, parse_size
from skerry.spec.model import NAME

FOLDER = "served"
LONGEST_APP_NAME = 63

SOURCE = '''"""Serves a model by its name; written by `skerry models serve`, which writes it anew each time."""

import skerry

app = skerry.App("{app}", imports=("numpy", "onnxruntime"))
app.serve("{name}", model="{model}"{more})
'''


@click.command(
    cls=Command, example="skerry models serve digits@production\nskerry models serve digits@3 --name next --set cpu=2"
)
@reference_argument
@click.option("--name", help="Name of the function.  [default: that of the model]")
@click.option("--cache", metavar="SIZE", help="Memory of each worker for answers that it gave before, like 64MiB.")
@click.option("--set", "settings", multiple=True, metavar="O=V", help="Set option O of the function to V; repeatable.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of an engine that is started.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Its port; 0 for any.")
@home_option
@json_option
@click.pass_obj
def serve(
    console: Console,
    reference: ModelReference,
    name: str | None,
    cache: str | None,
    settings: tuple[str, ...],
    host: str,
    port: int,
    home: Path,
) -> None:
    """Serve a model as a function of the engine, starting one if none runs; nobody writes a handler.

    With NAME@ALIAS the function follows the alias, with NAME@VERSION it stays.
    """
    name = name or reference.name
    if not NAME.fullmatch(name):
        raise SpecError(f"--name {name!r}: use lower-case letters, digits, - and _, a letter first", field="name")
    open_repository(home, None).resolve(reference)  # so that a wrong name is told here, and nothing is started
    flags = [f"{name}.{setting}" for setting in settings]
    deploy_target(console, str(write_app(home, name, reference, cache)), flags, home=home, host=host, port=port)


def write_app(home: Path, name: str, reference: ModelReference, cache: str | None) -> Path:
    """Write the app that serves a model into the engine's folder; return its file.

    Args:
        home: The engine's folder.
        name: Name of the function.
        reference: The model.
        cache: Memory for answers that were given before, with its unit; none for none.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = home.absolute() / FOLDER / name / "app.py"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    more = "" if cache is None else f', cache="{parse_size(cache, key="--cache")}B"'
    file.write_text(SOURCE.format(app=app_name(name), name=name, model=str(reference), more=more))
    return file


def app_name(function: str) -> str:
    """Return the name of the app of a served function: two functions never share one."""
    plain = f"serve-{re.sub('_+', '-', function)}"
    if plain == f"serve-{function}" and len(plain) <= LONGEST_APP_NAME:
        return plain
    digest = hashlib.sha256(function.encode()).hexdigest()[:8]
    return f"{plain[: LONGEST_APP_NAME - 9].rstrip('-')}-{digest}"
