"""Changes to an exported graph that leave alone what it computes: names of outputs, types at its edges, notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def rename_outputs(model: Any, names: Mapping[str, str]) -> None:
    """Give outputs of a graph other names, in place.

    Args:
        model: The ``onnx.ModelProto``.
        names: New names by old ones.
    """
    changed = {old: new for old, new in names.items() if old != new}
    _rename(model.graph.node, changed)
    for value in model.graph.output:
        value.name = changed.get(value.name, value.name)


def negate_output(model: Any, position: int) -> None:
    """Let a graph give an output with the other sign, in place.

    Args:
        model: The ``onnx.ModelProto``.
        position: Which output.
    """
    from onnx import helper

    name = model.graph.output[position].name
    before = f"{name}_before"
    _rename(model.graph.node, {name: before})
    model.graph.node.append(helper.make_node("Neg", [before], [name]))


def narrow_edges(model: Any, names: Mapping[str, str], elem_type: int) -> None:
    """Let a graph that computes in double precision take another type and give single precision, in place.

    Args:
        model: The ``onnx.ModelProto``.
        names: Public name of each input that is cast, by its name in the graph.
        elem_type: The type that callers give, as ``onnx.TensorProto`` numbers it.
    """
    from onnx import TensorProto, helper

    casts = []
    for value in model.graph.input:
        if value.name in names and value.type.tensor_type.elem_type == TensorProto.DOUBLE:
            inner, value.name = value.name, names[value.name]
            value.type.tensor_type.elem_type = elem_type
            casts.append(helper.make_node("Cast", [value.name], [inner], to=TensorProto.DOUBLE))
    wide = [value for value in model.graph.output if value.type.tensor_type.elem_type == TensorProto.DOUBLE]
    _rename(model.graph.node, {value.name: f"{value.name}_wide" for value in wide})
    nodes = [*casts, *model.graph.node]
    for value in wide:
        value.type.tensor_type.elem_type = TensorProto.FLOAT
        nodes.append(helper.make_node("Cast", [f"{value.name}_wide"], [value.name], to=TensorProto.FLOAT))
    kept = [_copy(node) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def declare_outputs(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Declare the shapes that outputs have, with any number of rows, in place: converters are not always right.

    Args:
        model: The ``onnx.ModelProto``.
        shapes: The shape that each output had when the graph was run.
    """
    for value in model.graph.output:
        shape = value.type.tensor_type.shape
        del shape.dim[:]
        for position, length in enumerate(shapes[value.name]):
            dimension = shape.dim.add()
            if position:
                dimension.dim_value = length


def name_rows(model: Any) -> None:
    """Call the free number of rows ``rows`` everywhere, in place: exporters number it, differently each time."""
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        for dimension in value.type.tensor_type.shape.dim[:1]:
            if dimension.dim_param:
                dimension.dim_param = "rows"


def strip_notes(model: Any) -> None:
    """Remove what exporters note for their own debugging, in place: source lines and absolute paths among it."""
    del model.metadata_props[:]
    waiting = [model.graph]
    while waiting:
        graph = waiting.pop()
        graph.doc_string = ""
        for part in (graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer, *graph.node):
            part.ClearField("doc_string")
            if hasattr(part, "metadata_props"):
                del part.metadata_props[:]
        waiting += [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]


def _rename(nodes: Any, names: Mapping[str, str]) -> None:
    for node in nodes:
        for side in (node.input, node.output):
            for number, name in enumerate(side):
                side[number] = names.get(name, name)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g.node, names)


def _copy(node: Any) -> Any:
    copied = type(node)()
    copied.CopyFrom(node)
    return copied
