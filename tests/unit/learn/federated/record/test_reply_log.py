import errno
import os
import threading

import numpy as np
import pytest

from skerry.errors import CorruptObjectError
from skerry.learn.federated.record.reply_log import MUCH_BYTES, RecordedReplies, ReplyLog, client_results
from skerry.learn.federated.strategies.base import Received
from skerry.learn.federated.wire.coding import pack
from skerry.learn.federated.wire.messages import FitReply


def reply_of(client, value, *, round=3):
    packed, _ = pack(np.full(4, value, np.float32), "float32")
    return FitReply(
        job="j", round=round, client=client, token="t", model_digest="d", update=packed, examples=int(value), steps=2
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "replies"


def test_replies_are_read_in_the_order_of_names_however_they_came(path):
    log = ReplyLog(path)
    for reply in (reply_of("b", 2), reply_of("c", 3), reply_of("a", 1), reply_of("b", 4, round=1)):
        log.append(reply, {"duration_s": 0.5})
    log.sync()
    log.close()
    again = ReplyLog(path)
    replies = RecordedReplies(again, round=3, dtype="float32")
    assert len(replies) == 4
    for _ in range(2):  # as often as a strategy likes
        found = [(reply.client, reply.staleness, reply.delta.tolist()) for reply in replies]
        assert found == [("a", 0, [1] * 4), ("b", 2, [4] * 4), ("b", 0, [2] * 4), ("c", 0, [3] * 4)]
    assert [(r.client, r.examples, r.duration_s, r.bytes_up) for r in client_results(again, round=3)] == [
        ("a", 1, 0.5, 16),
        ("b", 4, 0.5, 16),
        ("b", 2, 0.5, 16),
        ("c", 3, 0.5, 16),
    ]
    again.close()


def test_what_a_crash_left_of_the_last_reply_is_cut_off_at_every_byte(path):
    log = ReplyLog(path)
    log.append(reply_of("a", 1), {"duration_s": 0.0})
    whole = path.stat().st_size
    log.append(reply_of("b", 2), {"duration_s": 0.0})
    log.close()
    content = path.read_bytes()
    for length in range(whole, len(content)):
        path.write_bytes(content[:length])
        again = ReplyLog(path)
        assert [entry.client for entry in again.entries] == ["a"]
        assert path.stat().st_size == whole
        again.append(reply_of("c", 3), {"duration_s": 0.0})
        again.close()
        third = ReplyLog(path)
        assert [entry.client for entry in third.entries] == ["a", "c"]
        third.close()


def test_a_reply_that_was_changed_afterwards_is_not_used(path):
    log = ReplyLog(path)
    log.append(reply_of("a", 1), {"duration_s": 0.0})
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptObjectError, match="was changed"):
        list(RecordedReplies(log, round=3, dtype="float32"))
    log.close()


def test_much_reaches_the_disk_in_another_thread_and_who_needs_it_waits_and_hears_of_a_failure(path, monkeypatch):
    synced = []

    def sync(descriptor):
        synced.append(threading.current_thread().name)
        if len(synced) > 1:
            raise OSError(errno.EIO, "lost")

    def start(call):
        threading.Thread(target=call, name="other").start()

    monkeypatch.setattr(os, "fdatasync", sync)
    log = ReplyLog(path)
    long, _ = pack(np.ones(MUCH_BYTES // 4, np.float32), "float32")
    for client in ("a", "b"):
        log.append(reply_of(client, 1).model_copy(update={"update": long}), {"duration_s": 0.0})
        log.begin_sync(start)
        if client == "a":
            log.sync()
    with pytest.raises(OSError, match="lost"):
        log.sync()
    assert synced == ["other", "other"]
    log.close()


def test_a_short_reply_that_was_checked_is_not_read_again(path):
    log = ReplyLog(path)
    received = Received(client="a", delta=np.ones(4, np.float32), examples=1, steps=2)
    log.append(reply_of("a", 1), {"duration_s": 0.0}, received)
    assert list(RecordedReplies(log, round=3, dtype="float32")) == [received]
    assert not received.delta.flags.writeable
    log.close()
    again = ReplyLog(path)
    (read,) = RecordedReplies(again, round=3, dtype="float32")
    assert (read.client, read.delta.tolist(), read.examples, read.steps) == ("a", [1, 1, 1, 1], 1, 2)
    again.close()
