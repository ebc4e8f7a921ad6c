"""The stand-in's rules that need no cluster: durations, shares of traffic, numbers of pods, conditions."""

import collections

import pytest

from support.knative_stand_in import names
from support.knative_stand_in.conditions import TRUE, false, merge, unknown
from support.knative_stand_in.ingress import Split
from support.knative_stand_in.scaling import Bounds, Scale


def scale(*, container_concurrency=0, window_s=10.0, **annotations):
    given = {f"autoscaling.knative.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return Scale(Bounds.read(given, container_concurrency=container_concurrency, window_s=window_s))


@pytest.mark.parametrize(
    ("text", "expected"), [("30s", 30), ("1m30s", 90), ("1h0m0s", 3600), ("500ms", 0.5), ("0s", 0)]
)
def test_durations_are_read_as_go_writes_them(text, expected):
    assert names.seconds(text) == expected


@pytest.mark.parametrize("shares", [(90, 10), (33, 33, 34), (100,), (99, 1), (0, 100)])
def test_of_a_hundred_requests_each_revision_gets_its_percent(shares):
    split = Split([(f"r{at}", percent) for at, percent in enumerate(shares)])
    found = collections.Counter(split.next() for _ in range(100))
    assert found == {f"r{at}": percent for at, percent in enumerate(shares) if percent}


def test_a_revision_begins_with_its_initial_scale_and_goes_to_zero_after_a_window():
    one = scale(initial_scale="2")
    assert one.decide(0, 0.0, reachable=True) == 2
    one.initialised = True
    assert one.decide(0, 9.0, reachable=True) == 2
    assert one.decide(0, 11.0, reachable=True) == 0
    assert one.decide(1, 12.0, reachable=True) == 1
    assert one.decide(0, 21.0, reachable=True) == 1


def test_the_least_holds_where_a_route_leads_and_the_most_everywhere():
    one = scale(min_scale="1", max_scale="3", target="10", target_utilization_percentage="100")
    one.initialised = True
    assert one.decide(0, 0.0, reachable=True) == 1
    assert one.decide(25, 1.0, reachable=True) == 3
    assert one.decide(500, 2.0, reachable=True) == 3
    assert one.decide(0, 20.0, reachable=True) == 1
    assert one.decide(0, 40.0, reachable=False) == 0


def test_a_hard_limit_bounds_the_target():
    one = scale(container_concurrency=1)
    one.initialised = True
    assert one.decide(7, 0.0, reachable=True) == 10  # at 70 percent of what a pod may have


def test_ready_is_the_worst_of_what_it_depends_on_and_keeps_its_time():
    first = merge([], {"A": TRUE, "B": unknown("Deploying")}, dependents=("A", "B"))
    assert [(each["type"], each["status"]) for each in first] == [("A", "True"), ("B", "Unknown"), ("Ready", "Unknown")]
    first[0]["lastTransitionTime"] = "then"
    second = merge(first, {"A": TRUE, "B": false("Broken", "why")}, dependents=("A", "B"))
    assert second[0]["lastTransitionTime"] == "then"
    assert {key: second[2][key] for key in ("status", "reason", "message")} == {
        "status": "False",
        "reason": "Broken",
        "message": "why",
    }
