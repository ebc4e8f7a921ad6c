"""Commands against an engine that answers as the test says."""

import io
import json

import msgpack
import pytest

from skerry.cli.project import find_target
from skerry.errors import (
    ConfigError,
    DeadlineExceededError,
    FunctionNotFoundError,
    HandlerError,
    InvalidPayloadError,
    MalformedBodyError,
)
from skerry.payload.codec import encode_msgpack
from skerry.platforms import Answer, AnswerStream, CallOptions, JobRecord

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


class Pieces(AnswerStream):
    def __init__(self, content_type, pieces):
        super().__init__(content_type, {})
        self.pieces = iter(pieces)
        self.closed = False

    def read(self):
        piece = next(self.pieces, b"")
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self):
        self.closed = True


class Engine:
    def __init__(self):
        self.pieces = Pieces("application/msgpack", [b"\x01\x81", b"\xa1a\xa1b"])
        self.calls = []
        self.app_list = [{"name": "news", "functions": ["train", "serve"]}, {"name": "one", "functions": ["only"]}]
        self.answer = Answer(b'{"score":1}', "application/json", {})

    def functions(self):
        return [FUNCTION]

    def function(self, name):
        if name != "train":
            raise FunctionNotFoundError(f"no function {name!r}")
        support = {"cpu": ["engine", "runtime"], "scale.max": ["engine"]}
        support |= {"batch.max_size": ["engine"], "batch.objective": ["engine", "runtime"]}
        return {**FUNCTION, "schema": {"input": {"type": "string"}}, "support": support, "last_error": None}

    def events(self, *, function=None, since_s=None):
        return [{"at": 0.0, "function": function, "kind": "scaled", "to": 2}]

    def logs(self, name, *, tail=None, offset=None):
        return f"{name} {tail}\n", 9

    def apps(self):
        return self.app_list

    def engine(self):
        return {"address": "http://127.0.0.1:8080"}

    def deploy(self, target, **rest):
        return {"app": "news", "functions": [], "changed": True}

    def delete_app(self, name):
        self.calls.append(("delete", name))

    def invoke(self, name, body, **rest):
        self.calls.append((name, body, rest))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def stream(self, name, body, **rest):
        self.calls.append((name, body, rest))
        return self.pieces

    def submit(self, name, body, **rest):
        self.calls.append((name, body, rest))
        return JobRecord(id="j1", function=name, status="queued")


@pytest.fixture
def engine(monkeypatch):
    made = Engine()
    for module in ("destination", "deploy"):
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


@pytest.mark.parametrize(
    ("batch", "rows"),
    [
        (None, [["batch", "none", "engine,", "runtime"]]),
        (
            {"max_size": 32, "objective": "50ms"},
            [["batch.max_size", "32", "engine"], ["batch.objective", "50ms", "engine,", "runtime"]],
        ),
    ],
)
def test_describe_says_which_platforms_honour_batches(engine, skerry_command, monkeypatch, batch, rows):
    monkeypatch.setitem(FUNCTION, "spec", {**FUNCTION["spec"], "batch": batch})

    lines = [line.split() for line in skerry_command("describe", "train")[1].splitlines()]

    assert [line for line in lines if line and line[0].startswith("batch")][1:] == rows


BATCHES = {"objective_s": 0.05, "a_s": 0.00012, "b_s": 0.0015, "size": 32, "queued_then": 40, "reason": "objective"}
SCALED = {"metric": "concurrency", "desired": 3, "requested": 2, "reason": "panic", "panic": True, "stable": 1.5}


@pytest.mark.parametrize(
    ("dispatch", "line"),
    [
        ({}, "none"),
        ({"service_s": 0.0008}, "none; a call takes a worker 800 µs"),
        ({"objective_s": 0.05, "a_s": None, "b_s": None, "size": None}, "objective 50 ms"),
        (
            BATCHES,
            "objective 50 ms; n calls take 120 µs * n + 1.5 ms; last 32 of 40 calls that waited (objective)",
        ),
        ({"objective_s": 0.05, "late": 1}, "objective 50 ms; 1 call late, behind those that can be in time"),
    ],
)
def test_describe_says_what_the_batcher_has_learnt(engine, skerry_command, monkeypatch, dispatch, line):
    monkeypatch.setitem(FUNCTION, "dispatch", dispatch)

    assert f"batches:    {line}\n" in skerry_command("describe", "train")[1]


