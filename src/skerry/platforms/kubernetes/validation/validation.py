"""Objects against the published schemas of Kubernetes and Knative, as a strict API server would read them."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any

from skerry.errors import ConfigError, SpecError

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

KubernetesObject = dict[str, Any]


def check(objects: Iterable[KubernetesObject]) -> None:
    """Raise `SpecError` with everything that is wrong with some objects.

    Raises:
        SpecError: an object is not what its schema says.
        ConfigError: the extra ``kubernetes`` is not installed.
    """
    found = list(problems(objects))
    if found:
        raise SpecError("rendered objects are not valid: " + "; ".join(found), problems=found)


def problems(objects: Iterable[KubernetesObject]) -> Iterator[str]:
    """Yield what is wrong with some objects: which object, where in it, and what.

    Example:
        ``list(problems([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}]))``
    """
    for made in objects:
        title = f"{made.get('kind')} {made.get('metadata', {}).get('name')}"
        validator = _validator(f"{made.get('apiVersion')}/{made.get('kind')}")
        if validator is None:
            yield f"{title}: there is no schema for {made.get('kind')} of {made.get('apiVersion')}"
            continue
        for error in validator.iter_errors(made):
            yield f"{title}: {_place(error)}: {error.message[:300]}"


@functools.cache
def _validator(kind: str) -> Validator | None:
    try:
        from jsonschema import Draft202012Validator
    except ImportError as error:
        raise ConfigError(
            'validating objects needs the package jsonschema: pip install "skerry[kubernetes]"'
        ) from error
    schemas = _schemas()
    schema = schemas["kinds"].get(kind)
    return None if schema is None else Draft202012Validator({**schema, "$defs": schemas["$defs"]})


@functools.cache
def _schemas() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("schemas.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _place(error: ValidationError) -> str:
    return ".".join(str(part) for part in error.absolute_path) or "the object"
