"""Runs on a real journal, with functions that answer as the test says: whatever is cut off goes on where it was."""

import asyncio
import json
import sqlite3
import time
from types import SimpleNamespace
from unittest.mock import ANY

import msgpack
import pytest

from skerry.errors import ConfigError, MalformedBodyError, UnavailableError
from skerry.events.chain import course
from skerry.events.chain.calls import Piece, StepOutcome, read_work
from skerry.events.chain.conductor import Conductor, Order
from skerry.events.chain.journal import RunJournal
from skerry.spec import Retry
from skerry.spec.chain import CallStep, ChainPlan, EachStep, WaitStep

SOON_S = 20.0
TRACE = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
QUICK = Retry(attempts=2, delay="1ms", max_delay="1ms", jitter=0.0)


def pack(value):
    return msgpack.packb(value)


def call(name, **options):
    return CallStep(function=name, **{"retry": QUICK, **options})


class Functions:
    """Answers steps at once; what it is told to fail on fails, and what it is told to leave open stays so."""

    def __init__(self, failing=None, left_open=()):
        self.given = []  # (key, function, value, attempts)
        self.traces = set()
        self.cancelled = []
        self.spans = []
        self._failing = dict(failing or {})  # function -> statuses, one for each attempt
        self._left_open = left_open

    def answer(self, function, value, key):
        statuses = self._failing.get((function, key.partition("/")[2])) or self._failing.get(function)
        if statuses:
            status = statuses.pop(0)
            if status >= 300:
                return StepOutcome(status, b"", f"{function} says {status}", handler_us=10)
        if function == "list":
            return StepOutcome(200, pack(list(range(5))))
        return StepOutcome(200, pack([function, msgpack.unpackb(value) if value else None]), handler_us=10)

    def step(self, asked):
        self.given.append((asked.key, asked.function, asked.body, asked.attempts))
        self.traces.add(asked.traceparent)
        if asked.function not in self._left_open:
            outcome = self.answer(asked.function, asked.body, asked.key)
            asyncio.get_running_loop().call_soon(asked.on_outcome, outcome)
        return lambda: self.cancelled.append(asked.key)

    def fused(self, asked, on_piece):
        run, machine, held = read_work(msgpack.unpackb(asked.body))
        loop = asyncio.get_running_loop()

        def go():
            task = next((one for path, one in machine.tasks.items() if one.function and path not in held), None)
            if task is None:
                asked.on_outcome(StepOutcome(200))
                return
            key = f"{run}/{task.path}"
            self.given.append((key, task.function, task.value, 0))
            done = self.answer(task.function, task.value, key)
            if done.status == 502:  # the worker has died
                asked.on_outcome(done)
                return
            if done.status < 300:
                machine.settle(task.path, done.body)
            else:
                held.add(task.path)
            on_piece(Piece(task.path, done.status, done.body, done.message, time.time(), 10))
            loop.call_soon(go)

        loop.call_soon(go)
        return lambda: self.cancelled.append(asked.key)

    def traced(self, function, traceparent, **times):
        self.spans.append((function, traceparent))


def order(*steps, mode="separated", id="r", value=b""):
    return Order(chain="c", plan=ChainPlan(steps=steps), mode=mode, value=value, traceparent=TRACE, id=id)


@pytest.fixture
def conduct(tmp_path, run_loop):
    """Run a coroutine with a conductor on a file."""

    def run(work, functions, *, path=None, resume=False):
        async def whole():
            conductor = Conductor(RunJournal(path or tmp_path / "chains.sqlite3"), functions, chance=lambda: 0.5)
            try:
                if resume:
                    conductor.resume()
                return await work(conductor)
            finally:
                conductor.stop()
                await conductor.close()

        return run_loop(whole())

    return run


async def ended(conductor, id="r"):
    record = await conductor.wait(id, SOON_S)
    assert record.status != "running", record
    return record


FIVE = (call("a"), call("list"), EachStep(steps=(call("b"), call("c")), in_flight=3), call("d"), call("e"))


