import pytest

from support.backlogs import SqlitePlace


@pytest.fixture(params=["sqlite"])
def places(request, tmp_path, run_loop):
    """One place of a backlog; each run opens it anew, as a process does after the death of the one before."""
    return SqlitePlace(tmp_path / "events.sqlite3", run_loop)
