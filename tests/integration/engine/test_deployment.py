import json
import os
import socket
import threading

import pytest

from support.engine_process import wait_until, write_app
from support.versions import Load, write_version
from support.wheels import make_wheel, pip_settings


def test_revisions_are_numbered_and_an_unchanged_deployment_makes_none(engine, tmp_path):
    path = write_version(tmp_path / "app.py", "a")

    first = engine.deploy(path)
    again = engine.deploy(path)
    write_version(path, "b")
    second = engine.deploy(path)

    function = {
        "name": "version",
        "revision": "version-00001",
        "address": f"http://127.0.0.1:{engine.port}/function/version",
    }
    assert first == {"app": "versions", "functions": [function], "changed": True}
    assert again == {**first, "changed": False}
    assert second["functions"][0]["revision"] == "version-00002"
    assert second["changed"]
    assert engine.call("version").json() == "b"


def test_an_option_alone_makes_a_new_revision(engine, tmp_path):
    path = write_version(tmp_path / "app.py", "a")
    engine.deploy(path)

    changed = engine.deploy(path, flags=["version.timeout=7s"])
    same = engine.deploy(path, flags=["version.timeout=7s"])

    assert changed["functions"][0]["revision"] == "version-00002"
    assert not same["changed"]


def test_the_deployed_source_is_immutable(engine, tmp_path):
    path = write_version(tmp_path / "app.py", "a")
    engine.deploy(path)

    path.write_text("raise RuntimeError('edited')")

    assert engine.call("version").json() == "a"  # from zero: the worker is forked after the edit


def test_new_revisions_take_over_under_load_without_a_failed_request(engine, tmp_path):
    path = write_version(tmp_path / "app.py", "v0")
    engine.deploy(path)

    with Load(engine, "version") as load:
        for number in range(1, 4):
            write_version(path, f"v{number}")
            engine.deploy(path)
            wanted = (200, json.dumps(f"v{number}").encode())
            wait_until(lambda wanted=wanted: wanted in load.answers[-20:], what=f"an answer of v{number}")

    assert load.errors == []
    assert {status for status, _ in load.answers} == {200}
    assert {body for _, body in load.answers} == {json.dumps(f"v{number}").encode() for number in range(4)}


def test_a_request_whose_body_arrives_during_a_deployment_is_served(engine, tmp_path):
    path = write_version(tmp_path / "app.py", "a")
    engine.deploy(path)
    with socket.create_connection(("127.0.0.1", engine.port), timeout=30) as connection:
        connection.sendall(
            b"POST /function/version HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnu"
        )
        assert engine.call("version").json() == "a"  # by now the head has been read

        write_version(path, "b")
        engine.deploy(path)
        connection.sendall(b"ll")
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert answer.endswith(b'"b"')


def test_an_app_that_cannot_be_imported_is_refused_with_its_traceback_and_the_old_revision_serves(engine, tmp_path):
    path = write_version(tmp_path / "app.py", "a")
    engine.deploy(path)

    path.write_text("def broken():\n    return 1 / 0\n\nbroken()\n")
    answer = engine.try_deploy(path)

    assert (answer.status, answer.code) == (400, "app_import_failed")
    assert "ZeroDivisionError" in answer.json()["detail"]
    assert "return 1 / 0" in answer.json()["traceback"]
    assert engine.call("version").json() == "a"
    assert engine.function("version")["revision"] == "version-00001"


@pytest.mark.parametrize("source", ["x = 1\n", "def (\n", "import no_such_module_here\n", "raise SystemExit(3)\n"])
def test_whatever_keeps_an_app_from_being_imported_is_the_users_error(shared_engine, tmp_path, source):
    path = tmp_path / "app.py"
    path.write_text(source)

    answer = shared_engine.try_deploy(path)

    assert (answer.status, answer.code) == (400, "app_import_failed"), answer


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/no/such/app.py", "app_import_failed"),
        ("no_such_module_here:app", "app_import_failed"),
        (":app", "bad_config"),
    ],
)
def test_a_target_that_names_nothing_is_refused(shared_engine, target, code):
    answer = shared_engine.try_deploy(target)

    assert (answer.status, answer.code) == (400, code)


def test_an_import_that_ends_its_process_is_told_and_the_engine_lives(shared_engine, tmp_path):
    path = write_app(tmp_path / "app.py", "print('no such processor', flush=True)\nos.kill(os.getpid(), 11)")

    answer = shared_engine.try_deploy(path)

    assert (answer.status, answer.code) == (400, "app_import_failed")
    assert answer.json()["traceback"].startswith("no such processor\nFatal Python error: Segmentation fault")
    assert "app.py" in answer.json()["traceback"]


