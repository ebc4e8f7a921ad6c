"""Ten clients, one ten times slow, one dying, in virtual time."""

import pytest

from benchmarks.federated.stragglers import ARMS, WAITING, run
from benchmarks.federated.virtual import Emulated, play, ten_clients
from skerry.learn.federated.policies.deadlines import Patience, Reason
from skerry.learn.federated.selection import SELECTIONS, make_selection

PATIENT = Patience(deadline_s=200)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("count", [5, 8, 10])
@pytest.mark.parametrize("name", SELECTIONS)
def test_no_selection_lets_the_slow_or_the_dying_client_hold_up_the_rounds(name, count, seed):
    played = play(ten_clients(seed), make_selection(name), PATIENT, rounds=50, count=count, seed=seed)
    assert played.ratio(0.95) <= 1.3
    shares = played.shares()
    assert shares["slow"] > 0
    assert min(share for client, share in shares.items() if client not in ("slow", "dying")) > 0.2 * count / 10
    mean, most = played.staleness()
    assert mean < 0.5
    assert most <= PATIENT.late_rounds
    assert all(len(chosen) <= count for chosen in played.chosen)


def test_a_run_in_virtual_time_is_the_same_again():
    def rounds_s():
        selection = make_selection("apodotiko")
        return play(ten_clients(), selection, PATIENT, rounds=20, count=8, seed=3).rounds_s

    assert rounds_s() == rounds_s()


def test_waiting_for_all_costs_the_slow_client_and_then_the_longest_time():
    played = play(ten_clients(dies_after=5), make_selection("all"), WAITING, rounds=10, count=10)
    assert all(90 < round_s < 120 for round_s in played.rounds_s[:5])
    assert played.ends[5:] == [Reason.LONGEST] * 5


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_client_that_recovers_comes_back(name):
    clients = ten_clients() | {"dying": Emulated(usual_s=10, dead=range(10, 16))}
    played = play(clients, make_selection(name), PATIENT, rounds=60, count=8)
    later = [arrivals for arrivals in played.arrivals[40:] if any(one.client == "dying" for one in arrivals)]
    assert len(later) >= 3
    assert played.histories["dying"].missed_in_row == 0


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
def test_every_arm_of_the_benchmark_learns(arm):
    found = run(arm, 0, rounds=6)
    assert found["accuracy"] > 50
    assert found["run_s"] > 0
