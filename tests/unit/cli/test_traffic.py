"""`skerry models traffic` and `promote` against an engine that answers as the test says."""

import json

import pytest

from skerry.errors import FunctionNotFoundError

NOBODY = {"function": "digits", "serving": 3, "candidate": None}
TRIED = {
    "function": "digits",
    "serving": 3,
    "candidate": 4,
    "weight_ratio": 0.1,
    "step": 0,
    "automatic": {"steps": [0.1, 1.0]},
    "lanes": {
        "stable": {"weight_ratio": 0.9, "taken": 90, "moved": 0},
        "candidate": {"weight_ratio": 0.1, "taken": 10, "moved": 0},
    },
    "statistics": {
        "stable": {"requests": 90, "errors": 0, "refusals": 1, "p50_s": 0.001, "p95_s": 0.002},
        "candidate": {"requests": 10, "errors": 2, "refusals": 0, "p50_s": None, "p95_s": None},
    },
    "decision": {"action": "wait", "reason": "10 of 100 answers are there"},
    "comparison": {
        **{"sent": 3, "agrees": 2, "differs": 1, "failed": 0, "uncompared": 0, "dropped": 0},
        "differences": [{"request_digest": "ab12", "primary": "1", "shadow": "x" * 90}],
    },
}


class Engine:
    def __init__(self):
        self.found = TRIED
        self.asked = []

    def traffic(self, name):
        self.asked.append((name, "look"))
        return self.found

    def split_traffic(self, name, plan):
        self.asked.append((name, plan))
        return self.found

    def promote(self, name):
        return {"function": name, "promoted": 4}


@pytest.fixture
def engine(monkeypatch):
    made = Engine()
    monkeypatch.setattr("skerry.cli.models.traffic.connect", lambda *_: made)
    return made


def test_looking_shows_versions_decision_and_comparison(engine, skerry_command):
    code, out, err = skerry_command("models", "traffic", "digits")

    lines = [line.split() for line in out.splitlines()]
    assert (code, err, engine.asked) == (0, "", [("digits", "look")])
    assert lines[1] == ["3", "(serving)", "0.9", "90", "90", "0", "1", "1", "ms", "2", "ms"]
    assert lines[2] == ["4", "(candidate)", "0.1", "10", "10", "2", "0", "-", "-"]
    assert "step 1 of 2; decided: wait: 10 of 100 answers are there" in out
    assert "of 3 copies: 2 agrees, 1 differs" in out
    assert "x" * 39 + "…" in out
    assert json.loads(skerry_command("models", "traffic", "digits", "--json")[1]) == TRIED


def test_without_a_candidate_one_is_told_how_to_try_one(engine, skerry_command):
    engine.found = NOBODY
    code, out, err = skerry_command("models", "traffic", "digits")

    assert (code, out) == (0, "")
    assert err == "digits: version 3 gets all requests; to try another one: --candidate VERSION\n"


@pytest.mark.parametrize(
    ("words", "plan"),
    [
        (["--candidate", "4", "--weight", "10%"], {"candidate": "4", "mirror": False, "weight_ratio": 0.1}),
        (
            ["--candidate", "next", "--mirror", "--sample", "0.5"],
            {"candidate": "next", "mirror": True, "sample_ratio": 0.5},
        ),
        (["--candidate", "4", "--automatic"], {"candidate": "4", "mirror": False, "automatic": {}}),
        (
            [
                *("--candidate", "4", "--automatic", "--sticky", "x-user", "--rule", "min_requests=20"),
                *("--rule", "steps=5%,1", "--rule", "max_duration=10m", "--rule", "max_latency_ratio=null"),
            ],
            {
                "candidate": "4",
                "mirror": False,
                "sticky": "x-user",
                "automatic": {
                    "min_requests": 20,
                    "steps": [0.05, 1.0],
                    "max_duration": "10m",
                    "max_latency_ratio": None,
                },
            },
        ),
        (["--end"], {}),
    ],
)
def test_options_become_a_plan(engine, skerry_command, words, plan):
    assert skerry_command("models", "traffic", "digits", *words)[0] == 0
    assert engine.asked == [("digits", plan)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--weight", "10%"], "--candidate VERSION"),
        (["--candidate", "4", "--weight", "ten"], "--weight ten"),
        (["--candidate", "4", "--weight", "110%"], "from 0% to 100%"),
        (["--candidate", "4", "--rule", "min_requests=1"], "--automatic"),
        (["--candidate", "4", "--automatic", "--rule", "min_requests"], "KEY=VALUE"),
        (["--end", "--candidate", "4"], "--end"),
    ],
)
def test_what_makes_no_sense_is_refused(engine, skerry_command, words, says):
    code, _, err = skerry_command("models", "traffic", "digits", *words)

    assert (code, says in err, engine.asked) == (2, True, [])


