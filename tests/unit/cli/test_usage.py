"""`skerry usage` against an engine that answers as the test says."""

import json
import time

import pytest

HOUR = {"errors": 0, "memory_gb_s": 0.25, "cold_starts": 1, "cold_start_us": 20_000, "idle_us": 2_500_000}
FOUND = [
    {"function": "price", "revision": "price-00001", "hour_at": 0, "requests": 3, "billed_us": 1_000_001, **HOUR},
    {"function": "price", "revision": "price-00001", "hour_at": 3600, "requests": 4, "billed_us": 2, **HOUR},
    {"function": "digits", "revision": "digits-00001", "hour_at": 3600, "requests": 1, "billed_us": 5, **HOUR},
]


class Engine:
    def __init__(self):
        self.asked = []
        self.found = FOUND

    def usage(self, **filters):
        self.asked.append(filters)
        return self.found


@pytest.fixture
def engine(monkeypatch):
    made = Engine()
    monkeypatch.setattr("skerry.cli.usage.connect", lambda *_, **__: made)
    return made


def test_hours_are_added_up_by_revision_to_the_microsecond(engine, skerry_command):
    _, out, _ = skerry_command("usage")

    rows = [line.split() for line in out.splitlines()]
    assert rows[1][:6] == ["digits", "digits-00001", "1", "0", "0.000005", "s"]
    assert rows[2][:7] == ["price", "price-00001", "7", "0", "1.000003", "s", "0.5"]
    assert rows[2][-5:] == ["2", "40", "ms", "5", "s"]


def test_json_has_every_hour(engine, skerry_command):
    assert json.loads(skerry_command("usage", "--json")[1]) == FOUND


def test_since_is_a_duration_that_reaches_back(engine, skerry_command):
    skerry_command("usage", "price", "--since", "24h")

    asked = engine.asked[0]
    assert asked["function"] == "price"
    assert asked["since_s"] == pytest.approx(time.time() - 86_400, abs=60)
    assert skerry_command("usage", "--since", "24")[0] == 2


def test_nothing_used_is_said(engine, skerry_command):
    engine.found = []

    assert skerry_command("usage", "price")[1:] == ("", "nothing was used by price\n")
