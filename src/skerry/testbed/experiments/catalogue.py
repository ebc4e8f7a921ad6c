"""The experiments that Skerry brings along, and how to find others."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from skerry.errors import ConfigError
from skerry.runtime.import_failure import import_error
from skerry.testbed.experiments.experiment import Experiment

DEFAULT_ATTRIBUTE = "experiment"
EXPERIMENTS: Mapping[str, str] = MappingProxyType(
    {
        "6g-training": "skerry.testbed.experiments.training_6g:experiment",
        "ddos-loop": "skerry.testbed.experiments.ddos_loop:experiment",
        "edge-federated": "skerry.testbed.experiments.edge_federated:experiment",
        "faults": "skerry.testbed.experiments.faults:experiment",
    }
)
"""Where the experiments that come with Skerry are declared, by name."""


def load_experiment(text: str) -> tuple[Experiment, str]:
    """Return an experiment and where it is declared.

    Args:
        text: A name from the catalogue, ``package.module[:name]`` or ``FILE[:name]``.

    Raises:
        ConfigError: there is none of this name, or it cannot be imported; of a file, with its traceback.
    """
    target = EXPERIMENTS.get(text, text)
    source, _, attribute = target.partition(":")
    try:
        if source.endswith(".py"):
            path = Path(source).expanduser().resolve()
            module = _load_file(path)
            target = f"{path}:{attribute or DEFAULT_ATTRIBUTE}"
        elif "." in source or ":" in target:
            module = importlib.import_module(source)
        else:
            raise ConfigError(
                f"there is no experiment {text!r}; there are {', '.join(EXPERIMENTS)}, or name a file: FILE.py[:NAME]"
            )
        found = getattr(module, attribute or DEFAULT_ATTRIBUTE)
    except (ImportError, OSError, AttributeError, SyntaxError) as error:
        raise ConfigError(f"experiment {text!r}: cannot be loaded: {error}") from error
    if not isinstance(found, Experiment):
        raise ConfigError(f"experiment {text!r}: {target} is a {type(found).__name__}, not an Experiment")
    return _with_app_beside(found, Path(target.partition(":")[0])), target


def _with_app_beside(experiment: Experiment, file: Path) -> Experiment:
    """Return an experiment whose app is found from anywhere: engines do not share this process' path of modules."""
    module, _, attribute = experiment.app.partition(":")
    beside = file.parent / f"{module}.py"
    if file.suffix != ".py" or not beside.is_file():
        return experiment
    return replace(experiment, app=f"{beside}:{attribute or 'app'}")


def _load_file(path: Path) -> object:
    name = f"skerry_experiment_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError(f"experiment: there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # As for a script: what lies beside the file can be imported.
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the file is the user's, it may raise anything
        raise import_error(str(path), error) from error
    return module
