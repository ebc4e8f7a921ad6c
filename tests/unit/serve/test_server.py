"""The handler of a function that serves a model: bodies in, bodies out, in each protocol."""

import numpy as np
import orjson
import pytest
from onnx import TensorProto, helper
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult

from skerry.errors import (
    InvalidPayloadError,
    MalformedBodyError,
    ModelNotFoundError,
    ModelRejectedError,
    UnsupportedMediaTypeError,
)
from skerry.payload import Items, encode
from skerry.payload.inference import BINARY, LENGTH_HEADER
from skerry.serve.server import ModelServer, ServeSettings
from skerry.store.models import TensorSpec
from support.served_models import digits, digits_draft, publish, publish_digits, publish_graph, publish_sum, sample_of

JSON = "application/json"
MSGPACK = "application/msgpack"


class Client:
    """Calls a loaded server as a worker would, without the worker."""

    def __init__(self, name="digits", *, function=None, **settings):
        self.server = ModelServer.serving(function or name, ServeSettings(model=name, **settings))()
        self.server.load()
        self.signature = type(self.server).__skerry_signature__()

    def decode(self, body, content_type=JSON, **headers):
        body = body if isinstance(body, bytes) else orjson.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.signature.decode_call(body, content_type, named)[0][0]

    def call(self, *calls):
        """Return the answers of decoded calls that are handled together."""
        results = self.server(Items(calls))
        return [r if isinstance(r, Exception) else self.signature.encode_result(r) for r in results]

    def ask(self, body, content_type=JSON, **headers):
        """Return the body of the answer of one call, and its headers."""
        (answer,) = self.call(self.decode(body, content_type, **headers))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def plain(self, value):
        return orjson.loads(self.ask(value)[0])

    def v2(self, body, **headers):
        return self.ask(body, skerry_protocol="v2", **headers)

    def v1(self, value):
        return orjson.loads(self.ask(value, skerry_protocol="v1")[0])


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """Publish with a function and pin what it returns."""

    def pin(published, *arguments, **options):
        folder = published(tmp_path, *arguments, **options)
        monkeypatch.setenv("SKERRY_MODEL_FOLDER", str(folder))
        return folder

    return pin


@pytest.fixture
def client(pinned):
    pinned(publish_digits)
    return Client()


def tensor(array, **more):
    kind = {"float32": "FP32", "int64": "INT64", "float64": "FP64"}[array.dtype.name]
    return {"name": "X", "datatype": kind, "shape": list(array.shape), "data": array.ravel().tolist(), **more}


def infer(rows, *, binary, outputs=(), **options):
    """Return the body and the headers that NVIDIA's client sends."""
    given = InferInput("X", list(rows.shape), "FP32")
    given.set_data_from_numpy(rows, binary_data=binary)
    wishes = [InferRequestedOutput(name, binary_data=binary, class_count=n) for name, n in outputs]
    body, length = InferenceServerClient.generate_request_body([given], outputs=wishes or None, **options)
    headers = {} if length is None else {"content_type": BINARY, LENGTH_HEADER.replace("-", "_"): str(length)}
    return body, headers


def read(answer):
    body, _, headers = answer
    length = headers.get(LENGTH_HEADER)
    return InferResult.from_response_body(body, header_length=None if length is None else int(length))


@pytest.mark.parametrize("binary", [True, False])
def test_another_client_gets_what_the_original_says(client, binary):
    pipeline, rows, _ = digits()
    rows = rows[:1000]
    body, headers = infer(rows, binary=binary, outputs=[("probabilities", 0), ("label", 0)], request_id="r1")
    answer = client.v2(body, **headers)
    assert answer[1] == (BINARY if binary else JSON)
    result = read(answer)
    assert np.abs(result.as_numpy("probabilities") - pipeline.predict_proba(rows)).max() < 1e-5
    assert (result.as_numpy("label") == pipeline.predict(rows)).all()
    told = result.get_response()
    assert (told["model_name"], told["model_version"], told["id"]) == ("digits", "1", "r1")


def test_a_plain_call_of_a_classifier_is_answered_with_labels_and_probabilities(client):
    pipeline, rows, _ = digits()
    answer = client.plain(rows[:1000].tolist())
    assert list(answer) == ["labels", "probabilities", "model"]
    assert answer["labels"] == pipeline.predict(rows[:1000]).tolist()
    assert np.abs(answer["probabilities"] - pipeline.predict_proba(rows[:1000])).max() < 1e-5
    assert answer["model"] == "digits@1"


