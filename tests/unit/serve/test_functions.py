"""`App.serve`: models as functions of an app, called here, in a worker, and over HTTP."""

from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import pytest
from pydantic import BaseModel

import skerry
from skerry.errors import ConfigError, HandlerError, InvalidPayloadError, NameTakenError, SpecError
from skerry.payload import Items
from skerry.payload.inference import LENGTH_HEADER
from skerry.runtime.frames import Codec, Kind, encode_frame
from skerry.runtime.inspection import describe
from support.runtime_process import RuntimeProcess
from support.served_models import digits, publish_digits
from support.worker_process import WorkerProcess


class Image(BaseModel):
    pixels: Annotated[list[float], "row by row"]
    name: str


class Guess(BaseModel):
    digit: int
    sure: float


def before(images: list[Image]) -> np.ndarray:
    return np.array([image.pixels for image in images])


def after(outputs: dict[str, np.ndarray]) -> list[Guess]:
    best = outputs["probabilities"].max(axis=1)
    return [Guess(digit=digit, sure=sure) for digit, sure in zip(outputs["label"], best, strict=True)]


@pytest.fixture
def rows():
    return digits()[1]


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    monkeypatch.setenv("SKERRY_MODEL_FOLDER", str(publish_digits(tmp_path)))


def loaded(function):
    server = function.handler()
    server.load()
    return server


def test_a_function_that_serves_a_model_has_the_options_of_one():
    app = skerry.App("vision")
    function = app.serve("digits", model="digits@production", memory="100MiB", share_load=False)
    assert app.functions["digits"] is function
    options = function.options
    assert options["model"] == "digits@production"
    assert (options["idempotent"], options["share_load"], options["memory"]) == (True, False, "100MiB")
    assert options["batch"] == skerry.Batch(max_size=32, objective="50ms")
    told = describe(app)["functions"]["digits"]
    assert told["takes_items"]
    assert not told["is_async"]
    assert told["schema"]["output"]["title"] == "Prediction"


@pytest.mark.parametrize(
    ("options", "share_load"),
    [({}, True), ({"cpu": 0.5}, True), ({"cpu": 2}, False), ({"cpu": 2, "share_load": True}, True)],
)
def test_a_model_that_runs_on_several_threads_is_not_loaded_in_vain_by_a_template(options, share_load):
    assert skerry.App("vision").serve("digits", model="digits", **options).options["share_load"] == share_load


def test_what_cannot_be_declared_is_refused():
    app = skerry.App("vision")
    app.serve("digits", model="digits")
    with pytest.raises(NameTakenError):
        app.serve("digits", model="digits")
    with pytest.raises(SpecError, match="write NAME, NAME@ALIAS or NAME@VERSION"):
        app.serve("other", model="Digits")
    with pytest.raises(SpecError, match="cache"):
        app.serve("other", model="digits", cache="64")
    with pytest.raises(SpecError, match="concurrency"):
        app.serve("other", model="digits", batch=None, concurrency="4")

    async def later(rows):
        return rows

    class Later:
        async def __call__(self, rows):
            return rows

    for function in (later, Later()):
        with pytest.raises(ConfigError, match=r"before = .*: give it a plain function"):
            app.serve("other", model="digits", before=function)


@pytest.mark.usefixtures("pinned")
def test_a_plain_call_runs_here(rows):
    app = skerry.App("vision")
    function = app.serve("digits", model="digits")
    assert function(rows[:2]) == function(rows[:2].tolist())
    assert function(rows[:2])["labels"] == [0, 1]
    with pytest.raises(InvalidPayloadError, match="input 'X'"):
        function([[1]])
    guess = app.serve("guess", model="digits", before=before, after=after)
    assert guess([Image(pixels=rows[0].tolist(), name="a")])[0].digit == 0


@pytest.mark.usefixtures("pinned")
def test_plain_calls_go_through_before_and_after(rows):
    function = skerry.App("vision").serve("digits", model="digits", before=before, after=after, cache="1MiB")
    signature, server = function.signature, loaded(function)
    sent = [Image(pixels=row, name="x") for row in rows[:2].tolist()]
    body = signature.encode_call((sent,), {})
    for expected in ({}, {"skerry-cache": "hit"}):
        (call,), _ = signature.decode_call(body, "application/json")
        value, content_type, headers = signature.encode_result(server(Items([call]))[0])
        assert headers == expected
        guesses = signature.decode_result(value, content_type)
        assert [guess.digit for guess in guesses] == [0, 1]
        assert isinstance(guesses[0], Guess)
    with pytest.raises(InvalidPayloadError, match="images"):
        signature.decode_call(b'[{"pixels": "x"}]', "application/json")
    # Other protocols speak of the model's own tensors.
    (call,), _ = signature.decode_call(orjson.dumps({"instances": rows[:1].tolist()}), "", {"skerry-protocol": "v1"})
    assert signature.encode_result(server(Items([call]))[0])[0] == b'{"predictions":[0]}'
    schema = signature.schema()
    assert schema["input"]["items"] == {"$ref": "#/$defs/Image"}
    assert "Guess" in schema["output"]["$defs"]


