import numpy as np
import pytest

from skerry.errors import DataError
from skerry.learn.federated.strategies import FedAdagrad, FedAvg, FedAvgM, FedBuff, FedNova, FedProx
from skerry.learn.federated.strategies.base import ListedReplies
from support.federated import replies_of, reply_with


def test_fedavg_weighs_by_examples():
    replies = replies_of([[1.0, 0.0], [4.0, 3.0]], examples=[2, 1])
    model, _ = FedAvg().aggregate(np.array([10.0, 10.0]), {}, replies)
    np.testing.assert_allclose(model, [12.0, 11.0])


def test_late_replies_count_less_and_all_weights_sum_to_one():
    replies = ListedReplies([reply_with([1.0], "a"), reply_with([4.0], "b", staleness=3)])
    model, _ = FedAvg(late_exponent=0.5).aggregate(np.zeros(1), {}, replies)
    np.testing.assert_allclose(model, [(1 * 1.0 + 0.5 * 4.0) / 1.5])
    in_full, _ = FedAvg(late_exponent=0).aggregate(np.zeros(1), {}, replies)
    np.testing.assert_allclose(in_full, [2.5])


@pytest.mark.parametrize("strategy", [FedAvg(), FedAvg(late_exponent=1), FedBuff(), FedProx()])
def test_a_model_that_nobody_changes_stays_to_the_bit_however_late_the_replies_are(strategy):
    model = np.random.default_rng(0).normal(0, 0.05, 100).astype(np.float32)
    staleness = [0, 0, 1, 3]
    replies = ListedReplies(
        reply_with(np.zeros(100, np.float32), f"c{index}", staleness=late) for index, late in enumerate(staleness)
    )
    result, _ = strategy.aggregate(model, strategy.start(100), replies)
    assert result.tobytes() == model.tobytes()


def test_scaling_whole_models_by_staleness_as_fedless_does_shrinks_the_same_model_to_three_quarters():
    model = np.random.default_rng(0).normal(0, 0.05, 100)
    now, shares = 4, [0.25] * 4
    rounds = [4, 4, 2, 2]  # FedLess weighs a reply of round t by t / now, and does not normalise the sum to 1.
    scaled = sum(share * begun / now * model for share, begun in zip(shares, rounds, strict=True))
    np.testing.assert_allclose(scaled, 0.75 * model)
    replies = ListedReplies(
        reply_with(np.zeros(100), f"c{index}", staleness=now - begun) for index, begun in enumerate(rounds)
    )
    ours, _ = FedAvg().aggregate(model, {}, replies)
    assert ours.tobytes() == model.tobytes()


def test_fedprox_tells_clients_mu_and_averages_as_fedavg_does():
    strategy = FedProx(proximal=0.3)
    assert strategy.instruct({}).proximal == 0.3
    replies = replies_of([[1.0], [4.0]], examples=[2, 1])
    assert strategy.aggregate(np.zeros(1), {}, replies)[0] == FedAvg().aggregate(np.zeros(1), {}, replies)[0]


def test_fedavgm_adds_up_what_it_keeps_of_earlier_rounds():
    strategy = FedAvgM(momentum=0.5, server_learning_rate=2.0)
    model, state = np.zeros(1), strategy.start(1)
    seen = []
    for _ in range(3):
        model, state = strategy.aggregate(model, state, replies_of([[1.0]]))
        seen.append(float(model[0]))
    assert seen == [2.0, 2.0 + 3.0, 2.0 + 3.0 + 3.5]


def test_fednova_averages_deltas_per_step():
    # p = (1/4, 3/4), tau = (2, 6): tau_eff = 5; mean per step = 1/4 * 4/2 + 3/4 * 6/6 = 1.25.
    replies = ListedReplies([reply_with([4.0], "a", 10, steps=2), reply_with([6.0], "b", 30, steps=6)])
    model, _ = FedNova().aggregate(np.array([1.0]), {}, replies)
    np.testing.assert_allclose(model, [1.0 + 5 * 1.25])


def test_fednova_is_fedavg_where_all_take_as_many_steps():
    deltas = np.random.default_rng(0).normal(size=(4, 50))
    replies = replies_of(deltas, examples=[1, 2, 3, 4], steps=7)
    nova, _ = FedNova().aggregate(np.zeros(50), {}, replies)
    average, _ = FedAvg().aggregate(np.zeros(50), {}, replies)
    np.testing.assert_allclose(nova, average, rtol=1e-12)


def test_fednova_finds_the_middle_where_fedavg_goes_with_those_who_step_most():
    # Two clients with the losses (w - 0)^2 / 2 and (w - 10)^2 / 2; the second takes ten times the steps.
    def train(w, goal, steps, rate=0.01):
        start = w
        for _ in range(steps):
            w -= rate * (w - goal)
        return [w - start]

    ends = {}
    for strategy in (FedAvg(), FedNova()):
        model = np.array([0.0])
        for _ in range(300):
            w = float(model[0])
            replies = ListedReplies(
                [reply_with(train(w, 0, 2), "a", steps=2), reply_with(train(w, 10, 20), "b", steps=20)]
            )
            model, _ = strategy.aggregate(model, {}, replies)
        ends[strategy.name] = float(model[0])
    assert ends["fedavg"] > 8.5
    assert abs(ends["fednova"] - 5) < 0.5


def test_fednova_names_the_client_that_counts_no_steps():
    with pytest.raises(DataError, match="'a' trained on 10 examples in 0 steps"):
        FedNova().aggregate(np.zeros(1), {}, ListedReplies([reply_with([1.0])]))


def test_fedbuff_weighs_by_staleness_alone():
    # Weights 1 and 1/2 of staleness 0 and 3; the examples do not matter.
    replies = ListedReplies([reply_with([3.0], "a", 1), reply_with([6.0], "b", 999, staleness=3)])
    model, _ = FedBuff(server_learning_rate=0.5).aggregate(np.zeros(1), {}, replies)
    np.testing.assert_allclose(model, [0.5 * (3.0 + 0.5 * 6.0) / 1.5])


def test_fedadagrad_takes_the_first_step_by_hand():
    strategy = FedAdagrad(server_learning_rate=0.5, tau=1.0)
    model, state = strategy.aggregate(np.zeros(1), strategy.start(1), replies_of([[2.0]]))
    np.testing.assert_allclose(model, [0.5 * 2 / (2 + 1)])
    assert state["rounds"] == 1
    np.testing.assert_allclose(state["second"], [4.0])


@pytest.mark.parametrize("strategy", [FedAvg(), FedNova(), FedAvgM()])
def test_a_round_in_which_nobody_trained_is_an_error_and_no_division(strategy):
    with pytest.raises(DataError, match="weigh nothing"):
        strategy.aggregate(np.zeros(1), strategy.start(1), replies_of([[1.0], [2.0]], examples=[0, 0]))


def test_a_model_that_its_dtype_cannot_hold_is_refused():
    with pytest.raises(DataError, match="float32 cannot hold"):
        FedAvg().aggregate(np.full(2, 3e38, np.float32), {}, replies_of([np.full(2, 3e38, np.float32)]))


def test_a_client_replies_once():
    with pytest.raises(DataError, match="'a' replied twice"):
        ListedReplies([reply_with([1.0]), reply_with([2.0])])