def test_a_plain_call_may_name_the_input_and_send_arrays(client):
    _, rows, _ = digits()
    expected = client.plain(rows[:2].tolist())
    assert client.plain({"inputs": {"X": rows[:2].tolist()}}) == expected
    assert client.plain({"inputs": rows[:2].tolist()}) == expected
    for array in (rows[:2], rows[:2].astype("float64"), rows[:2].astype("uint8")):
        assert orjson.loads(client.ask(encode(array, MSGPACK), MSGPACK)[0]) == expected


def test_kserve_v1_is_answered_with_predictions(client):
    pipeline, rows, _ = digits()
    expected = {"predictions": pipeline.predict(rows[:3]).tolist()}
    assert client.v1({"instances": rows[:3].tolist()}) == expected
    assert client.v1({"instances": [{"X": row} for row in rows[:3].tolist()]}) == expected
    assert client.v1({"inputs": {"X": rows[:3].tolist()}}) == expected
    for body in ({}, [], {"instances": [], "inputs": []}):
        with pytest.raises(MalformedBodyError, match="instances"):
            client.v1(body)
    with pytest.raises(InvalidPayloadError, match="the same inputs"):
        client.v1({"instances": [{"X": [1]}, {"Y": [1]}]})


def test_only_the_outputs_that_are_asked_for_come_in_their_order(client):
    _, rows, _ = digits()
    body = {"inputs": [tensor(rows[:2])], "outputs": [{"name": "label"}]}
    assert [output["name"] for output in orjson.loads(client.v2(body)[0])["outputs"]] == ["label"]
    body["outputs"] = [{"name": "probabilities", "parameters": {"classification": 2}}, {"name": "label"}]
    first = orjson.loads(client.v2(body)[0])["outputs"][0]
    assert (first["datatype"], first["shape"]) == ("BYTES", [2, 2])
    assert first["data"][0].endswith(":0:0")
    body["outputs"] = [{"name": "score"}]
    with pytest.raises(InvalidPayloadError, match=r"output 'score': model digits@1 has none .* it has 'label', 'prob"):
        client.v2(body)


def test_on_the_wire_a_model_has_the_name_of_its_function(pinned):
    pinned(publish_digits)
    body = {"inputs": [tensor(digits()[1][:1])]}
    assert orjson.loads(Client(function="next").v2(body)[0])["model_name"] == "next"


def test_binary_data_output_makes_all_outputs_binary(client):
    _, rows, _ = digits()
    body, content_type, headers = client.v2({"inputs": [tensor(rows[:2])], "parameters": {"binary_data_output": True}})
    assert content_type == BINARY
    assert len(body) == int(headers[LENGTH_HEADER]) + 2 * 8 + 2 * 10 * 4


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (
            {**tensor(np.zeros((2, 63), dtype="float32"))},
            "input 'X': expected FP32 of shape (any, 64), given FP32 of shape (2, 63)",
        ),
        (
            {**tensor(np.zeros((2, 64), dtype="float64"))},
            "input 'X': expected FP32 of shape (any, 64), given FP64 of shape (2, 64)",
        ),
        ({**tensor(np.zeros(64, dtype="float32"))}, "expected FP32 of shape (any, 64), given FP32 of shape (64,)"),
        (
            {**tensor(np.zeros((1, 64), dtype="float32")), "name": "Z"},
            "input 'Z': model digits@1 has none of this name; it takes 'X' (FP32 of shape (any, 64))",
        ),
    ],
)
def test_errors_name_the_tensor_the_expected_and_the_given(client, sent, said):
    with pytest.raises(InvalidPayloadError) as caught:
        client.v2({"inputs": [sent]})
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("sent", "field", "said"),
    [
        ([[1, 2]], "X", "input 'X': expected FP32 of shape (any, 64), given FP32 of shape (1, 2)"),
        ([0.5] * 64, "X", "given FP32 of shape (64,)"),
        ([["x"] * 64], "X", "input 'X': expected FP32, given text"),
        ([[1] * 64, [1] * 63], "X", "lists of different lengths"),
        ({"inputs": {"Y": [[1]]}}, "Y", "input 'Y': model digits@1 has none"),
        ({"inputs": {}}, "X", "input 'X' is missing: model digits@1 takes 'X' (FP32 of shape (any, 64))"),
        ({"rows": [[1]]}, "rows", "input 'rows': model digits@1 has none"),
        ({"dtype": "float32", "shape": [2], "data": "AAAA"}, "X", "'X': array: float32 of shape (2) takes 8 bytes"),
        (None, "X", "given FP32 of shape ()"),
    ],
)
def test_errors_of_plain_calls_do_too(client, sent, field, said):
    with pytest.raises(InvalidPayloadError) as caught:
        client.plain(sent)
    assert said in caught.value.message
    assert caught.value.details["field"] == field


