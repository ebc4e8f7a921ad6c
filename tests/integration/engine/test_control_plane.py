import os
import stat

import pytest

from support.engine_process import exchange, wait_until, write_app

APP = """
app = skerry.App("plain")

@app.function(scale=skerry.Scale(initial=0, window="1s", grace="0s"))
def say(text: str) -> str:
    print("said", text, flush=True)
    return text
"""


@pytest.fixture(scope="module")
def engine(shared_engine, tmp_path_factory):
    shared_engine.deploy(write_app(tmp_path_factory.mktemp("plain") / "app.py", APP))
    return shared_engine


def bearer(engine, token=None):
    return {"authorization": f"Bearer {token or (engine.home / 'token').read_text().strip()}"}


CONTROL = [
    ("GET", "/engine"),
    ("GET", "/apps"),
    ("POST", "/apps"),
    ("DELETE", "/apps/plain"),
    ("GET", "/functions"),
    ("GET", "/functions/say"),
    ("GET", "/functions/say/logs"),
    ("GET", "/events"),
    ("POST", "/engine/stop"),
]


@pytest.mark.parametrize(
    ("method", "path"), [*CONTROL, ("GET", "//engine"), ("GET", "/function/../engine"), ("GET", "/x")]
)
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "\xe9"}])
def test_the_control_plane_over_tcp_is_closed_without_the_token(engine, method, path, headers):
    answer = engine.tcp(method, path, headers=headers)

    assert (answer.status, answer.code) in ((401, "unauthorized"), (404, "not_found"))
    assert answer.status == 401 or path.startswith("/function/")
    assert engine.call("say", "x").json() == "x"


def test_who_sends_another_token_is_told_so(engine):
    said = [
        engine.tcp("GET", "/engine", headers=headers).json()["detail"]
        for headers in ({}, bearer(engine, token="wrong"), {"authorization": "Basic dTpw"})
    ]

    assert ["wants the engine's token" in each for each in said] == [True, True, True]
    assert ["the Authorization that was sent is not it" in each for each in said] == [False, True, True]


def test_the_token_opens_the_control_plane_over_tcp(engine):
    assert engine.tcp("GET", "/engine", headers=bearer(engine)).json()["pid"] == engine.pid
    assert engine.tcp("GET", "/functions/say", headers=bearer(engine)).json()["name"] == "say"


def test_the_token_and_the_socket_are_their_owners_alone(engine):
    engine.tcp("GET", "/engine")  # the token is made when it is first needed
    modes = {name: stat.S_IMODE((engine.home / name).stat().st_mode) for name in ("token", "engine.sock")}

    assert modes == {"token": 0o600, "engine.sock": 0o600}
    assert stat.S_IMODE(engine.home.stat().st_mode) == 0o700
    assert len((engine.home / "token").read_text()) >= 32


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/apps"),
        ("POST", "/engine"),
        ("GET", "/apps/plain"),
        ("POST", "/functions/say"),
        ("GET", "/engine/stop"),
        ("PUT", "/events"),
        ("POST", "/jobs/x"),
        ("GET", "/function/say"),
    ],
)
def test_a_wrong_method_is_named(engine, method, path):
    answer = engine.control(method, path)

    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert method in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"target": 1}',
        b'{"target": "/x.py", "flags": "a.b=1"}',
        b'{"target": "/x.py", "environment": []}',
        b"\xff\xfe",
    ],
)
def test_a_malformed_deployment_is_refused(engine, body):
    answer = engine.control("POST", "/apps", body)

    assert (answer.status, answer.code) == (400, "malformed_body")


@pytest.mark.parametrize(
    "path",
    [
        "/functions/say/logs?tail=x",
        "/functions/say/logs?offset=-1",
        "/functions/say/logs?tail=%C2%B2",
        "/events?since=x",
    ],
)
def test_a_malformed_parameter_is_refused(engine, path):
    answer = engine.control("GET", path)

    assert (answer.status, answer.code) == (400, "malformed_body")


@pytest.mark.parametrize("path", ["/", "/functions/none", "/functions/none/logs", "/functions/..%2Fx/logs", "/a/b/c/d"])
def test_what_is_not_there_is_not_found(engine, path):
    assert engine.control("GET", path).status == 404


def test_whoever_opens_the_address_in_a_browser_is_told_where_functions_answer(engine):
    answer = engine.tcp("GET", "/")

    assert (answer.status, answer.code) == (404, "not_found")
    assert "functions answer at /function/NAME; there are: " in answer.json()["detail"]
    assert engine.tcp("POST", "/").status == 401


def test_functions_are_described_as_openapi_without_the_token(engine):
    document = engine.tcp("GET", "/openapi.json").json()

    assert document["openapi"] == "3.1.0"
    said = document["paths"]["/function/say"]["post"]
    assert said["requestBody"]["content"]["application/json"]["schema"] == {"type": "string"}
    assert said["responses"]["200"]["content"]["application/json"]["schema"] == {"type": "string"}
    assert engine.tcp("HEAD", "/openapi.json").status == 200
    assert engine.tcp("POST", "/openapi.json").status == 401