@pytest.mark.parametrize(
    ("scaling", "line"),
    [
        ({"metric": "rps", "requested": 0}, "nothing decided yet"),
        (
            {**SCALED, "panic_value": 4.2},
            "3 workers wanted (panic); 2 asked for, by the fair shares of the machine; "
            "requests at a time: 4.2 lately, 1.5 over the stable window, in panic",
        ),
        (
            {
                **SCALED,
                "metric": "rps",
                "desired": 1,
                "requested": 1,
                "reason": "load",
                "panic": False,
                "panic_value": 9,
            },
            "1 worker wanted (load); requests/s: 9 lately, 1.5 over the stable window",
        ),
    ],
)
def test_describe_says_what_the_autoscaler_wants(engine, skerry_command, monkeypatch, scaling, line):
    monkeypatch.setitem(FUNCTION, "scaling", scaling)

    assert f"scaling:    {line}\n" in skerry_command("describe", "train")[1]


def test_deploy_says_that_a_port_is_moot_where_an_engine_runs(engine, skerry_command, tmp_path):
    (tmp_path / "app.py").write_text("")

    assert "--port" not in skerry_command("deploy", "app.py")[2]
    code, _, err = skerry_command("deploy", "app.py", "--port", "9090")

    assert code == 0
    assert "an engine runs at http://127.0.0.1:8080 already, so --port changed nothing" in err
    assert "changed nothing" not in skerry_command("deploy", "app.py", "--port", "8080", "--host", "127.0.0.1")[2]
    assert "so --host changed nothing" in skerry_command("deploy", "app.py", "--port", "8080", "--host", "0.0.0.0")[2]


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


def test_delete_asks_which_where_an_app_and_a_function_of_another_one_share_a_name(engine, skerry_command):
    engine.app_list = [{"name": "iris", "functions": ["a", "b"]}, {"name": "serve-iris", "functions": ["iris"]}]

    code, _, err = skerry_command("delete", "iris")
    assert code == 2
    assert "'iris' is the name of app 'iris' (2 functions) and a function of app 'serve-iris'" in err
    assert "`skerry delete iris --app`, or `skerry delete serve-iris --app` (1 function)" in err
    assert engine.calls == []

    assert skerry_command("delete", "iris", "--app")[0] == 0
    assert skerry_command("delete", "serve-iris")[0] == 0
    assert engine.calls == [("delete", "iris"), ("delete", "serve-iris")]


def test_delete_takes_an_app_whose_function_has_its_name(engine, skerry_command):
    engine.app_list = [{"name": "iris", "functions": ["iris", "b"]}]

    assert skerry_command("delete", "iris")[0] == 0
    assert engine.calls == [("delete", "iris")]


def test_delete_takes_no_function_for_an_app(engine, skerry_command):
    code, _, err = skerry_command("delete", "only", "--app")

    assert code == 2
    assert "no app 'only'; there are: news, one" in err
    assert engine.calls == []


def test_invoke_prints_the_result(engine, skerry_command):
    code, out, err = skerry_command("invoke", "train", "--data", '"x"')

    assert (code, out, err) == (0, '{"score":1}\n', "")
    accept = "application/json, application/msgpack"  # of a function, and of a generator
    rest = {"content_type": "application/json", "accept": accept, "options": CallOptions()}
    assert engine.calls == [("train", b'"x"', rest)]


def test_invoke_hands_its_deadline_and_priority_on(engine, skerry_command):
    assert skerry_command("invoke", "train", "--data", "1", "--timeout", "5", "--priority", "0")[0] == 0

    assert engine.calls[0][2]["options"] == CallOptions(timeout_s=5.0, priority=0)


@pytest.mark.parametrize(("option", "value"), [("--priority", "8"), ("--timeout", "0"), ("--timeout", "90000")])
def test_a_deadline_or_priority_that_there_is_not_is_exit_code_2(engine, skerry_command, option, value):
    code, _, err = skerry_command("invoke", "train", "--data", "1", option, value)

    assert code == 2
    assert option in err
    assert engine.calls == []


def test_invoke_says_that_its_own_time_is_over(engine, skerry_command):
    engine.answer = DeadlineExceededError("no answer within the call's timeout of 5 s")

    assert skerry_command("invoke", "train", "--data", "1", "--timeout", "5") == (
        1,
        "",
        "error: no answer within the call's timeout of 5 s\n",
    )


def test_invoke_prints_a_stream_as_it_comes(engine, skerry_command):
    assert skerry_command("invoke", "train", "--data", "1", "--stream") == (0, '1\n{"a":"b"}\n', "")
    assert engine.calls[0][2]["accept"] == "application/msgpack"
    assert engine.pieces.closed


def test_a_stream_that_breaks_is_exit_code_1_after_what_came(engine, skerry_command):
    problem = json.dumps(HandlerError("it broke").to_problem()).encode()
    engine.pieces = Pieces("application/msgpack", [b"\x01", encode_msgpack(msgpack.ExtType(2, problem))])

    assert skerry_command("invoke", "train", "--data", "1", "--stream") == (1, "1\n", "error: it broke\n")
    assert engine.pieces.closed


