"""The front's hand on a template that is played by the test."""

import asyncio
import mmap
import os
import socket
import subprocess
import time

import msgpack
import pytest

from skerry.errors import StartError
from skerry.runtime.reaper import Reaper
from skerry.runtime.target import Target
from skerry.runtime.template_handle import Template
from support.played_worker import until

TARGET = Target(root=None, file=None, module="m", environment={})
FAILED = {"failed": StartError("function 'f' cannot start: no weights").to_problem()}


class Order:
    """A worker that has been asked for."""

    def __init__(self):
        self.killed = False

    @property
    def is_order(self):
        return not self.killed

    def kill(self):
        self.killed = True


class Part:
    """The pool and the nursery of a template, and the far end of its socket."""

    def __init__(self, loop):
        self.workers, self.events, self.failures, self.lost, self.refused, self.loading = set(), [], [], 0, 0, 0
        self.theirs = []
        self.reaper = Reaper(loop)
        self.program = subprocess.Popen(["sleep", "600"], start_new_session=True)
        self.template = Template(
            self, "f", nursery=self, reaper=self.reaper, open_log=lambda: os.open(os.devnull, os.O_WRONLY)
        )

    def notify(self, kind, detail):
        self.events.append((kind, detail))

    def start_failed(self, worker, error):
        self.failures.append(error.message)

    def lose_order(self):
        self.lost += 1

    def load_in_workers(self):
        self.refused += 1

    def spawn_template(self, target, *, log_fd):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        theirs.settimeout(10)
        self.theirs.append(theirs)
        return ours

    def spawn(self, target, *, log_fd):
        self.loading += 1
        ours, theirs = socket.socketpair()
        theirs.close()
        return ours, mmap.mmap(-1, mmap.PAGESIZE)

    def order(self):
        log_fd = os.open(os.devnull, os.O_WRONLY)
        try:
            link, page = self.template.spawn(TARGET, log_fd=log_fd)
        finally:
            os.close(log_fd)
        link.close()
        page.close()
        order = Order()
        self.workers.add(order)
        return order

    def say(self, *messages):
        for message in messages:
            self.theirs[-1].send(message if isinstance(message, bytes) else msgpack.packb(message))

    def greet(self):
        self.say({"pid": self.program.pid})

    def close(self):
        self.template.end()
        for end in self.theirs:
            end.close()
        self.reaper.close()
        self.program.kill()
        self.program.wait(10)


@pytest.fixture
def play(run_loop):
    def play(test):
        async def run():
            part = Part(asyncio.get_running_loop())
            try:
                await test(part)
            finally:
                part.close()

        run_loop(run())

    return play


def test_an_order_carries_the_time_and_three_descriptors(play):
    async def test(part):
        before_s = time.monotonic()
        part.order()
        part.order()
        for _ in range(2):
            packet, fds, _, _ = socket.recv_fds(part.theirs[0], 1 << 10, 8)
            assert before_s <= msgpack.unpackb(packet)["asked_at_s"] <= time.monotonic()
            assert len(fds) == 3
            for fd in fds:
                os.close(fd)
        assert len(part.theirs) == 1  # one template for both

    play(test)


def test_a_failed_load_is_one_failure_and_ends_all_orders(play):
    async def test(part):
        orders = [part.order(), part.order()]
        part.greet()
        part.say(FAILED)
        await until(lambda: part.failures)
        assert part.failures == ["function 'f' cannot start: no weights"]
        assert [order.killed for order in orders] == [True, True]
        await asyncio.to_thread(part.program.wait, 10)
        part.order()
        assert len(part.theirs) == 2

    play(test)


def test_what_cannot_be_forked_is_told_once_and_orders_of_others_are_not_its_business_any_more(play):
    async def test(part):
        order = part.order()
        part.greet()
        part.say({"refused": "threads"})
        await until(lambda: part.refused)
        assert order.killed
        assert part.failures == []
        assert part.events == [("template_refused", {"reason": "threads"})]
        assert not part.template.owes(Order())

    play(test)


def test_an_order_that_comes_before_a_refusal_is_heard_goes_to_the_nursery(play):
    async def test(part):
        part.order()
        part.greet()
        part.say({"refused": "threads"})
        part.theirs[-1].close()
        part.order()  # in the same turn of the loop
        assert (len(part.theirs), part.loading, part.refused) == (1, 1, 1)
        assert part.events == [("template_refused", {"reason": "threads"})]

    play(test)


@pytest.mark.parametrize(
    ("said", "owed", "failures"),
    [
        ([], True, ["function 'f': the template died while it loaded"]),
        ([], False, ["function 'f': the template died while it loaded"]),
        ([{"ready": {}}], True, ["function 'f': the template died while it forked a worker"]),
        ([{"ready": {}}], False, []),
    ],
)
def test_a_template_that_dies_is_a_failure_where_somebody_waits_for_it(play, said, owed, failures):
    async def test(part):
        order = part.order()
        part.greet()
        part.say(*said)
        if not owed:
            part.workers.remove(order)
        part.theirs[-1].close()
        await until(lambda: ("template_lost", {"pid": part.program.pid}) in part.events)
        assert part.failures == failures
        assert order.killed == owed
        assert part.template.pid is None

    play(test)


def test_an_order_that_died_with_the_zygote_is_no_failure(play):
    async def test(part):
        order = part.order()
        part.theirs[-1].close()
        await until(lambda: part.lost)
        assert order.killed
        assert part.failures == []

    play(test)


def test_an_order_that_comes_to_nothing_is_settled_by_what_the_template_has_said(play):
    async def test(part):
        order = part.order()
        part.greet()
        part.say(FAILED)
        part.template.lose_order(order)  # its link was closed, and this was noticed first
        assert part.failures == ["function 'f' cannot start: no weights"]

    play(test)


def test_a_template_whose_forks_die_is_ended(play):
    async def test(part):
        order = part.order()
        part.greet()
        part.say({"ready": {}})
        part.template.lose_order(order)
        assert part.failures == ["function 'f': a worker died when it was forked from the template"]
        await asyncio.to_thread(part.program.wait, 10)

    play(test)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xc1",
        b"\x05",
        {"ready": 5},
        {"failed": 5},
        {"failed": {"code": 5, "detail": 5, "status": "x"}},
        {"unknown": 1},
        [1, 2],
    ],
)
def test_what_no_template_says_ends_it(play, garbage):
    async def test(part):
        part.order()
        part.greet()
        part.say(garbage)
        await until(lambda: part.failures)
        await asyncio.to_thread(part.program.wait, 10)
        assert len(part.failures) == 1

    play(test)


def test_a_second_greeting_does_not_name_another_process(play):
    async def test(part):
        part.order()
        part.greet()
        part.say({"pid": os.getpid()}, {"ready": {}})
        await until(lambda: part.events)
        assert part.template.pid == part.program.pid

    play(test)


def test_a_template_that_is_ended_before_its_greeting_is_read_is_ended_all_the_same(play):
    async def test(part):
        part.order()
        part.greet()
        part.template.end()
        await part.template.see_off(limit_s=10)
        await asyncio.to_thread(part.program.wait, 10)
        assert part.template.memory_bytes() == 0
        assert part.failures == []

    play(test)
