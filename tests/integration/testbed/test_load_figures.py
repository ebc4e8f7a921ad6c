"""What the generator reports against what a server in another process knows of the same requests."""

import math

import pytest

from skerry.testbed.load import ClientPlan, Target, constant, run_load
from support.delaying_server import STALL_S, delaying_server, exponential, lognormal

SHARES = (0.5, 0.9, 0.95, 0.99)
ATTEMPTS = 3  # a moment of load is somebody else's
# Long delays, so that what a loaded machine adds to each is far below 2 % of it.
DISTRIBUTIONS = {
    "lognormal": lognormal(600, median_s=0.5, sigma=0.4, seed=1),
    "exponential": exponential(600, floor_s=0.4, mean_s=0.25, seed=2),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_percentiles_of_a_known_distribution_are_reproduced_within_2_percent(name):
    delays_s = DISTRIBUTIONS[name]
    for _ in range(ATTEMPTS):
        with delaying_server(delays_s) as server:
            result = run_load(constant(600, 1), Target.of_url(server.url("/delay")), connections=200)
            seen_s = sorted(server.seen()["service_s"])
        assert result.succeeded == len(seen_s) == len(delays_s)
        assert result.most_in_flight > 100
        expected_s = [seen_s[math.ceil(round(share * len(seen_s), 6)) - 1] for share in SHARES]
        right = pytest.approx(expected_s, rel=0.02)
        if percentiles(result.service_time) == right:
            break
    assert percentiles(result.service_time) == right


def percentiles(times):
    return [times.p50_s, times.p90_s, times.p95_s, times.p99_s]


def test_an_open_loop_reports_the_waiting_that_a_closed_loop_hides():
    for _ in range(ATTEMPTS):
        with delaying_server() as server:
            opened = run_load(constant(100, 2), Target.of_url(server.url("/stall")))
        with delaying_server() as server:
            closed = run_load(
                ClientPlan(clients=2, duration_s=2, think_s=0.01), Target.of_url(server.url("/stall")), connections=2
            )
        if opened.latency.p90_s > 0.5 * STALL_S and closed.latency.p90_s < 0.25 * STALL_S:
            break
    # Both have met the pause. Two requests in five came in it, and waited half of it in the mean; each of two clients
    # has sent one request in it, and a hundred others.
    assert opened.latency.max_s > 0.8 * STALL_S
    assert closed.latency.max_s > 0.8 * STALL_S
    assert opened.latency.p90_s > 0.5 * STALL_S
    assert opened.latency.mean_s > 0.1 * STALL_S
    assert closed.latency.p90_s < 0.25 * STALL_S
    assert closed.asked_per_s is None
    assert opened.loop == "open"
    assert closed.loop == "closed"
