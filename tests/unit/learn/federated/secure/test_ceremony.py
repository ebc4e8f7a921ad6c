"""The whole of a secure aggregation: sums, drop-outs, and what is refused."""

import numpy as np
import pytest

from skerry.errors import UnavailableError
from skerry.learn.federated.secure.messages import PHASES
from support.secure_ceremony import (
    NAMES,
    hold,
    make_clients,
    make_server,
    make_terms,
    make_updates,
    weigh,
)

# Who is missing from a phase on; a client that leaves before "unmask" has sent its update, which counts.
COUNTED = {"keys": 8, "shares": 8, "masked": 8, "unmask": 10}


def test_the_sum_of_ten_clients_is_the_plain_sum():
    updates, terms = make_updates(), make_terms()
    server = make_server(terms)
    hold(server, make_clients(updates, terms), {})
    plain, weight = weigh(updates, NAMES)
    assert server.total().examples == weight
    assert np.abs(server.total().weighted_sum - np.clip(plain, -1e9, 1e9)).max() < 1e-6
    assert np.abs(server.total().mean - plain / weight).max() < 1e-9


@pytest.mark.parametrize("phase", PHASES)
def test_two_of_ten_clients_may_drop_out_at_each_phase(phase):
    updates, terms = make_updates(), make_terms()
    server = make_server(terms)
    hold(server, make_clients(updates, terms), {"edge-02": phase, "edge-07": phase})
    total = server.total()
    assert len(total.clients) == COUNTED[phase]
    plain, weight = weigh(updates, total.clients)
    assert total.examples == weight
    assert np.abs(total.weighted_sum - plain).max() < 1e-6


@pytest.mark.parametrize("phase", PHASES)
def test_below_the_threshold_a_ceremony_fails_closed_at_each_phase(phase):
    updates, terms = make_updates(), make_terms()
    server = make_server(terms)
    gone = dict.fromkeys(NAMES[:5], phase)
    with pytest.raises(UnavailableError, match=f"5 clients of 10 have answered phase '{phase}', and 6 are needed"):
        hold(server, make_clients(updates, terms), gone)
    assert server.phase is None
    assert server.tasks() == {}
