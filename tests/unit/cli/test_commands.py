"""Commands against an engine that answers as the test says."""

import json

import pytest

from skerry.cli.project import find_target
from skerry.errors import ConfigError, FunctionNotFoundError
from skerry.platforms.base import Answer, JobRecord

FUNCTION = {
    "name": "train",
    "app": "news",
    "revision": "train-00001",
    "address": "http://127.0.0.1:8080/function/train",
    "workers": {"starting": 0, "ready": 2, "draining": 0},
    "queued": 3,
    "in_flight": 1,
    "spec": {"name": "train", "memory": None, "cpu": 1.0, "idempotent": True, "env": {}, "scale": {"max": 4}},
}


class Engine:
    def __init__(self):
        self.calls = []
        self.app_list = [{"name": "news", "functions": ["train", "serve"]}, {"name": "one", "functions": ["only"]}]
        self.answer = Answer(b'{"score":1}', "application/json", {})

    def functions(self):
        return [FUNCTION]

    def function(self, name):
        if name != "train":
            raise FunctionNotFoundError(f"no function {name!r}")
        support = {"cpu": ["engine", "runtime"], "scale.max": ["engine"]}
        return {**FUNCTION, "schema": {"input": {"type": "string"}}, "support": support, "last_error": None}

    def events(self, *, function=None, since_s=None):
        return [{"at": 0.0, "function": function, "kind": "scaled", "to": 2}]

    def logs(self, name, *, tail=None, offset=None):
        return f"{name} {tail}\n", 9

    def apps(self):
        return self.app_list

    def delete_app(self, name):
        self.calls.append(("delete", name))

    def invoke(self, name, body, **rest):
        self.calls.append((name, body, rest))
        return self.answer

    def submit(self, name, body, **rest):
        self.calls.append((name, body, rest))
        return JobRecord(id="j1", function=name, status="queued")


@pytest.fixture
def engine(monkeypatch):
    made = Engine()
    for module in ("listing", "describe", "logs", "delete", "invoke"):
        monkeypatch.setattr(f"skerry.cli.{module}.connect", lambda *_, **__: made)
    return made


def test_list_is_a_table_or_json(engine, skerry_command):
    assert "train  news  train-00001  2        3       1          http://" in skerry_command("list")[1]
    assert json.loads(skerry_command("list", "--json")[1]) == [FUNCTION]


def test_describe_shows_options_with_their_platforms_and_events(engine, skerry_command):
    _, out, _ = skerry_command("describe", "train")

    lines = [line.split() for line in out.splitlines()]
    assert ["cpu", "1.0", "engine,", "runtime"] in lines
    assert ["scale.max", "4", "engine"] in lines
    assert ["memory", "none"] in lines
    assert any(line[2:3] == ["scaled"] for line in lines)
    assert json.loads(skerry_command("describe", "train", "--json")[1])["events"][0]["kind"] == "scaled"


def test_an_unknown_function_is_exit_code_2(engine, skerry_command):
    assert skerry_command("describe", "nope") == (2, "", "error: no function 'nope'\n")


def test_logs_are_printed_as_they_are(engine, skerry_command):
    assert skerry_command("logs", "train", "--tail", "5") == (0, "train 5\n", "")
    assert json.loads(skerry_command("logs", "train", "--json")[1]) == {"text": "train 100\n", "offset": 9}


def test_delete_takes_an_app_or_the_only_function_of_one(engine, skerry_command):
    assert skerry_command("delete", "news")[0] == 0
    assert skerry_command("delete", "only")[0] == 0
    assert engine.calls == [("delete", "news"), ("delete", "one")]


def test_delete_does_not_take_one_of_several_functions(engine, skerry_command):
    code, _, err = skerry_command("delete", "serve")

    assert code == 2
    assert "one of 2 functions of app 'news'" in err
    assert engine.calls == []


def test_invoke_prints_the_result(engine, skerry_command):
    code, out, err = skerry_command("invoke", "train", "--data", '"x"', "--timeout", "5")

    assert (code, out, err) == (0, '{"score":1}\n', "")
    assert engine.calls == [("train", b'"x"', {"content_type": "application/json", "timeout_s": 5.0})]


def test_invoke_reads_a_file(engine, skerry_command, tmp_path):
    (tmp_path / "job.json").write_text("[1]")

    assert skerry_command("invoke", "train", "--data", f"@{tmp_path}/job.json")[0] == 0
    assert engine.calls[0][1] == b"[1]"


def test_invoke_passes_other_bytes_through(engine, skerry_command, tmp_path):
    (tmp_path / "blob").write_bytes(b"\x93\x01")
    engine.answer = Answer(b"answer", "application/msgpack", {})

    words = ["invoke", "train", "--data", f"@{tmp_path}/blob", "--content-type", "application/msgpack"]
    assert skerry_command(*words)[:2] == (0, "answer")


@pytest.mark.parametrize("data", ["Ada", "@no-such-file", "{'a': 1}"])
def test_data_that_cannot_be_sent_is_exit_code_2(engine, skerry_command, data):
    code, out, err = skerry_command("invoke", "train", "--data", data)

    assert (code, out) == (2, "")
    assert "--data" in err
    assert engine.calls == []


def test_invoke_async_prints_the_job(engine, skerry_command):
    assert skerry_command("invoke", "train", "--data", "1", "--async") == (0, "j1\n", "")


def test_the_target_is_named_by_the_project_file(tmp_path, monkeypatch):
    (tmp_path / "main.py").write_text("")
    (tmp_path / "skerry.toml").write_text('[app]\ntarget = "main.py:news"\n')

    assert str(find_target(None)) == f"{tmp_path}/main.py:news"


def test_without_a_project_file_the_target_is_app_py(tmp_path):
    with pytest.raises(ConfigError, match="no app was named"):
        find_target(None)
    (tmp_path / "app.py").write_text("")

    assert str(find_target(None)) == f"{tmp_path}/app.py"
