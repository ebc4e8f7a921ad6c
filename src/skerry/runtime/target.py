"""What a worker runs: which function of which app, where its source lies, and under which limits."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from skerry.errors import AppImportError
from skerry.runtime.import_failure import import_error
from skerry.runtime.module_files import import_folders

if TYPE_CHECKING:
    from skerry.payload import Signature
    from skerry.spec import Source

DEFAULT_ATTRIBUTE = "app"


class FunctionObject(Protocol):
    """What the runtime needs of a function of an app."""

    @property
    def name(self) -> str:
        """Name in the address."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Options as the decorator gave them."""

    @property
    def handler(self) -> Any:
        """The function or class that was decorated."""

    @property
    def signature(self) -> Signature:
        """Codec of its arguments and result."""


class AppObject(Protocol):
    """What the runtime needs of an app."""

    @property
    def name(self) -> str:
        """Name of the app."""

    @property
    def functions(self) -> Mapping[str, FunctionObject]:
        """Functions by name."""

    @property
    def requirements(self) -> tuple[str, ...]:
        """What must be installed where the app runs."""

    @property
    def imports(self) -> tuple[str, ...]:
        """Libraries that the zygote imports ahead."""

    @property
    def event_sources(self) -> Mapping[str, Source]:
        """Where events come from, by name."""

    @property
    def states(self) -> Collection[str]:
        """Names of the states that it has asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a zygote is asked to make a worker of.

    Args:
        root: Folder from which the app's source is imported; none for an app inside an installed package.
        file: The app's file below the root; none for an app inside an installed package.
        module: Name that the module is imported under; with a dot in it, that of a module in a package.
        attribute: Name of the app in it; the only app there is when nothing has that name.
        function: Name of the function; none to describe the app instead of serving.
        environment: Variables to set in the worker.
        memory_bytes: Limit of the worker's memory.
        cpu: Processors' worth of threads.
        files: Limit of file descriptors.
        concurrency: Calls at a time.
        timeout_s: Longest run of one call, seconds.
        report_modules: Whether the worker tells which libraries it has imported, once it is ready.
        with_schemas: Whether a description of the app has the schemas of its functions, which take a library to make.
        stays: Whether the process that has described the app waits to be told to be a worker of it.
    """

    root: str | None
    file: str | None
    module: str
    attribute: str = DEFAULT_ATTRIBUTE
    function: str | None = None
    environment: Mapping[str, str]
    memory_bytes: int | None = None
    cpu: float = 1.0
    files: int = 1024
    concurrency: int = 1
    timeout_s: float = 300.0
    report_modules: bool = False
    with_schemas: bool = True
    stays: bool = False

    def to_message(self) -> dict[str, Any]:
        """Return the target as plain values."""
        return asdict(self)


def load_app(target: Target) -> AppObject:
    """Import the target's module and return its app.

    Raises:
        AppImportError: the import fails (detail ``traceback``, unless Skerry has refused what a line says), or the
            module holds no app, or more than one.
    """
    try:
        module = _import(target)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise import_error(repr(target.module), error, is_app=True) from error
    return _find_app(module, target)


def _import(target: Target) -> ModuleType:
    if target.root is not None:
        below = ("",) if target.file is None else import_folders(target.file, target.module)
        folders = [os.path.join(target.root, folder) if folder else target.root for folder in below]
        sys.path[:0] = [folder for folder in folders if folder not in sys.path]
    if target.root is None or target.file is None or "." in target.module:
        return importlib.import_module(target.module)
    # By its path: the file may have a name that no import statement can spell.
    spec = importlib.util.spec_from_file_location(target.module, os.path.join(target.root, target.file))
    if spec is None or spec.loader is None:
        raise ImportError(f"{target.file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[target.module] = module
    spec.loader.exec_module(module)
    return module


def _find_app(module: ModuleType, target: Target) -> AppObject:
    named = module
    for part in target.attribute.split("."):
        named = getattr(named, part, None)  # type: ignore[assignment]  # whatever it is, its shape is checked
    if _is_app(named):
        return named
    apps = {id(value): value for value in vars(module).values() if _is_app(value)}
    if target.attribute != DEFAULT_ATTRIBUTE or len(apps) != 1:
        found = f"the module holds {len(apps)}; name it: FILE:NAME"
        if not apps:
            found = 'the module holds none; write app = skerry.App("NAME") and put @app.function before its functions'
        raise AppImportError(f"{target.module}:{target.attribute} is not a skerry.App; {found}")
    return next(iter(apps.values()))  # type: ignore[no-any-return]  # checked by shape


def _is_app(value: Any) -> bool:
    return (
        not isinstance(value, type)
        and all(hasattr(type(value), name) or hasattr(value, name) for name in ("functions", "requirements", "imports"))
        and isinstance(getattr(value, "functions", None), Mapping)
    )
