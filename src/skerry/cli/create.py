"""``skerry create``: the files of a new project."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, json_option
from skerry.errors import ConfigError

# What each file of a project is made from.
TEMPLATES = {
    "app.py": "app.py.txt",
    "skerry.toml": "skerry.toml.txt",
    "test_app.py": "test_app.py.txt",
    "README.md": "README.md.txt",
}


@click.command(cls=Command, example="skerry create hello")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the app.  [default: that of the folder]")
@json_option
@click.pass_obj
def create(console: Console, folder: Path, name: str | None) -> None:
    """Begin a project in a folder.

    The files are an app, its settings, a test and a README; none is overwritten.
    """
    name = name or app_name(folder.absolute().name)
    there = [file for file in TEMPLATES if (folder / file).exists()]
    if there:
        raise ConfigError(
            f"{folder}: {', '.join(there)} would be overwritten", hint="choose another folder, or move the files away"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for file, template in TEMPLATES.items():
        text = files("skerry.cli").joinpath("templates", template).read_text(encoding="utf-8")
        (folder / file).write_text(Template(text).substitute(name=name, folder=folder), encoding="utf-8")
    if console.as_json:
        console.json({"name": name, "folder": str(folder.absolute()), "files": list(TEMPLATES)})
        return
    console.message(f"created {', '.join(TEMPLATES)} in {folder}")
    console.message(f"next: cd {folder} && skerry run app.py")


def app_name(text: str) -> str:
    """Return the name that an app in a folder called ``text`` gets.

    Raises:
        ConfigError: no name can be made of it.
    """
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")
    if not name or not name[0].isalpha():
        raise ConfigError(f"no app name can be made of {text!r}", hint="give one with --name, like --name hello")
    return name
