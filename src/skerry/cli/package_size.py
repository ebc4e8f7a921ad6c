"""What an app would weigh as a deployment package, and what can be left out of it."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from skerry.cli.distributions import OWN, Installed, Requirement, Site
from skerry.engine.home import Home
from skerry.engine.sources.environment import find_built
from skerry.engine.sources.source import Source, take
from skerry.runtime.target import Target, load_app
from skerry.spec import FunctionSpec, read_project_file, resolve

# What an app needs to serve a model by its name, and imports nowhere itself.
SERVING = frozenset({"numpy", "onnxruntime"})
# What makes models, and is not needed to serve one that was exported.
TRAINING = frozenset(
    {
        *("scikit-learn", "torch", "torchvision", "tensorflow", "keras", "xgboost", "lightgbm", "catboost"),
        *("skl2onnx", "onnxscript", "onnxmltools", "tf2onnx", "transformers", "jax"),
    }
)
PARTS_WITH_EXTRA = frozenset({"learn", "serve"})  # packages of Skerry whose libraries are an extra of the same name
WORTH_BYTES = 100_000  # less than this is not worth a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One distribution in the package.

    Args:
        name: Its name.
        version: Its version.
        size_bytes: Its files, without caches.
        required_by: Who needs it.
    """

    name: str
    version: str
    size_bytes: int
    required_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Something that can be left out.

    Args:
        what: A distribution, or what inside of distributions.
        saves_bytes: What that saves; of a distribution, with what only that needs.
        reason: Why the app runs without it.
    """

    what: str
    saves_bytes: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSize:
    """What an app weighs.

    Args:
        source_bytes: Its own files, as they are deployed.
        parts: The distributions that it needs, the heaviest first.
        missing: Required, and not installed here: their size is not known.
        savings: What can be left out, the heaviest first.
    """

    source_bytes: int
    parts: tuple[Part, ...]
    missing: tuple[str, ...]
    savings: tuple[Saving, ...]

    @property
    def total_bytes(self) -> int:
        """The whole package, unpacked."""
        return self.source_bytes + sum(part.size_bytes for part in self.parts)


def measure(target: str, home: Path) -> PackageSize:
    """Return what an app weighs with its libraries, measured where these are installed; nothing of it is run.

    Args:
        target: ``FILE[:app]`` or ``package.module[:app]``.
        home: The engine's folder: an environment that it has built for the app is measured, else this interpreter's.

    Raises:
        AppImportError: there is no such file or module.
        ConfigError: the target is not one, or the project is too large.
    """
    with tempfile.TemporaryDirectory(prefix="skerry-size-") as folder:
        source = take(target, Path(folder))
        files = _source_files(source)
        code = _Code(path for path in files if path.suffix == ".py")
        requirements = _requirements(source, code)
        built = find_built(requirements, Home(home)) if requirements else None
        site = Site(None if built is None else _site_packages(built.python))
        roots = _roots(requirements, code, site)
        source_bytes = sum(path.stat().st_size for path in files)
    needed, missing = site.closure(roots)
    found = {name: one for name in needed if (one := site.find(name)) is not None}
    parts = [
        Part(name=name, version=one.version, size_bytes=one.size_bytes, required_by=needed[name])
        for name, one in found.items()
    ]
    savings = [*_unneeded(roots, code, site), *_inside(found.values())]
    return PackageSize(
        source_bytes=source_bytes,
        parts=tuple(sorted(parts, key=lambda part: (-part.size_bytes, part.name))),
        missing=tuple(sorted(missing)),
        savings=tuple(sorted(savings, key=lambda saving: -saving.saves_bytes)),
    )


def function_specs(target: str) -> dict[str, FunctionSpec]:
    """Return the options of an app's functions; the app is imported for that.

    Raises:
        AppImportError: it cannot be imported here.
        SpecError: an option is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="skerry-size-") as folder:
        source = take(target, Path(folder))
        root = None if source.root is None else str(source.root)
        app = load_app(
            Target(root=root, file=source.file, module=source.module, attribute=source.attribute, environment={})
        )
        project = {} if source.project_file is None else read_project_file(source.project_file)
        return resolve({name: dict(one.options) for name, one in app.functions.items()}, file=project)