@pytest.mark.usefixtures("pinned")
def test_what_before_or_after_raise_fails_one_caller(rows):
    def refuse_zero(values: list[list[float]]) -> list[list[float]]:
        if values[0][0]:
            raise ValueError("not an image")
        return values

    function = skerry.App("vision").serve("digits", model="digits", before=refuse_zero)
    results = loaded(function)(Items([rows[:1].tolist(), [[1.0] * 64], rows[:1].tolist()]))
    assert isinstance(results[1], ValueError)
    assert results[0]["labels"] == results[2]["labels"] == [0]


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("made", [None, [[1.0]], np.zeros((1, 63), "float32"), {"Y": [[1.0]]}, {"type": "array"}])
def test_what_before_makes_and_does_not_fit_is_a_failure_of_the_function(rows, made):
    def choose(values: list[list[float]]) -> object:
        if values[0][0] < 0:
            raise InvalidPayloadError("values: no ink is negative", field="values")
        return values if values[0][0] else made

    function = skerry.App("vision").serve("digits", model="digits", before=choose)
    good, refused = [[1.0] * 64], [[-1.0] * 64]
    results = loaded(function)(Items([good, rows[:1].tolist(), refused]))
    assert results[0]["model"] == "digits@1"
    assert isinstance(results[1], HandlerError)
    assert results[1].http_status == 500
    assert "what the function's `before` returned does not fit the model: input" in results[1].message
    assert isinstance(results[2], InvalidPayloadError)  # what it raises itself is its word to the caller


@pytest.mark.usefixtures("pinned")
def test_what_after_makes_and_cannot_be_sent_is_a_failure_of_the_function(rows):
    def untyped(outputs: dict[str, np.ndarray]):
        return object()

    def mistyped(outputs: dict[str, np.ndarray]) -> list[Guess]:
        return outputs["probabilities"]

    for after_it in (untyped, mistyped):
        function = skerry.App("vision").serve("digits", model="digits", after=after_it)
        (call,), _ = function.signature.decode_call(orjson.dumps(rows[:1].tolist()), "application/json")
        with pytest.raises(HandlerError, match="the handler's result cannot be sent"):
            function.signature.encode_result(loaded(function)(Items([call]))[0])


@pytest.mark.usefixtures("pinned")
def test_a_worker_answers_calls_of_several_protocols_in_one_group(rows):
    function = skerry.App("vision").serve("digits", model="digits")
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 64], "parameters": {"binary_data_size": 256}}
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    headers = {"skerry-protocol": "v2", LENGTH_HEADER: str(len(head))}
    meta = {"content_type": "application/octet-stream", "headers": headers}
    row = orjson.dumps(rows[:1].tolist())
    v1 = {"headers": {"skerry-protocol": "v1"}}
    with WorkerProcess(loaded(function)) as worker:
        worker.send(
            encode_frame(Kind.BATCH, 4),
            encode_frame(Kind.CALL, 1, row),
            encode_frame(Kind.CALL, 2, head + rows[1].tobytes(), codec=Codec.OTHER, meta=meta),
            encode_frame(Kind.CALL, 3, b'{"instances": %b}' % row, meta=v1),
            encode_frame(Kind.CALL, 4, b"[[1, 2]]"),
        )
        answers = worker.answers(4)
        worker.send(encode_frame(Kind.CALL, 5, row))
        usual = worker.answers(1)[5]
    assert orjson.loads(answers[1].body)["labels"] == [0]
    assert orjson.loads(usual.body)["labels"] == [0]
    assert answers[2].meta["content_type"] == "application/octet-stream"
    length = int(answers[2].meta["headers"][LENGTH_HEADER])
    assert [t["name"] for t in orjson.loads(answers[2].body[:length])["outputs"]] == ["label", "probabilities"]
    assert np.frombuffer(answers[2].body, "<i8", 1, length)[0] == 1
    assert orjson.loads(answers[3].body) == {"predictions": [0]}
    assert answers[4].kind == Kind.ERROR
    assert answers[4].meta["status"] == 422
    assert "input 'X': expected FP32 of shape (any, 64)" in orjson.loads(answers[4].body)["detail"]


def test_the_bare_runtime_serves_a_model_by_its_name(tmp_path, rows):
    publish_digits(tmp_path)
    environment = {"SKERRY_MODELS": str(tmp_path / "models"), "SKERRY_MODEL_CACHE": str(tmp_path / "here")}
    source = 'app = skerry.App("vision")\napp.serve("digits", model="digits@production", cache="1MiB")\n'
    runtime = RuntimeProcess(tmp_path / "runtime", source, environment=environment)
    try:
        runtime.start()
        first, again = (runtime.call("digits", orjson.dumps(rows[:3].tolist())) for _ in range(2))
        assert first.status == again.status == 200, runtime.log()
        assert orjson.loads(first.body)["labels"] == [0, 1, 2]
        assert again.headers["skerry-cache"] == "hit"
        assert runtime.call("digits", b"[[1]]").status == 422
    finally:
        runtime.close()


def test_a_container_serves_a_model_that_a_variable_names(tmp_path, rows):
    publish_digits(tmp_path)
    environment = {"SKERRY_MODELS": str(tmp_path / "models"), "SKERRY_MODEL_CACHE": str(tmp_path / "here")}
    environment["SKERRY_SERVE"] = "digits@1"
    runtime = RuntimeProcess(tmp_path / "runtime", Path("skerry.app.served:app"), environment=environment)
    try:
        runtime.start()
        answer = runtime.call("/", orjson.dumps(rows[:3].tolist()))
        assert orjson.loads(answer.body)["labels"] == [0, 1, 2], runtime.log()
    finally:
        runtime.close()


def test_the_app_of_a_container_needs_its_variable(monkeypatch):
    from skerry.app import served

    monkeypatch.delenv("SKERRY_SERVE", raising=False)
    with pytest.raises(ConfigError, match="SKERRY_SERVE is not set"):
        _ = served.app
    assert list(served.serving_app("news@candidate").functions) == ["news"]