@pytest.mark.parametrize("mode", ["separated", "fused"])
def test_a_run_that_is_cut_off_after_any_of_its_commits_goes_on_without_repeating_what_is_on_record(
    conduct, tmp_path, mode
):
    copies = []
    path = tmp_path / "chains.sqlite3"

    async def copying(conductor):
        journal = conductor.journal
        commit = journal._commit

        def commit_and_copy():
            commit()
            copy = tmp_path / f"copy-{len(copies)}.sqlite3"
            with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
                source.backup(target)
            source.close()
            target.close()
            copies.append((copy, len(functions.given)))

        journal._commit = commit_and_copy
        await conductor.begin(order(*FIVE, mode=mode))
        return (await ended(conductor)).result

    functions = Functions()
    whole = conduct(copying, functions)
    keys = [key for key, *_ in functions.given]
    assert len(keys) == len(set(keys)) == 14
    assert len(copies) > 5
    for copy, _ in copies:
        again = Functions()
        database = sqlite3.connect(copy)
        on_record = {f"r/{row[0]}" for row in database.execute("SELECT path FROM steps WHERE state = 'done'")}
        database.close()
        assert conduct(ended, again, path=copy, resume=True).result == whole
        repeated = {key for key, *_ in again.given}
        assert not on_record & repeated
        assert on_record | repeated == set(keys)


def test_the_next_step_goes_only_when_the_one_before_is_durable(conduct, tmp_path):
    seen = []

    class Looking(Functions):
        def step(self, asked):
            database = sqlite3.connect(tmp_path / "chains.sqlite3")
            seen.append(database.execute("SELECT count(*) FROM steps").fetchone()[0])
            database.close()
            return super().step(asked)

    async def work(conductor):
        await conductor.begin(order(call("a"), call("b"), call("c")))
        await ended(conductor)

    conduct(work, Looking())
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("mode", ["separated", "fused"])
def test_a_failing_step_is_tried_again_under_its_key_and_an_item_that_never_works_is_left_out(conduct, mode):
    functions = Functions({"a": [500, 502, 200], ("b", "2/3/0"): [500] * 9})

    async def work(conductor):
        plan = (call("a"), call("list"), EachStep(steps=(call("b"),)), call("d"))
        await conductor.begin(order(*plan, mode=mode))
        record = await ended(conductor)
        return record, conductor.journal.steps(record.number)

    record, steps = conduct(work, functions)
    assert msgpack.unpackb(record.result) == ["d", [["b", number] for number in (0, 1, 2, 4)]]
    assert [key for key, *_ in functions.given if key == "r/0"] == ["r/0"] * 3
    (dead,) = [step for step in steps if step.state == "failed"]
    assert (dead.path, dead.code, dead.attempts) == ("2/3/0", 500, 3)
    assert "b says 500" in dead.error
    if mode == "separated":
        assert functions.traces == {TRACE}
    else:
        assert {trace for _, trace in functions.spans} == {TRACE}


@pytest.mark.parametrize("mode", ["separated", "fused"])
def test_a_run_that_fails_for_good_undoes_what_it_has_done(conduct, mode):
    functions = Functions({"c": [422]})

    async def work(conductor):
        await conductor.begin(order(call("a", undo="una"), call("b", undo="unb"), call("c"), call("d"), mode=mode))
        return await ended(conductor)

    record = conduct(work, functions)
    assert record.status == "failed"
    assert '"code": 422' in record.error
    assert [function for _, function, *_ in functions.given] == ["a", "b", "c", "unb", "una"]