def test_a_stream_that_is_waited_for_is_written_as_one_that_is_followed(engine, skerry_command):
    problem = json.dumps(HandlerError("it broke").to_problem()).encode()
    chunked = {"transfer-encoding": "chunked"}
    engine.answer = Answer(b"\x01\x81\xa1a\xa1b", "application/msgpack", chunked)
    assert skerry_command("invoke", "train", "--json") == (0, '1\n{"a":"b"}\n', "")

    engine.answer = Answer(b"\x01" + encode_msgpack(msgpack.ExtType(2, problem)), "application/msgpack", chunked)
    assert skerry_command("invoke", "train") == (1, "1\n", "error: it broke\n")


def test_a_stream_of_bytes_is_printed_as_it_is_and_is_not_json(engine, skerry_command):
    pieces = [encode_msgpack(b"ab"), encode_msgpack(b"c")]
    engine.pieces = Pieces("application/msgpack", pieces)
    assert skerry_command("invoke", "train", "--stream")[:2] == (0, "abc")

    engine.pieces = Pieces("application/msgpack", pieces)
    code, out, err = skerry_command("invoke", "train", "--stream", "--json")
    assert (code, out) == (2, "")
    assert "not JSON" in err


def test_a_stream_of_another_form_is_printed_as_it_is(engine, skerry_command):
    engine.pieces = Pieces("text/plain", [b"a", b"b\n"])
    assert skerry_command("invoke", "train", "--stream")[:2] == (0, "ab\n")

    engine.pieces = Pieces("text/plain", [b"a"])
    assert skerry_command("invoke", "train", "--stream", "--json")[:2] == (2, "")


@pytest.mark.parametrize("option", [("--stream",), ("--timeout", "5"), ("--priority", "1")])
def test_a_job_takes_no_option_of_a_call_that_is_waited_for(engine, skerry_command, option):
    code, _, err = skerry_command("invoke", "train", "--data", "1", "--async", *option)

    assert code == 2
    assert f"{option[0]} does not go with --async" in err
    assert engine.calls == []


@pytest.mark.parametrize("error", [MalformedBodyError, InvalidPayloadError])
def test_a_call_without_data_is_told_how_to_give_some(engine, skerry_command, error):
    engine.answer = error("the body is not JSON: input is empty")

    code, _, err = skerry_command("invoke", "train")
    assert code == 2
    assert "the call has no data, and function 'train' needs some" in err
    assert "hint: give its argument with --data" in err
    assert "no data" not in skerry_command("invoke", "train", "--data", "[]")[2]


def test_a_file_that_is_not_json_is_named_as_a_file(engine, skerry_command, tmp_path):
    (tmp_path / "job.json").write_text("{'a': 1}")

    code, _, err = skerry_command("invoke", "train", "--data", "@job.json")

    assert code == 2
    assert "--data: file job.json is not JSON" in err
    assert "write text in quotes" not in err
    assert skerry_command("invoke", "train", "--data", "@")[2].startswith("error: --data @: no file is named")


@pytest.mark.parametrize("data", ["-", "@-"])
def test_invoke_reads_standard_input_written_as_for_curl_too(engine, skerry_command, monkeypatch, data):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[1]")))

    assert skerry_command("invoke", "train", "--data", data)[0] == 0
    assert engine.calls[0][:2] == ("train", b"[1]")


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


def test_the_project_file_that_names_the_target_holds_for_it_wherever_it_lies_below(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("")
    (tmp_path / "src" / "skerry.toml").write_text("")
    (tmp_path / "skerry.toml").write_text('[app]\ntarget = "src/main.py:news"\n')

    assert str(find_target(None)) == f"{tmp_path}/./src/main.py:news"


def test_deploy_says_what_was_copied(engine, skerry_command, tmp_path):
    (tmp_path / "app.py").write_text("")
    assert "copied" not in skerry_command("deploy", "app.py")[2]
    (tmp_path / "skerry.toml").write_text("")
    (tmp_path / "data.bin").write_bytes(bytes(2048))

    assert "copied 3 files, 2 KiB\n" in skerry_command("deploy", "app.py")[2]
    assert json.loads(skerry_command("deploy", "app.py", "--json")[1])["copied"] == {"files": 3, "size_bytes": 2048}


def test_without_a_project_file_the_target_is_app_py(tmp_path):
    with pytest.raises(ConfigError, match="no app was named"):
        find_target(None)
    (tmp_path / "app.py").write_text("")

    assert str(find_target(None)) == f"{tmp_path}/app.py"
