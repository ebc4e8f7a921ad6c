"""Which app a command means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skerry.app.target import Target
from skerry.errors import ConfigError
from skerry.spec import PROJECT_FILE, read_project_file


def find_target(text: str | None) -> Target:
    """Return the target that was named, else the one of ``skerry.toml`` in the current folder, else ``app.py`` there.

    Raises:
        ConfigError: none of these exists, or the target lies outside of the folder of the ``skerry.toml``.
        SpecError: the ``skerry.toml`` that holds for it is none.
    """
    if text is not None:
        target = Target.parse(text)
        check_project(target)
        return target
    project = Path.cwd() / PROJECT_FILE
    if project.is_file():
        named = read_project_file(project).get("app", {}).get("target")
        if named is not None:
            return Target.parse(str(named), folder=project.parent, root=project.parent)
    if (Path.cwd() / "app.py").is_file():
        return Target.parse("app.py")
    raise ConfigError(
        f"no app was named, and there is no app.py and no {PROJECT_FILE} with a target here",
        hint="name the file, like `skerry run app.py`, or begin a project with `skerry create NAME`",
    )


def check_project(target: Target) -> None:
    """Read the ``skerry.toml`` of a target's project: the engine reads a copy, whose path says nothing to a person.

    Raises:
        SpecError: the file is none.
    """
    if target.project is not None:
        read_project(target.project)


def read_project(folder: Path) -> dict[str, Any]:
    """Return the checked content of a folder's ``skerry.toml``; empty without one.

    Raises:
        SpecError: the file is not one.
    """
    project = folder / PROJECT_FILE
    return read_project_file(project) if project.is_file() else {}