@pytest.mark.parametrize("mode", ["separated", "fused"])
def test_a_wait_keeps_its_end_over_a_restart(conduct, monkeypatch, mode):
    plan = (call("a"), WaitStep(duration="1h"), call("b"))
    ahead_s = 3600 - 0.2

    async def begin(conductor):
        await conductor.begin(order(*plan, mode=mode))
        until = time.monotonic() + SOON_S
        while not any(step.state == "waits" for step in conductor.journal.steps(1)):
            assert time.monotonic() < until
            await asyncio.sleep(0.001)
        return next(step.due_at for step in conductor.journal.steps(1) if step.state == "waits")

    due_at = conduct(begin, Functions())
    resumed_s = time.time()

    def later():
        """Half as fast as the event loop's clock, so that timers are early."""
        return resumed_s + ahead_s + (time.time() - resumed_s) / 2

    monkeypatch.setattr(course, "time", SimpleNamespace(monotonic=time.monotonic, time=later))
    functions = Functions()
    record = conduct(ended, functions, resume=True)
    assert [function for _, function, *_ in functions.given] == ["b"]
    assert record.ended_at >= due_at
    assert msgpack.unpackb(record.result) == ["b", ["a", None]]


@pytest.mark.parametrize("mode", ["separated", "fused"])
def test_what_the_journal_cannot_keep_fails_its_own_run_alone(conduct, monkeypatch, mode):
    monkeypatch.setattr("skerry.events.chain.course.MOST_BYTES", 100)
    monkeypatch.setattr("skerry.events.chain.machine.MOST_BYTES", 30)
    functions = Functions()

    async def work(conductor):
        await conductor.begin(order(call("a"), call("b"), mode=mode, id="step", value=pack("x" * 100)))
        await conductor.begin(order(call("a", undo="una"), mode=mode, id="result", value=pack("x" * 40)))
        await conductor.begin(order(call("a"), mode=mode, id="small"))
        return [await ended(conductor, id) for id in ("step", "result", "small")]

    step, result, small = conduct(work, functions)
    assert json.loads(step.error) == {"step": "0", "code": 413, "detail": ANY}
    assert "it ends with 105 bytes" in step.error
    assert json.loads(result.error) == {"step": "0", "code": 413, "detail": ANY}
    assert "the result has 45 bytes" in result.error
    assert small.status == "succeeded"
    assert [function for _, function, *_ in functions.given].count("una") == 1


def test_a_run_is_known_by_its_id_and_begins_once(conduct):
    functions = Functions()

    async def work(conductor):
        both = await asyncio.gather(conductor.begin(order(call("a"))), conductor.begin(order(call("a"))))
        assert both[0].number == both[1].number
        await ended(conductor)
        assert (await conductor.begin(order(call("a")))).status == "succeeded"
        with pytest.raises(MalformedBodyError, match="id = 'a b'"):
            await conductor.begin(order(call("a"), id="a b"))

    conduct(work, functions)
    assert len(functions.given) == 1


def test_a_run_goes_on_although_its_caller_leaves_before_it_is_on_record(conduct):
    async def work(conductor):
        caller = asyncio.create_task(conductor.begin(order(call("a"))))
        await asyncio.sleep(0)  # it waits for the journal now
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await conductor.begin(order(call("a")))
        return await ended(conductor)

    functions = Functions()
    assert conduct(work, functions).status == "succeeded"
    assert len(functions.given) == 1


def test_a_run_that_is_cancelled_takes_its_steps_back_and_does_not_go_on(conduct):
    functions = Functions(left_open=("b",))

    async def work(conductor):
        await conductor.begin(order(call("a"), call("b")))
        until = time.monotonic() + SOON_S
        while len(functions.given) < 2:
            assert time.monotonic() < until
            await asyncio.sleep(0.001)
        assert (await conductor.cancel("r")).status == "cancelled"
        assert (await conductor.cancel("r")).status == "cancelled"
        assert await conductor.cancel("other") is None

    conduct(work, functions)
    assert functions.cancelled == ["r/1"]

    async def look(conductor):
        return conductor.journal.live()

    assert conduct(look, functions, resume=True) == []


