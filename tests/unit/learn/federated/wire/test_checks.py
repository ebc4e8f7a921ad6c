"""What an aggregator refuses: one row per hostile reply, and what no row may do."""

import dataclasses
import hashlib
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import DataError, ReplyRefusedError, from_problem
from skerry.learn.federated.strategies.base import Replies
from skerry.learn.federated.strategies.fedavg import FedAvg
from skerry.learn.federated.wire.checks import Expected, Reason, check_reply, read_reply
from skerry.learn.federated.wire.coding import pack
from skerry.learn.federated.wire.messages import FitReply, Packed
from skerry.learn.federated.wire.parameters import Layout
from skerry.learn.federated.wire.tokens import Claims, UsedTokens, issue_token

SECRET, MODEL, OLD_MODEL = bytes(range(32)), "ab" * 32, "cd" * 32
LAYOUT = Layout.of({"weights": np.zeros((20, 15), np.float32), "bias": np.zeros(15, np.float32)})
UPDATE = np.linspace(-0.01, 0.01, LAYOUT.size, dtype=np.float32)
EXPECTED = Expected(
    job="digits",
    round=7,
    client="harbour",
    model_digest=MODEL,
    layout=LAYOUT,
    clients=frozenset({"harbour", "lighthouse", "boat"}),
    secret=SECRET,
    used=UsedTokens(),
    now_s=1000.0,
    most_examples=10_000,
    coding="float32",
)


def token(*, job="digits", round=7, client="harbour", model_digest=MODEL, secret=SECRET, expires_s=2000.0):
    claims = Claims(job=job, round=round, client=client, model_digest=model_digest)
    return issue_token(secret, claims, expires_s=expires_s)


def packed(vector=UPDATE, coding="float32"):
    return pack(np.asarray(vector, np.float32), coding)[0]


def wire(data, size=LAYOUT.size, coding="float32"):
    """A vector as only a client with code of its own would send it."""
    data = bytes(data)
    return Packed(coding=coding, size=size, data=data, digest=hashlib.sha256(data).hexdigest())


def with_number(number, place=17):
    vector = UPDATE.astype("<f4")
    vector[place] = number
    return wire(vector)


def int8_with_scale(scale):
    return wire(np.full(5, scale, "<f4").tobytes() + bytes(LAYOUT.size), coding="int8")


def top_k_at(*places):
    """Places within the second chunk of a vector of 315 numbers, which has 59."""
    return wire(
        np.array([0, len(places)], "<u2").tobytes() + bytes(places) + np.ones(len(places), "<f4").tobytes(),
        coding="top-k",
    )


GOOD = FitReply(
    job="digits",
    round=7,
    client="harbour",
    token=token(),
    model_digest=MODEL,
    update=packed(),
    examples=600,
    steps=40,
    metrics={"loss": 0.5},
    train_s=1.5,
    peak_memory_bytes=90_000_000,
)
MISSING = {"status": "base-missing", "update": None, "examples": 0, "steps": 0}
NAN, INF = float("nan"), float("inf")

