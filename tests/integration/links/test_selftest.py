"""The self-test of links: it measures what is there, and says so loudly when that is not what was set."""

import json

import pytest

from skerry.errors import PlatformError
from skerry.testbed.links import (
    BurstLoss,
    Conditions,
    SelfTest,
    detect_means,
    measure_link,
    measure_relay,
    require_passed,
)
from support.link_harness import make_harness

SHORT = SelfTest(packets=600, draws=60, loaded=False, rate_s=0.3)


@pytest.fixture
def make_link(tmp_path):
    """Bring links up, with their ends."""
    harnesses = []

    def make(means, conditions):
        refusals = {found.name: found.refusal for found in detect_means()}
        if refusals[means] is not None:
            pytest.skip(f"no links by {means} here: {refusals[means]}")
        harness = make_harness(tmp_path / means, means)
        harnesses.append(harness)
        return harness, harness.up(conditions)

    yield make
    for harness in harnesses:
        harness.close()


def quantities(report, *, passed):
    return {finding["quantity"] for finding in report.findings if finding["passed"] is passed}


def test_figures_of_both_directions_are_plain_data(make_link):
    harness, link = make_link("tun", Conditions(delay_ms=10, loss_ratio=0.05, rate_mbps=20))

    report = measure_link(link, harness.ends, SHORT)

    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["means"] == "tun"
    assert set(plain["states"]) == {"idle"}
    for name in ("forward", "backward"):
        figures = plain["states"]["idle"][name]
        assert figures["sent"] == 600
        assert figures["delay"]["count"] == 600 - figures["lost"]
        assert figures["delay"]["min_ms"] >= 9.9
        assert figures["loss_interval"][0] <= figures["loss_ratio"] <= figures["loss_interval"][1]
        assert figures["overtaken"] == 0
        assert figures["rate_mbps"] > 0
    # A round trip is lost when either of its packets is.
    assert 0 < plain["states"]["idle"]["round_trip"]["count"] <= 60
    assert plain["states"]["idle"]["round_trip"]["mean_ms"] >= 19.8


def test_a_link_that_is_not_what_it_was_set_to_fails_with_its_figures(make_link):
    harness, link = make_link("tun", Conditions(delay_ms=10))
    link.change("forward", {"delay_ms": 20, "loss_ratio": 0.5})

    report = measure_link(link, harness.ends, SHORT)

    assert not report.passed
    assert {"delay_ms", "loss_ratio"} <= quantities(report, passed=False)
    assert report.states["idle"]["forward"]["delay"]["min_ms"] == pytest.approx(20, abs=1)
    with pytest.raises(
        PlatformError, match=r"link me--cloud \(tun\).*delay_ms [0-9.]+ instead of 10 .*does not keep up"
    ) as it:
        require_passed("me--cloud", report)
    assert it.value.details["report"]["findings"]


def test_the_machine_is_watched_meanwhile_and_told_apart(make_link):
    harness, link = make_link("tun", Conditions(delay_ms=5))

    report = measure_link(link, harness.ends, SHORT)

    state = report.states["idle"]
    if state["machine"] is None:
        assert link.report().facts["scheduling"] == "other"
        return
    assert 0 <= state["machine"]["slow_ratio"] <= 1
    assert state["machine"]["longest_ms"] >= 0
    assert all(late["count"] for late in state["machine"]["late"])
    for name in ("forward", "backward"):
        assert state[name]["clear"]["count"] <= state[name]["delay"]["count"]
    assert all("clear" in finding for finding in report.findings)


def test_a_link_that_passes_nothing_is_measured_too(make_link):
    harness, link = make_link("tun", Conditions(loss_ratio=1.0))

    report = measure_link(link, harness.ends, SHORT)

    assert report.states["idle"]["forward"]["lost"] == 600
    assert "loss_ratio" in quantities(report, passed=True)


def test_what_overtakes_and_what_is_doubled_is_counted(make_link):
    conditions = Conditions(delay_ms=5, duplicate_ratio=0.2, reorder_ratio=0.2)
    harness, link = make_link("tun", conditions)

    figures = measure_link(link, harness.ends, SHORT).states["idle"]["forward"]

    assert figures["duplicates"] > 60
    assert figures["overtaken"] > 60
    assert figures["lost"] == 0


def test_bursts_widen_the_interval(make_link):
    harness, link = make_link("tun", Conditions(loss_burst=BurstLoss(enter_ratio=0.02, leave_ratio=0.1)))

    figures = measure_link(link, harness.ends, SHORT).states["idle"]["forward"]

    low, high = figures["loss_interval"]
    assert high - low > 0.1


def test_a_relay_is_measured_and_called_approximate(make_link):
    _, link = make_link("relay", Conditions(delay_ms=10, jitter_ms=1, rate_mbps=20))

    report = measure_relay(link, SHORT)

    assert report.means == "relay (approximate)"
    assert "loss_ratio" in report.facts["ignores"]
    assert "loss_ratio" not in quantities(report, passed=True) | quantities(report, passed=False)
    assert report.states["idle"]["forward"]["delay"]["count"] == 600
    assert report.states["idle"]["forward"]["rate_mbps"] > 0


def test_a_relay_that_passes_nothing_is_measured_too(make_link):
    _, link = make_link("relay", Conditions(loss_ratio=1.0, rate_mbps=20))

    report = measure_relay(link, SHORT)

    assert report.states["idle"]["forward"]["delay"] == {"count": 0}
    assert quantities(report, passed=True) == {"loss_ratio"}
    assert report.passed
