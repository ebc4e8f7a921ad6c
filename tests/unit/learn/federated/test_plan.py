import sys

import pytest
from pydantic import ValidationError

from skerry.errors import ConfigError, SpecError
from skerry.learn.federated import Federation, Member, Plan
from skerry.learn.federated.coordinator.agreement import check_plan, remembered_rounds
from skerry.learn.federated.coordinator.federation import make_strategy
from skerry.learn.federated.plan import job_name, seed_of
from skerry.learn.federated.record.results import EvaluationResult, RoundResult, mean_metrics

MEMBERS = (Member(name="b", site="two"), Member(name="a", site="one"))
SEVEN = tuple(Member(name=name) for name in "abcdefg")


def plan_of(**changes):
    return Plan(**{"job": "j", "members": MEMBERS, "rounds": 5, **changes})


def test_a_plan_comes_back_from_json_with_the_same_digest():
    plan = plan_of(settings={"epochs": 3}, strategy_options={"momentum": 0.5})
    again = Plan.model_validate_json(plan.model_dump_json())
    assert again == plan
    assert again.digest == plan.digest
    assert plan_of().digest != plan.digest
    assert plan.names == ("a", "b")


@pytest.mark.parametrize(
    "changes",
    [
        {"members": ()},
        {"members": (MEMBERS[0], MEMBERS[0])},
        {"members": (Member(name="server"),)},
        {"job": "../up"},
        {"rounds": 0},
        {"seed": 2**63},
        {"quorum_ratio": 0},
        {"deadline_s": -1},
        {"coding": "gzip"},
        {"unknown": 1},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(changes):
    with pytest.raises(ValidationError):
        plan_of(**changes)


def test_models_are_evaluated_as_often_as_planned_and_at_the_end():
    assert [r for r in range(1, 6) if plan_of(evaluate_every=2).evaluates(r)] == [2, 4, 5]
    assert not plan_of(evaluate_every=0).evaluates(5)
    assert not plan_of(evaluate_on="none").evaluates(5)
    assert plan_of(evaluate_on="none", server="cloud").evaluates(5)


def test_seeds_differ_between_rounds_and_clients_and_stay_the_same():
    seeds = {seed_of(seed, round, client) for seed in (0, 1) for round in (1, 2) for client in ("a", "b")}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of(0, 1, "a") == seed_of(0, 1, "a")
    assert job_name("x") != job_name("x")


@pytest.mark.parametrize("name", ["_digits", "my digits", "düg", "数字", "-", "x" * 300])
def test_a_run_of_a_file_with_any_name_has_a_job_name(name):
    assert plan_of(job=job_name(name)).job.isascii()


def test_the_name_of_a_job_begins_as_its_file_is_called():
    assert job_name("my_digits.v2").rpartition("-")[0] == "my_digits.v2"


def test_the_lowest_loss_and_the_highest_accuracy_are_best():
    assert plan_of().is_better(0.9, 0.8)
    assert not plan_of(best_metric="val_loss").is_better(0.9, 0.8)
    assert plan_of(best_metric="val_loss").is_better(0.9, None)


def test_metrics_are_weighted_by_examples():
    assert mean_metrics([(1, {"a": 0.0, "b": 1.0}), (3, {"a": 1.0})]) == {"a": 0.75}
    assert mean_metrics([]) == {}
    assert mean_metrics([(0, {"a": 1.0})]) == {}


def test_a_client_without_test_rows_takes_no_metric_from_the_others():
    assert mean_metrics([(1, {"a": 0.5}), (0, {}), (1, {"a": 1.0})]) == {"a": 0.75}


def test_the_servers_evaluation_is_the_one_that_counts():
    result = RoundResult(
        round=1, started_at=0, ended_at=1, chosen=(), replies=(), metrics={"accuracy": 0.5}, model_digest="d"
    )
    assert result.score("accuracy") == 0.5
    served = result.model_copy(update={"evaluations": {"server": EvaluationResult(examples=1, metrics={"loss": 1.0})}})
    assert served.score("accuracy") is None
    assert served.score("loss") == 1.0


def test_a_plan_names_its_strategy_and_what_privacy_does_to_it():
    assert make_strategy(plan_of(strategy="fedavgm")).name == "fedavgm"
    assert make_strategy(plan_of(central={"clip_norm": 1.0})).name == "private-mean"
    with pytest.raises(SpecError):
        make_strategy(plan_of(strategy="best"))


THREE = {"secure": {}, "members": (*MEMBERS, Member(name="c"))}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"strategy": "scaffold", "privacy": {"clip_norm": 1.0}}, "control variates"),
        ({"strategy": "scaffold", "central": {"clip_norm": 1.0}}, "control variates"),
        *(
            (THREE | changes, f"does not go with {reason}")
            for changes, reason in (
                ({"strategy": "scaffold"}, "strategy scaffold"),
                ({"strategy": "median"}, "strategy median"),
                ({"strategy": "trimmed-mean"}, "strategy trimmed-mean"),
                ({"strategy": "krum"}, "strategy krum"),
                ({"largest_norm": 1.0}, "largest_norm"),
                ({"remember_rounds": 1}, "remember_rounds"),
                ({"coding": "int8"}, "coding int8"),
                ({"selection": "apodotiko"}, "selection apodotiko"),
                ({"privacy": {"clip_norm": 1.0}, "central": {"clip_norm": 1.0}}, "both local"),
            )
        ),
        ({"secure": {}}, "needs 3 clients in a round, and there are 2"),
        (THREE | {"clients_per_round": 1}, "needs 3 clients in a round, and there are 1"),
        ({"strategy": "median", "remember_rounds": 2}, "strategy median"),
        ({"strategy": "scaffold", "remember_rounds": 2}, "strategy scaffold"),
        ({"strategy": "fedbuff", "remember_rounds": 2}, "strategy fedbuff"),
        ({"privacy": {"clip_norm": 1.0}, "remember_rounds": 2}, "differential privacy"),
        ({"central": {"clip_norm": 1.0}, "remember_rounds": 2}, "differential privacy"),
        ({"clients_per_round": 9}, "9 clients per round, and there are 2"),
        ({"strategy": "krum"}, "krum with 1 malicious clients needs at least 5 replies, and a round asks 2"),
        (
            {"strategy": "multi-krum", "members": SEVEN, "strategy_options": {"malicious_clients": 3}},
            "at least 9 replies, and a round asks 7",
        ),
        ({"strategy": "krum", "members": SEVEN, "clients_per_round": 4}, "at least 5 replies, and a round asks 4"),
    ],
)
def test_parts_of_a_plan_that_contradict_each_other_are_refused_before_the_run(tmp_path, changes, reason):
    with pytest.raises(SpecError, match=reason):
        Federation(tmp_path / "run", plan_of(**changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["privacy", "central"])
def test_noise_whose_epsilon_nobody_can_count_is_refused_before_the_run(tmp_path, monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "opacus", None)
    Federation(tmp_path / "clipped", plan_of(**{kind: {"clip_norm": 1.0}}))
    with pytest.raises(ConfigError, match=r"skerry\[privacy\]"):
        Federation(tmp_path / "run", plan_of(**{kind: {"clip_norm": 1.0, "noise_multiplier": 1.0}}))


def test_krum_has_as_many_clients_as_it_needs(tmp_path):
    Federation(tmp_path / "run", plan_of(strategy="krum", members=SEVEN, clients_per_round=5))
    Federation(tmp_path / "run", plan_of(strategy="krum", members=SEVEN, strategy_options={"malicious_clients": 2}))


def test_what_is_remembered_counts_in_full_unless_the_plan_says_otherwise():
    assert make_strategy(plan_of(remember_rounds=3)).late_exponent == 0
    assert make_strategy(plan_of(remember_rounds=3, strategy_options={"late_exponent": 1.0})).late_exponent == 1
    assert make_strategy(plan_of()).late_exponent == 0.5


@pytest.mark.parametrize(
    ("changes", "rounds"),
    [
        ({}, 0),  # waits for all
        ({"quorum_ratio": 0.8}, 20),
        ({"quorum_ratio": 0.8, "late_rounds": 7}, 7),
        ({"quorum_ratio": 0.8, "remember_rounds": 0}, 0),
        ({"quorum_ratio": 0.8, "keep_late": False}, 0),
        ({"quorum_ratio": 0.8, "keep_late": False, "remember_rounds": 3}, 3),
        ({"remember_rounds": 4}, 4),
        ({"quorum_ratio": 0.8, "clients_per_round": 1}, 0),  # who is not asked is not missing
        ({"quorum_ratio": 0.8, "clients_per_round": 2}, 20),
        ({"quorum_ratio": 0.8, "selection": "random"}, 0),
        ({"quorum_ratio": 0.8, "strategy": "fednova"}, 20),
        ({"quorum_ratio": 0.8, "strategy": "median"}, 0),
        ({"quorum_ratio": 0.8, "privacy": {"clip_norm": 1.0}}, 0),
        ({"quorum_ratio": 0.8, "central": {"clip_norm": 1.0}}, 0),
        (THREE | {"quorum_ratio": 0.8}, 0),
    ],
)
def test_rounds_that_may_end_without_a_client_remember_it_by_themselves(changes, rounds):
    plan = plan_of(**changes)
    check_plan(plan)
    assert remembered_rounds(plan) == rounds
