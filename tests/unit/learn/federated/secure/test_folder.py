"""A client's state in a file."""

import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import InvalidPayloadError, MalformedBodyError, PrivacyError
from skerry.learn.federated.secure.folder import answer, hold
from skerry.learn.federated.secure.messages import SecureReply, SecureTask, read_reply, read_task, write
from skerry.learn.federated.secure.state import read_state
from skerry.payload.schema import Schema
from support.secure_ceremony import hold as hold_ceremony
from support.secure_ceremony import make_clients, make_server, make_terms, make_updates


@pytest.fixture
def client():
    return make_clients(make_updates(), make_terms())["edge-00"]


@pytest.fixture
def task():
    return make_server(make_terms()).tasks()["edge-00"]


def test_only_the_owner_may_read_the_file(tmp_path, client, task):
    hold(tmp_path / "secure", client)
    answer(tmp_path / "secure", task)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secure", "secure.lock"]


def test_the_state_is_on_disk_before_the_reply_is_returned(tmp_path, client, task):
    hold(tmp_path / "secure", client)
    reply = answer(tmp_path / "secure", task)
    kept = read_state((tmp_path / "secure").read_bytes())
    assert read_reply(kept.answers["keys"].reply) == reply


def test_the_same_task_at_the_same_time_gets_one_answer(tmp_path, client, task):
    hold(tmp_path / "secure", client)
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(answer(tmp_path / "secure", task))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 4
    assert all(reply == replies[0] for reply in replies)


def test_a_draft_that_a_killed_writer_left_is_replaced(tmp_path, client, task):
    (tmp_path / "secure.draft").write_bytes(b"half")
    hold(tmp_path / "secure", client)
    assert answer(tmp_path / "secure", task).client == "edge-00"


def test_an_update_that_was_summed_is_not_held_again(tmp_path):
    updates, terms = make_updates(), make_terms()
    clients, again = make_clients(updates, terms), make_clients(updates, terms)["edge-00"]
    hold_ceremony(make_server(terms), clients, {})
    hold(tmp_path / "secure", clients["edge-00"])
    with pytest.raises(PrivacyError, match="job 'demo', round 4 has been summed"):
        hold(tmp_path / "secure", again)
    again.state = again.state.model_copy(update={"round": 5})
    hold(tmp_path / "secure", again)


def test_a_client_that_has_not_trained_says_so(tmp_path, task):
    with pytest.raises(InvalidPayloadError, match="holds no update of job 'demo', round 4: let it train first"):
        answer(tmp_path / "secure", task)


def test_no_secret_is_in_a_states_text(client, task):
    client.answer(task)
    text = repr(client.state)
    assert not any(word in text for word in ("mask_key", "cipher_key", "self_mask=", "elements", "held"))


def test_a_state_comes_back_as_it_was(client):
    assert read_state(write(client.state)) == client.state


@given(body=st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused(body):
    for read in (read_task, read_reply, read_state):
        with pytest.raises((InvalidPayloadError, MalformedBodyError)):
            read(body)


def test_messages_travel_as_json_too(client, task):
    reply = client.answer(task)
    for hint, message in ((SecureTask, task), (SecureReply, reply)):
        schema = Schema(hint, label="message", where="a test")
        assert schema.read_json(schema.write_json(message)) == message


def test_a_task_is_no_reply(task):
    assert read_task(write(task)) == task
    with pytest.raises(InvalidPayloadError):
        read_reply(write(task))


def test_random_bytes_come_from_the_operating_system_by_default(tmp_path, task):
    client = make_clients(make_updates(), make_terms())["edge-00"]
    fixed = client.answer(task)
    hold(tmp_path / "secure", make_clients(make_updates(), make_terms())["edge-00"])
    assert answer(tmp_path / "secure", task).keys != fixed.keys
