import pytest

from skerry.errors import EngineNotRunningError, SiteUnreachableError, WorkerLostError
from skerry.learn.federated.coordinator.contact import Contacts
from skerry.learn.federated.plan import Member, Plan
from skerry.learn.federated.record.record import Record
from skerry.learn.federated.record.run_view import read_run

GONE = SiteUnreachableError("site 'edge' at https://edge:8443 does not answer: connection refused")


@pytest.fixture
def record(tmp_path):
    members = (Member(name="one", site="edge"), Member(name="two"), Member(name="three"))
    with Record(tmp_path / "run", Plan(job="job-1", members=members, rounds=5)) as record:
        yield record


def test_a_loss_and_a_return_are_told_once_each(record):
    watched = []
    contacts = Contacts(record, watched.append)
    for _ in range(3):
        contacts.of("one", 4).failed(GONE)
    assert [(event.kind, event.client, event.round) for event in watched] == [("unreachable", "one", 4)]
    (lost,) = read_run(record.folder).lost
    assert lost == watched[0]
    assert lost.facts == {"site": "edge", "clients": ["one"], "reason": GONE.message}
    for _ in range(3):
        contacts.of("one", 5).heard()
    assert [event.kind for event in watched] == ["unreachable", "back"]
    assert read_run(record.folder).lost == ()


def test_the_engine_of_this_machine_is_one_place_for_all_its_clients(record):
    contacts = Contacts(record, None, " --home /home")
    for client in ("two", "three"):
        contacts.of(client, 1).failed(EngineNotRunningError("no engine is running at /home/engine.sock"))
    (lost,) = read_run(record.folder).to_json()["unreachable"]
    assert lost["clients"] == ["three", "two"]
    assert lost["start"] == "skerry engine start --port 0 --home /home"
    assert lost["since"] > 0


def test_an_error_that_a_place_answers_with_says_that_it_is_there(record):
    contacts = Contacts(record)
    contacts.of("one", 1).failed(WorkerLostError("died"))
    assert not contacts.is_lost("edge")
    contacts.of("one", 1).failed(GONE)
    assert contacts.is_lost("edge")
    contacts.of("one", 1).failed(WorkerLostError("died"))
    assert not contacts.is_lost("edge")


def test_nothing_is_told_after_the_end(record):
    contacts = Contacts(record)
    record.tell("finished", 5)
    contacts.close()
    contacts.of("one", 5).failed(GONE)
    assert read_run(record.folder).lost == ()


def test_who_resumes_a_run_finds_out_for_itself_what_is_lost(record):
    Contacts(record).of("one", 1).failed(GONE)
    record.tell("resumed", 1)
    assert read_run(record.folder).lost == ()
