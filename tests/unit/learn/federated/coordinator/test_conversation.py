import threading
from types import SimpleNamespace

import pytest

from skerry.errors import HandlerError, JobNotFoundError, JobNotReadyError, SiteUnreachableError, WorkerLostError
from skerry.learn.federated.coordinator import conversation
from skerry.learn.federated.coordinator.conversation import Directly, Talk
from skerry.learn.federated.coordinator.room import Room

TASK = SimpleNamespace(model=SimpleNamespace(data=b"12345"))
WHOLE = SimpleNamespace(model=SimpleNamespace(data=b"1234567890"))
DONE, MISSING = SimpleNamespace(status="done"), SimpleNamespace(status="base-missing")


class Site:
    """A function at a place that comes and goes: each call of it does the next thing of a list."""

    told_s = 0.0

    def __init__(self, *happens):
        self.happens = list(happens)
        self.spawned = []
        self.cancelled = 0

    def next(self):
        what = self.happens.pop(0)
        if isinstance(what, Exception):
            raise what
        return what() if callable(what) else what

    def spawn(self, task):
        if self.next() != "spawn":
            raise AssertionError("the task was sent where it was to be waited for")
        self.spawned.append(task)
        return self

    def result(self, timeout_s=None):
        return self.next()

    def cancel(self):
        self.cancelled += 1


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(conversation, "FIRST_PAUSE_S", 0.001)


class Contact:
    """Notes what a talk tells of its place."""

    is_lost = False

    def __init__(self):
        self.told = []

    def failed(self, error):
        self.told.append(error.message)

    def heard(self):
        self.told.append("heard")


def talk(site, ended=None, contact=None):
    return Talk(
        function=site,
        short=lambda: TASK,
        whole=lambda: WHOLE,
        ended=ended or threading.Event(),
        room=Room(model_bytes=10, in_flight=4),
        contact=contact,
    )


def test_a_reply_comes_back_and_bytes_are_counted():
    said = talk(Site("spawn", DONE))
    assert said.run() is DONE
    assert said.bytes_down == 5


def test_the_whole_model_is_sent_where_the_base_is_missing():
    site = Site("spawn", MISSING, "spawn", DONE)
    said = talk(site)
    assert said.run() is DONE
    assert site.spawned == [TASK, WHOLE]
    assert said.bytes_down == 15


def test_a_lost_site_is_asked_for_the_same_job_again_and_one_that_forgot_it_gets_the_task_again():
    lost = SiteUnreachableError("gone")
    site = Site("spawn", lost, lost, JobNotFoundError("new here"), "spawn", DONE)
    assert talk(site).run() is DONE
    assert site.spawned == [TASK, TASK]


def test_each_answer_and_each_error_of_a_place_is_told():
    contact = Contact()
    site = Site("spawn", SiteUnreachableError("gone"), JobNotReadyError("not yet", status="running"), DONE)
    assert talk(site, contact=contact).run() is DONE
    assert contact.told == ["heard", "gone", "heard", "heard"]


def test_workers_that_die_each_time_are_the_tasks_fault_in_the_end():
    dead = WorkerLostError("died")
    site = Site("spawn", dead, "spawn", dead, "spawn", dead)
    with pytest.raises(WorkerLostError):
        talk(site).run()


def test_an_error_of_the_users_own_code_is_not_tried_again():
    with pytest.raises(HandlerError):
        talk(Site("spawn", HandlerError("wrong"))).run()


def test_who_is_not_waited_for_any_more_is_told_to_stop():
    ended = threading.Event()

    def end():
        ended.set()
        raise JobNotReadyError("not yet", status="running")

    site = Site("spawn", JobNotReadyError("not yet", status="running"), end)
    with pytest.raises(JobNotReadyError):
        talk(site, ended).run()
    assert site.cancelled == 1


def test_a_call_without_a_job_is_one_exchange():
    said = talk(Directly(lambda task: DONE))
    assert said.run() is DONE
    assert said.bytes_down == 5
