"""Objects as YAML that a person can review, and as files that tools for GitOps can take.

A small writer of its own rather than a library: what is written has one stable order, a comment for each object, and
quotes around every text that some reader of YAML could take for a number or a truth value (``1e3``, ``on``, ``0o7``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from skerry.errors import ConfigError
from skerry.platforms.kubernetes.api.objects import FUNCTION_ANNOTATION, PART_OF_LABEL
from skerry.platforms.kubernetes.api.quoting import quote
from skerry.platforms.kubernetes.rendering import KubernetesObject
from skerry.platforms.kubernetes.rendering.metadata import TARGET_ANNOTATION

INDENT: Final = "  "
KUSTOMIZATION: Final = "kustomization.yaml"
SHORT: Final = 80  # characters
MARK: Final = "# Made by skerry"
# Texts that mean themselves without quotes to every reader: they begin with a letter or a slash, and are no word for
# true, false or nothing; or they are a number with a unit.
BARE = re.compile(r"[A-Za-z/][A-Za-z0-9_./:@-]*[A-Za-z0-9_./@-]|[A-Za-z/]|[1-9][0-9]*(m|s|Ki|Mi|Gi|Ti)")
WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
# What a reviewer would ask about: comments above fields of the `spec` of a kind.
NOTES: Final = {
    ("NetworkPolicy", "ingress"): "From everybody, by the ports of a function, or of Knative's proxy before it.",
    ("NetworkPolicy", "egress"): "To everywhere but link-local addresses, where clouds hand out a node's credentials.",
    ("HorizontalPodAutoscaler", "behavior"): "Up at once, by scale.up_rate; down after scale.window and scale.delay.",
}


def to_yaml(objects: Iterable[KubernetesObject]) -> str:
    """Return objects as YAML documents, each under a comment that says what it is and what it was made of."""
    return "---\n".join(f"{_comment(made)}\n{_document(made)}" for made in objects)


def layout(objects: Sequence[KubernetesObject]) -> dict[str, str]:
    """Return the files of a folder for Kustomize: name to content.

    There is one for what the functions share, one for each function, and ``kustomization.yaml``, which lists them.
    """
    files: dict[str, list[KubernetesObject]] = {}
    for made in objects:
        function = made["metadata"]["annotations"].get(FUNCTION_ANNOTATION)
        name = "app.yaml" if function is None else f"function-{made['metadata']['name']}.yaml"
        files.setdefault(name, []).append(made)
    listing = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(files),
    }
    head = f"{MARK}; kubectl apply -k . takes this folder. Make it again rather than change it: overlay it."
    return {KUSTOMIZATION: f"{head}\n{_document(listing)}"} | {name: to_yaml(made) for name, made in files.items()}


def write_folder(objects: Sequence[KubernetesObject], folder: Path) -> list[Path]:
    """Write the files of :func:`layout`; those that an earlier call wrote and that are no longer made go.

    Args:
        objects: What is rendered.
        folder: Where; made where it is not there. Files of others in it are left alone.

    Returns:
        The files.

    Raises:
        ConfigError: a file of somebody else has a name that is needed, or the folder cannot be written.
    """
    files = layout(objects)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.yaml")):
            if path.name not in files and _is_ours(path):
                path.unlink()
            elif path.name in files and not _is_ours(path):
                raise ConfigError(f"{path} was not made by skerry, and is not written over; name another folder")
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {folder}: {error.strerror}") from error
    return [folder / name for name in files]


def _is_ours(path: Path) -> bool:
    return path.read_text(encoding="utf-8", errors="replace").startswith(MARK)


def _comment(made: KubernetesObject) -> str:
    metadata = made["metadata"]
    notes = metadata["annotations"]
    app = f"app {metadata['labels'][PART_OF_LABEL]}"
    what = f"function {notes[FUNCTION_ANNOTATION]}, {app}" if FUNCTION_ANNOTATION in notes else app
    return f"{MARK}: {made['kind']} of {what} ({notes[TARGET_ANNOTATION]})"


def _document(value: Mapping[str, Any]) -> str:
    return "".join(f"{line}\n" for line in _noted(value, str(value["kind"])))


def _noted(value: Mapping[str, Any], kind: str) -> Iterator[str]:
    """Yield the lines of a document, with what is to be said of its fields."""
    known = {f"{INDENT}{key}:": note for (of, key), note in NOTES.items() if of == kind}
    is_spec = False
    for line in _lines(value):
        is_spec = line == "spec:" or (is_spec and line.startswith(INDENT))
        if is_spec and line in known:
            yield f"{INDENT}# {known[line]}"
        yield line


def _lines(value: Any) -> Iterator[str]:
    """Yield the lines of a table or a list that is not empty."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _entry(f"{_scalar(key)}:", item, INDENT)
        return
    for item in value:
        if isinstance(item, Mapping | list | tuple) and item:
            for number, line in enumerate(_lines(item)):
                yield f"{INDENT if number else '- '}{line}"
        else:
            yield f"- {_scalar(item)}"


def _entry(head: str, item: Any, indent: str) -> Iterator[str]:
    if _is_short(item):
        are_bare = all(_is_bare(one) and ":" not in one for one in item)  # all with quotes, or none
        yield f"{head} [{', '.join(one if are_bare else quote(one) for one in item)}]"
    elif isinstance(item, Mapping | list | tuple) and item:
        yield head
        for line in _lines(item):
            yield f"{indent}{line}"
    else:
        yield f"{head} {_scalar(item)}"


def _is_short(item: Any) -> bool:
    """Whether a list is one of a few texts, which read better on one line."""
    return (
        isinstance(item, list | tuple)
        and bool(item)
        and all(isinstance(one, str) for one in item)
        and sum(map(len, item)) <= SHORT
    )


def _is_bare(text: str) -> bool:
    return BARE.fullmatch(text) is not None and text.lower() not in WORDS


def _scalar(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, str):
        return value if _is_bare(value) else quote(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{}"
    return "[]" if isinstance(value, list | tuple) else repr(value)
