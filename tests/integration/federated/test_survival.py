import collections

import pytest

from skerry.learn.federated import Federation, Member, Plan
from skerry.learn.federated.run_view import read_run
from support.federated_coordinator import Coordinator

CLIENTS = ("a", "b", "c")


@pytest.fixture(scope="module")
def plan():
    """A plan whose codings leave things out, so that what was left out has to survive too."""

    def make(job, **changes):
        members = tuple(Member(name=name, site="one" if name == "a" else "two") for name in CLIENTS)
        return Plan(
            **{
                "job": job,
                "members": members,
                "rounds": 3,
                "strategy": "fedadam",
                "coding": "int8",
                "down_coding": "float16",
                "best_metric": "loss",
                **changes,
            }
        )

    return make


def fits_of(engines):
    lines = [line for engine in engines.values() for line in (engine.home / "fits").read_text().splitlines()]
    return collections.Counter(lines)


def test_a_coordinator_killed_at_every_step_ends_with_the_same_model_and_no_training_twice(
    tmp_path, make_engines, places, plan
):
    engines = make_engines("one", "two")
    addresses = {name: f"http://127.0.0.1:{engine.port}" for name, engine in engines.items()}
    Federation(tmp_path / "whole", plan("whole"), places=places(engines)).run()
    expected = read_run(tmp_path / "whole").rounds[-1].model_digest

    kinds, kills = [], 0
    # Each coordinator comes one step further than the one before in what is left, so that it dies after each kind.
    for steps in range(1, 100):
        coordinator = Coordinator(tmp_path / "killed", plan("killed"), addresses)
        seen = [coordinator.step() for _ in range(steps)]
        kinds += seen
        if None in seen:
            coordinator.close()
            break
        coordinator.kill()
        kills += 1
        assert read_run(tmp_path / "killed").state in ("interrupted", "finished")

    view = read_run(tmp_path / "killed")
    assert view.state == "finished"
    assert view.rounds[-1].model_digest == expected
    assert kills >= 5
    assert {"started", "resumed", "round-started", "replied", "aggregated", "evaluated", "round-ended"} <= set(kinds)
    # One line for each run of the user's own code: those of the whole run, and those of the killed one.
    assert fits_of(engines) == {f"{name} {round}": 2 for name in CLIENTS for round in (1, 2, 3)}
