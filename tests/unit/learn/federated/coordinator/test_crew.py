"""Outcomes of clients wait for room, and a log of replies is opened one reply at a time."""

import os
import queue
import threading

import pytest

from skerry.learn.federated.coordinator.crew import Crew, Outcome, Outcomes, Threads
from skerry.learn.federated.record.reply_log import ReplyLog
from skerry.learn.federated.wire.messages import FitReply

REPLY = FitReply(job="j", round=1, client="a", token="t", model_digest="m")


def test_replies_that_nobody_takes_do_not_pile_up():
    called, outcomes, threads = [], Outcomes(room=2), Threads()
    crew = Crew(1, map(str, range(50)), called.append, outcomes, threads=threads, size=3)
    taken = []
    while len(taken) < 50:
        taken.append(outcomes.get(timeout=30).client)
        assert len(called) <= len(taken) + 2 + 3
    assert sorted(taken, key=int) == [str(number) for number in range(50)]
    assert crew.close() == ()


def test_who_brings_an_outcome_after_the_end_waits_for_nobody():
    outcomes = Outcomes(room=1)
    bring = [threading.Thread(target=outcomes.put, args=(Outcome(client=str(n), round=1),)) for n in range(5)]
    for thread in bring:
        thread.start()
    outcomes.close()
    for thread in bring:
        thread.join(30)
        assert not thread.is_alive()


def test_an_empty_queue_says_so():
    with pytest.raises(queue.Empty):
        Outcomes(room=1).get(timeout=0.001)


def test_opening_a_log_reads_each_byte_about_once(tmp_path, monkeypatch):
    log = ReplyLog(tmp_path / "log")
    for _ in range(50):
        log.append(REPLY, {})
    log.close()
    read_bytes, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda file, count, at: read_bytes.append(count) or pread(file, count, at))
    again = ReplyLog(tmp_path / "log")
    assert len(again.entries) == 50
    assert sum(read_bytes) < 1.5 * (tmp_path / "log").stat().st_size
    again.close()
