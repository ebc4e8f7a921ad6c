from pathlib import Path

import numpy as np
import pytest

from skerry.errors import DataError
from skerry.learn.federated import Evaluation, Update
from skerry.learn.federated.clients.site_store import Held
from skerry.learn.federated.clients.training import earlier_reply, hold, receive
from skerry.learn.federated.clients.training import train as train_at
from skerry.learn.federated.wire.coding import pack, unpack
from skerry.learn.federated.wire.messages import FitTask
from skerry.learn.federated.wire.parameters import Layout, digest_of

START = {"a": np.array([1.0, 2.0], np.float32), "b": np.array([[3.0]], np.float32)}
LAYOUT = Layout.of(START)
MODEL = LAYOUT.join(START)


def train(task, fit, model, held, secure_path=Path("nowhere")):
    return train_at(task, fit, model, held, secure_path)


def packed(vector, coding="float32"):
    return pack(np.asarray(vector, np.float32), coding)[0]


def task_of(**changes):
    values = {
        "job": "j",
        "round": 2,
        "client": "c",
        "token": "t",
        "layout": LAYOUT,
        "model_digest": digest_of(MODEL),
        "model": packed(MODEL),
        **changes,
    }
    return FitTask(**values)


def test_a_whole_model_needs_nothing_and_a_held_one_need_not_be_sent():
    assert receive(task_of(), None).tolist() == [1, 2, 3]
    assert receive(task_of(model=None), Held(model=MODEL, digest=digest_of(MODEL))).tolist() == [1, 2, 3]
    assert receive(task_of(model=None), None) is None


def test_a_difference_is_added_to_its_base_and_to_no_other_model():
    base = np.zeros(3, np.float32)
    task = task_of(base_digest=digest_of(base))
    assert receive(task, Held(model=base, digest=digest_of(base))).tolist() == [1, 2, 3]
    assert receive(task, None) is None
    assert receive(task, Held(model=base + 1, digest=digest_of(base + 1))) is None


def test_a_model_without_its_digest_is_refused():
    with pytest.raises(DataError, match="does not have its digest"):
        receive(task_of(model=packed(MODEL + 1)), None)


@pytest.mark.parametrize("form", ["parameters", "delta"])
def test_the_reply_is_the_difference_to_the_model_that_training_began_from(form):
    def fit(parameters, config):
        parameters["a"] += 1  # in place, as optimisers do
        change = {"a": np.ones(2, np.float32), "b": np.zeros((1, 1), np.float32)}
        given = {"parameters": parameters} if form == "parameters" else {"delta": change}
        return Update(examples=7, steps=3, metrics={"loss": np.float32(0.5)}, **given)

    held, reply = train(task_of(), fit, MODEL, hold(None, MODEL, digest_of(MODEL)))
    assert unpack(reply.update).tolist() == [1, 1, 0]
    assert (reply.examples, reply.steps, reply.metrics) == (7, 3, {"loss": 0.5})
    assert (reply.job, reply.round, reply.client, reply.token) == ("j", 2, "c", "t")
    assert reply.peak_memory_bytes > 2**20
    assert held.model.tolist() == [1, 2, 3]
    assert held.reply == reply


def test_what_a_coding_leaves_out_goes_into_the_next_round():
    def fit(parameters, config):
        return Update(delta={"a": np.array([1.0, 0.004], np.float32), "b": np.zeros((1, 1), np.float32)}, examples=1)

    held = hold(None, MODEL, digest_of(MODEL))
    total = np.zeros(3)
    for round in range(1, 9):
        held, reply = train(task_of(round=round, coding="int8"), fit, MODEL, held)
        total += unpack(reply.update)
    assert total[1] == pytest.approx(8 * 0.004, abs=0.008)
    assert held.residual is not None


def test_scaffold_corrects_with_both_control_variates_and_sends_the_change():
    seen = []

    def fit(parameters, config):
        seen.append(config.correction)
        return Update(delta={"a": -np.ones(2, np.float32), "b": np.zeros((1, 1), np.float32)}, examples=1, steps=2)

    task = task_of(control=packed([0.5, 0.5, 0.5]), settings={"learning_rate": 0.25})
    held, reply = train(task, fit, MODEL, hold(None, MODEL, digest_of(MODEL)))
    assert seen[0]["a"].tolist() == [0.5, 0.5]  # c - c_i, and c_i is 0 at first
    # c_i - c - delta / (steps * rate) = 0 - 0.5 + 1 / 0.5, and without a step in b just -0.5
    assert held.control.tolist() == [1.5, 1.5, -0.5]
    assert unpack(reply.control).tolist() == [1.5, 1.5, -0.5]
    train(task.model_copy(update={"round": 3}), fit, MODEL, held)
    assert seen[1]["a"].tolist() == [-1.0, -1.0]


