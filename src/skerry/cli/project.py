"""Which app a command means."""

from __future__ import annotations

from pathlib import Path

from skerry.app.target import Target
from skerry.errors import ConfigError
from skerry.spec import PROJECT_FILE, ClusterSettings, PlatformTable, read_project_file


def find_cluster_settings(platform: str, folder: Path | None = None) -> ClusterSettings:
    """Return what a ``skerry.toml`` says of a cluster.

    Args:
        platform: ``knative`` or ``kubernetes``.
        folder: Of the project; the current one by default.

    Raises:
        SpecError: the file is not valid.
    """
    project = (folder or Path.cwd()) / PROJECT_FILE
    tables = read_project_file(project).get("platform", {}) if project.is_file() else {}
    found: PlatformTable = tables.get(platform) or PlatformTable()
    return found.settings


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
