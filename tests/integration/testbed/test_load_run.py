"""Runs against a server that answers, fails and stops answering."""

import socket
import time

import pytest

from skerry.errors import SpecError, TransportError
from skerry.testbed.load import ArrivalPlan, ClientPlan, Target, at_times, constant, poisson, run_load
from support.delaying_server import delaying_server
from support.held_port import HeldPort


@pytest.fixture(scope="module")
def server():
    with delaying_server() as running:
        yield running


def ask(server, path, *, plan=None, timeout_s=30.0, **options):
    return run_load(plan or constant(100, 0.2), Target.of_url(server.url(path), timeout_s=timeout_s), **options)


def test_every_request_of_the_plan_is_sent_and_answered(server):
    plan = poisson(500, 0.4, seed=1)
    before = server.seen()["requests"]
    result = ask(server, "/delay", plan=plan)
    assert server.seen()["requests"] - before == len(plan)
    assert result.planned == result.sent == result.succeeded == result.latency.count == len(plan)
    assert result.errors.count == 0
    assert result.latency.p50_s >= result.service_time.p50_s
    assert sum(moment.asked_per_s for moment in result.timeline) * result.interval_s == pytest.approx(len(plan))
    assert sum(moment.succeeded_per_s for moment in result.timeline) * result.interval_s == pytest.approx(len(plan))


def test_the_warm_up_is_left_out_and_said_so(server):
    result = ask(server, "/delay", plan=constant(100, 0.5), warm_up_s=0.2)
    assert (result.warm_up_requests, result.planned, result.sent, result.latency.count) == (20, 30, 30, 30)
    assert result.asked_per_s == pytest.approx(100)


def test_a_closed_loop_has_one_request_per_client_on_its_way(server):
    result = ask(server, "/delay", plan=ClientPlan(clients=3, duration_s=2.0), connections=3)
    assert result.succeeded > 3
    assert result.most_in_flight == result.connections_opened == 3
    assert result.planned is None


def test_connections_grow_with_what_is_in_flight_and_are_used_again(server):
    result = ask(server, "/delay", plan=at_times([0, 0, 0, 0, 2, 2]), connections=1)
    assert result.succeeded == 6
    assert 1 <= result.connections_opened <= 4


def test_a_server_that_closes_each_connection_is_asked_on_others(server):
    result = ask(server, "/close", plan=constant(50, 0.4), connections=1)
    assert result.succeeded == 20
    assert result.connections_opened >= 20


def test_errors_are_counted_by_status_and_by_the_code_of_the_problem(server):
    result = ask(server, "/status/429")
    assert result.errors.by_kind == {"status_4xx": 20}
    assert result.errors.by_status == {"429": 20}
    assert result.errors.by_code == {"queue_full": 20}
    assert result.errors.messages == {"queue_full": "no room"}
    assert result.latency.count == 0
    assert result.latency.p50_s is None
    assert result.error_latency.count == 20
    assert any("20 of 20 requests failed" in warning for warning in result.warnings)


@pytest.mark.parametrize(("path", "kind"), [("/drop", "connection_lost"), ("/garbage", "bad_answer")])
def test_a_broken_answer_is_an_error_of_its_own_kind(server, path, kind):
    assert ask(server, path).errors.by_kind == {kind: 20}


def test_a_request_without_an_answer_times_out(server):
    result = ask(server, "/silent", timeout_s=0.2)
    assert result.errors.by_kind == {"timeout": 20}
    assert result.error_latency.min_s >= 0.2


def test_a_server_that_goes_away_is_refusal():
    # The kernel takes connections until it is closed; nobody answers on them.
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        target = Target.of_url(f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout_s=5)
        result = run_load(constant(20, 4), target, connections=1, on_progress=lambda progress: listening.close())
    # One may be opened in the very moment of the close: reset while it connects, it is neither refused nor lost.
    assert result.errors.by_kind.pop("cannot_connect", 0) <= 1
    assert set(result.errors.by_kind) <= {"connection_refused", "connection_lost", "timeout"}
    assert result.errors.by_kind["connection_refused"] > 0


def test_a_generator_that_falls_behind_says_so_and_drops_what_is_too_late(server):
    result = ask(server, "/delay", plan=constant(200, 1), most_late_s=0.1, on_progress=lambda progress: time.sleep(0.4))
    assert not result.kept_schedule
    assert result.errors.by_kind["dropped_behind_schedule"] > 10
    assert result.sent + result.errors.by_kind["dropped_behind_schedule"] == result.planned == 200
    assert "did not keep its schedule" in result.warnings[0]


def test_too_few_connections_are_the_generators_fault(server):
    result = ask(server, "/silent", plan=constant(1000, 0.02), timeout_s=2.0, connections=1, most_connections=5)
    assert result.errors.by_kind == {"timeout": 5, "dropped_no_connection": 15}
    assert not result.kept_schedule


def test_each_request_of_a_plan_may_have_its_own_body(server):
    plan = ArrivalPlan(name="two", offsets_ns=[0, 1000], duration_s=0.1, bodies=[b'"a"', b'"bb"'])
    assert ask(server, "/echo", plan=plan).succeeded == 2


def test_progress_is_told_while_it_runs(server):
    told = []
    ask(server, "/delay", plan=constant(100, 3), warm_up_s=2.0, on_progress=told.append)
    assert told[0].warming_up
    assert told[-1].succeeded > 0
    assert sum(told[-1].bars) > 0


def test_a_result_is_plain_json_with_units_in_its_names(server):
    result = ask(server, "/delay").to_json()
    assert result["latency"]["p99_s"] > 0
    assert {"duration_s", "asked_per_s", "achieved_per_s", "measured_s", "late_ratio"} <= result.keys()


def test_nobody_at_the_address_is_an_error_and_no_result():
    held = HeldPort()
    with pytest.raises(TransportError, match="nothing answers"):
        run_load(constant(10, 1), Target.of_url(f"http://127.0.0.1:{held.number}/"))


@pytest.mark.parametrize(
    "options",
    [{"warm_up_s": 1.0}, {"warm_up_s": -1.0}, {"connections": 0}, {"most_late_s": 0}],
)
def test_a_run_that_cannot_be_is_refused(options):
    with pytest.raises(SpecError):
        run_load(constant(10, 1), Target.of_url("http://127.0.0.1:1/"), **options)


def test_a_plan_without_a_request_is_refused():
    with pytest.raises(SpecError, match="no request in it"):
        run_load(poisson(0.001, 0.1), Target.of_url("http://127.0.0.1:1/"))


def test_one_body_for_each_request_or_none():
    plan = ArrivalPlan(name="two", offsets_ns=[0, 1], duration_s=1, bodies=[b"1"])
    with pytest.raises(SpecError, match="1 bodies for 2 requests"):
        run_load(plan, Target.of_url("http://127.0.0.1:1/"))
