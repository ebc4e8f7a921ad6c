import os
import shutil
import signal
import threading

import pytest

from benchmarks.federated.stepped import Coordinator
from skerry.learn.federated import Federation, read_run
from support.engine_process import wait_until

from .conftest import addresses_of

CLIENTS = ("a", "b", "c")
SITES = {"a": "one", "b": "two", "c": "two"}
LOSSY = {"strategy": "fedadam", "coding": "int8", "down_coding": "float16"}


@pytest.fixture
def expected(tmp_path, engines, places, make_plan):
    """Run a plan undisturbed, and return the digest of its model."""

    def run(**changes):
        plan = make_plan(clients=CLIENTS, sites=SITES, **LOSSY, **changes)
        plan = plan.model_copy(update={"job": f"{plan.job}-whole"})
        Federation(tmp_path / "whole", plan, places=places(engines)).run()
        return read_run(tmp_path / "whole").rounds[-1].model_digest

    return run


def test_a_coordinator_killed_at_every_step_ends_with_the_same_model_and_no_training_twice(
    tmp_path, engines, make_plan, expected, fits
):
    digest = expected()
    plan = make_plan(clients=CLIENTS, sites=SITES, settings={"job": "kills"}, **LOSSY)
    kinds, kills = [], 0
    # Each coordinator comes one step further than the one before it, so that they die after events of every kind.
    for steps in range(1, 100):
        coordinator = Coordinator(tmp_path / "run", plan, addresses_of(engines))
        seen = coordinator.steps(steps)
        kinds += seen
        if len(seen) < steps:
            coordinator.close()
            break
        coordinator.kill()
        kills += 1
        assert read_run(tmp_path / "run").state in ("interrupted", "finished")
    view = read_run(tmp_path / "run")
    assert view.state == "finished"
    assert view.rounds[-1].model_digest == digest
    assert kills >= 5
    assert {"started", "resumed", "round-started", "replied", "aggregated", "evaluated", "round-ended"} <= set(kinds)
    assert fits(engines, "kills") == {f"{name} {round}": 1 for name in CLIENTS for round in (1, 2, 3)}


def test_a_worker_and_then_a_site_killed_in_the_middle_of_training_change_nothing(
    tmp_path, make_engines, places, make_plan, expected, fits
):
    digest = expected()
    own = make_engines("one", "two")
    plan = make_plan(clients=CLIENTS, sites=SITES, settings={"job": "deaths", "gates": {"a": "gate"}}, **LOSSY)
    run = threading.Thread(target=Federation(tmp_path / "run", plan, places=places(own)).run)
    run.start()
    site = own["one"]
    running = site.home / "running-gate"
    wait_until(running.exists, within_s=60, what="the training")
    running.unlink()
    for pid in site.live_workers("fit"):
        os.kill(pid, signal.SIGKILL)
    wait_until(running.exists, within_s=60, what="the training again")
    site.kill()
    running.unlink()
    site.start()
    wait_until(running.exists, within_s=60, what="the training at the site that came back")
    (site.home / "gate").touch()
    run.join(60)
    assert not run.is_alive()
    view = read_run(tmp_path / "run")
    assert view.state == "finished"
    assert view.rounds[-1].model_digest == digest
    counted = fits(own, "deaths")
    assert counted.pop("a 2") == 3  # once for each death, and once to the end
    assert set(counted.values()) == {1}


def test_a_client_that_has_lost_what_it_held_gets_the_whole_model(tmp_path, engines, places, make_plan):
    plan = make_plan(evaluate_every=0, down_coding="int8")
    events = Federation(tmp_path / "run", plan, places=places(engines)).events()
    for event in events:
        if event.kind == "round-ended" and event.round == 1:
            shutil.rmtree(engines["two"].home / "federated" / "lines" / plan.job)
    rounds = read_run(tmp_path / "run").rounds
    assert [len(result.replies) for result in rounds] == [2, 2, 2]
    # Six bytes for the first model and for a difference, eight for a later one that is whole.
    assert [result.bytes_down for result in rounds] == [6 + 6, 6 + 6 + 8, 6 + 6]