# What the reply has otherwise than a good one; what is known otherwise; the reason of the refusal.
HOSTILE = {
    # numbers that are none
    "NaN in the update": ({"update": with_number(NAN)}, {}, "not_finite"),
    "infinity in the update": ({"update": with_number(INF)}, {}, "not_finite"),
    "minus infinity as the last number": ({"update": with_number(-INF, -1)}, {}, "not_finite"),
    "NaN in a float16 update": (
        {"update": wire(np.full(LAYOUT.size, NAN, "<f2"), coding="float16")},
        {"coding": "float16"},
        "not_finite",
    ),
    "float64 that float32 cannot hold": (
        {"update": wire(np.full(LAYOUT.size, 1e300, "<f8"), coding="float64")},
        {"coding": None},
        "not_finite",
    ),
    "an INT8 scale that is NaN": ({"update": int8_with_scale(NAN)}, {"coding": "int8"}, "not_finite"),
    "an INT8 scale that is infinite": ({"update": int8_with_scale(INF)}, {"coding": "int8"}, "not_finite"),
    "a kept number that is NaN": (
        {"update": wire(b"\1\0\0\0" + b"\5" + np.array([NAN], "<f4").tobytes(), coding="top-k")},
        {"coding": "top-k"},
        "not_finite",
    ),
    "NaN in the control variate": ({"control": with_number(NAN)}, {"control": True}, "not_finite"),
    "NaN among the metrics": ({"metrics": {"loss": NAN}}, {}, "not_finite"),
    "infinity among the metrics": ({"metrics": {"loss": 0.5, "accuracy": INF}}, {}, "not_finite"),
    "a training time that is NaN": ({"train_s": NAN}, {}, "not_finite"),
    # shapes and dtypes: nothing is broadcast
    "one number for all": ({"update": packed([0.5])}, {}, "wrong_size"),
    "no numbers": ({"update": packed([])}, {}, "wrong_size"),
    "one number too few": ({"update": packed(UPDATE[:-1])}, {}, "wrong_size"),
    "one number too many": ({"update": packed([*UPDATE, 0])}, {}, "wrong_size"),
    "the weights of another layout": ({"update": packed(np.zeros(20 * 15))}, {}, "wrong_size"),
    "the size is right and the bytes are too few": ({"update": wire(UPDATE[:-1])}, {}, "wrong_size"),
    "the size is right and the bytes are too many": ({"update": wire([*UPDATE.tobytes(), 0])}, {}, "wrong_size"),
    "float64 said to be float32": ({"update": wire(UPDATE.astype("<f8"))}, {}, "wrong_size"),
    "a size that would fill the memory": ({"update": wire(b"", 2**62, "top-k")}, {"coding": "top-k"}, "wrong_size"),
    "another coding than was asked for": ({"update": packed(coding="float16")}, {}, "wrong_coding"),
    "a control variate of another size": ({"control": packed([1, 2])}, {"control": True}, "wrong_size"),
    # bytes
    "bytes that are not those of the digest": (
        {"update": packed().model_copy(update={"digest": "00" * 32})},
        {},
        "damaged",
    ),
    "a bit that was altered on the way": (
        {"update": packed().model_copy(update={"data": packed().data[:-1] + b"\7"})},
        {},
        "damaged",
    ),
    "an INT8 scale below 0": ({"update": int8_with_scale(-1)}, {"coding": "int8"}, "damaged"),
    "a place beyond the vector": ({"update": top_k_at(3, 59)}, {"coding": "top-k"}, "damaged"),
    "a place that comes twice": ({"update": top_k_at(3, 3)}, {"coding": "top-k"}, "damaged"),
    "places that fall": ({"update": top_k_at(4, 3)}, {"coding": "top-k"}, "damaged"),
    # counts
    "fewer than no examples": ({"examples": -1}, {}, "negative_count"),
    "absurdly negative examples": ({"examples": -(2**63)}, {}, "negative_count"),
    "one example too many": ({"examples": 10_001}, {}, "too_many_examples"),
    "more examples than there are atoms": ({"examples": 10**400}, {}, "too_many_examples"),
    "fewer than no steps": ({"steps": -1}, {}, "negative_count"),
    "more steps than anybody takes": ({"steps": 10**400}, {}, "too_many_steps"),
    "time that ran backwards": ({"train_s": -0.1}, {}, "negative_count"),
    "memory below nothing": ({"peak_memory_bytes": -1}, {}, "negative_count"),
    # who, when and of which model
    "another job": ({"job": "digits-2"}, {}, "wrong_job"),
    "a client that nobody knows": ({"client": "thief", "token": token(client="thief")}, {}, "unknown_client"),
    "a client in the name of another": ({"client": "boat", "token": token(client="boat")}, {}, "wrong_client"),
    "a reply of an earlier round": ({"round": 6, "token": token(round=6)}, {}, "stale"),
    "a reply that is too late": ({}, {"staleness": 3, "most_staleness": 2}, "stale"),
    "a reply of a round to come": ({"round": 8, "token": token(round=8)}, {}, "wrong_round"),
    "another model": ({"model_digest": OLD_MODEL, "token": token(model_digest=OLD_MODEL)}, {}, "wrong_model"),
    # tokens
    "no token": ({"token": ""}, {}, "token_forged"),
    "a token of the client's own making": ({"token": token(secret=bytes(32))}, {}, "token_forged"),
    "a token that was altered": ({"token": token()[:-1] + "!"}, {}, "token_forged"),
    "a token that was cut": ({"token": token()[:-2]}, {}, "token_forged"),
    "a token that has expired": ({"token": token(expires_s=999.0)}, {}, "token_expired"),
    "a stolen token": ({"token": token(client="lighthouse")}, {}, "token_wrong_client"),
    "an old reply with the round altered": ({"token": token(round=6)}, {}, "token_wrong_round"),
    "a token of a round to come": ({"token": token(round=8)}, {}, "token_wrong_round"),
    "a token of another job": ({"token": token(job="digits-2")}, {}, "token_wrong_job"),
    "a token for another model": ({"token": token(model_digest=OLD_MODEL)}, {}, "token_wrong_model"),
    # metrics that nobody should be shown
    "a metric that obeys a terminal": ({"metrics": {"\x1b]0;owned\x07": 0.5}}, {}, "wrong_metric"),
    "a metric that is markup": ({"metrics": {'"><script>': 0.5}}, {}, "wrong_metric"),
    "a metric that reads backwards": ({"metrics": {"loss\u202e": 0.5}}, {}, "wrong_metric"),
    "a metric with a name without end": ({"metrics": {"a" * 201: 0.5}}, {}, "wrong_metric"),
    # twice
    "a second reply": ({"token": token(expires_s=3000.0)}, {"replied": True}, "duplicate"),
    "the same reply again": ({}, {"replied": True, "used": UsedTokens.of([token()])}, "duplicate"),
    "a used token under another reply": ({"examples": 9}, {"used": UsedTokens.of([token()])}, "replayed"),
    # what contradicts itself
    "trained, and no update": ({"update": None}, {}, "contradictory"),
    "not trained, and an update": ({**MISSING, "update": packed()}, {}, "contradictory"),
    "not trained, and examples": ({**MISSING, "examples": 5}, {}, "contradictory"),
    "not trained, and steps": ({**MISSING, "steps": 5}, {}, "contradictory"),
    "not trained, and a control variate": ({**MISSING, "control": packed()}, {}, "contradictory"),
    "the base is missing of a whole model": (MISSING, {"whole_model": True}, "contradictory"),
    "a control variate that nobody asked for": ({"control": packed()}, {}, "contradictory"),
    "no control variate where one was asked for": ({}, {"control": True}, "contradictory"),
    # against intent
    "an update that is too long": ({"update": packed(UPDATE * 1000)}, {"largest_norm": 1.0}, "norm_too_large"),
    "an update whose square float32 cannot hold": (
        {"update": packed(np.full(LAYOUT.size, 3e38))},
        {"largest_norm": 1e6},
        "norm_too_large",
    ),
    # honest, but no update
    "the base is missing": (MISSING, {}, "base_missing"),
}

