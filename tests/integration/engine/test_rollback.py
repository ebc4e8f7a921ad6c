from support.engine_process import wait_until, write_app
from support.versions import VERSION, Load, write_version


def test_a_rollback_goes_back_step_by_step_without_a_failed_request(engine, tmp_path):
    path = write_version(tmp_path / "app.py", "v0")
    for number in range(3):
        write_version(path, f"v{number}")
        engine.deploy(path, flags=[f"version.timeout={number + 1}00s"])
    path.unlink()

    with Load(engine, "version") as load:
        first = engine.control("POST", "/functions/version/rollback").json()
        wait_until(lambda: (200, b'"v1"') in load.answers[-20:], what="an answer of v1")
        second = engine.control("POST", "/functions/version/rollback").json()
        wait_until(lambda: (200, b'"v0"') in load.answers[-20:], what="an answer of v0")

    assert first["functions"] == [{"function": "version", "replaced": "version-00003", "serving": "version-00004"}]
    assert second["functions"] == [{"function": "version", "replaced": "version-00004", "serving": "version-00005"}]
    assert second["deployed_at"] < first["deployed_at"]
    assert load.errors == []
    assert {status for status, _ in load.answers} == {200}
    assert engine.function("version")["spec"]["timeout"] == "100s"
    nothing = engine.control("POST", "/functions/version/rollback")
    assert (nothing.status, nothing.code) == (400, "bad_config")
    assert "nothing to go back to" in nothing.json()["detail"]


def test_a_rollback_outlives_the_engine_and_the_next_deployment_goes_on_from_it(engine, tmp_path):
    path = write_version(tmp_path / "app.py", "a")
    engine.deploy(path)
    write_version(path, "b")
    engine.deploy(path)
    engine.kill()
    engine.start()

    engine.control("POST", "/functions/version/rollback")
    engine.kill()
    engine.start()
    assert engine.call("version").json() == "a"

    write_version(path, "c")
    engine.deploy(path)
    engine.control("POST", "/functions/version/rollback")
    assert engine.call("version").json() == "a"


def test_a_rollback_brings_back_what_a_deployment_has_removed_and_removes_what_it_has_added(engine, tmp_path):
    path = write_app(tmp_path / "app.py", "app = skerry.App('two')\n@app.function\ndef old() -> int:\n    return 1\n")
    engine.deploy(path)
    write_app(path, "app = skerry.App('two')\n@app.function\ndef new() -> int:\n    return 2\n")
    engine.deploy(path)

    answer = engine.control("POST", "/functions/old/rollback").json()

    assert answer["functions"] == [
        {"function": "new", "replaced": "new-00001", "serving": None},
        {"function": "old", "replaced": None, "serving": "old-00002"},
    ]
    assert engine.call("old").json() == 1
    assert engine.call("new").status == 404


def test_a_rollback_that_cannot_start_leaves_what_serves(engine, tmp_path):
    wall = tmp_path / "wall"
    source = "if os.path.exists({wall!r}):\n    raise RuntimeError('walled')\n" + VERSION
    path = write_app(tmp_path / "app.py", source.format(wall=str(wall), version="a", memory=None))
    engine.deploy(path)
    write_version(path, "b")
    engine.deploy(path)
    wall.touch()

    refused = engine.control("POST", "/functions/version/rollback")

    assert refused.status >= 400
    assert "RuntimeError" in refused.json()["detail"]
    assert engine.call("version").json() == "b"
    wall.unlink()
    engine.control("POST", "/functions/version/rollback")
    assert engine.call("version").json() == "a"


def test_a_rollback_to_a_number_passes_over_those_in_between_and_happens_once(engine, tmp_path):
    path = tmp_path / "app.py"
    for name in ("a", "b", "c"):
        engine.deploy(write_version(path, name))
    listed = engine.control("GET", "/functions/version/deployments").json()
    assert [(one["number"], one["is_serving"]) for one in listed] == [(3, True), (2, False), (1, False)]

    first = engine.control("POST", "/functions/version/rollback?to=1").json()
    second = engine.control("POST", "/functions/version/rollback?to=1").json()

    assert engine.call("version").json() == "a"
    assert (first["number"], second["number"]) == (1, 1)
    assert first["functions"] == [{"function": "version", "replaced": "version-00003", "serving": "version-00004"}]
    assert second["functions"] == []
    gone = engine.control("POST", "/functions/version/rollback?to=3")
    assert (gone.status, gone.code) == (400, "bad_config")
    assert "there are: 1" in gone.json()["detail"]
    assert engine.control("POST", "/functions/version/rollback?to=two").status == 400
    assert engine.control("GET", "/functions/nobody/deployments").status == 404


def test_a_rollback_of_what_is_not_there_says_so(engine):
    answer = engine.control("POST", "/functions/nobody/rollback")

    assert (answer.status, answer.code) == (404, "not_found")


def test_an_engine_that_starts_keeps_the_sources_that_it_serves_or_may_go_back_to_and_no_others(engine, tmp_path):
    def copies():
        return {path.name for path in (engine.home / "sources").iterdir()}

    path = write_version(tmp_path / "app.py", "a")
    engine.deploy(path)
    write_version(path, "b")
    engine.deploy(path)
    needed = copies()
    path.write_text("raise RuntimeError('never deployed')\n")
    engine.try_deploy(path)
    other = write_app(
        tmp_path / "other.py", "app = skerry.App('o')\n@app.function\ndef other() -> int:\n    return 1\n"
    )
    engine.deploy(other)
    engine.control("DELETE", "/apps/o")
    assert len(copies()) == 4

    engine.kill()
    engine.start()

    assert copies() == needed
    assert engine.call("version").json() == "b"
    engine.control("POST", "/functions/version/rollback")
    assert engine.call("version").json() == "a"
