"""Revisions that differ by the version of their model."""

import sqlite3
from dataclasses import replace

import pytest

from skerry.engine.records import AppRecord, ModelPin, Records, RevisionDraft
from skerry.engine.records.schema import MIGRATIONS, Database
from skerry.errors import ConfigError, FunctionNotFoundError

APP = AppRecord(
    name="app",
    target="/app.py:app",
    source_digest="s1",
    source={"digest": "s1"},
    environment_digest="engine",
    requirements=(),
    imports=(),
)


def pin(version=1):
    return ModelPin(name="digits", version=version, digest=f"sha256:{version}", manifest="{}")


def draft(model=None, **spec):
    return RevisionDraft(function="f", spec=spec, schema={}, model=model)


@pytest.fixture
def apps(tmp_path):
    with Records(tmp_path / "records.sqlite3") as records:
        yield records.apps


def test_the_same_version_keeps_the_revision_and_another_makes_one(apps):
    first = apps.deploy(APP, [draft(pin())], now_s=1)
    again = apps.deploy(APP, [draft(replace(pin(), manifest='{"other": "spelling"}'))], now_s=2)
    moved = apps.deploy(APP, [draft(pin(2))], now_s=3)

    assert (first.changed, again.changed, moved.changed) == (True, False, True)
    assert [revision.model for revision in apps.history("f")] == [pin(2), pin()]


def test_a_prepared_revision_serves_once_it_is_switched_to(apps):
    apps.deploy(APP, [draft(pin())], now_s=1)

    prepared = apps.prepare("f", pin(2), now_s=2)
    assert (prepared.name, prepared.state, apps.function("f").name) == ("f-00002", "prepared", "f-00001")
    switched = apps.switch(prepared)

    assert (switched.state, switched.model) == ("active", pin(2))
    assert apps.function("f") == switched
    assert [(revision.name, revision.state) for revision in apps.history("f")] == [
        ("f-00002", "active"),
        ("f-00001", "retired"),
    ]
    assert apps.switch(switched) == switched


def test_a_deployment_of_what_was_switched_to_changes_nothing(apps):
    apps.deploy(APP, [draft(pin())], now_s=1)
    apps.switch(apps.prepare("f", pin(2), now_s=2))

    assert not apps.deploy(APP, [draft(pin(2))], now_s=3).changed


def test_names_of_prepared_revisions_are_not_given_twice(apps):
    apps.deploy(APP, [draft(pin())], now_s=1)

    names = [apps.prepare("f", pin(version), now_s=2).name for version in (2, 3)]
    deployed = apps.deploy(APP, [draft(pin(), timeout="7s")], now_s=3)

    assert [*names, deployed.active[0].name] == ["f-00002", "f-00003", "f-00004"]


def test_what_was_prepared_before_a_deployment_is_not_switched_to(apps):
    apps.deploy(APP, [draft(pin())], now_s=1)
    prepared = apps.prepare("f", pin(2), now_s=2)
    apps.deploy(APP, [draft(pin(), timeout="7s")], now_s=3)

    with pytest.raises(ConfigError, match="deployed anew since f-00002 was prepared"):
        apps.switch(prepared)
    assert apps.function("f").model == pin()
    apps.remove("app")
    with pytest.raises(FunctionNotFoundError):
        apps.switch(prepared)
    with pytest.raises(FunctionNotFoundError):
        apps.prepare("f", pin(2), now_s=4)


def test_revisions_of_an_engine_before_models_are_read_and_kept(tmp_path):
    path = tmp_path / "records.sqlite3"
    with Records(path) as records:
        content = records.apps.deploy(APP, [draft()], now_s=1).active[0]
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE revisions DROP COLUMN model")
    connection.execute("ALTER TABLE apps DROP COLUMN event_sources")
    connection.execute("ALTER TABLE jobs DROP COLUMN local")
    for later in ("usage", "traffic", "deployments"):
        connection.execute(f"DROP TABLE {later}")
    connection.execute("PRAGMA user_version = 2")
    connection.close()

    Database(path, migrations=MIGRATIONS).close()
    with Records(path) as records:
        assert records.apps.function("f") == content
        assert not records.apps.deploy(APP, [draft()], now_s=2).changed


def test_a_successor_is_on_record_once_it_is_deployed_and_its_name_is_not_given_twice(apps):
    apps.deploy(APP, [draft(timeout="1s")], now_s=1)
    given_up = apps.successor(APP, draft(timeout="2s"), now_s=2)

    successor = apps.successor(APP, draft(timeout="2s"), now_s=3)
    assert (given_up.name, successor.name, successor.state) == ("f-00002", "f-00003", "prepared")
    assert [one.name for one in apps.history("f")] == ["f-00001"]
    deployment = apps.deploy(APP, [draft(timeout="2s")], now_s=4, successors={"f": successor})

    assert deployment.active == (replace(successor, state="active", created_at=4.0),)
    assert [(one.name, one.state) for one in apps.history("f")] == [("f-00003", "active"), ("f-00001", "retired")]


def test_what_a_deployment_would_keep_and_what_is_new_have_no_successor(apps):
    apps.deploy(APP, [draft(pin(), timeout="1s")], now_s=1)

    assert apps.successor(APP, draft(pin(), timeout="1s"), now_s=2) is None
    assert apps.successor(APP, replace(draft(), function="g"), now_s=2) is None
    assert apps.successor(replace(APP, name="other"), draft(timeout="2s"), now_s=2) is None
    assert apps.successor(APP, draft(pin(2), timeout="1s"), now_s=2).model == pin(2)


def test_an_alias_that_moves_meanwhile_leaves_a_successor_what_it_is(apps):
    apps.deploy(APP, [draft(pin())], now_s=1)
    successor = apps.successor(APP, draft(pin(3), timeout="2s"), now_s=2)
    apps.switch(apps.prepare("f", pin(2), now_s=3))

    deployment = apps.deploy(APP, [draft(pin(3), timeout="2s")], now_s=4, successors={"f": successor})

    assert [one.name for one in deployment.active] == ["f-00002"]
    assert [one.name for one in deployment.retired] == ["f-00003"]