GOOD_FIELDS = GOOD.model_dump()
MALFORMED = {
    "nothing": None,
    "text": "done",
    "a list": [1, 2],
    "no fields": {},
    "no token": {key: value for key, value in GOOD_FIELDS.items() if key != "token"},
    "an unknown field": {**GOOD_FIELDS, "weight": 100},
    "an unknown field of the update": {**GOOD_FIELDS, "update": {**GOOD_FIELDS["update"], "pickle": b"cos\nsystem"}},
    "an unknown coding": {**GOOD_FIELDS, "update": {**GOOD_FIELDS["update"], "coding": "pickle"}},
    "a negative size": {**GOOD_FIELDS, "update": {**GOOD_FIELDS["update"], "size": -1}},
    "an unknown status": {**GOOD_FIELDS, "status": "trust-me"},
    "half an example": {**GOOD_FIELDS, "examples": 1.5},
    "examples that are NaN": {**GOOD_FIELDS, "examples": NAN},
    "a metric that is text": {**GOOD_FIELDS, "metrics": {"loss": "low"}},
    "an update that is a list": {**GOOD_FIELDS, "update": [0.5]},
}


def refused(reply=None, **known):
    with pytest.raises(ReplyRefusedError) as caught:
        check_reply(reply or GOOD, dataclasses.replace(EXPECTED, **known))
    return caught.value