def test_an_import_that_ends_its_process_without_a_word_is_told(shared_engine, tmp_path):
    answer = shared_engine.try_deploy(write_app(tmp_path / "app.py", "os._exit(3)"))

    assert (answer.status, answer.code) == (400, "app_import_failed")
    assert answer.json()["detail"] == "the process that imported 'app' died"
    assert "traceback" not in answer.json()


def test_a_load_that_fails_fails_the_deployment_and_the_old_revision_serves(engine, tmp_path):
    path = write_version(tmp_path / "app.py", "a")
    engine.deploy(path)

    write_app(
        path,
        """
        app = skerry.App("versions")

        @app.function
        class Version:
            def load(self):
                raise FileNotFoundError("no model here")

            def __call__(self) -> str:
                return "b"
        """,
    )
    answer = engine.try_deploy(path)

    assert answer.code == "start_failed"
    assert "FileNotFoundError" in answer.json()["detail"]
    assert engine.call("version").json() == "a"
    assert "no model here" in engine.control("GET", "/functions/version/logs?tail=50").json()["text"]


def test_the_log_of_a_function_whose_first_deployment_failed_can_be_read(engine, tmp_path):
    path = write_app(
        tmp_path / "app.py",
        """
        app = skerry.App("never")

        @app.function
        class Never:
            def load(self):
                raise ValueError("the weights are damaged")

            def __call__(self) -> str:
                return ""
        """,
    )
    assert engine.try_deploy(path).code == "start_failed"

    assert "the weights are damaged" in engine.control("GET", "/functions/never/logs").json()["text"]
    assert engine.control("GET", "/functions/other/logs").status == 404


