"""Whether what an experiment needs is installed: said before it begins, rather than by each of its trials."""

from __future__ import annotations

import importlib.metadata
import re

from skerry.engine.sources.environment import to_install
from skerry.errors import ConfigError
from skerry.testbed.experiments.experiment import Experiment

_NAME = re.compile(r"[\w.-]+")


def require_extras(experiment: Experiment) -> None:
    """Look whether the libraries of an experiment's extras are installed here.

    Raises:
        ConfigError: some are not; the message says which, and how to install them.
    """
    if not experiment.extras:
        return
    wanted = f"skerry[{','.join(experiment.extras)}]"
    names = [found[0] for line in to_install([wanted]) if (found := _NAME.match(line)) is not None]
    missing = [name for name in names if not _is_installed(name)]
    if missing:
        raise ConfigError(
            f'experiment {experiment.name!r} needs {", ".join(missing)}, which is not installed: pip install "{wanted}"'
        )


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
