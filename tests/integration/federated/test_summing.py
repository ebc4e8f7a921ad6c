import numpy as np
import pytest

from benchmarks.federated.stepped import Coordinator
from skerry.errors import UnavailableError
from skerry.learn.federated import Federation, read_model, read_run

from .conftest import addresses_of

CLIENTS = ("a", "b", "c", "d", "e")
SITES = {"a": "one", "b": "one", "c": "one", "d": "one", "e": "two"}
SECURE = {"value_range": 4.0, "max_examples": 100, "threshold": 3}


def flat(folder):
    return np.concatenate([array.ravel() for array in read_model(folder).values()])


def test_a_client_that_dies_between_two_phases_is_not_in_the_sum_and_the_sum_is_the_plain_one(
    tmp_path, make_engines, places, make_plan
):
    engines = make_engines("one", "two")
    there = places(engines)
    plain = make_plan(clients=CLIENTS[:4], sites=SITES, rounds=1)
    Federation(tmp_path / "plain", plain.model_copy(update={"job": f"{plain.job}-plain"}), places=there).run()
    plan = make_plan(clients=CLIENTS, sites=SITES, rounds=1, secure=SECURE, evaluate_on="none")
    phases = []
    for event in Federation(tmp_path / "run", plan, places=there).events():
        if event.kind == "phase-ended":
            phases.append(event.facts["phase"])
            if event.facts["phase"] == "shares":
                engines["two"].kill()
    assert phases == ["keys", "shares", "masked", "unmask"]
    result = read_run(tmp_path / "run").rounds[0]
    assert result.summed == CLIENTS[:4]
    assert np.abs(flat(tmp_path / "run") - flat(tmp_path / "plain")).max() < 1e-6
    # Whoever reads the coordinator's record finds neither counts nor metrics of a single client.
    assert all((reply.examples, reply.metrics) == (0, {}) for reply in result.replies)
    assert result.bytes_up == 4 * (2 + 1) * 8


def test_a_coordinator_that_is_killed_between_any_two_steps_goes_on_with_the_ceremony(
    tmp_path, engines, places, make_plan, fits
):
    plan = make_plan(clients=CLIENTS, sites=SITES, rounds=1, secure=SECURE, settings={"job": "sums"})
    plain = plan.model_copy(update={"job": f"{plan.job}-plain", "secure": None, "settings": {}})
    Federation(tmp_path / "plain", plain, places=places(engines)).run()
    kinds = []
    for steps in range(2, 100):
        coordinator = Coordinator(tmp_path / "run", plan, addresses_of(engines))
        seen = coordinator.steps(steps)
        kinds += seen
        if len(seen) < steps:
            coordinator.close()
            break
        coordinator.kill()
    view = read_run(tmp_path / "run")
    assert view.state == "finished"
    assert "phase-ended" in kinds
    assert [result.summed for result in view.rounds] == [CLIENTS]
    assert np.abs(flat(tmp_path / "run") - flat(tmp_path / "plain")).max() < 1e-6
    assert fits(engines, "sums") == {f"{name} 1": 1 for name in CLIENTS}


def test_a_secret_sum_with_central_privacy_is_clipped_at_the_clients(tmp_path, engines, places, make_plan):
    changes = {"rounds": 2, "central": {"clip_norm": 0.5}, "evaluate_on": "none"}
    plan = make_plan(clients=CLIENTS, sites=SITES, **changes)
    Federation(tmp_path / "plain", plan, places=places(engines)).run()
    secure = plan.model_copy(update={"job": f"{plan.job}-secure"})
    secure = type(plan).model_validate({**secure.model_dump(), "secure": SECURE})
    Federation(tmp_path / "run", secure, places=places(engines)).run()
    assert np.abs(flat(tmp_path / "run") - flat(tmp_path / "plain")).max() < 1e-6


def test_too_few_clients_make_no_sum(tmp_path, engines, places, make_plan):
    plan = make_plan(
        clients=CLIENTS,
        sites=SITES,
        rounds=1,
        secure={**SECURE, "max_examples": 1, "threshold": 5, "value_range": 1e-9},
    )
    for event in Federation(tmp_path / "run", plan, places=places(engines)).events():
        assert event.kind != "failed"
    assert np.abs(flat(tmp_path / "run")).max() < 1e-8  # every number was clipped to the range
    plan = make_plan(clients=CLIENTS, sites=SITES, rounds=1, secure={**SECURE, "max_examples": 5}, quorum_ratio=0.1)
    plan = plan.model_copy(update={"job": f"{plan.job}-few"})
    with pytest.raises(UnavailableError, match="0 of 5 clients"):  # they have more rows than the terms allow
        Federation(tmp_path / "few", plan, places=places(engines)).run()
