"""The machine of steps: whatever the order of answers and wherever it is cut off, the same is done, and done once."""

import json

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.events.chain.calls import read_work, write_work
from skerry.events.chain.machine import Fault, Machine
from skerry.events.chain.paths import item_of
from skerry.spec.chain import CallStep, ChainPlan, ChoiceStep, EachStep, ParallelStep, WaitStep


def pack(value):
    return msgpack.packb(value)


def call(name, **options):
    return CallStep(function=name, **options)


def plan(*steps):
    return ChainPlan(steps=steps)


def answer(task):
    """What the functions of these tests return: a list, the name of a branch, or its own name and what it was given."""
    if not task.function:
        return task.value
    kind, _, rest = task.function.partition("-")
    if kind == "list":
        return pack([[rest, number] for number in range(int(rest))])
    if kind == "choose":
        return pack(rest)
    return pack([task.function, msgpack.unpackb(task.value)])


def is_poison(task, poison):
    return task.function.startswith("do") and any(task.path.endswith(f"/{number}/0") for number in poison)


def do(machine, pick, poison=frozenset(), stop=None):
    """Answer tasks in the order that ``pick`` says; return how they ended."""
    ends = []
    while machine.tasks and (stop is None or len(ends) < stop):
        tasks = list(machine.tasks.values())
        task = tasks[pick(len(tasks))]
        end = Fault(task.path, 500, "poison") if is_poison(task, poison) else answer(task)
        machine.settle(task.path, end)
        ends.append((task.path, end))
    return ends


LEAVES = st.one_of(
    st.sampled_from(["do-a", "do-b"]).map(lambda name: call(name, undo=f"un{name}")),
    st.just(WaitStep(duration="1s")),
)


def sequences(inner):
    each = st.tuples(st.integers(0, 4), st.lists(inner, min_size=1, max_size=2), st.integers(1, 3))
    return st.one_of(
        each.map(
            lambda made: (call(f"list-{made[0]}"), EachStep(steps=flat(made[1]), in_flight=made[2], poison="dead"))
        ),
        st.lists(st.lists(inner, min_size=1, max_size=2), min_size=1, max_size=3).map(
            lambda branches: (ParallelStep(branches=tuple(flat(branch) for branch in branches)),)
        ),
        st.tuples(st.sampled_from(["left", "right", "else"]), st.lists(inner, max_size=2)).map(
            lambda made: (
                ChoiceStep(
                    function=f"choose-{made[0]}",
                    branches={"left": flat(made[1]), "right": ()},
                    otherwise=(call("do-c"),),
                ),
            )
        ),
    )


def flat(parts):
    return tuple(step for part in parts for step in (part if isinstance(part, tuple) else (part,)))


STEPS = st.recursive(LEAVES, sequences, max_leaves=8)
PLANS = st.lists(STEPS, min_size=1, max_size=3).map(lambda parts: plan(*flat(parts)))
POISON = st.frozensets(st.integers(0, 4), max_size=2)


