"""Several callers' rows in one run."""

import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.serve.cache import ResponseCache
from skerry.serve.merging import Piece, UnevenError, plan, run_merged


def rows(count, width=2):
    return {"x": np.arange(count * width, dtype="float32").reshape(count, width)}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3)), max_size=12), st.integers(1, 16))
@settings(deadline=None)
def test_every_row_is_in_one_run_and_no_run_is_too_large(sizes, most_rows):
    requests = [rows(count, width) for count, width in sizes]
    runs = plan(requests, most_rows=most_rows)
    seen = [set() for _ in requests]
    for run in runs:
        assert sum(piece.stop - piece.start for piece in run) <= most_rows
        assert len({sizes[piece.request][1] for piece in run}) == 1
        for piece in run:
            numbers = set(range(piece.start, piece.stop))
            assert not numbers & seen[piece.request]
            seen[piece.request] |= numbers
    assert [len(found) for found in seen] == [count for count, _ in sizes]
    assert {piece.request for run in runs for piece in run} == set(range(len(requests)))


@given(st.lists(st.integers(1, 600), min_size=1, max_size=6))
@settings(deadline=None)
def test_each_request_gets_what_it_would_get_alone(counts):
    requests = [{"x": np.full((count, 2), at, dtype="float32")} for at, count in enumerate(counts)]
    found = run_merged(lambda tensors: {"y": tensors["x"] * 2}, requests)
    for at, count in enumerate(counts):
        assert found[at]["y"].shape == (count, 2)
        assert (found[at]["y"] == 2 * at).all()


def test_inputs_with_different_numbers_of_rows_run_alone():
    uneven = {"a": np.zeros((2, 1)), "b": np.zeros((3, 1))}
    assert plan([uneven, uneven, rows(0)]) == [[Piece(0, 0, 3)], [Piece(1, 0, 3)], [Piece(2, 0, 0)]]


def test_one_that_fails_does_so_alone():
    def run(tensors):
        if (tensors["x"] < 0).any():
            raise ValueError("below zero")
        return {"y": tensors["x"]}

    good, bad = rows(3), {"x": -np.ones((2, 2), dtype="float32")}
    found = run_merged(run, [good, bad, good])
    assert (found[0]["y"] == good["x"]).all()
    assert isinstance(found[1], ValueError)
    assert (found[2]["y"] == good["x"]).all()


def test_the_outputs_of_a_run_are_let_go_before_the_next_one():
    before = []

    def run(tensors):
        assert [array for array in before if array() is not None] == []
        outputs = {"y": tensors["x"] + 1}
        before.append(weakref.ref(outputs["y"]))
        return outputs

    requests = [rows(500), rows(3), rows(700)]
    found = run_merged(run, requests)

    assert len(before) == 19
    for request, outputs in zip(requests, found, strict=True):
        assert (outputs["y"] == request["x"] + 1).all()


def test_a_model_whose_rows_have_another_shape_in_each_run_does_not_answer_row_by_row():
    widths = iter(range(1, 100))
    with pytest.raises(UnevenError):
        run_merged(lambda tensors: {"y": np.zeros((len(tensors["x"]), next(widths)))}, [rows(200)])


def test_a_model_that_does_not_answer_row_by_row_is_found_out():
    with pytest.raises(UnevenError):
        run_merged(lambda tensors: {"y": tensors["x"][:1]}, [rows(2), rows(2)])


def test_a_cache_keeps_what_was_used_last():
    outputs = {"y": np.zeros(100, dtype="float64")}
    cache = ResponseCache(3000, "sha256:1")
    keys = [cache.key(rows(count)) for count in (1, 2, 3)]
    cache.put(keys[0], outputs)
    cache.put(keys[1], outputs)
    assert cache.get(keys[0]) is not None
    cache.put(keys[2], outputs)
    assert [cache.get(key) is not None for key in keys] == [True, False, True]
    assert cache.size_bytes <= 3000
    cache.put(b"large", {"y": np.zeros(1000)})
    assert cache.get(b"large") is None
    assert not cache.get(keys[0])["y"].flags.writeable


def test_keys_tell_models_names_types_shapes_and_texts_apart():
    cache = ResponseCache(1, "sha256:1")
    x = np.zeros((2, 2), dtype="float32")
    ab, a_b = np.array(["ab", ""], dtype=object), np.array(["a", "b"], dtype=object)
    different = [
        {"x": x},
        {"y": x},
        {"x": x.reshape(4)},
        {"x": x.view("int32")},
        {"x": x + 1},
        {"x": ab},
        {"x": a_b},
        {"x": x, "y": x},
    ]
    keys = {cache.key(inputs) for inputs in different} | {ResponseCache(1, "sha256:2").key({"x": x})}
    assert len(keys) == len(different) + 1
    assert cache.key({"x": x}) == cache.key({"x": x.copy()})
