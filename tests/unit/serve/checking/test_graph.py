"""What is refused by looking at the parsed model alone: in this process, where it is fast."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from skerry.errors import ModelRejectedError
from skerry.serve.checking.trial import read_facts
from support.onnx_models import claiming, classifier, constant, doubling, external, model, value, with_weight, write

HUGE = 10**6


def refusal(folder, proto):
    with pytest.raises(ModelRejectedError) as caught:
        read_facts(write(folder, proto))
    return caught.value.message


def test_a_sound_model_is_described(tmp_path):
    facts = read_facts(write(tmp_path, classifier()))
    assert [(t.name, t.dtype, t.shape) for t in facts.inputs] == [("x", "float32", (None, 2))]
    assert [(t.name, t.dtype, t.shape) for t in facts.outputs] == [
        ("label", "string", (None,)),
        ("scores", "float32", (None, 2)),
    ]
    assert (facts.kind, facts.labels, facts.opset, facts.ir_version) == ("classifier", ("cat", "dog"), 17, 8)
    assert facts.opsets == {"ai.onnx": 17, "ai.onnx.ml": 1}


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(tmp_path, part):
    content = doubling().SerializeToString()
    (tmp_path / "model.onnx").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ModelRejectedError, match=r"no ONNX model"):
        read_facts(tmp_path / "model.onnx")


def test_newer_operators_are_refused_with_both_versions(tmp_path):
    assert "opset 999 of ai.onnx; onnxruntime " in refusal(tmp_path, doubling(opset=999))
    too_new = classifier()
    too_new.opset_import[1].version = 99
    assert "opset 99 of ai.onnx.ml" in refusal(tmp_path, too_new)


def test_a_newer_format_is_refused_with_both_versions(tmp_path):
    assert "version 999 of the ONNX format (IR); onnxruntime" in refusal(tmp_path, doubling(ir_version=999))


def test_custom_operators_are_refused_by_name(tmp_path):
    nodes = [helper.make_node("Magic", ["x"], ["y"], domain="com.acme")]
    assert "no operator com.acme:Magic (1 nodes)" in refusal(tmp_path, model(nodes, domains=["com.acme"]))
    assert "no operator ai.onnx:Mull" in refusal(tmp_path, model([helper.make_node("Mull", ["x"], ["y"])]))


def test_a_custom_operator_inside_a_branch_is_found(tmp_path):
    branches = [
        helper.make_graph([helper.make_node(op, ["x"], ["r"], domain=domain)], op, [], [value("r", shape=None)])
        for op, domain in (("Relu", ""), ("Magic", "com.acme"))
    ]
    node = helper.make_node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])
    proto = model([node], initializers=[constant("c", np.array(True))], domains=["com.acme"])
    assert "com.acme:Magic" in refusal(tmp_path, proto)


@pytest.mark.parametrize("shape", [(HUGE, HUGE), (3,), (1,), (2**31, 2**31, 2**31), (0,)])
def test_a_weight_that_does_not_hold_what_it_declares_is_refused(tmp_path, shape):
    assert f"declares the shape {list(shape)}" in refusal(tmp_path, with_weight(claiming(shape)))


def test_a_negative_length_is_refused(tmp_path):
    assert "negative length" in refusal(tmp_path, with_weight(claiming((-1, -2))))


def test_weights_in_typed_fields_are_counted_too(tmp_path):
    short = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=(2,), float_data=[1.0])
    assert "takes 2 numbers, and holds 1" in refusal(tmp_path, with_weight(short))
    whole = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=(2,), float_data=[1.0, 2.0])
    assert read_facts(write(tmp_path, with_weight(whole))).inputs


def test_constants_inside_nodes_are_counted_too(tmp_path):
    node = helper.make_node("Constant", [], ["w"], value=claiming((HUGE, HUGE)))
    assert "attribute 'value' declares" in refusal(tmp_path, model([node, helper.make_node("Mul", ["x", "w"], ["y"])]))


def test_a_sparse_weight_that_would_be_huge_when_dense_is_refused(tmp_path):
    proto = doubling()
    sparse = proto.graph.sparse_initializer.add(dims=(HUGE, HUGE))
    sparse.values.CopyFrom(constant("v", np.ones(1, np.float32)))
    sparse.indices.CopyFrom(constant("i", np.zeros(1, np.int64)))
    assert "declares 1,000,000,000,000 elements" in refusal(tmp_path, proto)


def test_an_input_that_no_request_could_fill_is_refused(tmp_path):
    proto = model([helper.make_node("Relu", ["x"], ["y"])], inputs=[value("x", shape=(None, HUGE, HUGE))])
    assert "input 'x' declares the shape" in refusal(tmp_path, proto)


def test_an_input_of_a_type_that_requests_cannot_carry_is_refused(tmp_path):
    proto = model([helper.make_node("Cast", ["x"], ["y"], to=1)], inputs=[value("x", TensorProto.BFLOAT16)])
    assert "which no request can carry" in refusal(tmp_path, proto)


def test_a_zipmap_is_refused_with_the_way_out(tmp_path):
    assert "options={'zipmap': False}" in refusal(tmp_path, classifier(zipmap=True))


def test_a_model_without_inputs_is_refused(tmp_path):
    proto = model([helper.make_node("Identity", ["w"], ["y"])], initializers=[constant("w", np.ones(2, np.float32))])
    del proto.graph.input[:]
    assert "takes no input" in refusal(tmp_path, proto)


def test_a_graph_that_is_nested_too_deeply_is_refused(tmp_path):
    def field(number, content):
        size, length = len(content), b""
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    graph = field(1, field(4, b"Relu"))
    for _ in range(5000):
        graph = field(1, field(4, b"If") + field(5, field(6, graph)))
    (tmp_path / "model.onnx").write_bytes(doubling().SerializeToString() + field(7, graph))
    with pytest.raises(ModelRejectedError, match="its protobuf cannot be read"):
        read_facts(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "location",
    ["/etc/passwd", "../weights", "a/../../weights", "a\\b", "", "./weights", "C:weights", "model.onnx", ".x"],
)
def test_external_data_outside_the_folder_are_refused(tmp_path, location):
    (tmp_path / "inside").mkdir()
    message = refusal(tmp_path / "inside", with_weight(external("w", location)))
    assert "has its data" in message


def test_external_data_behind_links_are_refused(tmp_path):
    folder, elsewhere = tmp_path / "inside", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "weights").write_bytes(b"\0" * 8)
    (folder / "weights").symlink_to(elsewhere / "weights")
    (folder / "link").symlink_to(elsewhere)
    for location in ("weights", "link/weights"):
        assert "symbolic link" in refusal(folder, with_weight(external("w", location)))


def test_external_data_must_be_there_and_be_a_file(tmp_path):
    assert "cannot be read: No such file" in refusal(tmp_path, with_weight(external("w", "missing")))
    (tmp_path / "folder").mkdir()
    assert "no plain file" in refusal(tmp_path, with_weight(external("w", "folder")))


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"offset": 4}, "at bytes 4 to 12 of the external file"),
        ({"offset": 10**17}, "which has 8"),
        ({"offset": -1}, "must be a whole number"),
        ({"offset": "1e3"}, "must be a whole number"),
        ({"length": 4}, "and 4 in the external file"),
    ],
)
def test_external_data_beyond_their_file_are_refused(tmp_path, entries, words):
    (tmp_path / "weights").write_bytes(b"\0" * 8)
    assert words in refusal(tmp_path, with_weight(external("w", "weights", **entries)))


def test_sound_external_data_are_named(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "weights").write_bytes(b"\0" * 16)
    facts = read_facts(write(tmp_path, with_weight(external("w", "parts/weights", offset=8, length=8))))
    assert facts.external_files == ("parts/weights",)


SEEDS = [proto.SerializeToString() for proto in (doubling(), classifier(), with_weight(external("w", "weights")))]
CHANGES = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255), st.sampled_from("sdi")), max_size=6)


@settings(max_examples=300, deadline=None)
@given(seed=st.sampled_from(SEEDS), changes=CHANGES)
def test_changed_bytes_are_refused_or_sound_and_nothing_else(tmp_path_factory, seed, changes):
    content = bytearray(seed)
    for place, byte, how in changes:
        position = place % len(content)
        content[position : position + (how != "i")] = b"" if how == "d" else bytes([byte])
    path = tmp_path_factory.getbasetemp() / "changed.onnx"
    path.write_bytes(content)
    with suppress(ModelRejectedError):
        assert read_facts(path).inputs
