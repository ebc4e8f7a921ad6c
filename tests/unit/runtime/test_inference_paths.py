"""Calls at the addresses of inference protocols: what the worker is told, and what is kept of their heads."""

import asyncio
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import InvalidPayloadError, ModelNotFoundError, UnavailableError
from skerry.runtime.front import Front
from skerry.runtime.inference_paths import inference_paths
from skerry.runtime.inference_routes import InferenceRoutes, ServedModel
from skerry.runtime.message import Response
from skerry.runtime.reading import read_head
from support.echo_service import post, read_answer

INFER = b"/v2/models/digits/infer"
NAMES = st.from_regex(r"[a-z]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True)


class Pool:
    """Answers each call with what a worker would be told of it."""

    def __init__(self, name="digits", error=None):
        self.spec = SimpleNamespace(name=name, max_body_bytes=1000, local=False)
        self.dispatcher = SimpleNamespace(refusal=None)
        self._error = error

    def take(self, call):
        if self._error is not None:
            raise self._error
        call.reply(Response.of_json({"meta": call.meta, "codec": int(call.codec)}))


def serve(run_loop, requests, *, pool=None, versions=None, models=None):
    """Send requests over one connection; return the status and the JSON of each answer, and the heads that are kept."""

    async def main():
        front = Front()
        taker = pool or Pool()
        front.add_function(taker, versions=versions or {3: taker})
        InferenceRoutes(front, lambda: models or {}).add_routes()
        reader, writer = await asyncio.open_connection("127.0.0.1", await front.listen("127.0.0.1", 0))
        answers = []
        try:
            for request in requests:
                writer.write(request)
                status, _, body = await asyncio.wait_for(read_answer(reader), 10)
                answers.append((status, orjson.loads(body)))
        finally:
            writer.close()
            await front.stop_listening()
            await front.finish(limit_s=1.0)
        return answers, front.heads[False]

    return run_loop(main())


def test_the_worker_is_told_the_protocol_of_the_address(run_loop):
    paths = [INFER, b"/v2/models/digits/versions/3/infer", b"/v1/models/digits:predict", b"/function/digits"]

    answers, heads = serve(run_loop, [post(path, b"{}") for path in paths * 2])

    told = [answer["meta"].get("headers") for _, answer in answers]
    assert told[:4] == [*({"skerry-protocol": protocol} for protocol in ("v2", "v2", "v1")), None]
    assert told[4:] == told[:4]
    assert len(heads) == 4  # the second of each came by what was kept of the first


def test_how_much_of_a_body_is_json_is_told_at_inference_addresses_alone(run_loop):
    header = b"Inference-Header-Content-Length: 7"

    answers, _ = serve(run_loop, [post(path, b"{}", header) for path in (INFER, b"/function/digits", INFER)])

    assert [answer["meta"].get("headers") for _, answer in answers] == [
        {"skerry-protocol": "v2", "inference-header-content-length": "7"},
        None,
        {"skerry-protocol": "v2", "inference-header-content-length": "7"},
    ]


def test_a_client_cannot_say_what_protocol_the_address_has(run_loop):
    header = b"Skerry-Protocol: v1"

    answers, _ = serve(run_loop, [post(path, b"{}", header) for path in (INFER, b"/function/digits")])

    assert [answer["meta"].get("headers") for _, answer in answers] == [{"skerry-protocol": "v2"}, None]


def test_each_version_has_its_own_taker(run_loop):
    other = Pool(error=UnavailableError("the other one"))
    pool = Pool()

    answers, _ = serve(
        run_loop,
        [post(b"/v2/models/digits/versions/%d/infer" % version, b"{}") for version in (3, 4)],
        pool=pool,
        versions={3: pool, 4: other},
    )

    assert [status for status, _ in answers] == [200, 503]


def test_addresses_of_the_version_before_are_gone_with_it():
    front, before, after = Front(), Pool(), Pool()
    front.add_function(before, versions={1: before})
    front.add_function(after, versions={2: after})

    assert b"/v2/models/digits/versions/1/infer" not in front._functions
    assert set(front._functions.values()) == {after}
    front.remove_function("digits")
    assert (front._functions, front._protocols) == ({}, {})


@pytest.mark.parametrize("path", [INFER, b"/v1/models/digits:predict"])
def test_errors_of_calls_are_named_as_clients_of_the_protocols_read_them(run_loop, path):
    pool = Pool(error=InvalidPayloadError("the tensor x is missing", field="x"))

    (answer, plain), _ = serve(run_loop, [post(path, b"{}"), post(b"/function/digits", b"{}")], pool=pool)

    assert answer[0] == plain[0] == 422
    assert answer[1] == {"error": "the tensor x is missing", **plain[1]}


def test_an_error_body_that_is_no_problem_is_left_as_it_is():
    for body in (b"not JSON", b"[1]", b"null"):
        response = Response(body, status=500, content_type="application/problem+json")
        response.name_error()
        assert response.body == body


def test_what_is_not_served_is_answered_with_what_is(run_loop):
    models = {"digits": ServedModel(name="digits", versions={3: None}, refusal=None)}

    answers, _ = serve(
        run_loop,
        [
            post(b"/v2/models/digits/versions/4/infer", b"{}"),
            post(b"/v2/models/other/infer", b"{}"),
            post(b"/v2/models/digits/infer/", b"{}"),
        ],
        models=models,
    )

    assert [(status, answer["code"]) for status, answer in answers] == [
        (404, ModelNotFoundError.code),
        (404, ModelNotFoundError.code),
        (404, "not_found"),
    ]


@given(NAMES, st.sets(st.integers(1, 10**6)))
def test_addresses_are_of_one_model_and_every_version_has_one(name, versions):
    paths = inference_paths(name, versions)

    assert len({address.path for address in paths}) == len(paths) == 2 + len(versions)
    assert {address.version for address in paths} == {None, *versions}
    assert all(f"/models/{name}".encode() in address.path for address in paths)


@given(st.lists(st.sampled_from([(b"content-type", b"text/x"), (b"ce-id", b"1"), (b"priority", b"u=1")])))
def test_a_head_means_the_same_at_every_address_but_for_the_protocol(headers):
    plain, told = read_head(headers), read_head(headers, "v2")

    assert told.meta["headers"].pop("skerry-protocol") == "v2"
    assert {key: value for key, value in told.meta.items() if value} == plain.meta
    assert (told.codec, told.urgency) == (plain.codec, plain.urgency)
    assert not told.is_plain