class _Code:
    """What can be seen of an app's code without running it."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.modules: set[str] = set()  # top-level modules that are imported anywhere
        self.own_extras: set[str] = set()  # of Skerry, by the parts of it that are imported
        self.requirements: tuple[str, ...] = ()
        self.serves_model = False  # an exported one, by its name or with ONNX Runtime
        for path in paths:
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            except (SyntaxError, UnicodeDecodeError):
                continue  # a deployment would say what is wrong, and where
            for node in ast.walk(tree):
                self._see(node)
        self.serves_model = self.serves_model or "onnxruntime" in self.modules

    def _see(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self._see_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            self._see_module(node.module)
            if node.module == OWN:
                for alias in node.names:
                    self._see_module(f"{OWN}.{alias.name}")
        elif isinstance(node, ast.Call):
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            name = ast.unparse(node.func).rpartition(".")[2]
            if "model" in named and name in ("function", "serve"):
                self.serves_model = True
            if name == "App" and "requirements" in named:
                self.requirements = _strings(named["requirements"])

    def _see_module(self, name: str) -> None:
        top, _, rest = name.partition(".")
        self.modules.add(top)
        part = rest.partition(".")[0]
        if top == OWN and part in PARTS_WITH_EXTRA:
            self.own_extras.add(part)


def _strings(node: ast.expr) -> tuple[str, ...]:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return ()
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list | tuple) else ()


def _source_files(source: Source) -> list[Path]:
    if source.root is not None:
        return [path for path in source.root.rglob("*") if path.is_file()]
    spec = importlib.util.find_spec(source.module)
    return [Path(spec.origin)] if spec is not None and spec.origin else []


def _requirements(source: Source, code: _Code) -> tuple[str, ...]:
    project = {} if source.project_file is None else read_project_file(source.project_file)
    return tuple(project.get("app", {}).get("requirements") or code.requirements)


def _roots(requirements: Iterable[str], code: _Code, site: Site) -> list[Requirement]:
    """Return what the app needs: what it requires, else what its modules import; and Skerry itself."""
    roots = [one for line in requirements if (one := Requirement.parse(line)) is not None]
    if not roots:
        owners = {site.owner_of(module) for module in code.modules - sys.stdlib_module_names}
        extras = code.own_extras | ({"serve"} if code.serves_model else set())
        own = Requirement(OWN, frozenset(extras))
        return [*(Requirement(name) for name in sorted(name for name in owners if name and name != OWN)), own]
    return roots if any(root.name == OWN for root in roots) else [*roots, Requirement(OWN)]


def _unneeded(roots: list[Requirement], code: _Code, site: Site) -> Iterator[Saving]:
    imported = {site.owner_of(module) for module in code.modules} | (SERVING if code.serves_model else set())
    for root in roots:
        if root.name == OWN or site.find(root.name) is None:
            continue
        if root.name not in imported:
            reason = "no module of the app imports it"
        elif code.serves_model and root.name in TRAINING:
            reason = "the app serves an exported model; train in an app of its own"
        else:
            continue
        saves_bytes = _only_for(root, roots, site)
        if saves_bytes:  # else another one needs it too
            yield Saving(what=root.name, saves_bytes=saves_bytes, reason=reason)


def _only_for(root: Requirement, roots: list[Requirement], site: Site) -> int:
    """Return the size of what nobody would need without one of the roots."""
    with_it, _ = site.closure(roots)
    without, _ = site.closure([other for other in roots if other is not root])
    found = (site.find(name) for name in with_it.keys() - without.keys())
    return sum(one.size_bytes for one in found if one is not None)


def _inside(found: Iterable[Installed]) -> Iterator[Saving]:
    parts = list(found)
    for what, sizes, reason in (
        ("tests", {one.name: one.tests_bytes for one in parts}, "nothing that runs imports them"),
        (
            "headers and stubs",
            {one.name: one.headers_bytes for one in parts},
            "only compilers and type checkers read them",
        ),
    ):
        heavy = [name for name, size_bytes in sorted(sizes.items(), key=lambda item: -item[1]) if size_bytes][:3]
        if sum(sizes.values()) >= WORTH_BYTES:
            saves_bytes = sum(sizes.values())
            yield Saving(what=f"{what} inside {', '.join(heavy)}", saves_bytes=saves_bytes, reason=reason)


def _site_packages(python: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Path(os.path.abspath(python)).parent.parent / "lib" / version / "site-packages"
