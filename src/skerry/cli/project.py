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
        ConfigError: none of these exists.
    """
    if text is not None:
        return Target.parse(text)
    project = Path.cwd() / PROJECT_FILE
    if project.is_file():
        named = read_project_file(project).get("app", {}).get("target")
        if named is not None:
            return Target.parse(str(named), folder=project.parent)
    if (Path.cwd() / "app.py").is_file():
        return Target.parse("app.py")
    raise ConfigError(
        f"no app was named, and there is no app.py and no {PROJECT_FILE} with a target here",
        hint="name the file, like `skerry run app.py`, or begin a project with `skerry create NAME`",
    )


def read_project(folder: Path) -> dict[str, Any]:
    """Return the checked content of a folder's ``skerry.toml``; empty without one.

    Raises:
        SpecError: the file is not one.
    """
    project = folder / PROJECT_FILE
    return read_project_file(project) if project.is_file() else {}
