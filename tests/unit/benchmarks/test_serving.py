"""The comparison of servers: what wrk says, ratios, bars, and the order of the run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.serving.judging import added_latency, compare, judge, summarise, traced_cost
from benchmarks.serving.load import WrkError, parse
from benchmarks.serving.peers import BARE, OURS, PLAIN, SERVERS
from benchmarks.serving.progress import describe_left
from benchmarks.serving.running import Plan, plan_visits
from benchmarks.serving.workloads import Workload


def sample(server, rate, *, connections=32, workload="echo", p50_ms=1.0, p99_ms=2.0, number=0, errors=0, wrong=0):
    place = {"round": number, "server": server, "workload": workload, "connections": connections}
    measures = {"rate": rate, "p50_ms": p50_ms, "p99_ms": p99_ms, "cpu_s_per_1000": 0.1}
    return {**place, **measures, "errors": {"read": errors, "status": 0}, "wrong": wrong}


def ratios(*samples, tuned=()):
    return compare(summarise(samples), tuned)


def bars(entries, added=None):
    return {(bar["bar"], bar["connections"]): bar for bar in judge(entries, added or {})}


# What wrk says


def test_what_wrk_counted_is_read_from_the_script_s_line():
    told = {"requests": 500, "duration_us": 2_000_000, "p50_us": 1500, "p99_us": 2500, "max_us": 9000}
    errors = {"connect": 0, "read": 1, "write": 0, "status": 2, "timeout": 0}
    counted = parse("Running 2s test\ncounted " + json.dumps({**told, "errors": errors}) + "\nRequests/sec: 9\n")
    assert (counted.requests, counted.rate) == (500, 250.0)
    assert (counted.p50_ms, counted.p99_ms, counted.max_ms) == (1.5, 2.5, 9.0)
    assert counted.errors == errors


@pytest.mark.parametrize("output", ["", "Running 2s test\nRequests/sec: 9\n"])
def test_output_without_that_line_is_an_error_that_shows_it(output):
    with pytest.raises(WrkError, match="did not say"):
        parse(output)


# Medians and ratios


def test_an_arm_is_the_median_of_its_rounds_and_the_sum_of_its_faults():
    rounds = [sample(OURS, rate, number=i, errors=1, wrong=i) for i, rate in enumerate((10, 1000, 20))]
    (arm,) = summarise(rounds)
    assert arm["rate"]["median"] == 20
    assert (arm["errors"], arm["wrong"]) == (3, 3)


def test_ratios_are_to_each_uvicorn_and_to_the_best_peer_without_them():
    (entry,) = ratios(sample(OURS, 100), sample(BARE, 50), sample(PLAIN, 20), sample("mosec", 40), sample("ray", 10))
    assert (entry["over_uvicorn"], entry["over_uvicorn_plain"]) == (2.0, 5.0)
    assert (entry["best_peer"], entry["over_peer"]) == ("mosec", 2.5)


def test_a_tuned_peer_counts_in_a_ratio_of_its_own():
    samples = (sample(OURS, 100), sample("mosec", 40), sample("mosec-orjson", 80))
    (entry,) = ratios(*samples, tuned=["mosec-orjson"])
    assert (entry["best_peer"], entry["over_peer"]) == ("mosec", 2.5)
    assert (entry["best_tuned"], entry["over_tuned"]) == ("mosec-orjson", 1.25)


def test_p99_is_held_against_the_lowest_of_a_peer_whoever_that_is():
    samples = (sample(OURS, 100, p99_ms=3), sample("mosec", 40, p99_ms=6), sample("ray", 10, p99_ms=4))
    (entry,) = ratios(*samples)
    assert (entry["best_p99"], entry["p99_over_peer"]) == ("ray", 0.75)


def test_only_arms_of_one_workload_and_number_of_connections_are_compared():
    entries = ratios(sample(OURS, 100), sample(BARE, 50, connections=1), sample("mosec", 10, workload="digits"))
    assert [(entry["over_uvicorn"], entry["over_peer"]) for entry in entries] == [(None, None)]


def test_added_latency_is_the_difference_round_by_round_at_one_connection():
    samples = []
    for number, (ours, bare) in enumerate([(0.2, 0.1), (0.5, 0.3), (0.9, 0.6)]):
        samples += [sample(OURS, 1, connections=1, number=number, p50_ms=ours)]
        samples += [sample(BARE, 1, connections=1, number=number, p50_ms=bare)]
    samples += [sample(OURS, 1, p50_ms=9.0), sample(BARE, 1, p50_ms=1.0)]  # at 32: not looked at
    assert added_latency(samples, BARE)["echo"]["median"] == pytest.approx(0.2)
    assert added_latency(samples, PLAIN) == {}


def test_the_cost_of_traces_is_the_share_of_the_rate_that_is_kept():
    (cost,) = traced_cost([sample(OURS, 100), sample(OURS, 75, workload="echo-traced")])
    assert (cost["server"], cost["connections"], cost["kept"]) == (OURS, 32, 0.75)


# The bars


def test_the_verdict_is_against_the_fast_uvicorn_and_another_against_the_plain_one():
    bar = bars(ratios(sample(OURS, 100), sample(BARE, 50), sample(PLAIN, 20)))["requests/s over uvicorn", 32]
    assert (bar["value"], bar["met"]) == (2.0, False)
    assert (bar["plain_value"], bar["plain_met"]) == (5.0, True)


@pytest.mark.parametrize(("connections", "limit"), [(1, 0.7), (32, 2.5), (128, 2.5)])
def test_the_bar_on_uvicorn_is_another_at_one_connection(connections, limit):
    at_the_bar = ratios(sample(OURS, limit, connections=connections), sample(BARE, 1.0, connections=connections))
    bar = bars(at_the_bar)["requests/s over uvicorn", connections]
    assert (bar["limit"], bar["met"], bar["plain_met"]) == (limit, True, None)


def test_the_bar_on_uvicorn_is_there_where_only_the_plain_one_ran():
    bar = bars(ratios(sample(OURS, 100), sample(PLAIN, 10)))["requests/s over uvicorn", 32]
    assert (bar["value"], bar["met"], bar["plain_met"]) == (None, None, True)


def test_errors_and_wrong_answers_miss_their_bar():
    bar = bars(ratios(sample(OURS, 100, errors=1, wrong=2)))["errors and wrong answers", 32]
    assert (bar["value"], bar["met"]) == (3.0, False)


def test_a_p99_above_the_best_peer_s_misses_its_bar():
    bar = bars(ratios(sample(OURS, 100, p99_ms=3), sample("mosec", 10, p99_ms=2)))["p99 over the best peer's", 32]
    assert (bar["value"], bar["met"]) == (1.5, False)


def test_what_did_not_run_and_what_is_traced_have_no_bar():
    assert set(bars(ratios(sample(OURS, 100)))) == {("errors and wrong answers", 32)}
    assert bars(ratios(sample(OURS, 100, workload="echo-traced"), sample(BARE, 1, workload="echo-traced"))) == {}


def test_added_latency_has_a_bar_with_both_verdicts():
    added = {BARE: {"echo": {"median": 0.2}, "echo-traced": {"median": 9.0}}, PLAIN: {"echo": {"median": 0.1}}}
    (bar,) = bars([], added).values()
    assert (bar["workload"], bar["value"], bar["met"]) == ("echo", 0.2, False)
    assert (bar["plain_value"], bar["plain_met"]) == (0.1, True)


# The run


def test_each_round_begins_with_another_server_and_starts_each_once_for_an_application():
    servers = [server for server in SERVERS if server.name in (OURS, BARE, PLAIN)]
    echo = Workload(name="echo", app="echo", traced=False, bodies=[], answers=[])
    workloads = [echo, replace(echo, name="digits", app="digits"), replace(echo, name="echo-traced", traced=True)]
    options = {"pythons": {}, "connections": [1], "seconds": 1, "folder": Path()}
    visits = list(plan_visits(Plan(servers=servers, workloads=workloads, repeats=2, **options)))
    told = [(number, server.name, [workload.name for workload in some]) for number, server, some in visits]
    assert told[:4] == [
        (0, OURS, ["echo", "echo-traced"]),
        (0, BARE, ["echo", "echo-traced"]),
        (0, PLAIN, ["echo"]),
        (0, OURS, ["digits"]),
    ]
    assert told[6:9] == [
        (1, BARE, ["echo", "echo-traced"]),
        (1, PLAIN, ["echo"]),
        (1, OURS, ["echo", "echo-traced"]),
    ]
    assert len(told) == 12


def test_the_time_left_is_what_the_loads_left_take_at_the_pace_so_far():
    assert describe_left(60.0, 10, 20) == "about 60 s left"
    assert describe_left(60.0, 1, 21) == "about 20 min left"
    assert describe_left(1.0, 0, 20) == "about 0 s left"


def test_servers_have_different_names_and_share_an_environment_only_with_the_same_requirements():
    assert len({server.name for server in SERVERS}) == len(SERVERS)
    for server in SERVERS:
        same = [other for other in SERVERS if (other.folder or other.name) == (server.folder or server.name)]
        assert {other.requirements for other in same} == {server.requirements}
