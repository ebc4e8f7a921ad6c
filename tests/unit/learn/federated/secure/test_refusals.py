"""What clients and the coordinator of a secure aggregation refuse, and what a masked update looks like."""

import re
import sys

import numpy as np
import pytest

from skerry.errors import ConfigError, DataError, InvalidPayloadError, PrivacyError, UnavailableError
from skerry.learn.federated.secure.messages import UnmaskTask
from support.secure_ceremony import NAMES, hold, make_clients, make_server, make_terms, make_updates, weigh


@pytest.fixture
def terms():
    return make_terms()


@pytest.fixture
def updates():
    return make_updates()


@pytest.fixture
def clients(updates, terms):
    return make_clients(updates, terms)


@pytest.fixture
def server(terms):
    return make_server(terms)


def masked_of(server, clients, name):
    hold(server, clients, {}, until="masked")
    return clients[name].answer(server.tasks()[name]).masked


def test_a_masked_update_looks_like_random_bytes():
    terms = make_terms(size=40_000)
    updates = {name: (np.zeros(40_000), 1) for name in NAMES}
    masked = masked_of(make_server(terms), make_clients(updates, terms), "edge-00")
    counts = np.bincount(np.frombuffer(masked, np.uint8), minlength=256)
    expected = len(masked) / 256
    # 255 degrees of freedom: 420 is passed by chance less than once in ten thousand million; the seeds are fixed.
    assert ((counts - expected) ** 2 / expected).sum() < 420


def test_the_same_update_looks_otherwise_in_another_ceremony(terms, updates):
    one = masked_of(make_server(terms), make_clients(updates, terms, seed=1), "edge-00")
    clients = make_clients(updates, terms, seed=2)
    other = masked_of(make_server(terms), clients, "edge-00")
    again = masked_of(make_server(terms, ceremony="second"), clients, "edge-00")
    elements = [np.frombuffer(masked, np.uint64) for masked in (one, other, again)]
    assert (elements[0] != elements[1]).all()
    assert (elements[1] != elements[2]).all()


def test_a_ceremony_that_failed_is_held_again_with_the_same_updates(terms, updates, clients):
    with pytest.raises(UnavailableError):
        hold(make_server(terms), clients, dict.fromkeys(NAMES[:5], "masked"))
    server = make_server(terms, ceremony="second")
    hold(server, clients, {})
    assert np.abs(server.total().weighted_sum - weigh(updates, NAMES)[0]).max() < 1e-6


def test_no_second_ceremony_is_held_for_an_update_that_was_summed(terms, clients, server):
    hold(server, clients, {})
    task = make_server(terms, ceremony="second").tasks()["edge-03"]
    with pytest.raises(PrivacyError, match="no second ceremony is held for it"):
        clients["edge-03"].answer(task)
    assert clients["edge-03"].state.elements == b""
    assert clients["edge-03"].state.secrets is None


@pytest.mark.parametrize("phase", ["keys", "shares", "masked"])
def test_the_phases_of_a_ceremony_that_has_ended_are_not_answered_anew(phase, clients, server):
    hold(server, clients, {}, until=phase)
    task = server.tasks()["edge-03"]
    hold(make_server(server.terms), clients, {})
    with pytest.raises(PrivacyError, match="no second ceremony is held for it"):
        clients["edge-03"].answer(task)


def test_a_ceremony_that_was_left_is_not_taken_up_again(terms, clients, server):
    first = server.tasks()["edge-03"]
    clients["edge-03"].answer(first)
    clients["edge-03"].answer(make_server(terms, ceremony="second").tasks()["edge-03"])
    with pytest.raises(PrivacyError, match="'first' was left for another"):
        clients["edge-03"].answer(first)


@pytest.mark.parametrize("phase", ["keys", "shares", "masked", "unmask"])
def test_the_same_task_again_gets_the_same_reply(phase, clients, server):
    hold(server, clients, {}, until=phase)
    task = server.tasks()["edge-05"]
    reply = clients["edge-05"].answer(task)
    assert clients["edge-05"].answer(task) == reply
    server.receive(reply)
    server.receive(reply)