@pytest.mark.parametrize(
    ("flag", "named"),
    [
        ("version.memroy=1GiB", "memroy"),
        ("version.scale.maximum=3", "maximum"),
        ("version.timeout=soon", "timeout"),
        ("version.share_load=true", "share_load = True needs a class with a method load"),
        ("version.gpu=1", "engine does not honour gpu"),
        ('version.secrets=["db"]', "engine does not honour secrets"),
        ("absent.timeout=1s", "absent"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_wrong_option_is_refused_by_name(shared_engine, tmp_path, flag, named):
    path = write_version(tmp_path / "app.py", "a")

    answer = shared_engine.try_deploy(path, flags=[flag])

    assert (answer.status, answer.code) == (400, "bad_option")
    assert named in answer.json()["detail"]


def test_a_name_that_another_app_owns_is_refused(engine, tmp_path):
    engine.deploy(write_version(tmp_path / "app.py", "a"))
    other = write_app(
        tmp_path / "other.py",
        """
        app = skerry.App("other")

        @app.function
        def version() -> str:
            return "other"

        @app.function
        def second() -> str:
            return "second"
        """,
    )

    answer = engine.try_deploy(other)

    assert (answer.status, answer.code) == (409, "name_taken")
    assert "versions" in answer.json()["detail"]
    assert engine.call("version").json() == "a"
    assert engine.call("second").status == 404


TWO = """
app = skerry.App("two")

@app.function
def kept() -> str:
    return "kept"

@app.function
def gone(path: str) -> str:
    open(path, "w").close()
    while os.path.exists(path):
        time.sleep(0.01)
    return "finished"
"""


def in_flight(engine, path):
    """Begin a call of `gone`, which runs until its file is removed; return the thread and the list of its answer."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(engine.call("gone", str(path))))
    thread.start()
    wait_until(path.exists, what="the start of the call")
    return thread, answers


def test_a_function_that_left_its_app_is_gone_and_its_request_in_flight_finishes(engine, tmp_path):
    path = write_app(tmp_path / "app.py", TWO)
    engine.deploy(path)
    thread, answers = in_flight(engine, tmp_path / "running")

    write_app(path, TWO.partition("@app.function\ndef gone")[0])
    engine.deploy(path)
    refused = engine.call("gone", "x")
    (tmp_path / "running").unlink()
    thread.join()

    assert (refused.status, refused.code) == (404, "not_found")
    assert "kept" in refused.json()["detail"]
    assert [answer.json() for answer in answers] == ["finished"]
    assert engine.call("kept").json() == "kept"
    assert [function["name"] for function in engine.control("GET", "/functions").json()] == ["kept"]


def test_a_deleted_app_is_gone_finishes_its_requests_and_frees_its_names(engine, tmp_path):
    path = write_app(tmp_path / "app.py", TWO)
    engine.deploy(path)
    thread, answers = in_flight(engine, tmp_path / "running")

    assert engine.control("DELETE", "/apps/two").status == 200
    assert engine.call("kept").status == 404
    assert engine.control("GET", "/apps").json() == []
    assert engine.control("DELETE", "/apps/two").status == 404
    (tmp_path / "running").unlink()
    thread.join()
    write_app(path, TWO.replace('App("two")', 'App("three")'))
    deployed = engine.deploy(path)

    assert [answer.json() for answer in answers] == ["finished"]
    assert [function["revision"] for function in deployed["functions"]] == ["gone-00002", "kept-00002"]


@pytest.mark.parametrize(
    ("requirements", "told"),
    [
        ("NAMES", "literal list"),
        ("[name for name in ('packaging',)]", "literal list"),
        ("'packaging'", "list of strings"),
        ("[1]", "list of strings"),
    ],
)
def test_requirements_that_cannot_be_read_ahead_are_refused(shared_engine, tmp_path, requirements, told):
    path = write_app(
        tmp_path / "app.py", f"NAMES = ['packaging']\napp = skerry.App('reads', requirements={requirements})\n"
    )

    answer = shared_engine.try_deploy(path)

    assert (answer.status, answer.code) == (400, "bad_config"), answer
    assert told in answer.json()["detail"]
    assert not list((shared_engine.home / "environments").iterdir())


def test_options_come_from_flag_environment_project_file_and_decorator_in_this_order(engine, tmp_path):
    project = tmp_path / "project"
    path = write_app(
        project / "app.py",
        """
        from helper import answer
        app = skerry.App("layers")

        @app.function(timeout="11s", start_timeout="12s", drain="13s", queue=14)
        def layered() -> int:
            return answer()
        """,
    )
    (project / "helper.py").write_text("def answer():\n    return 42\n")
    (project / "skerry.toml").write_text('[function.layered]\ntimeout = "21s"\nstart_timeout = "22s"\ndrain = "23s"\n')

    engine.deploy(path, settings="layered.timeout=31s layered.start_timeout=32s", flags=["layered.timeout=41s"])

    spec = engine.function("layered")["spec"]
    assert [spec[key] for key in ("timeout", "start_timeout", "drain", "queue")] == ["41s", "32s", "23s", 14]
    assert engine.call("layered").json() == 42


def test_a_deployment_is_refused_while_its_project_file_is_wrong(shared_engine, tmp_path):
    path = write_version(tmp_path / "app.py", "a")
    (tmp_path / "skerry.toml").write_text("[function.version]\ntimeuot = '1s'\n")

    answer = shared_engine.try_deploy(path)

    assert (answer.status, answer.code) == (400, "bad_option")
    assert "timeuot" in answer.json()["detail"]


TIDE = """
app = skerry.App({name!r}, requirements=["tide=={version}"])

@app.function(name={name!r})
def report() -> str:
    import tide
    return tide.__version__
"""


@pytest.mark.slow
def test_apps_with_conflicting_requirements_are_served_side_by_side(make_engine, wheels, tmp_path):
    engine = make_engine(environment=pip_settings(wheels)).start()
    wanted = {"old": "1.2", "new": "2.1"}
    for name, version in wanted.items():
        make_wheel(wheels, "tide", version)
        engine.deploy(write_app(tmp_path / name / "app.py", TIDE.format(name=name, version=version)))

    assert {name: engine.call(name).json() for name in wanted} == wanted
    assert len(engine.zygotes()) == 2  # one for each environment; none for the engine's own, which has no app
    assert engine.control("DELETE", "/apps/old").status == 200
    assert engine.call("new").json() == "2.1"


def test_the_zygote_of_an_environment_that_nobody_uses_any_more_ends(engine, tmp_path):
    source = """
        app = skerry.App("plain")

        @app.function
        def plain() -> str:
            return "plain"
    """
    plain = write_app(tmp_path / "plain.py", source)
    engine.deploy(plain)
    wait_until(lambda: len(engine.zygotes()) == 1)

    engine.control("DELETE", "/apps/plain")
    wait_until(lambda: not engine.zygotes(), what="the end of the zygote")
    engine.deploy(plain)

    assert engine.call("plain").status == 200
    assert len(engine.zygotes()) == 1


def test_apps_that_are_deployed_at_the_same_time_are_all_served(engine, tmp_path):
    names = [f"app{number}" for number in range(4)]
    source = """
        app = skerry.App({name!r})

        @app.function(name={name!r})
        def report() -> str:
            return {name!r}
    """
    paths = [write_app(tmp_path / f"{name}.py", source.format(name=name)) for name in names]
    threads = [threading.Thread(target=engine.deploy, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [engine.call(name).json() for name in names] == names


@pytest.mark.parametrize("place", ["import", "load"])
def test_a_client_that_leaves_during_a_deployment_ends_it(engine, tmp_path, place):
    endless = f"""
        app = skerry.App("endless")

        def wait():
            with open({str(tmp_path / "writing")!r}, "w") as file:
                file.write(str(os.getpid()))
            os.rename({str(tmp_path / "writing")!r}, {str(tmp_path / "begun")!r})
            time.sleep(600)

        {"wait()" if place == "import" else ""}

        @app.function
        class Endless:
            def load(self):
                wait()

            def __call__(self) -> str:
                return ""
    """
    path = write_app(tmp_path / "endless.py", endless)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(engine.home / "engine.sock"))
        body = json.dumps({"target": str(path)}).encode()
        client.sendall(b"POST /apps HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        wait_until((tmp_path / "begun").exists)

    engine.deploy(write_version(tmp_path / "app.py", "a"))  # waits for its turn: one deployment runs at a time

    assert engine.call("version").json() == "a"
    tried = int((tmp_path / "begun").read_text())
    wait_until(lambda: tried not in engine.processes(), what="the end of the worker that was tried out")


DOUBTFUL = """
app = skerry.App("doubtful", imports=["doubtful_library"])

@app.function(start_timeout="2s")
def doubtful() -> str:
    return ""
"""


@pytest.mark.parametrize(
    "library", ["import os\nos._exit(3)\n", "import time\ntime.sleep(1000)\n"], ids=["ends", "hangs"]
)
def test_a_library_that_ends_or_stops_its_process_harms_no_other_function(make_engine, tmp_path, library):
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "doubtful_library.py").write_text(library)
    engine = make_engine(environment={"PYTHONPATH": str(tmp_path / "libraries")}).start()
    engine.deploy(write_version(tmp_path / "app.py", "a"))
    zygotes = engine.zygotes()

    answer = engine.try_deploy(write_app(tmp_path / "doubtful.py", DOUBTFUL))

    assert answer.code == "start_failed"
    assert engine.call("version", timeout=30).json() == "a"  # from zero
    assert engine.zygotes() == zygotes


def test_a_failed_deployment_leaves_nothing_of_its_imports_to_other_functions(make_engine, tmp_path):
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "doubtful_library.py").write_text("")
    engine = make_engine(environment={"PYTHONPATH": str(tmp_path / "libraries")}).start()
    source = """
        app = skerry.App("sees")

        @app.function(scale=skerry.Scale(initial=0))
        def sees() -> bool:
            return "doubtful_library" in sys.modules
    """
    engine.deploy(write_app(tmp_path / "sees.py", source))
    failing = DOUBTFUL.replace(
        "def doubtful() -> str:", "class Doubtful:\n  def load(self):\n    raise OSError\n  def __call__(self) -> str:"
    )
    assert engine.try_deploy(write_app(tmp_path / "doubtful.py", failing)).code == "start_failed"
    assert engine.call("sees").json() is False

    engine.deploy(write_app(tmp_path / "doubtful.py", DOUBTFUL.replace('"2s"', '"60s"')))
    engine.deploy(write_app(tmp_path / "sees.py", source), flags=["sees.timeout=9s"])

    assert engine.call("sees").json() is True


@pytest.mark.parametrize("how", ["declared", "imported"])
def test_the_zygote_in_which_the_first_app_was_tried_goes_on_and_imports_nothing_twice(make_engine, tmp_path, how):
    libraries, notes = tmp_path / "libraries", tmp_path / "notes"
    libraries.mkdir()
    (libraries / "noting_library.py").write_text(
        "import os\nwith open(os.environ['NOTES'], 'a') as notes: print(os.getpid(), file=notes)\n"
    )
    path = os.pathsep.join([str(libraries), *filter(None, [os.environ.get("PYTHONPATH")])])
    engine = make_engine(environment={"PYTHONPATH": path, "NOTES": str(notes)}).start()
    source = f"""
        {"" if how == "declared" else "import noting_library"}
        app = skerry.App("sees", imports={["noting_library"] if how == "declared" else []})

        @app.function
        def sees() -> bool:
            return "noting_library" in sys.modules
    """
    engine.deploy(write_app(tmp_path / "sees.py", source))

    assert engine.call("sees").json() is True
    assert [int(pid) for pid in notes.read_text().split()] == engine.zygotes()


def test_a_deployment_that_fails_ends_what_it_had_begun_for_its_other_functions(engine, tmp_path):
    path = write_app(
        tmp_path / "app.py",
        """
        app = skerry.App("mixed")

        @app.function
        class Fails:
            def load(self):
                raise ValueError("no")

            def __call__(self) -> str:
                return ""

        @app.function
        class Slow:
            def load(self):
                time.sleep(600)

            def __call__(self) -> str:
                return ""
        """,
    )

    assert engine.try_deploy(path).code == "start_failed"

    wait_until(lambda: set(engine.processes()) <= {engine.pid, *engine.zygotes()})
