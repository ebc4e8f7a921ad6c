"""Few models are on their way at a time, and no reply is read before there is room for it."""

import threading
from types import SimpleNamespace

from skerry.learn.federated.coordinator.conversation import Directly, Talk
from skerry.learn.federated.coordinator.crew import Crew, Outcomes, Threads
from skerry.learn.federated.coordinator.room import HELD_BYTES, Room

CLIENTS, PLACES = 40, 2


def test_there_are_places_for_a_few_mib_of_models():
    assert [Room(size, 32).places for size in (0, 40, HELD_BYTES // 8, HELD_BYTES, 10 * HELD_BYTES)] == [
        32,
        32,
        8,
        2,
        2,
    ]
    assert [Room(size, 32).is_scarce for size in (40, HELD_BYTES // 8)] == [False, True]
    assert not Room(HELD_BYTES, 2).is_scarce


class Site:
    """Counts the tasks and the replies that are in memory; all clients are done at once when the last one is asked."""

    told_s = 0.0

    def __init__(self):
        self.lock, self.all_asked = threading.Lock(), threading.Event()
        self.asked = self.sending = self.most_sent = self.replies = self.most_replies = 0

    def make(self):
        with self.lock:
            self.sending += 1
            self.most_sent = max(self.most_sent, self.sending)
        return SimpleNamespace(model=None)

    def spawn(self, task):
        with self.lock:
            self.sending -= 1
            self.asked += 1
            if self.asked == CLIENTS:
                self.all_asked.set()
        return self

    def wait(self, timeout_s=None):
        return "succeeded" if self.all_asked.wait(timeout_s) else "running"

    def result(self, timeout_s=None):
        with self.lock:
            self.replies += 1
            self.most_replies = max(self.most_replies, self.replies)
        return SimpleNamespace(status="done")

    def cancel(self):
        raise AssertionError("nobody is cancelled")


def test_models_on_their_way_do_not_pile_up_however_many_clients_answer_at_once():
    site, outcomes, room = Site(), Outcomes(room=PLACES), Room(HELD_BYTES, CLIENTS)

    def call(client):
        return Talk(
            function=site, short=site.make, whole=site.make, ended=threading.Event(), room=room, door=outcomes
        ).run()

    Crew(1, map(str, range(CLIENTS)), call, outcomes, threads=Threads(), size=CLIENTS)
    for _ in range(CLIENTS):
        outcome = outcomes.get(timeout=30)
        assert outcome.error is None
        with site.lock:
            site.replies -= 1
    assert site.most_sent <= PLACES
    assert site.most_replies <= PLACES + 1  # that which was just taken has left its room to the next one


def test_who_reads_nothing_after_all_gives_its_room_back():
    outcomes = Outcomes(room=1)
    outcomes.enter()
    outcomes.enter()
    outcomes.leave()
    outcomes.leave()
    entered = threading.Thread(target=outcomes.enter)
    entered.start()
    entered.join(30)
    assert not entered.is_alive()


def test_clients_that_are_told_in_one_exchange_work_at_the_same_time_however_large_the_model():
    together = threading.Barrier(CLIENTS)
    outcomes, room = Outcomes(room=PLACES), Room(HELD_BYTES, CLIENTS)

    def work(task):
        together.wait(30)
        return SimpleNamespace(status="done")

    def call(client):
        task = SimpleNamespace(model=None)
        return Talk(
            function=Directly(work), short=lambda: task, whole=lambda: task, ended=threading.Event(), room=room
        ).run()

    Crew(1, map(str, range(CLIENTS)), call, outcomes, threads=Threads(), size=CLIENTS)
    assert all(outcomes.get(timeout=60).error is None for _ in range(CLIENTS))
