import pytest

from skerry.testbed.experiments.disturbances import Disturbances
from skerry.testbed.links import BurstLoss, Conditions, LinkConditions


class PlayedLink:
    """A link that only keeps what it was told."""

    def __init__(self, conditions):
        self.conditions = LinkConditions.same(conditions)
        self.now = {"forward": conditions, "backward": conditions}

    def change(self, direction, changes):
        self.now[direction] = self.now[direction].changed(**changes)


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions(delay_ms=5),
        Conditions(delay_ms=5, jitter_ms=1, rate_mbps=20, loss_ratio=0.01),
        Conditions(loss_burst=BurstLoss(enter_ratio=0.1, leave_ratio=0.4)),
    ],
    ids=["no loss", "loss", "bursts"],
)
def test_a_link_that_was_cut_or_slowed_down_is_again_what_it_was(conditions):
    link = PlayedLink(conditions)
    place = Disturbances(["a"], link=lambda site: link, pid=lambda site: 0, start=lambda site: None)

    place.carry_out("slow", {"site": "a", "factor": 4})
    place.carry_out("cut", {"site": "a", "for_s": 600})
    assert {direction: now.loss for direction, now in link.now.items()} == {"forward": 1, "backward": 1}
    place.carry_out("restore", {})

    assert link.now == {"forward": conditions, "backward": conditions}