def test_a_phase_is_not_answered_to_two_tasks(clients, server):
    hold(server, clients, {"edge-01": "masked"}, until="unmask")
    task = server.tasks()["edge-05"]
    clients["edge-05"].answer(task)
    other = task.model_copy(update={"survivors": task.survivors[1:], "dropped": (*task.dropped, task.survivors[0])})
    with pytest.raises(PrivacyError, match="phase 'unmask' was answered to another task"):
        clients["edge-05"].answer(other)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda names: (names, names[:1]), "asked for both kinds of shares of \\['edge-00'\\]"),
        (lambda names: ((*names, names[0]), ()), "asked for both kinds"),
        (lambda names: (names[1:], ()), "not those who have sent shares"),
        (lambda names: ((*names, "edge-99"), ()), "not those who have sent shares"),
        (lambda names: (names[:5] + names[6:], names[5:6]), "said to have dropped out, but has sent"),
        (lambda names: (names[4:9], names[:4] + names[9:]), "5 clients are left, and 6 are needed"),
    ],
)
def test_a_client_gives_no_share_that_could_bare_an_update(change, reason, clients, server):
    hold(server, clients, {}, until="unmask")
    survivors, dropped = change(NAMES)
    task = server.tasks()["edge-05"].model_copy(update={"survivors": survivors, "dropped": dropped})
    with pytest.raises(PrivacyError, match=reason):
        clients["edge-05"].answer(task)


@pytest.mark.parametrize(
    ("word", "value"), [("job", "other"), ("round", 3), ("ceremony", "second"), ("client", "edge-00")]
)
def test_a_task_of_something_else_is_refused(word, value, clients, server):
    hold(server, clients, {}, until="shares")
    task = server.tasks()["edge-05"].model_copy(update={word: value})
    with pytest.raises(InvalidPayloadError, match=f"the task is of {word} {value!r}"):
        clients["edge-05"].answer(task)


def test_a_phase_that_comes_too_early_is_refused(clients, server):
    clients["edge-05"].answer(server.tasks()["edge-05"])
    task = UnmaskTask(job="demo", round=4, ceremony="first", client="edge-05", survivors=NAMES, dropped=())
    with pytest.raises(InvalidPayloadError, match="phase 'unmask' came before 'shares'"):
        clients["edge-05"].answer(task)


def test_changed_shares_are_refused_by_who_opens_them(clients, server):
    hold(server, clients, {}, until="masked")
    task = server.tasks()["edge-05"]
    sealed = task.sealed["edge-02"]
    forged = task.model_copy(update={"sealed": task.sealed | {"edge-02": sealed[:-1] + bytes([sealed[-1] ^ 1])}})
    with pytest.raises(PrivacyError, match="cannot be opened"):
        clients["edge-05"].answer(forged)


def test_shares_for_another_receiver_are_refused(clients, server):
    hold(server, clients, {}, until="masked")
    tasks = server.tasks()
    swapped = tasks["edge-05"].sealed | {"edge-02": tasks["edge-06"].sealed["edge-02"]}
    with pytest.raises(PrivacyError, match="cannot be opened"):
        clients["edge-05"].answer(tasks["edge-05"].model_copy(update={"sealed": swapped}))


def test_too_few_senders_of_shares_get_no_masked_update(clients, server):
    hold(server, clients, {}, until="masked")
    task = server.tasks()["edge-05"]
    few = {name: task.sealed[name] for name in list(task.sealed)[:4]}
    with pytest.raises(PrivacyError, match="5 clients have sent shares, and 6 are needed"):
        clients["edge-05"].answer(task.model_copy(update={"sealed": few}))


def test_a_list_of_keys_with_another_key_for_the_client_is_refused(clients, server):
    hold(server, clients, {}, until="shares")
    task = server.tasks()["edge-05"]
    changed = task.keys | {"edge-05": task.keys["edge-04"]}
    with pytest.raises(PrivacyError, match="does not hold the ones that this client made"):
        clients["edge-05"].answer(task.model_copy(update={"keys": changed}))


def test_one_key_for_two_clients_is_refused(clients, server):
    hold(server, clients, {}, until="shares")
    task = server.tasks()["edge-05"]
    changed = task.keys | {"edge-03": task.keys["edge-04"]}
    with pytest.raises(PrivacyError, match="two clients have the same key"):
        clients["edge-05"].answer(task.model_copy(update={"keys": changed}))


def test_a_key_of_small_order_is_refused(clients, server):
    hold(server, clients, {}, until="shares")
    task = server.tasks()["edge-05"]
    weak = task.keys["edge-03"].model_copy(update={"cipher": bytes(32)})
    with pytest.raises(PrivacyError, match="small order"):
        clients["edge-05"].answer(task.model_copy(update={"keys": task.keys | {"edge-03": weak}}))


