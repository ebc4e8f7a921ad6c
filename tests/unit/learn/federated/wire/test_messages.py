import base64
import json

import numpy as np
import pytest

from skerry.learn.federated.wire.coding import pack, unpack
from skerry.learn.federated.wire.messages import FitReply
from skerry.payload.media import JSON, MSGPACK
from skerry.payload.signature import Signature

UPDATE = np.random.default_rng(0).normal(size=1000).astype(np.float32)
REPLY = FitReply(
    job="digits", round=1, client="boat", token="t", model_digest="ab", update=pack(UPDATE, "int8")[0], examples=3
)


def fit() -> FitReply:
    """Return a reply, as a client's function does."""
    return REPLY


@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
def test_a_reply_with_bytes_of_any_kind_comes_back_from_the_wire(content_type):
    signature = Signature.of(fit)
    body, content_type, _ = signature.encode_result(REPLY, content_type)
    again = FitReply.model_validate(signature.decode_result(body, content_type))
    assert again == REPLY
    assert unpack(again.update).tobytes() == unpack(REPLY.update).tobytes()


def test_messagepack_adds_no_more_than_the_fields_and_json_a_third():
    signature = Signature.of(fit)
    vector_bytes = len(REPLY.update.data)
    assert len(signature.encode_result(REPLY, MSGPACK)[0]) < vector_bytes + 400
    assert vector_bytes * 1.3 < len(signature.encode_result(REPLY, JSON)[0]) < vector_bytes * 1.4 + 400


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_both_alphabets_of_base64_are_read(encode):
    fields = json.loads(REPLY.model_dump_json())
    fields["update"]["data"] = encode(REPLY.update.data).decode()
    assert FitReply.model_validate_json(json.dumps(fields)) == REPLY
