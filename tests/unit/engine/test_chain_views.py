"""What is told of a run: the items that were left out, whoever found their fault."""

import time

import msgpack
import pytest

from skerry.engine.chains.routes import cost_of, steps_view
from skerry.events.chain.journal import RunRecord, StepRecord
from skerry.events.chain.paths import function_of
from skerry.events.chain.values import write_plan
from skerry.spec.chain import CallStep, ChainPlan, ChoiceStep, EachStep, ParallelStep, WaitStep


def test_items_that_no_function_has_refused_are_told_as_left_out():
    choice = ChoiceStep(function="which", branches={"left": (CallStep(function="a"),)})
    inner = EachStep(steps=(CallStep(function="b"),))
    plan = ChainPlan(steps=(EachStep(steps=(choice, inner)),))
    record = RunRecord(1, "r", "c", write_plan(plan), "separated", "running", "", msgpack.packb(["x", "y", "z"]))
    ends = [("0/0/0/?", "up"), ("0/1/0/?", "left"), ("0/1/0/left/0", "no list"), ("0/2/0/?", "left")]
    steps = [StepRecord(path, place, "done", msgpack.packb(value)) for place, (path, value) in enumerate(ends)]
    steps.append(StepRecord("0/2/0/left/0", len(steps), "failed", b"", 500, "a says 500"))
    dead = steps_view(record, steps)["dead"]
    assert [(one["step"], one["item"], one["knativeerrorcode"]) for one in dead] == [
        ("0/0/0", 0, 422),
        ("0/1/1", 1, 422),
        ("0/2/0/left/0", 2, 500),
    ]
    assert "chose 'up'" in dead[0]["knativeerrordata"]


@pytest.mark.parametrize(
    ("path", "function"),
    [
        ("0", "a"),
        ("0~", "b"),
        ("1", ""),
        ("1/7/0/?", "which"),
        ("1/7/0/left/0", "c"),
        ("1/7/0/otherwise/0", "d"),
        ("1/7/1/1/0", "e"),
        ("2", ""),
    ],
)
def test_each_step_is_told_with_the_function_that_it_calls(path, function):
    choice = ChoiceStep(
        function="which", branches={"left": (CallStep(function="c"),)}, otherwise=(CallStep(function="d"),)
    )
    both = ParallelStep(branches=((CallStep(function="a"),), (CallStep(function="e"),)))
    steps = (CallStep(function="a", undo="b"), EachStep(steps=(choice, both)), WaitStep(duration="1s"))
    assert function_of(ChainPlan(steps=steps), path) == function


def test_the_functions_are_among_what_is_told_of_a_run():
    plan = ChainPlan(steps=(CallStep(function="a"),))
    record = RunRecord(1, "r", "c", write_plan(plan), "separated", "running", "", msgpack.packb("x"))
    (step,) = steps_view(record, [StepRecord("0", 0, "done", msgpack.packb("y"), attempts=1)])["steps"]
    assert step["function"] == "a"


def test_a_run_that_goes_on_has_cost_the_time_since_it_began():
    began_at = time.time() - 100.0
    record = RunRecord(1, "r", "c", b"", "separated", "running", "", b"", began_at=began_at)
    done = StepRecord("0", 0, "done", b"", attempts=1, began_at=began_at, ended_at=began_at + 1.0)
    cost = cost_of(record, [done])
    assert cost["took_ms"] >= 100_000.0
    assert (cost["steps"], cost["hop_ms"]) == (1, None)
    ended = RunRecord(1, "r", "c", b"", "separated", "succeeded", "", b"", began_at=began_at, ended_at=began_at + 2.0)
    assert cost_of(ended, [done])["took_ms"] == pytest.approx(2000.0)
    assert cost_of(ended, [done])["hop_ms"] == pytest.approx(2000.0)