def test_a_task_that_comes_again_is_answered_with_the_reply_that_is_there():
    _, reply = train(task_of(), lambda p, c: Update(parameters=p, examples=1), MODEL, hold(None, MODEL, "d"))
    held = Held(model=MODEL, digest=digest_of(MODEL), reply=reply)
    assert earlier_reply(held, task_of(token="new")) == reply.model_copy(update={"token": "new"})
    assert earlier_reply(held, task_of(round=3)) is None
    assert earlier_reply(None, task_of()) is None
    with pytest.raises(DataError, match="is over here"):
        earlier_reply(held, task_of(round=1))
    with pytest.raises(DataError, match="for another model"):
        earlier_reply(held, task_of(model_digest="other"))


@pytest.mark.parametrize(
    ("update", "message"),
    [
        (Evaluation(examples=1), "return federated.Update"),
        (Update(examples=1), "either parameters or delta"),
        (Update(examples=1, parameters=START, delta=START), "either parameters or delta"),
        (Update(examples=1, parameters={"a": START["a"]}), "missing"),
        (
            Update(examples=1, parameters={**START, "b": START["b"].astype(np.float16)}),
            r"return it .astype\(np.float32",
        ),
        (
            Update(examples=1, parameters={**START, "b": START["b"].astype(int)}),
            r"int64 .*return it .astype\(np.float32",
        ),
        (Update(examples=1, parameters={**START, "b": START["b"] + [np.nan]}), "parameter 'b': .* the first is nan"),
        (Update(examples=1, delta={**START, "b": START["b"] + np.inf}), "parameter 'b': .* the first is inf"),
        (Update(examples=1, parameters={**START, "b": np.array([[1e300]])}), "'b' holds 1e.300, which .* float32"),
        (Update(examples=1, parameters=list(START.values())), "arrays by name.* this is a list"),
        (Update(examples=1, delta={**START, "b": [[4.0]]}), "parameter 'b' is of type list; make it an array"),
        (Update(examples=1, parameters={**START, 1: START["b"]}), "named 1, a int: names are texts"),
        (Update(examples=2.5, parameters=START), "examples is 2.5; give a whole number"),
        (Update(examples=None, parameters=START), "examples is None; give a whole number"),
        (Update(examples=1, parameters=START, metrics={"loss": "low"}), "metric 'loss' is a str; give one number"),
        (Update(examples=1, parameters=START, metrics=[0.5]), "metrics is a list; give numbers by name"),
    ],
)
def test_an_update_that_is_none_is_refused_at_its_site(update, message):
    with pytest.raises(DataError, match=message):
        train(task_of(), lambda p, c: update, MODEL, hold(None, MODEL, digest_of(MODEL)))


@pytest.mark.parametrize("field", ["parameters", "delta"])
def test_float64_is_sent_as_the_float32_that_the_model_has(field):
    wide = {name: array.astype(np.float64) + 0.1 for name, array in START.items()}
    narrow = {name: array.astype(np.float32) for name, array in wide.items()}
    updates = []
    for arrays in (wide, narrow):
        update = Update(examples=1, **{field: arrays})
        held = hold(None, MODEL, digest_of(MODEL))
        updates.append(train(task_of(), lambda p, c, update=update: update, MODEL, held, None)[1].update)
    assert updates[0] == updates[1]


def test_the_update_of_a_secure_task_stays_at_its_site(tmp_path):
    terms = {"size": 3, "value_range": 4.0, "max_examples": 10, "max_clients": 3, "threshold": 2}
    held = hold(None, MODEL, digest_of(MODEL))
    after, reply = train(
        task_of(secure=terms),
        lambda p, c: Update(parameters=p, examples=7, steps=2, metrics={"loss": 0.5}),
        MODEL,
        held,
        tmp_path / "secure",
    )
    assert (reply.update, reply.control, reply.examples, reply.steps, reply.metrics) == (None, None, 0, 0, {})
    assert reply.status == "done"
    assert after.reply == reply
    assert (tmp_path / "secure").stat().st_mode & 0o777 == 0o600
    with pytest.raises(DataError, match="max_examples"):
        train(task_of(secure=terms), lambda p, c: Update(parameters=p, examples=11), MODEL, held, tmp_path / "secure")
