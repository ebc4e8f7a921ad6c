import math

import pytest

from skerry.testbed.links import BurstLoss, Conditions, LinkConditions
from skerry.testbed.topology import Node, PlannedLink, Topology
from skerry.testbed.topology.ways import way_conditions

RADIO = LinkConditions(
    forward=Conditions(delay_ms=4, jitter_ms=3, rate_mbps=50, loss_burst=BurstLoss(enter_ratio=0.1, leave_ratio=0.4)),
    backward=Conditions(delay_ms=5, rate_mbps=80),
)
FIBRE = LinkConditions.same(Conditions(delay_ms=12, jitter_ms=4, loss_ratio=0.5))


@pytest.fixture
def harbour():
    return Topology(
        name="harbour",
        nodes={"crane": Node(name="crane", role="client"), "quay": Node(name="quay"), "city": Node(name="city")},
        links=(PlannedLink(a="crane", b="quay", conditions=RADIO), PlannedLink(a="city", b="quay", conditions=FIBRE)),
    )


def test_a_way_over_one_link_is_that_link(harbour):
    assert way_conditions(harbour, "crane", "quay") == RADIO
    assert way_conditions(harbour, "quay", "crane") == LinkConditions(forward=RADIO.backward, backward=RADIO.forward)


def test_what_lies_on_a_way_adds_up(harbour):
    way = way_conditions(harbour, "crane", "city")

    assert (way.forward.delay_ms, way.backward.delay_ms) == (16, 17)
    assert way.forward.jitter_ms == pytest.approx(math.hypot(3, 4))
    assert way.forward.loss == pytest.approx(1 - 0.8 * 0.5)
    assert (way.forward.rate_mbps, way.backward.rate_mbps) == (50, 80)