def test_other_content_types_are_refused(client):
    with pytest.raises(UnsupportedMediaTypeError, match="Inference-Header-Content-Length"):
        client.ask(b"{}", BINARY, skerry_protocol="v2")
    with pytest.raises(UnsupportedMediaTypeError):
        client.ask(b"{}", "text/plain")


def test_calls_of_all_protocols_share_a_run_and_a_bad_one_fails_alone(client, monkeypatch):
    _, rows, _ = digits()
    session, runs = client.server._model._session, []
    run = session.run
    monkeypatch.setattr(session, "run", lambda tensors, names: runs.append(len(tensors["X"])) or run(tensors, names))
    answers = client.call(
        client.decode(rows[:2].tolist()),
        client.decode([[1, 2]]),
        client.decode({"instances": rows[2:5].tolist()}, skerry_protocol="v1"),
        client.decode({"inputs": [tensor(rows[5:6])]}, skerry_protocol="v2"),
    )
    assert runs == [6]
    assert isinstance(answers[1], InvalidPayloadError)
    # Sums of floats are rounded a little differently in runs of another size.
    alone = client.plain(rows[:2].tolist())
    assert orjson.loads(answers[0][0])["labels"] == alone["labels"]
    assert np.allclose(orjson.loads(answers[0][0])["probabilities"], alone["probabilities"], atol=1e-5)
    assert orjson.loads(answers[2][0]) == client.v1({"instances": rows[2:5].tolist()})
    apart = read(client.v2({"inputs": [tensor(rows[5:6])]})).as_numpy("probabilities")
    assert np.allclose(read(answers[3]).as_numpy("probabilities"), apart, atol=1e-5)


def test_a_model_with_several_inputs_takes_them_by_name(pinned):
    pinned(publish_sum)
    client = Client("sum")
    assert client.plain({"inputs": {"a": [[1, 2]], "b": [[3, 4]]}}) == {"outputs": {"y": [[4, 6]]}, "model": "sum@1"}
    assert client.v1({"instances": [{"a": [1, 2], "b": [3, 4]}]}) == {"predictions": [[4, 6]]}
    with pytest.raises(InvalidPayloadError, match=r"model sum@1 takes 'a' .*, 'b' .*: send \{\"inputs\""):
        client.plain([[1, 2]])
    with pytest.raises(InvalidPayloadError, match="input 'b' is missing"):
        client.plain({"inputs": {"a": [[1, 2]]}})


def test_text_goes_in_and_out(pinned):
    ports = {"t": ("string", [None, 1])}
    pinned(publish_graph, "echo", [helper.make_node("Identity", ["t"], ["y"])], ports, {"y": ("string", [None, 1])})
    client = Client("echo")
    assert client.plain([["é"], ["b"]])["outputs"] == {"y": [["é"], ["b"]]}
    given = InferInput("t", [2, 1], "BYTES")
    given.set_data_from_numpy(np.array([["é".encode()], [b""]], dtype=object), binary_data=True)
    body, length = InferenceServerClient.generate_request_body([given])
    headers = {LENGTH_HEADER.replace("-", "_"): str(length), "content_type": BINARY}
    assert read(client.v2(body, **headers)).as_numpy("y").tolist() == [["é".encode()], [b""]]
    given.set_data_from_numpy(np.array([[b"\xff"], [b""]], dtype=object), binary_data=True)
    body, length = InferenceServerClient.generate_request_body([given])
    with pytest.raises(InvalidPayloadError, match="input 't': an element is not UTF-8"):
        client.v2(body, **{**headers, LENGTH_HEADER.replace("-", "_"): str(length)})


