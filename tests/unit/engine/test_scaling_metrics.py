"""What the autoscaler decides, as a scraper sees it."""

import re
from types import SimpleNamespace

import pytest

from skerry.runtime.front import Front
from skerry.runtime.message import Request
from skerry.runtime.observer import Observer
from skerry.runtime.observing import Observing
from skerry.scaling import Decision
from skerry.spec import FunctionSpec, Scale

DECISION = Decision(desired=3, reason="panic", panic=True, stable=1.5, panic_value=4.25, load=4.25, excess_burst=-2)
SAMPLE = re.compile(
    r'^(kn_revision_[a-z_]+)\{faas_name="train",kn_revision_name="(train-0000\d)"\} (\S+)$', re.MULTILINE
)


@pytest.fixture
def front(run_loop):
    async def make():
        return Front()

    return run_loop(make())


@pytest.fixture
def observing(front):
    return Observing(front, {})


def pool_of(**scale):
    """A pool as far as its metrics go."""
    dispatcher = SimpleNamespace(
        observer=Observer(),
        queued=0,
        in_flight=0,
        sizing=SimpleNamespace(describe=dict[str, float]),
        waiting=SimpleNamespace(late_total=0),
    )
    spec = FunctionSpec(name="train", scale=Scale(**scale))
    return SimpleNamespace(spec=spec, dispatcher=dispatcher, desired=2, counts=lambda: {"ready": 1})


def scrape(front):
    """Return the values by name, and the revisions that they are of."""
    handler = front._find_route(Request("GET", "/metrics", "", {}, b"", False))
    text = handler(Request("GET", "/metrics", "", {}, b"", False)).body.decode()
    found = [match for match in SAMPLE.findall(text) if not match[0].startswith("kn_revision_request_")]
    return {name: float(value) for name, _, value in found}, {revision for _, revision, _ in found}


def test_the_last_decision_is_shown_under_knatives_names(front, observing):
    observing.decision_of = lambda pool: DECISION
    observing.observe(pool_of(), "train-00001")

    assert scrape(front) == (
        {
            "kn_revision_pods_desired": 3,
            "kn_revision_pods_requested": 2,
            "kn_revision_concurrency_stable": 1.5,
            "kn_revision_concurrency_panic": 4.25,
            "kn_revision_panic_mode": 1,
            "kn_revision_capacity_excess": -2,
        },
        {"train-00001"},
    )


def test_a_function_that_scales_by_its_rate_shows_rates(front, observing):
    observing.decision_of = lambda pool: DECISION
    observing.observe(pool_of(metric="rps"), "train-00001")

    values, _ = scrape(front)

    assert (values["kn_revision_rps_stable"], values["kn_revision_rps_panic"]) == (1.5, 4.25)
    assert not any("concurrency" in name for name in values)


def test_nothing_is_shown_where_nothing_is_decided(front, observing):
    observing.observe(pool_of(), "train-00001")

    assert scrape(front) == ({}, set())


def test_a_revision_that_is_gone_is_shown_no_more(front, observing):
    observing.decision_of = lambda pool: DECISION
    old, new = pool_of(), pool_of()
    observing.observe(old, "train-00001")
    observing.observe(new, "train-00002")

    old.dispatcher.observer.close()

    assert scrape(front)[1] == {"train-00002"}
