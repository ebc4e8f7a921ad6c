"""What an app is, found out without an engine: imported in a process of its own, like any other revision."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.app.target import Target
from skerry.errors import AppImportError, from_problem
from skerry.spec import read_project_file

if TYPE_CHECKING:
    from skerry.engine.sources.source import Source

IMPORT_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedApp:
    """An app as its source declares it.

    Args:
        name: Its name.
        functions: What is known of each function, as `skerry.runtime.inspection.describe` returns it.
        states: Names of the states that it has asked for.
        event_sources: Where events come from, by name.
        project: The checked content of its ``skerry.toml``; empty without one.
        source: Digest of its source.
    """

    name: str
    functions: Mapping[str, Mapping[str, Any]]
    states: Sequence[str]
    event_sources: Mapping[str, Mapping[str, Any]]
    project: Mapping[str, Any]
    source: str


def describe_app(target: Target) -> DescribedApp:
    """Return what an app is, by importing a copy of its source in a process of its own.

    It is imported with this Python, and where that lacks what the app requires, with an environment that has it, which
    takes as long as installing it when it is needed for the first time.

    Args:
        target: The app.

    Raises:
        AppImportError: the app cannot be imported; its traceback is in the details.
        EnvironmentBuildError: its requirements cannot be installed.
        SpecError: its functions or its ``skerry.toml`` declare what does not go together.
    """
    from skerry.engine.home import Home
    from skerry.engine.sources.environment import ensure
    from skerry.engine.sources.requirements import check_requirements, declared_requirements, read_lock
    from skerry.engine.sources.source import take
    from skerry.platforms.home import default_home

    with tempfile.TemporaryDirectory(prefix="skerry-describe-") as folder:
        source = take(str(target), Path(folder))
        project = {} if source.project_file is None else read_project_file(source.project_file)
        requirements = declared_requirements(project, source)
        try:
            found = _import(source, Path(sys.executable))
        except AppImportError:
            if not requirements:
                raise
            built = ensure(requirements, Home(default_home()), lock=read_lock(source))
            found = _import(source, built.python)
        check_requirements(requirements, found)
    return DescribedApp(
        name=found["name"],
        functions=found["functions"],
        states=found["states"],
        event_sources=found["event_sources"],
        project=project,
        source=source.digest,
    )


def _import(source: Source, python: Path) -> dict[str, Any]:
    from skerry.runtime.target import Target as Loaded

    root = None if source.root is None else str(source.root)
    loaded = Loaded(root=root, file=source.file, module=source.module, attribute=source.attribute, environment={})
    try:
        ended = subprocess.run(
            [python, "-m", "skerry.runtime.describing_process"],
            input=json.dumps(loaded.to_message()).encode(),
            capture_output=True,
            timeout=IMPORT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AppImportError(f"{source.module!r} was not imported within {IMPORT_TIMEOUT_S:g} s") from error
    if ended.returncode not in (0, 1) or not ended.stdout:
        last = ended.stderr.decode("utf-8", "replace").strip()[-1000:]
        raise AppImportError(f"the process that imported {source.module!r} died: {last or 'without a word'}")
    said: dict[str, Any] = json.loads(ended.stdout)
    if ended.returncode:
        raise from_problem(said)
    return said
