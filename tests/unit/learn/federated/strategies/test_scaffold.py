import numpy as np
import pytest

from skerry.errors import DataError
from skerry.learn.federated.strategies import ListedReplies, Scaffold, client_control
from support.federated import reply_with


def test_a_round_by_hand():
    # N = 4, two reply: x + (2 + 4) / 2; c + (1 + 3) / 4.
    strategy = Scaffold(clients=4)
    state = {"control": np.array([10.0])}
    replies = ListedReplies(
        [reply_with([2.0], "a", 1, control=np.array([1.0])), reply_with([4.0], "b", 99, control=np.array([3.0]))]
    )
    model, after = strategy.aggregate(np.array([1.0]), state, replies)
    np.testing.assert_allclose(model, [4.0])
    np.testing.assert_allclose(after["control"], [11.0])
    np.testing.assert_allclose(state["control"], [10.0])
    assert strategy.instruct(after).control is after["control"]


def test_the_control_variate_of_a_client_by_hand():
    # Option II: c_i - c + (x - y) / (K * rate) = 1 - 2 + 0.6 / (3 * 0.1) = 1; the change is 0.
    own, change = client_control(np.array([1.0]), np.array([2.0]), np.array([-0.6]), 3, 0.1)
    np.testing.assert_allclose(own, [1.0])
    np.testing.assert_allclose(change, [0.0], atol=1e-12)


@pytest.mark.parametrize(("steps", "rate"), [(0, 0.1), (3, 0.0), (3, float("inf"))])
def test_a_control_variate_needs_steps_and_a_learning_rate(steps, rate):
    with pytest.raises(DataError, match=r"at least one step.* fit returns both, federated.Update"):
        client_control(np.zeros(1), np.zeros(1), np.zeros(1), steps, rate)


def test_clients_that_pull_apart_are_held_together():
    """The losses are a (w - goal)^2 / 2 with a = 1, 9: the sum has its minimum at 9, which FedAvg misses."""
    rate, steps, curves, goals = 0.05, 10, (1.0, 9.0), (0.0, 10.0)

    def run(with_control):
        strategy = Scaffold()
        model, state = np.zeros(1), strategy.start(1)
        own = [np.zeros(1), np.zeros(1)]
        for _ in range(400):
            replies = []
            for index, (curve, goal) in enumerate(zip(curves, goals, strict=True)):
                w = model.copy()
                correction = state["control"] - own[index] if with_control else 0.0
                for _ in range(steps):
                    w -= rate * (curve * (w - goal) + correction)
                delta = w - model
                own[index], change = client_control(own[index], state["control"], delta, steps, rate)
                replies.append(reply_with(delta, f"c{index}", control=change))
            model, state = strategy.aggregate(model, state, ListedReplies(replies))
        return float(model[0]), own, state

    found, own, state = run(with_control=True)
    assert abs(found - 9.0) < 1e-6
    np.testing.assert_allclose(state["control"], (own[0] + own[1]) / 2, atol=1e-9)
    assert abs(run(with_control=False)[0] - 9.0) > 0.5


def test_a_reply_without_its_change_is_named():
    with pytest.raises(DataError, match="'a' gave no change of its control variate"):
        Scaffold().aggregate(np.zeros(1), Scaffold().start(1), ListedReplies([reply_with([1.0])]))


def test_more_replies_than_clients_are_refused_with_both_numbers():
    replies = ListedReplies(reply_with([1.0], name, control=np.zeros(1)) for name in "abc")
    with pytest.raises(DataError, match="3 replies, but scaffold was told of 2 clients"):
        Scaffold(clients=2).aggregate(np.zeros(1), Scaffold().start(1), replies)
