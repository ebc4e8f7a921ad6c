"""Units of operations against a model: one after the other, and at the same time from several clients."""

import threading
import time
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.errors import ConfigError, StateConflictError
from skerry.store.state import State, open_state
from skerry.store.state.operation import Operation, Verb
from support.linearizability import Call, find_order
from support.state_model import Model, operations

CLIENTS = 4
fixtures = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
units = st.lists(operations(["a", "ab", "b"]), min_size=1, max_size=4)
small_units = st.lists(operations(["a"]), min_size=1, max_size=2)


def run(store, group, unit):
    try:
        return store.run(group, unit)
    except (StateConflictError, ConfigError) as error:
        return type(error)


@pytest.fixture
def stores(url):
    """A store for each client, as if it were a process of its own."""
    opened = [open_state(url) for _ in range(CLIENTS)]
    yield opened
    for store in opened:
        store.close()


def record(stores, group, programs):
    """Run each client's units at the same time as the others', and return the history."""
    history = []
    start = threading.Barrier(len(programs))

    def work(store, program):
        store.run(group, [Operation(verb=Verb.REVISION)])
        start.wait(30)
        for unit in program:
            begin_ns = time.monotonic_ns()
            result = run(store, group, unit)
            history.append(Call(unit, result, begin_ns, time.monotonic_ns()))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(stores, programs, strict=False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(history) == sum(map(len, programs))
    return history


@given(program=st.lists(units, max_size=12))
@settings(max_examples=80, suppress_health_check=fixtures)
def test_units_do_what_the_model_does(store, program):
    group = f"app/m{uuid.uuid4().hex}"
    model = Model()
    for unit in program:
        model, expected = model.run(unit)
        assert run(store, group, unit) == expected


@given(programs=st.lists(st.lists(small_units, min_size=1, max_size=4), min_size=2, max_size=CLIENTS))
@settings(max_examples=40, suppress_health_check=fixtures)
def test_concurrent_units_are_linearisable(stores, programs):
    history = record(stores, f"app/h{uuid.uuid4().hex}", programs)
    assert find_order(history, Model()) is not None, history


def test_many_increments_and_reads_are_linearisable(stores):
    counting = [[Operation(verb=Verb.INCREMENT, key="n", number=1)], [Operation(verb=Verb.GET, key="n")]]
    history = record(stores, f"app/h{uuid.uuid4().hex}", [counting * 8] * CLIENTS)
    assert find_order(history, Model()) is not None, history


def test_a_history_of_ten_thousand_operations_is_linearisable(stores):
    counting = [[Operation(verb=Verb.INCREMENT, key="n", number=1)], [Operation(verb=Verb.GET, key="n")]]
    history = record(stores, f"app/h{uuid.uuid4().hex}", [counting * 1250] * CLIENTS)

    def place(call):
        """Return where it must be: an increment made its number, and a read saw it before the next one."""
        (result,) = call.result
        if call.asked[0].verb is Verb.INCREMENT:
            return result, 0, 0
        return int(result[0]), 1, call.begin_ns

    order = sorted(history, key=place)
    made = [call.result for call in order if call.asked[0].verb is Verb.INCREMENT]
    assert made == [[number] for number in range(1, 5001)]
    begun_ns = 0
    for call in order:  # nothing comes after what had only begun when it had ended
        begun_ns = max(begun_ns, call.begin_ns)
        assert begun_ns <= call.end_ns


class Locked:
    """A lock as a sequential thing: held by a client or by nobody, with a token that grows."""

    def __init__(self, holder=None, token=0):
        self.holder, self.token = holder, token

    def __eq__(self, other):
        return (self.holder, self.token) == (other.holder, other.token)

    def __hash__(self):
        return hash((self.holder, self.token))

    def run(self, asked):
        client, what, token = asked
        if what == "release":
            assert self.holder == client
            return Locked(None, self.token), True
        if token is None:  # it did not get the lock
            return self, None if self.holder is not None else "free"
        grows = self.holder is None and token > self.token
        return (Locked(client, token), token) if grows else (self, "refused")


def test_histories_of_a_lock_are_linearisable_and_its_tokens_grow(stores):
    group = f"app/l{uuid.uuid4().hex}"
    history = []
    inside = []
    start = threading.Barrier(CLIENTS)

    def work(client):
        lock = State(lambda: stores[client], group).lock("door", ttl_s=60)
        start.wait(30)
        for _ in range(5):
            begin_ns = time.monotonic_ns()
            lease = lock.acquire()
            token = None if lease is None else lease.token
            history.append(Call((client, "acquire", token), token, begin_ns, time.monotonic_ns()))
            if lease is None:
                continue
            inside.append(client)
            assert inside == [client]
            inside.remove(client)
            begin_ns = time.monotonic_ns()
            released = lock.release()
            history.append(Call((client, "release", token), released, begin_ns, time.monotonic_ns()))

    threads = [threading.Thread(target=work, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert find_order(history, Locked()) is not None, history


def test_nobody_passes_a_barrier_before_all_have_come(stores):
    group = f"app/b{uuid.uuid4().hex}"
    came, passed = {}, {}

    def work(client):
        state = State(lambda: stores[client], group)
        for number in range(5):
            came[number, client] = time.monotonic_ns()
            state.barrier(f"round-{number}", CLIENTS).wait(client, 60)
            passed[number, client] = time.monotonic_ns()

    threads = [threading.Thread(target=work, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    for number in range(5):
        clients = range(CLIENTS)
        assert max(came[number, client] for client in clients) <= min(passed[number, client] for client in clients)


class TestChecker:
    def test_it_finds_an_order_that_the_clock_does_not_give(self):
        put, get = [Operation(verb=Verb.PUT, key="a", values=(b"1",))], [Operation(verb=Verb.GET, key="a")]
        history = [Call(get, [(b"1", 1)], 0, 10), Call(put, [1], 5, 20), Call(get, [None], 1, 7)]
        assert [call.begin_ns for call in find_order(history, Model())] == [1, 5, 0]

    @pytest.mark.parametrize(
        "history",
        [
            [("put", 1, 0, 5), ("get", None, 6, 7)],  # a read that ends up before a write that had ended
            [("get", (b"1", 1), 0, 4), ("put", 1, 5, 6)],  # a read of what was not yet written
            [("put", 1, 0, 9), ("get", (b"1", 1), 1, 2), ("get", None, 3, 4)],  # time runs backwards
            [("increment", 1, 0, 5), ("increment", 1, 1, 6)],  # a lost update
        ],
    )
    def test_it_refuses_what_cannot_have_happened(self, history):
        asked = {
            "put": Operation(verb=Verb.PUT, key="a", values=(b"1",)),
            "get": Operation(verb=Verb.GET, key="a"),
            "increment": Operation(verb=Verb.INCREMENT, key="a", number=1),
        }
        calls = [Call([asked[what]], [result], begin, end) for what, result, begin, end in history]
        assert find_order(calls, Model()) is None