def test_a_model_without_a_free_first_dimension_runs_for_each_request_alone(pinned):
    ports = {"x": ("float32", [2, 2])}
    pinned(publish_graph, "flat", [helper.make_node("Neg", ["x"], ["y"])], ports, {"y": ("float32", [2, 2])})
    client = Client("flat")
    assert not client.server._model.is_merged
    calls = [client.decode([[at, 1], [2, 3]]) for at in range(3)]
    assert [orjson.loads(body)["outputs"]["y"][0][0] for body, _, _ in client.call(*calls)] == [0, -1, -2]


def test_a_model_that_looks_at_the_rows_together_is_found_out_by_its_sample(pinned):
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["x", "m"], ["y"]),
    ]
    ports = {"x": ("float32", [None, 2])}
    sample = sample_of(x=np.array([[1, 2], [5, 9]], dtype="float32"))
    pinned(publish_graph, "mean", nodes, ports, {"y": ("float32", [None, 2])}, sample=sample)
    assert not Client("mean").server._model.is_merged


@pytest.mark.parametrize("softmax", [True, False])
def test_labels_come_from_the_manifest_where_only_scores_exist(pinned, softmax):
    nodes = [helper.make_node("Softmax" if softmax else "Identity", ["x"], ["y"])]
    sample = sample_of(x=np.array([[1, 2, 3]], dtype="float32"))
    ports = {"x": ("float32", [None, 3])}
    said = {"kind": "classifier", "labels": ("a", "b", "c"), "sample": sample}
    pinned(publish_graph, "abc", nodes, ports, {"y": ("float32", [None, 3])}, **said)
    answer = Client("abc").plain([[0, 5, 1], [7, 0, 0]])
    assert answer["labels"] == ["b", "a"]
    assert ("probabilities" in answer) == softmax
    assert ("scores" in answer) != softmax


def test_labels_stand_for_the_places_that_a_model_names(pinned):
    ports = {"x": ("float32", [None, 3])}
    nodes = [helper.make_node("ArgMax", ["x"], ["i"], axis=1, keepdims=0)]
    said = {"kind": "classifier", "labels": ("cat", "dog")}
    pinned(publish_graph, "pets", nodes, ports, {"i": ("int64", [None])}, **said)
    client = Client("pets")
    assert client.plain([[1, 0, 0], [0, 1, 0]]) == {"labels": ["cat", "dog"], "model": "pets@1"}
    with pytest.raises(Exception, match="no label"):
        client.plain([[0, 0, 1]])


@pytest.mark.parametrize("shape", [[0, 64], [0, 3], [2, 0]])
def test_inputs_without_elements_are_refused_before_the_model_sees_them(pinned, shape):
    # ONNX Runtime's recurrent kernels end the process on them.
    ports = {"x": ("float32", [None, None])}
    pinned(publish_graph, "any", [helper.make_node("Neg", ["x"], ["y"])], ports, {"y": ("float32", [None, None])})
    client = Client("any")
    nothing = np.zeros(shape, dtype="float32")
    for ask in (
        lambda: client.v2({"inputs": [{"name": "x", "datatype": "FP32", "shape": shape, "data": []}]}),
        lambda: client.plain({"dtype": "float32", "shape": shape, "data": ""}),
        lambda: client.ask(encode(nothing, MSGPACK), MSGPACK),
        lambda: client.plain([[], []]),
        lambda: client.v1({"instances": [[], []]}),
    ):
        with pytest.raises(InvalidPayloadError, match=r"input 'x': FP32 of shape \(., .*\) has no elements"):
            ask()


def test_inputs_may_lack_elements_where_the_sample_does_but_not_claim_endless_rows(pinned):
    ports = {"x": ("float32", [None, 2]), "past": ("float32", [None, None])}
    nodes = [helper.make_node("Concat", ["past", "x"], ["y"], axis=1)]
    sample = sample_of(x=np.zeros((2, 2), dtype="float32"), past=np.zeros((2, 0), dtype="float32"))
    pinned(publish_graph, "next", nodes, ports, {"y": ("float32", [None, None])}, sample=sample)
    client = Client("next")

    def ask(rows, past_rows):
        x = {"name": "x", "datatype": "FP32", "shape": [rows, 2], "data": [1] * (2 * rows)}
        return client.v2({"inputs": [x, {"name": "past", "datatype": "FP32", "shape": [past_rows, 0], "data": []}]})

    assert read(ask(1, 1)).as_numpy("y").tolist() == [[1, 1]]
    with pytest.raises(InvalidPayloadError, match=r"input 'x': FP32 of shape \(0, 2\) has no elements"):
        ask(0, 0)
    with pytest.raises(InvalidPayloadError, match=r"input 'past': FP32 of shape \(1000000000000, 0\) has no elements"):
        ask(1, 10**12)