@pytest.mark.parametrize(("changes", "known", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_reply_is_refused_by_name(changes, known, reason):
    reply = GOOD.model_copy(update=changes)
    error = refused(reply, **known)
    assert error.reason == reason
    assert error.message
    assert reply.token == "" or reply.token not in str(error.to_problem())
    assert len(error.message) < 300


@pytest.mark.parametrize("value", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_reply_is_malformed_and_not_repeated(value):
    with pytest.raises(ReplyRefusedError, match="not a reply") as caught:
        read_reply(value)
    assert caught.value.reason == "malformed"
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert GOOD.token not in str(caught.value.to_problem())


def test_every_reason_has_a_row_and_every_row_a_known_reason():
    assert {reason for _, _, reason in HOSTILE.values()} | {"malformed"} == set(get_args(Reason))


def test_clients_without_a_single_example_make_an_error_not_a_division():
    received = check_reply(GOOD.model_copy(update={"examples": 0}), EXPECTED)

    class Nobody(Replies):
        def __len__(self):
            return 2

        def __iter__(self):
            return iter([received, received])

    with pytest.raises(DataError, match="a single example"):
        FedAvg().aggregate(np.zeros(LAYOUT.size, np.float32), {}, Nobody())


def test_a_good_reply_is_received_as_it_was_sent():
    received = check_reply(read_reply(GOOD.model_dump()), EXPECTED)
    assert (received.client, received.examples, received.steps, received.staleness) == ("harbour", 600, 40, 0)
    assert received.delta.dtype == np.float32
    assert received.delta.tobytes() == UPDATE.tobytes()
    assert received.control is None
    assert received.metrics == {"loss": 0.5}


@pytest.mark.parametrize("name", ["val/loss (top 5)", "précision@10", "точность", "دقت‌کل", "x\\q & $y$", "👩‍🔬"])
def test_metrics_are_named_in_any_language(name):
    reply = GOOD.model_copy(update={"metrics": {name: 0.5}})
    assert check_reply(reply, EXPECTED).metrics == {name: 0.5}


def test_a_reply_counts_once_and_after_a_restart_as_well():
    check_reply(GOOD, EXPECTED)
    used = UsedTokens()
    used.use(GOOD.token)
    on_record = [GOOD]
    for known in (used, UsedTokens.of(reply.token for reply in on_record)):
        assert refused(used=known).reason == "replayed"
        assert refused(used=known, replied=True).reason == "duplicate"


def test_a_late_reply_is_received_with_its_staleness():
    known = dataclasses.replace(EXPECTED, staleness=2, most_staleness=2)
    assert check_reply(GOOD, known).staleness == 2


def test_a_control_variate_that_was_asked_for_is_received():
    reply = GOOD.model_copy(update={"control": packed(UPDATE * 2)})
    received = check_reply(reply, dataclasses.replace(EXPECTED, control=True))
    assert received.control.tobytes() == (UPDATE * 2).tobytes()


def test_an_update_at_the_bounds_is_received():
    known = dataclasses.replace(EXPECTED, largest_norm=float(np.linalg.norm(UPDATE.astype(float))) * 1.001)
    assert check_reply(GOOD.model_copy(update={"examples": 10_000}), known).examples == 10_000


def test_a_float64_model_gets_float64():
    layout = Layout.of({"w": np.zeros(3)})
    vector = np.array([1e-200, 1 / 3, -5])
    reply = GOOD.model_copy(update={"update": pack(vector, "float64")[0]})
    received = check_reply(reply, dataclasses.replace(EXPECTED, layout=layout, coding="float64"))
    assert received.delta.tobytes() == vector.tobytes()


@settings(deadline=None, max_examples=200)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "job": st.text(max_size=5) | st.just("digits"),
            "round": st.integers(),
            "client": st.sampled_from(["harbour", "boat", "x" * 10_000]),
            "token": st.text(max_size=300) | st.just(token()),
            "model_digest": st.text(max_size=64),
            "status": st.sampled_from(["done", "base-missing"]),
            "examples": st.integers(),
            "steps": st.integers(),
            "metrics": st.dictionaries(st.text(max_size=3), st.floats(), max_size=3),
            "train_s": st.floats(),
            "update": st.none()
            | st.builds(
                wire, st.binary(max_size=1300), st.integers(0, 400), st.sampled_from(["float32", "int8", "top-k"])
            ),
        },
    )
)
def test_whatever_comes_is_received_whole_or_refused_with_a_known_reason(changes):
    try:
        received = check_reply(GOOD.model_copy(update=changes), EXPECTED)
    except ReplyRefusedError as error:
        known = error.reason in get_args(Reason) and len(error.message) < 300
    else:
        known = received.delta.shape == (LAYOUT.size,) and bool(np.isfinite(received.delta).all())
    assert known


def test_the_reason_survives_the_network():
    assert from_problem(refused(GOOD.model_copy(update={"examples": -1})).to_problem()).reason == "negative_count"


def test_neither_secret_nor_token_is_shown():
    assert token() not in repr(GOOD)
    assert str(SECRET) not in repr(EXPECTED)


def test_a_reply_to_a_secure_task_says_nothing_of_the_update():
    nothing = GOOD.model_copy(update={"update": None, "examples": 0, "steps": 0, "metrics": {}})
    assert check_reply(nothing, dataclasses.replace(EXPECTED, secure=True)).delta.size == 0
    assert refused(nothing).reason == "contradictory"
    for word in ("update", "examples", "steps"):
        talkative = nothing.model_copy(update={word: getattr(GOOD, word)})
        assert refused(talkative, secure=True).reason == "contradictory"
    assert refused(nothing.model_copy(update={"metrics": {"loss": 0.5}}), secure=True).reason == "contradictory"