@pytest.mark.parametrize(
    ("word", "value", "reason"),
    [
        ("job", "other", "is of job 'other'"),
        ("round", 3, "is of round 3"),
        ("ceremony", "second", "is of ceremony 'second'"),
        ("client", "edge-99", "'edge-99' takes no part"),
        ("client", "edge-05", "'edge-05' has answered phase 'masked' before, and otherwise"),
        ("masked", b"short", "has 5 bytes, not 2064"),
    ],
)
def test_the_coordinator_refuses_replies_of_something_else(word, value, reason, clients, server):
    hold(server, clients, {}, until="masked")
    tasks = server.tasks()
    server.receive(clients["edge-05"].answer(tasks["edge-05"]))
    reply = clients["edge-06"].answer(tasks["edge-06"]).model_copy(update={word: value})
    with pytest.raises(InvalidPayloadError, match=reason):
        server.receive(reply)


def test_a_masked_update_that_comes_when_its_phase_is_closed_is_refused(clients, server):
    hold(server, clients, {}, until="masked")
    tasks = server.tasks()
    late = clients["edge-05"].answer(tasks["edge-05"])
    for name in NAMES:
        if name != "edge-05":
            server.receive(clients[name].answer(tasks[name]))
    server.advance()
    with pytest.raises(InvalidPayloadError, match="is of phase 'masked', and 'unmask' is at work"):
        server.receive(late)


def test_the_coordinator_refuses_both_kinds_of_shares_of_one_client(clients, server):
    hold(server, clients, {"edge-01": "masked"}, until="unmask")
    reply = clients["edge-05"].answer(server.tasks()["edge-05"])
    both = reply.model_copy(update={"key_shares": reply.key_shares | {"edge-00": reply.self_shares["edge-00"]}})
    with pytest.raises(PrivacyError, match="both kinds of shares of one client"):
        server.receive(both)
    fewer = reply.model_copy(update={"key_shares": {}})
    with pytest.raises(InvalidPayloadError, match="not those that were asked for"):
        server.receive(fewer)


@pytest.mark.parametrize(
    ("kind", "reason"), [("self_shares", "self-mask are not of it"), ("key_shares", "key are not")]
)
def test_a_changed_share_is_noticed_before_anything_is_unmasked(kind, reason, clients, server):
    hold(server, clients, {"edge-01": "masked"}, until="unmask")
    for name, task in server.tasks().items():
        reply = clients[name].answer(task)
        if name == "edge-00":
            shares = dict(getattr(reply, kind))
            first = next(iter(shares))
            shares[first] = shares[first][:-1] + bytes([shares[first][-1] ^ 1])
            reply = reply.model_copy(update={kind: shares})
        server.receive(reply)
    with pytest.raises(DataError, match=f"{reason}|one of them was changed"):
        server.advance()
    with pytest.raises(DataError, match="there is no sum"):
        server.total()


def test_shares_that_leave_a_client_out_are_refused(clients, server):
    hold(server, clients, {}, until="shares")
    reply = clients["edge-05"].answer(server.tasks()["edge-05"])
    fewer = {name: sealed for name, sealed in reply.sealed.items() if name != "edge-00"}
    with pytest.raises(InvalidPayloadError, match="not sent one share to each"):
        server.receive(reply.model_copy(update={"sealed": fewer}))


def test_nobody_is_waited_for_once_enough_have_unmasked(clients, server):
    hold(server, clients, {}, until="unmask")
    for name, task in list(server.tasks().items())[:6]:
        assert server.waiting
        server.receive(clients[name].answer(task))
    assert server.waiting == ()
    assert server.advance() is None
    assert len(server.total().clients) == 10


def test_a_ceremony_of_fewer_clients_than_the_threshold_does_not_begin(terms):
    with pytest.raises(UnavailableError, match="5 clients have trained, and 6 are needed"):
        make_server(terms, NAMES[:5])


def test_without_the_library_the_error_names_the_extra(terms, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ConfigError, match=re.escape('pip install "skerry[secure]"')):
        make_server(terms)
    with pytest.raises(ConfigError, match=re.escape('pip install "skerry[secure]"')):
        make_clients(make_updates(), terms)


def test_a_ceremony_of_more_clients_than_the_terms_allow_does_not_begin(terms):
    with pytest.raises(ConfigError, match="11 clients"):
        make_server(terms, (*NAMES, "edge-10"))
