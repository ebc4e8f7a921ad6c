import numpy as np
import pytest

from skerry.learn.federated.coordinator.remembered import carry, still_counting
from skerry.learn.federated.record.reply_log import BASE, RecordedReplies, ReplyLog, client_results, remembered_results
from skerry.learn.federated.wire.coding import pack
from skerry.learn.federated.wire.messages import FitReply


def test_silent_clients_count_until_their_update_is_too_old():
    last = {"a": 7, "b": 8, "c": 4, "d": 5}
    assert still_counting(last, {"a"}, round=8, rounds=3) == ("b", "d")
    assert still_counting(last, (), round=8, rounds=0) == ("b",)


def given(round):
    return np.full(4, 10 * round, np.float32)


@pytest.fixture
def rounds(tmp_path):
    """Play rounds in logs; returns what each counted: clients and the rounds of their tasks."""
    made = []

    def play(round, *asked, rounds=2):
        log = ReplyLog(tmp_path / f"{round}")
        for client, of in asked:
            packed, _ = pack(np.full(4, of, np.float32), "float32")
            reply = FitReply(
                job="j", round=of, client=client, token=f"{client}{of}", model_digest="d", update=packed, examples=1
            )
            log.append(reply, {"duration_s": 0.5, **({BASE: given(of)} if of < round else {})})
        if made:
            carry(made[-1], log, given=given(round - 1), round=round, rounds=rounds)
        log.close()
        made.append(ReplyLog(tmp_path / f"{round}"))
        replies = RecordedReplies(made[-1], round=round, dtype="float32", newest=True)
        assert len(replies) == len(list(replies))
        # Beside what is not of the round itself is the model that its client was given, however often it was carried.
        assert all((reply.base is None) == (reply.staleness == 0) for reply in replies)
        assert all((reply.base == given(round - reply.staleness)).all() for reply in replies if reply.staleness)
        assert all(reply.delta.tolist() == [round - reply.staleness] * 4 for reply in replies)
        return {reply.client: round - reply.staleness for reply in replies}

    yield play
    for log in made:
        log.close()


def test_a_log_carries_what_the_one_before_had_carried_and_forgets(rounds):
    assert rounds(1, ("a", 1), ("b", 1), ("c", 1)) == {"a": 1, "b": 1, "c": 1}
    assert rounds(2, ("a", 2)) == {"a": 2, "b": 1, "c": 1}
    assert rounds(3, ("a", 3), ("b", 2), ("b", 3)) == {"a": 3, "b": 3, "c": 1}  # late, and then in time
    assert rounds(4, ("a", 4)) == {"a": 4, "b": 3}


def test_a_reply_that_comes_after_all_replaces_what_was_carried_and_what_is_carried_is_no_result(tmp_path, rounds):
    rounds(1, ("a", 1), ("b", 1))
    rounds(2, ("a", 2))
    log = ReplyLog(tmp_path / "2")
    assert remembered_results(log, round=2) == {"b": 1}
    assert [result.client for result in client_results(log, round=2)] == ["a"]
    packed, _ = pack(np.full(4, 2, np.float32), "float32")
    log.append(
        FitReply(job="j", round=2, client="b", token="b2", model_digest="d", update=packed, examples=1),
        {"duration_s": 0.5},
    )
    assert remembered_results(log, round=2) == {}
    found = [(r.client, r.staleness) for r in RecordedReplies(log, round=2, dtype="float32", newest=True)]
    assert found == [("a", 0), ("b", 0)]
    log.close()


def test_an_update_whose_model_nobody_knows_is_forgotten(tmp_path, rounds):
    rounds(1, ("a", 1), ("b", 1))
    before, log = ReplyLog(tmp_path / "1"), ReplyLog(tmp_path / "2")
    assert carry(before, log, given=None, round=2, rounds=5) == ()
    before.close()
    log.close()