def test_a_run_whose_plan_is_refused_keeps_no_other_from_going_on_and_can_be_cancelled(conduct, tmp_path):
    async def begin(conductor):
        for id in ("odd", "sound"):
            await conductor.begin(order(call("a"), id=id))

    conduct(begin, Functions(left_open=("a",)))
    database = sqlite3.connect(tmp_path / "chains.sqlite3")
    with database:
        database.execute("UPDATE runs SET plan = ? WHERE id = 'odd'", ('{"steps": [{"kind": "later"}]}',))
    database.close()

    async def work(conductor):
        assert (await ended(conductor, "sound")).status == "succeeded"
        assert (await conductor.wait("odd", SOON_S)).status == "running"
        return await conductor.cancel("odd")

    assert conduct(work, Functions(), resume=True).status == "cancelled"


def test_a_run_that_cannot_go_on_holds_up_none_that_is_told_after_it(conduct, caplog):
    async def work(conductor):
        def fail():
            raise ValueError("odd")

        told = []
        conductor.journal.then(fail)
        conductor.journal.then(lambda: told.append("the next one"))
        await conductor.begin(order(call("a")))  # in the same transaction
        return told

    assert conduct(work, Functions()) == ["the next one"]
    assert "ValueError: odd" in caplog.text


def test_runs_are_listed_without_what_they_hold(conduct):
    async def work(conductor):
        await conductor.begin(order(call("a"), value=pack("x")))
        whole = await ended(conductor)
        (listed,) = conductor.journal.runs(most=9)
        assert listed == whole._replace(value=b"", result=None)
        assert whole.result

    conduct(work, Functions())


def test_a_conductor_that_stops_begins_nothing_and_forgets_no_answer(conduct):
    functions = Functions(left_open=("a",))

    async def work(conductor):
        await conductor.begin(order(call("a"), call("b")))
        (asked,) = functions.given
        conductor.stop()
        with pytest.raises(UnavailableError):
            await conductor.begin(order(call("a"), id="other"))
        return asked

    conduct(work, functions)
    later = Functions()
    assert conduct(ended, later, resume=True).status == "succeeded"
    assert [function for _, function, *_ in later.given] == ["a", "b"]


def test_runs_that_ended_long_ago_are_forgotten(conduct):
    async def work(conductor):
        await conductor.begin(order(call("a")))
        await ended(conductor)
        assert conductor.journal.purge(time.time() - 60) == 0
        assert conductor.journal.purge(time.time() + 60) == 1
        assert conductor.journal.run("r") is None
        assert conductor.journal.steps(1) == []

    conduct(work, Functions())


def test_a_file_that_is_no_journal_is_refused(tmp_path, run_loop):
    path = tmp_path / "chains.sqlite3"
    path.write_text("no database" * 100)

    async def work():
        with pytest.raises(ConfigError, match="the journal of chains"):
            RunJournal(path)

    run_loop(work())


def test_answers_that_come_while_a_step_is_given_end_their_steps_once(conduct):
    held = {}

    class Busy(Functions):
        """Holds back what items ask for, until one of them is asked for again: its pool then reads all answers."""

        def step(self, asked):
            if asked.function != "read":
                return super().step(asked)
            self.given.append((asked.key, asked.function, asked.body, asked.attempts))
            if asked.key == "r/1/1/0" and not asked.attempts:
                asyncio.get_running_loop().call_soon(asked.on_outcome, StepOutcome(500, b"", "not now"))
                return lambda: None
            held[asked.key] = asked
            if asked.attempts:
                for one in held.values():
                    one.on_outcome(StepOutcome(200, one.body))
            return lambda: None

    functions = Busy()
    steps = (call("list"), EachStep(steps=(call("read"),), in_flight=5))

    async def work(conductor):
        await conductor.begin(order(*steps))
        return await ended(conductor)

    record = conduct(work, functions)
    assert (record.status, record.result) == ("succeeded", pack([0, 1, 2, 3, 4]))
    asked = [key for key, function, _, _ in functions.given if function == "read"]
    assert sorted(asked) == sorted(["r/1/1/0", *(f"r/1/{item}/0" for item in range(5))])
