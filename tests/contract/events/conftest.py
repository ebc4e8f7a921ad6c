import uuid

import pytest

from support.backlogs import JetStreamPlace, SqlitePlace
from support.nats_server import NatsServer


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory):
    pytest.importorskip("nats", reason='no nats-py: pip install "skerry[nats]"')
    server = NatsServer(tmp_path_factory.mktemp("nats")).start()
    yield server
    server.kill()


@pytest.fixture(params=["sqlite", "nats"])
def places(request, tmp_path, run_loop):
    """One place of a backlog; each run opens it anew, as a process does after the death of the one before."""
    if request.param == "sqlite":
        return SqlitePlace(tmp_path / "events.sqlite3", run_loop)
    return JetStreamPlace(request.getfixturevalue("nats_server"), f"t{uuid.uuid4().hex}", run_loop)
