"""Apps as they are rendered, from their files, without an image and without a worker."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skerry.platforms.kubernetes.rendering import AppToRender, FunctionToRender
from skerry.runtime.inspection import describe
from skerry.spec import resolve

IMAGE = "10.99.0.1:5000/news@sha256:" + "0123456789abcdef" * 4


def load(file: Path) -> Any:
    """Return the app of a file."""
    name = f"rendered_{file.stem}"
    found = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    sys.path.insert(0, str(file.parent))
    try:
        found.loader.exec_module(module)
    finally:
        sys.path.remove(str(file.parent))
        sys.modules.pop(name)
    return module.app


def app_of(file: Path, *, platform: str, project: Mapping[str, Any] | None = None, flags=()) -> AppToRender:
    """Return what is rendered of the app in a file."""
    described = describe(load(file))
    entries = described["functions"]
    specs = resolve(
        {name: entry["options"] for name, entry in entries.items()},
        file=project,
        environment={},
        flags=flags,
        platform=platform,
    )
    functions = [
        FunctionToRender(spec=spec, declared=entries[name]["options"], takes_items=entries[name]["takes_items"])
        for name, spec in specs.items()
    ]
    return AppToRender(name=described["name"], image=IMAGE, target=f"{file.name}:app", functions=tuple(functions))