def test_an_address_that_others_can_reach_wants_the_token_for_functions_and_jobs_too(make_engine, tmp_path):
    engine = make_engine(host="0.0.0.0").start(write_app(tmp_path / "app.py", APP))

    without = [
        engine.call("say", "x"),
        engine.submit("say", "x"),
        engine.tcp("GET", "/jobs/x"),
        engine.tcp("GET", "/engine"),
        engine.tcp("GET", "/openapi.json"),
    ]
    answer = engine.call("say", "x", headers=bearer(engine))

    assert [(answer.status, answer.code) for answer in without] == [(401, "unauthorized")] * 5
    assert (answer.status, answer.json()) == (200, "x")
    assert engine.tcp("GET", "/health/readiness").status == 200
    assert engine.control("POST", "/function/say", "x").json() == "x"


@pytest.mark.parametrize(
    "origin", ["http://example.org", "https://127.0.0.1.example.org", "null", "http://127.0.0.1:1"]
)
def test_pages_of_other_sites_are_refused(engine, origin):
    answer = engine.call("say", "x", headers={"origin": origin})

    assert (answer.status, answer.code) == (401, "unauthorized")


def test_a_page_of_the_engines_own_address_is_served(engine):
    answer = engine.call("say", "x", headers={"origin": f"http://127.0.0.1:{engine.port}"})

    assert answer.json() == "x"


def test_the_engine_tells_what_it_is(engine):
    state = engine.control("GET", "/engine").json()

    assert (state["pid"], state["home"]) == (engine.pid, str(engine.home))
    assert state["address"] == f"http://127.0.0.1:{engine.port}"
    assert set(state["memory_bytes"]) == {"front", "zygotes", "workers"}
    assert all(isinstance(size, int) for size in state["memory_bytes"].values())
    assert state["memory_bytes"]["front"] > 5 * 2**20


def test_a_function_tells_its_schema_its_options_and_where_they_are_honoured(engine):
    function = engine.function("say")

    assert function["schema"]["output"] == {"type": "string"}
    assert (function["app"], function["revision"]) == ("plain", "say-00001")
    assert function["spec"]["scale"]["window"] == "1s"
    assert {"timeout", "memory", "scale.min"} <= set(function["support"])
    assert function["last_error"] is None
    assert set(function["workers"]) == {"starting", "ready", "draining"}


def test_the_log_can_be_read_from_its_end_and_followed(engine):
    logs = "/functions/say/logs"
    for number in range(5):
        engine.call("say", f"line {number}")

    tail = engine.control("GET", f"{logs}?tail=2").json()
    nothing = engine.control("GET", f"{logs}?tail=0").json()
    engine.call("say", "after")
    followed = engine.control("GET", f"{logs}?offset={tail['offset']}").json()
    again = engine.control("GET", f"{logs}?offset={followed['offset']}").json()

    assert tail["text"] == "said line 3\nsaid line 4\n"
    assert nothing == {"text": "", "offset": tail["offset"]}
    assert followed["text"] == "said after\n"
    assert again == {"text": "", "offset": followed["offset"]}


def test_events_tell_the_life_of_a_function_in_order(engine, tmp_path):
    engine.call("say", "x")
    wait_until(lambda: engine.function("say")["workers"]["ready"] == 0, what="zero workers")
    wait_until(lambda: engine.events("say", "worker_stopped"))
    events = engine.events("say")

    kinds = [event["kind"] for event in events]
    assert kinds[0] == "deployed"
    order = [kinds.index(kind) for kind in ("deployed", "worker_starting", "worker_ready", "worker_stopped")]
    assert order == sorted(order)
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    ready = next(event for event in events if event["kind"] == "worker_ready")
    assert set(ready["phases_ms"]) >= {"fork", "import", "load"}
    scaled = [event for event in events if event["kind"] == "scaled"]
    assert {"from", "to", "reason", "panic"} <= set(scaled[0])
    last = events[-1]["at"]
    assert engine.control("GET", f"/events?function=say&since={last + 1}").json() == []
    assert engine.control("GET", "/events?function=none").json() == []


def test_one_connection_serves_both_planes(engine):
    connection = engine.connect()
    try:
        first = exchange(connection, "POST", "/function/say", "x")
        second = exchange(connection, "GET", "/engine", headers=bearer(engine))
        third = exchange(connection, "GET", "/health/liveness")
    finally:
        connection.close()

    assert [answer.status for answer in (first, second, third)] == [200] * 3


def test_workers_are_told_who_they_are_and_where_the_engine_is(engine, tmp_path):
    engine.deploy(
        write_app(
            tmp_path / "app.py",
            """
            app = skerry.App("identity")

            @app.function(env={"MINE": "yes"})
            def variables() -> dict[str, str]:
                return dict(os.environ)
            """,
        )
    )

    variables = engine.call("variables").json()

    assert variables["SKERRY_ENGINE"] == str(engine.home / "engine.sock")
    assert (variables["K_SERVICE"], variables["K_REVISION"], variables["MINE"]) == (
        "variables",
        "variables-00001",
        "yes",
    )
    assert os.path.exists(variables["SKERRY_ENGINE"])
