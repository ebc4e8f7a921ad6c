"""The page of the public interface: from signatures and docstrings."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from skerry.errors import SkerryError
from tools.markdown import from_docstring
from tools.places import GENERATED

MODULES = {
    "skerry": "What an app needs. `import skerry` is enough.",
    "skerry.learn.federated": "Federated learning; needs the extra `learn`. See [the guide](../guide/federate.md).",
    "skerry.learn.search": "Hyper-parameter search; needs the extra `learn`. See [the guide](../guide/search.md).",
    "skerry.serve": "Models published and served; needs the extra `serve`, and `export` for Python objects. See "
    "[the guide](../guide/notebook-to-model.md).",
    "skerry.store.models": "The model repository and the cache. See [the guide](../guide/models.md).",
}
# Members that come from these are not ours to describe.
_FOREIGN = ("pydantic", "builtins", "enum", "typing")


def render() -> str:
    """Return the page."""
    parts = [GENERATED, "# Public interface\n"]
    for name, text in MODULES.items():
        module = importlib.import_module(name)
        parts.append(f"## `{name}`\n\n{text}\n")
        members = sorted(_members(module), key=str.lower)
        if any(_is_error(getattr(module, member)) for member in members):
            parts.append("Its errors are described in [errors](errors.md).\n")
        for member in members:
            value = getattr(module, member)
            if not _is_error(value) and not member.startswith("__"):
                parts.extend(_entry(module, member, value))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def _members(module: ModuleType) -> list[str]:
    """Return what a package exports, or what a module defines."""
    defined = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return list(getattr(module, "__all__", [name for name in defined if not name.startswith("_")]))


def _entry(module: ModuleType, name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        yield f"### `{name}`\n\n```python\nclass {name}{_signature(value)}\n```\n"
        yield from_docstring(value.__doc__ or "")
        for member, function in _methods(value):
            kind = "" if callable(function) else " (property)"
            target = function if callable(function) else function.fget
            text = f"#### `{name}.{member}`{kind}\n"
            if callable(function):
                text += f"\n```python\ndef {member}{_signature(target)}\n```\n"
            yield text
            yield from_docstring(target.__doc__ or "")
    elif inspect.isfunction(value):
        yield f"### `{name}`\n\n```python\ndef {name}{_signature(value)}\n```\n"
        yield from_docstring(value.__doc__ or "")
    else:
        yield f"### `{name}`\n"
        yield f"Its keys: {', '.join(f'`{key}`' for key in value)}.\n" if isinstance(value, Mapping) else ""
        yield _assigned(module, name)


def _is_error(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, SkerryError)


def _methods(cls: type) -> Iterator[tuple[str, Any]]:
    for name in sorted(dir(cls)):
        owner = next((base for base in cls.__mro__ if name in vars(base)), object)
        if name.startswith("_") or owner.__module__.startswith(_FOREIGN):
            continue
        member = vars(owner)[name]
        function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if isinstance(function, property) or (inspect.isfunction(function) and function.__doc__):
            yield name, function


class _Annotation:
    """Text that stands for itself in a signature."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _signature(subject: Any) -> str:
    try:
        found = inspect.signature(subject)
    except (TypeError, ValueError):
        return ""
    parameters = [
        p.replace(annotation=_plain(p.annotation), default=_plain_default(p.default))
        for p in found.parameters.values()
        if p.name not in ("self", "cls")
    ]
    returns = found.return_annotation
    text = str(found.replace(parameters=parameters, return_annotation=_plain(returns)))
    if inspect.isclass(subject):
        text = text.partition(" -> ")[0]
    text = text.replace(" | Unset", "").replace(" = UNSET", " = ...").replace("typing.", "")
    text = text.replace("_PydanticGeneralMetadata(", "Pattern(")  # its name says nothing to a reader
    return text if len(text) < 90 else _broken(text)


def _plain(annotation: Any) -> Any:
    return _Annotation(annotation) if isinstance(annotation, str) else annotation


def _plain_default(default: Any) -> Any:
    if default is inspect.Parameter.empty:
        return default
    text = repr(default)
    if type(default).__name__ == "Unset":
        return _Annotation("UNSET")
    named = re.fullmatch(r"<(?:function|built-in function|class) '?([\w.]+)'?(?: at .*)?>", text)
    return _Annotation(named[1].rpartition(".")[2]) if named else default


def _broken(text: str) -> str:
    """Return a long signature with one parameter per line."""
    inside, _, returns = text[1:].rpartition(")")
    parts, depth, current = [], 0, ""
    for letter in inside:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += letter
    parts.append(current.strip())
    return "(\n" + "".join(f"    {part},\n" for part in parts if part) + f"){returns}"


def _assigned(module: ModuleType, name: str) -> str:
    """Return a name's assignment and the text below it, wherever the module has it from."""
    for source in [module, *[m for key, m in sys.modules.items() if key.startswith(f"{module.__name__}.")]]:
        for statement, below in itertools.pairwise(ast.parse(inspect.getsource(source)).body):
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return _describe(statement, below)
    return ""


def _describe(statement: ast.stmt, below: ast.stmt) -> str:
    code = ast.unparse(statement)
    # The formatter looks at the pages too, and wants quotes as it writes them itself.
    code = code if '"' in code else code.replace("'", '"')
    text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
    shown = f"```python\n{code}\n```\n\n" if len(code) < 200 else ""
    return shown + from_docstring(str(text))
