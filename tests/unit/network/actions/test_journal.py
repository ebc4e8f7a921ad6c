import json
import sqlite3
import stat

import pytest
from hypothesis import given, settings

from skerry.errors import ConfigError, StorageError
from skerry.network.actions import Journal, State
from skerry.network.actions.action import action_from_plain, action_to_plain
from skerry.network.actions.journal import FILE, IN_FORCE
from support.actions import actions, some_action


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def open_entry(journal, action, *, due_s=10.0, state=State.PENDING):
    journal.open_entry(action, actuator="test", settings={"a": 1}, due_s=due_s, state=state, reason="taken")


@settings(max_examples=30)
@given(actions())
def test_an_action_is_the_same_after_json(action):
    assert action_from_plain(json.loads(json.dumps(action_to_plain(action)))) == action


def test_what_is_in_force_comes_in_the_order_in_which_it_is_due(journal):
    late, early, done = some_action(), some_action(), some_action()
    open_entry(journal, late, due_s=20.0)
    open_entry(journal, early, due_s=10.0)
    open_entry(journal, done)
    journal.change(done.id, State.WITHDRAWN, "over", since=IN_FORCE)

    assert [entry.action for entry in journal.in_force()] == [early, late]


def test_a_change_that_comes_too_late_writes_nothing(journal):
    action = some_action()
    open_entry(journal, action)
    assert journal.change(action.id, State.WITHDRAWN, "over", since=IN_FORCE)

    assert not journal.change(action.id, State.CONFIRMED, "too late", since=IN_FORCE)

    assert [record.reason for record in journal.audit(action.id)] == ["taken", "over"]


def test_the_audit_holds_the_evidence(journal):
    action = some_action()
    open_entry(journal, action)

    assert journal.audit()[0].detail["evidence"] == {"syn_per_s": 1520}


def test_after_a_restart_of_the_machine_everything_is_due(tmp_path, journal):
    action = some_action()
    open_entry(journal, action, due_s=1e9)
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("UPDATE actions SET boot = 'an earlier one'")
    other.close()

    assert journal.in_force()[0].due_s == 0.0


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="journal of actions"):
        Journal(tmp_path / "file")


def test_a_folder_in_which_others_may_write_is_refused(tmp_path):
    (tmp_path / "planted").touch()
    tmp_path.chmod(0o777)

    with pytest.raises(ConfigError, match="open to other users"):
        Journal(tmp_path)

    assert not (tmp_path / FILE).exists()


def test_an_empty_folder_is_closed_and_one_that_others_may_only_look_at_is_left_as_it_is(tmp_path):
    tmp_path.chmod(0o777)
    Journal(tmp_path).close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700

    tmp_path.chmod(0o755)
    Journal(tmp_path).close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_nobody_else_can_read_the_journal(tmp_path, journal):
    open_entry(journal, some_action())
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob(f"{FILE}*")} == {0o600}

    (tmp_path / FILE).chmod(0o644)  # as an earlier version has made it
    Journal(tmp_path).close()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