def test_promoting_says_what_serves(engine, skerry_command):
    assert skerry_command("models", "promote", "digits")[2] == "digits: version 4 serves from now on\n"
    assert json.loads(skerry_command("models", "promote", "digits", "--json")[1])["promoted"] == 4


def test_a_rollback_on_an_engine_says_what_serves_instead_and_since_when_it_was_deployed(monkeypatch, skerry_command):
    found = {
        "app": "news",
        "functions": [
            {"function": "greet", "replaced": "greet-00002", "serving": "greet-00003"},
            {"function": "new", "replaced": "new-00001", "serving": None},
            {"function": "old", "replaced": None, "serving": "old-00002"},
        ],
        "number": 2,
        "deployed_at": 1.8e9,
    }
    listed = [
        {"number": 3, "app": "news", "functions": ["greet", "new"], "deployed_at": 1.9e9, "is_serving": True},
        {"number": 2, "app": "news", "functions": ["greet", "old"], "deployed_at": 1.8e9, "is_serving": False},
    ]
    asked = []

    class Engine:
        def roll_back(self, name, *, to):
            asked.append((name, to))
            return found

        def deployments(self, name):
            return listed

    monkeypatch.setattr("skerry.cli.destination.connect", lambda *_, **__: Engine())

    code, out, err = skerry_command("rollback", "greet")

    assert (code, out) == (0, "")
    lines = err.splitlines()
    assert lines[:3] == [
        "greet: greet-00002 -> greet-00003",
        "new: new-00001 -> removed",
        "old: not there -> old-00002",
    ]
    assert lines[3].startswith("app news is what was deployed at 2027-01-")
    assert lines[3].endswith("(deployment 2)")
    assert asked == [("greet", None)]
    assert skerry_command("rollback", "greet", "--to", "2")[0] == 0
    assert asked[-1] == ("greet", 2)
    code, out, _ = skerry_command("rollback", "greet", "--list")
    assert (code, len(asked)) == (0, 2)
    assert out.splitlines()[1].endswith("serving  greet, new")
    assert json.loads(skerry_command("rollback", "greet", "--list", "--json")[1]) == listed
    assert skerry_command("rollback", "greet", "--list", "--to", "2")[0] == 2
    assert json.loads(skerry_command("rollback", "greet", "--json")[1]) == found


def test_a_rollback_on_an_engine_takes_the_name_of_an_app_that_is_no_functions(monkeypatch, skerry_command):
    asked = []

    class Rolled:
        def apps(self):
            return [{"name": "iris", "functions": ["area", "kind"]}, {"name": "bare", "functions": []}]

        def deployments(self, name):
            return [{"number": 1, "functions": [self._known(name)], "deployed_at": 0.0, "is_serving": True}]

        def roll_back(self, name, *, to):
            self._known(name)
            return {"app": "iris", "functions": [], "number": 1, "deployed_at": 0.0}

        def _known(self, name):
            asked.append(name)
            if name not in ("area", "kind"):
                raise FunctionNotFoundError(f"there is no function {name!r}")
            return name

    monkeypatch.setattr("skerry.cli.destination.connect", lambda *_, **__: Rolled())

    assert skerry_command("rollback", "iris")[0] == 0
    assert skerry_command("rollback", "iris", "--list")[0] == 0
    assert skerry_command("rollback", "kind", "--to", "1")[0] == 0
    assert asked == ["iris", "area", "iris", "area", "kind"]
    for name in ("bare", "nobody"):
        assert f"there is no function '{name}'" in skerry_command("rollback", name)[2]
