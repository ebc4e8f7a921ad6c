"""The judgement of a parsed model: what it asks of ONNX Runtime, and whether its tensors are what they claim.

Nothing is run and nothing allocated from what the file declares; only what is there is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skerry.errors import ModelRejectedError
from skerry.serve.checking.support import ONNX_DOMAIN, known_operators, name_domain, newest_ir, newest_opset
from skerry.serve.checking.tensors import check_tensor

OLDEST_IR = 3
# A sparse tensor saves nothing worth having beyond this.
MOST_DENSE_RATIO = 10_000


def parse_model(content: bytes) -> Any:
    """Return the ``onnx.ModelProto`` that a file's bytes are.

    Raises:
        ModelRejectedError: they are none, or end too early.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # its stubs are a package of their own

    try:
        # From bytes, never by onnx.load: that would follow paths to external data before they are judged.
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise ModelRejectedError(
            f"the file is no ONNX model, or was cut off: its protobuf cannot be read after {len(content):,} bytes "
            f"({error}); copy or export it again"
        ) from error
    if not model.ir_version or not (model.HasField("graph") and model.graph.output):
        raise ModelRejectedError("the file is no ONNX model: it has no version of the format, or no graph with outputs")
    return model


def check_model(model: Any, folder: Path) -> tuple[str, ...]:
    """Judge a parsed model and return the external files that hold its weights, relative to the folder.

    Args:
        model: The ``onnx.ModelProto``.
        folder: Where the model's file lies, for external data.

    Raises:
        ModelRejectedError: the first thing that is wrong with it.
    """
    check_versions(model)
    check_operators(model)
    external: dict[str, None] = {}
    for tensor, where in walk_tensors(model):
        location = check_tensor(tensor, where, folder)
        if location is not None:
            external[location] = None
    return tuple(external)


def check_versions(model: Any) -> None:
    """Refuse a model whose format or operators are newer than this ONNX Runtime, or too old to be read.

    Raises:
        ModelRejectedError: with both versions.
    """
    import onnxruntime

    here = f"onnxruntime {onnxruntime.__version__}"
    newest = newest_ir()
    if newest is not None and model.ir_version > newest:
        raise ModelRejectedError(
            f"the model is in version {model.ir_version} of the ONNX format (IR); {here} reads up to {newest}: export "
            "it for an older one, or install a newer onnxruntime"
        )
    if model.ir_version < OLDEST_IR:
        raise ModelRejectedError(
            f"the model is in version {model.ir_version} of the ONNX format (IR), older than {OLDEST_IR}"
        )
    if not model.opset_import:
        raise ModelRejectedError("the model does not say which version of the operators it is for (opset_import)")
    for imported in model.opset_import:
        domain = name_domain(imported.domain)
        newest = newest_opset(domain) if domain in known_operators() else None
        if newest is not None and imported.version > newest:
            raise ModelRejectedError(
                f"the model uses opset {imported.version} of {domain}; {here} supports up to {newest}: export it with "
                "an older target opset, or install a newer onnxruntime"
            )


def check_operators(model: Any) -> None:
    """Refuse a model with operators that this ONNX Runtime does not have; functions inside the model count as known.

    Raises:
        ModelRejectedError: with each unknown operator and how often it is there.
    """
    own = {(name_domain(function.domain), function.name) for function in model.functions}
    known = known_operators()
    unknown: Counter[str] = Counter()
    for node, _ in walk_nodes(model):
        domain = name_domain(node.domain)
        if node.op_type not in known.get(domain, ()) and (domain, node.op_type) not in own:
            unknown[f"{domain}:{node.op_type}"] += 1
    if unknown:
        listed = ", ".join(f"{name} ({count} nodes)" for name, count in unknown.most_common(5))
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        domains = {name.partition(":")[0] for name in unknown} - {ONNX_DOMAIN}
        why = (
            "libraries of custom operators are never loaded"
            if domains
            else "the name is misspelt, or from a newer ONNX"
        )
        raise ModelRejectedError(f"onnxruntime has no operator {listed}{more}: {why}; export the model without it")


def walk_nodes(model: Any) -> Iterator[tuple[Any, str]]:
    """Yield every node of the graph, of graphs inside nodes and of functions, with words for where it is."""
    waiting: list[tuple[Any, str]] = [(model.graph.node, "")]
    waiting += [(function.node, f"function {function.name!r}, ") for function in model.functions]
    while waiting:
        nodes, prefix = waiting.pop()
        for number, node in enumerate(nodes):
            where = f"{prefix}node {node.name or f'{number} ({node.op_type})'}"
            yield node, where
            waiting += [(graph.node, f"{where}, ") for graph in _inner_graphs(node)]


def walk_tensors(model: Any) -> Iterator[tuple[Any, str]]:
    """Yield every constant tensor of a model with words for where it is."""
    yield from _initializers(model.graph, "")
    for function in model.functions:
        for proto in getattr(function, "attribute_proto", ()):
            yield from _attribute_tensors(proto, f"function {function.name!r}, ")
    for node, where in walk_nodes(model):
        for attribute in node.attribute:
            yield from _attribute_tensors(attribute, f"{where}, ")
        for graph in _inner_graphs(node):
            yield from _initializers(graph, f"{where}, ")


def _initializers(graph: Any, prefix: str) -> Iterator[tuple[Any, str]]:
    for tensor in graph.initializer:
        yield tensor, f"{prefix}initializer {tensor.name!r}"
    for sparse in graph.sparse_initializer:
        yield from _sparse(sparse, f"{prefix}sparse initializer {sparse.values.name!r}")


def _attribute_tensors(attribute: Any, prefix: str) -> Iterator[tuple[Any, str]]:
    where = f"{prefix}attribute {attribute.name!r}"
    if attribute.HasField("t"):
        yield attribute.t, where
    for tensor in attribute.tensors:
        yield tensor, where
    if attribute.HasField("sparse_tensor"):
        yield from _sparse(attribute.sparse_tensor, where)
    for sparse in attribute.sparse_tensors:
        yield from _sparse(sparse, where)


def _sparse(sparse: Any, where: str) -> Iterator[tuple[Any, str]]:
    """Yield the parts of a sparse tensor, which ONNX Runtime makes dense: its own shape must be in proportion too."""
    dense = 1
    for length in sparse.dims:
        dense *= max(length, 0)
    if dense > MOST_DENSE_RATIO * max(len(sparse.values.dims) and sparse.values.dims[0], MOST_DENSE_RATIO):
        raise ModelRejectedError(f"{where} declares {dense:,} elements and holds hardly any of them: a bomb, or broken")
    yield sparse.values, where
    yield sparse.indices, where


def _inner_graphs(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
