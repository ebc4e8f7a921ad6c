"""Small ONNX models, sound ones and bad ones, made by hand."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

BATCH_OF_TWO = (None, 2)


def value(name, kind=TensorProto.FLOAT, shape=BATCH_OF_TWO):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, *, initializers=(), inputs=None, outputs=None, opset=17, ir_version=8, domains=()):
    """Return a model from x to y, of two columns unless told."""
    graph = helper.make_graph(
        list(nodes), "g", inputs or [value("x")], outputs or [value("y", shape=None)], list(initializers)
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def doubling(**options):
    """Return a model that multiplies by two, with a weight."""
    return model(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        initializers=[constant("w", np.full(2, 2.0, np.float32))],
        **options,
    )


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def external(name, location, *, shape=(2,), **entries):
    """Return a weight whose data are in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, text in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(text))
    return tensor


def with_weight(tensor):
    return model([helper.make_node("Mul", ["x", "w"], ["y"])], initializers=[tensor])


def claiming(shape, *, raw=b"\0" * 8):
    """Return a weight that declares one shape and holds other data."""
    return TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape, raw_data=raw)


def filling(rows, columns):
    """Return a model of a hundred bytes that fills a matrix of any size with zeros when it runs."""
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["huge"]),
        helper.make_node("Exp", ["huge"], ["exponents"]),
        helper.make_node("ReduceMax", ["exponents"], ["one"], keepdims=0),
        helper.make_node("Add", ["x", "one"], ["y"]),
    ]
    return model(nodes, initializers=[constant("s", np.array([rows, columns], np.int64))])


def endless():
    """Return a model that runs for years."""
    ends = [value("go", TensorProto.BOOL, []), value("step", shape=None)]
    body = helper.make_graph(
        [helper.make_node("Identity", ["more"], ["go"]), helper.make_node("Sin", ["last"], ["step"])],
        "body",
        [value("i", TensorProto.INT64, []), value("more", TensorProto.BOOL, []), value("last", shape=None)],
        ends,
    )
    initializers = [constant("n", np.array(10**15, np.int64)), constant("more_at_first", np.array(True))]
    return model([helper.make_node("Loop", ["n", "more_at_first", "x"], ["y"], body=body)], initializers=initializers)


def classifier(labels=("cat", "dog"), *, zipmap=False):
    """Return a linear classifier of two columns, as skl2onnx writes it."""
    node = helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        coefficients=[1.0, 0.0, 0.0, 1.0],
        intercepts=[0.0, 0.0],
        classlabels_strings=list(labels),
    )
    outputs = [value("label", TensorProto.STRING, [None]), value("scores")]
    nodes = [node]
    if zipmap:
        nodes.append(
            helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", classlabels_strings=list(labels))
        )
        kind = helper.make_sequence_type_proto(
            helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
        )
        outputs[1] = helper.make_value_info("maps", kind)
    return model(nodes, outputs=outputs, domains=["ai.onnx.ml"])


def write(folder, proto, name="model.onnx"):
    path = folder / name
    path.write_bytes(proto.SerializeToString())
    return path