@given(plans=PLANS, poison=POISON, data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_order_of_answers_changes_nothing(plans, poison, data):
    in_order, mixed = Machine(plans, pack(0)), Machine(plans, pack(0))
    first = do(in_order, lambda count: 0, poison)
    second = do(mixed, lambda count: data.draw(st.integers(0, count - 1)), poison)
    assert mixed.end == in_order.end
    assert len({path for path, _ in second}) == len(second)
    if not isinstance(mixed.end, Fault):
        assert dict(first) == dict(second)
        assert sorted(mixed.dead) == sorted(in_order.dead)


@given(plans=PLANS, poison=POISON, data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_machine_that_is_told_what_is_on_record_goes_on_where_the_other_was(plans, poison, data):
    whole = Machine(plans, pack(0))
    cut = data.draw(st.integers(0, 12))
    ends = do(whole, lambda count: data.draw(st.integers(0, count - 1)), poison, stop=cut)
    body = write_work("run", json.dumps(plans.to_dict()), pack(0), ends, ["held"])
    work = read_work(msgpack.unpackb(body))
    assert work.run == "run"
    assert work.held == {"held"}
    assert work.machine.tasks == whole.tasks
    assert work.machine.dead == whole.dead
    assert work.machine.end == whole.end
    done = {path for path, _ in ends}
    later = do(work.machine, lambda count: 0, poison)
    assert not done & {path for path, _ in later}
    do(whole, lambda count: 0, poison)
    assert work.machine.end == whole.end


@given(plans=PLANS, poison=POISON)
@settings(max_examples=60, deadline=None)
def test_the_path_of_a_dead_step_says_which_item_is_left_out(plans, poison):
    machine = Machine(plans, pack(0))
    ends = do(machine, lambda count: 0, poison)
    dead = {fault.path for fault in machine.dead}
    failed = {path for path, end in ends if isinstance(end, Fault)}
    assert all(item_of(plans, path) is not None for path in dead)
    assert all(path in dead or machine.end is not None for path in failed)
    if not isinstance(machine.end, Fault):
        inside = {path for path in failed if item_of(plans, path) is not None}
        assert dead <= inside == failed


def test_each_keeps_the_order_and_leaves_out_what_is_poison():
    machine = Machine(plan(call("list-6"), EachStep(steps=(call("do-a"),), in_flight=2)), b"")
    most = 0
    while machine.tasks:
        most = max(most, len(machine.tasks))
        path, task = list(machine.tasks.items())[-1]
        machine.settle(path, Fault(path, 500, "poison") if is_poison(task, {3}) else answer(task))
    assert most == 2
    assert [item[1][1] for item in msgpack.unpackb(machine.end)] == [0, 1, 2, 4, 5]
    assert [fault.path for fault in machine.dead] == ["1/3/0"]
    assert item_of(plan(call("list-6"), EachStep(steps=(call("do-a"),))), "1/3/0") == 3
    assert item_of(plan(ParallelStep(branches=((call("a"),), (call("b"),)))), "0/1/0") is None


def test_each_of_very_many_items_that_need_nothing_ends_at_once():
    nested = EachStep(steps=(EachStep(steps=(call("do-a"),)),))
    machine = Machine(plan(call("many"), nested), b"")
    machine.settle("0", pack([[]] * 50_000))
    assert machine.end == pack([[]] * 50_000)


def test_each_of_what_is_no_list_fails():
    machine = Machine(plan(call("one"), EachStep(steps=(call("do-a"),))), b"")
    machine.settle("0", pack("text"))
    assert machine.end.code == 422
    assert "list" in machine.end.message


def test_steps_are_undone_backwards_when_a_later_one_fails_for_good():
    machine = Machine(plan(call("a", undo="una"), call("b"), call("c", undo="unc"), call("d")), b"")
    for path in ("0", "1", "2"):
        machine.settle(path, pack(f"of {path}"))
    machine.settle("3", Fault("3", 500, "broken"))
    undone = []
    while machine.tasks:
        (task,) = machine.tasks.values()
        undone.append((task.path, task.function, msgpack.unpackb(task.value)))
        end = Fault(task.path, 500, "stuck") if task.path == "2~" else pack(None)
        machine.settle(task.path, end)
    assert undone == [("2~", "unc", "of 2"), ("0~", "una", "of 0")]
    assert machine.end == Fault("3", 500, "broken")
    assert [fault.path for fault in machine.stuck] == ["2~"]


def test_an_item_that_is_poison_undoes_its_own_steps_only():
    item = EachStep(steps=(call("do-a", undo="una"), call("do-b")))
    machine = Machine(plan(call("list-2"), item), b"")
    machine.settle("0", pack([0, 1]))
    for path in ("1/0/0", "1/1/0", "1/0/1"):
        machine.settle(path, pack(path))
    machine.settle("1/1/1", Fault("1/1/1", 500, "broken"))
    assert list(machine.tasks) == ["1/1/0~"]
    machine.settle("1/1/0~", pack(None))
    assert machine.end == pack(["1/0/1"])


def test_a_failing_item_may_fail_the_run_and_then_all_is_undone():
    item = EachStep(steps=(call("do-a", undo="una"),), poison="fail", in_flight=2)
    machine = Machine(plan(call("list-4"), item), b"")
    machine.settle("0", pack([0, 1, 2, 3]))
    machine.settle("1/0/0", pack("first"))
    machine.settle("1/1/0", Fault("1/1/0", 500, "broken"))
    assert list(machine.tasks) == ["1/2/0"]  # it was under way; the fourth one does not begin
    machine.settle("1/2/0", pack("third"))
    assert list(machine.tasks) == ["1/2/0~"]
    machine.settle("1/2/0~", pack(None))
    machine.settle("1/0/0~", pack(None))
    assert machine.end.path == "1/1/0"


@pytest.mark.parametrize(
    ("said", "path"), [("left", "0/left/0"), ("true", "0/true/0"), (True, "0/true/0"), ("none", "0/otherwise/0")]
)
def test_a_choice_gives_the_branch_what_it_has_given_the_function(said, path):
    step = ChoiceStep(function="choose", branches={"left": (call("l"),), "true": (call("t"),)}, otherwise=(call("o"),))
    machine = Machine(plan(step), pack(7))
    machine.settle("0/?", pack(said))
    assert [(task.path, task.value) for task in machine.tasks.values()] == [(path, pack(7))]


def test_a_choice_of_no_branch_fails_and_names_those_that_there_are():
    machine = Machine(plan(ChoiceStep(function="choose", branches={"left": (), "right": ()})), pack(7))
    machine.settle("0/?", pack("up"))
    assert "'up'" in machine.end.message
    assert "left, right" in machine.end.message


def test_branches_run_side_by_side_and_the_first_fault_in_their_order_counts():
    machine = Machine(plan(ParallelStep(branches=((call("a"),), (call("b"),), (call("c"),)))), pack(1))
    assert list(machine.tasks) == ["0/0/0", "0/1/0", "0/2/0"]
    machine.settle("0/2/0", Fault("0/2/0", 500, "late"))
    machine.settle("0/0/0", pack("a"))
    assert machine.end is None
    machine.settle("0/1/0", Fault("0/1/0", 500, "early"))
    assert machine.end.path == "0/1/0"
