"""Models and samples named on the command line: files of data, and objects of a Python file."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from skerry.app.target import Target
from skerry.errors import AppImportError, ConfigError
from skerry.runtime.import_failure import import_error


class Objects:
    """The Python objects that a command line names; a file that is named twice is imported once."""

    def __init__(self) -> None:
        self._modules: dict[str, Any] = {}

    def find(self, text: str) -> Any:
        """Return the object of ``FILE.py:ATTRIBUTE`` or ``MODULE:ATTRIBUTE``; a plain function is called for it.

        Raises:
            AppImportError: there is no such file, module or attribute, or the import fails.
        """
        target = Target.parse(text)
        if target.attribute is None:
            raise AppImportError(f"{text}: name the object in it: {text}:NAME")
        found = self._import(target)
        for part in target.attribute.split("."):
            if not hasattr(found, part):
                raise AppImportError(f"{target.source} has no {target.attribute!r}")
            found = getattr(found, part)
        return found() if inspect.isfunction(found) else found

    def read_sample(self, text: str) -> Any:
        """Return the sample of a ``.npy``, ``.npz`` or ``.json`` file, or of a Python object.

        Raises:
            ConfigError: the file cannot be read as that.
            AppImportError: as `find`.
        """
        import numpy as np

        path = Path(text)
        if path.suffix not in (".npy", ".npz", ".json"):
            return self.find(text)
        try:
            if path.suffix == ".json":
                return _read_json(path.read_bytes())
            # Arrays of Python objects are pickles inside.
            loaded = np.load(path, allow_pickle=False)
            return dict(loaded) if path.suffix == ".npz" else loaded
        except (OSError, ValueError, EOFError) as error:
            raise ConfigError(f"{path}: cannot be read as a sample: {error}") from error

    def _import(self, target: Target) -> Any:
        if target.source not in self._modules:
            self._modules[target.source] = _load(target)
        return self._modules[target.source]


def is_object(source: str) -> bool:
    """Return whether a source means an object of Python, also where it names the file alone; not a file or folder."""
    return source.endswith(".py") or (":" in source and not Path(source).exists())


def _load(target: Target) -> ModuleType:
    folder = target.import_folder or Path.cwd()
    # What lies beside the file can be imported by it, as when it is run.
    sys.path.insert(0, str(folder))
    try:
        if target.file is None or not target.source.endswith(".py"):
            return importlib.import_module(target.source)
        spec = importlib.util.spec_from_file_location(target.file.stem, target.file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{target.file} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[target.file.stem] = module
        spec.loader.exec_module(module)
        return module
    except Exception as error:  # the file is the user's, it may raise anything
        raise import_error(str(target.source), error) from error
    finally:
        sys.path.remove(str(folder))


def _read_json(content: bytes) -> Any:
    from skerry.serve.sample import decode_sample

    document = json.loads(content)
    return decode_sample(content) if isinstance(document, dict) and "inputs" in document else document
