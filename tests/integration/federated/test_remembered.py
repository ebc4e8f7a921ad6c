from benchmarks.federated.stepped import Coordinator
from skerry.learn.federated import Federation, read_run

from .conftest import addresses_of

CLIENTS = ("a", "b", "c")
SITES = {"a": "one", "b": "one", "c": "two"}


def test_a_client_that_dies_counts_with_its_last_update_until_that_is_too_old(
    tmp_path, make_engines, places, make_plan
):
    engines = make_engines("one", "two")
    plan = make_plan(
        clients=CLIENTS,
        sites=SITES,
        rounds=7,
        remember_rounds=2,
        quorum_ratio=0.6,
        evaluate_on="none",
    )
    warm = plan.model_copy(update={"job": f"{plan.job}-warm", "rounds": 1, "quorum_ratio": 1.0})
    Federation(tmp_path / "warm", warm, places=places(engines)).run()
    killed = 0
    for event in Federation(tmp_path / "run", plan, places=places(engines)).events():
        # A round of a slow machine may do without a client that lives.
        if event.kind == "round-ended" and not killed and heard(tmp_path / "run", event.round) == set(CLIENTS):
            engines["two"].kill()
            killed = event.round
    assert 0 < killed <= 4
    after = read_run(tmp_path / "run").rounds[killed : killed + 3]
    assert [result.remembered for result in after] == [{"c": 1}, {"c": 2}, {}]
    assert [{reply.client for reply in result.replies} for result in after] == 3 * [{"a", "b"}]


def heard(folder, number):
    return {reply.client for reply in read_run(folder).rounds[number - 1].replies}


def test_clients_that_are_not_asked_count_and_a_coordinator_that_is_killed_remembers_the_same(
    tmp_path, engines, places, make_plan
):
    plan = make_plan(
        clients=CLIENTS,
        sites=SITES,
        rounds=4,
        clients_per_round=1,
        remember_rounds=3,
        strategy="fedadam",
        coding="int8",
        evaluate_on="none",
    )
    whole = plan.model_copy(update={"job": f"{plan.job}-whole"})
    Federation(tmp_path / "whole", whole, places=places(engines)).run()
    for steps in range(1, 100):
        coordinator = Coordinator(tmp_path / "run", plan, addresses_of(engines))
        if len(coordinator.steps(steps)) < steps:
            coordinator.close()
            break
        coordinator.kill()
    found, expected = read_run(tmp_path / "run").rounds, read_run(tmp_path / "whole").rounds
    assert [result.model_digest for result in found] == [result.model_digest for result in expected]
    assert [result.remembered for result in found] == [result.remembered for result in expected]
    assert set(found[-1].remembered) | {found[-1].replies[0].client} == set(CLIENTS)