def test_numbers_that_json_does_not_know_are_told_of(pinned):
    half = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    ports = {"x": ("float32", [None, 1])}
    nodes = [helper.make_node("Div", ["x", "zero"], ["y"])]
    pinned(publish_graph, "inf", nodes, ports, {"y": ("float32", [None, 1])}, weights=[half])
    client = Client("inf")
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}
    with pytest.raises(InvalidPayloadError, match="output 'y' holds NaN or an infinity"):
        client.v2(body)
    assert client.v2({**body, "parameters": {"binary_data_output": True}})[1] == BINARY
    with pytest.raises(Exception, match="JSON has no number for inf"):
        client.plain([[1]])


def test_a_cache_answers_again_and_says_so(pinned):
    _, rows, _ = digits()
    pinned(publish_digits)
    client = Client(cache_bytes=2**20)
    first = client.ask(rows[:2].tolist())
    again = client.ask(rows[:2].tolist())
    assert (first[0], first[2], again[0], again[2]) == (again[0], {}, first[0], {"skerry-cache": "hit"})
    _, _, headers = client.v2({"inputs": [tensor(rows[:2])], "outputs": [{"name": "label"}]})
    assert headers == {"skerry-cache": "hit"}
    for _ in range(2):
        with pytest.raises(InvalidPayloadError):
            client.ask([[1]])
    assert client.ask(rows[2:3].tolist())[2] == {}


def test_a_function_may_change_the_outputs_that_it_gets_be_they_new_or_from_the_cache(pinned):
    def double(outputs):
        outputs["probabilities"] *= 2
        return outputs["probabilities"].sum(axis=1).round(3).tolist()

    _, rows, _ = digits()
    pinned(publish_digits)
    client = Client(cache_bytes=2**20, after=double)
    answers = [client.ask(rows[:2].tolist()) for _ in range(3)]
    assert [orjson.loads(body) for body, _, _ in answers] == [[2, 2]] * 3
    assert [headers for _, _, headers in answers] == [{}, {"skerry-cache": "hit"}, {"skerry-cache": "hit"}]


def test_a_sample_may_hold_nan(pinned):
    ports = {"x": ("float32", [None, 1])}
    sample = b'{"inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP32", "data": [NaN, 1.0]}]}'
    pinned(
        publish_graph,
        "id",
        [helper.make_node("Neg", ["x"], ["y"])],
        ports,
        {"y": ("float32", [None, 1])},
        sample=sample,
    )
    assert Client("id").server._model.is_merged


def test_what_fails_on_its_own_sample_is_not_served(pinned):
    pinned(publish, "digits", digits()[2], digits_draft(), sample=sample_of(X=np.zeros((1, 3), dtype="float32")))
    with pytest.raises(
        ModelRejectedError, match=r"digits@1 fails on its own sample .*expected FP32 of shape \(any, 64\)"
    ):
        Client()


def test_a_manifest_that_is_not_of_the_model_is_refused(pinned):
    pinned(publish_digits, inputs=(TensorSpec("pixels", "float32", (None, 64)),))
    with pytest.raises(ModelRejectedError, match=r"names the inputs pixels, but model\.onnx has X"):
        Client()


def test_a_type_that_cannot_be_sent_is_refused(pinned):
    pinned(publish_digits, inputs=(TensorSpec("X", "bfloat16", (None, 64)),))
    with pytest.raises(ModelRejectedError, match="'X' has elements of type 'bfloat16'"):
        Client()


def test_without_a_pinned_folder_the_model_is_resolved_and_fetched_here(tmp_path, monkeypatch):
    publish_digits(tmp_path)
    monkeypatch.setenv("SKERRY_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SKERRY_MODEL_CACHE", str(tmp_path / "here"))
    assert Client().plain([[0] * 64])["model"] == "digits@1"
    # What is pinned is another function's model.
    monkeypatch.setenv("SKERRY_MODEL_FOLDER", str(tmp_path))
    monkeypatch.setenv("SKERRY_MODEL", "news@3")
    assert Client().plain([[0] * 64])["model"] == "digits@1"
    with pytest.raises(ModelNotFoundError):
        Client("other")
