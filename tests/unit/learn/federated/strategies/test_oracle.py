"""Our strategies against Flower's, on the same updates, over several rounds."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from skerry.learn.federated.strategies import ListedReplies, Received, find_strategy
from skerry.learn.federated.strategies.krum import choose_clients
from skerry.learn.federated.wire.parameters import Layout

ROUNDS = 6
SHAPES = {"kernel": (5, 4), "bias": (4,), "head": (4, 3)}


@pytest.fixture(scope="module")
def flower():
    """Return Flower's strategies and records; Flower says nothing, to nobody."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLWR_TELEMETRY_ENABLED", "0")
        pytest.importorskip(
            "flwr", reason="Flower is not installed: pip install --no-deps --requirement tests/oracle.txt"
        )
        from flwr import app
        from flwr.serverapp import strategy
        from flwr.serverapp.strategy.fedopt import FedOpt

        logging.getLogger("flwr").setLevel(logging.ERROR)
        yield SimpleNamespace(app=app, strategy=strategy, FedOpt=FedOpt)


def answer(flower, arrays, examples):
    """Return what Flower takes for a client's message."""
    content = flower.app.RecordDict(
        {
            "arrays": flower.app.ArrayRecord({name: flower.app.Array(array) for name, array in arrays.items()}),
            "metrics": flower.app.MetricRecord({"num-examples": examples}),
        }
    )
    return SimpleNamespace(content=content, has_error=lambda: False)


def give_model(flower, strategy, arrays):
    """Set the model of the round, as Flower's configure_train does, which needs a running Flower."""
    if isinstance(strategy, flower.FedOpt):
        strategy.current_arrays = arrays
    elif hasattr(strategy, "current_arrays"):
        strategy.current_arrays = flower.app.ArrayRecord(
            {name: flower.app.Array(array) for name, array in arrays.items()}
        )


def draw_round(generator, clients, size, dtype):
    """Return updates that agree a little, as in training, and examples."""
    common = generator.normal(0, 0.05, size)
    deltas = [(common + generator.normal(0, 0.05, size)).astype(dtype) for _ in range(clients)]
    return deltas, [int(count) for count in generator.integers(1, 500, clients)]


CASES = {
    "fedavg": ("fedavg", {}, "FedAvg", {}),
    "fedprox": ("fedprox", {"proximal": 0.1}, "FedProx", {"proximal_mu": 0.1}),
    "fedavgm": ("fedavgm", {"momentum": 0.9}, "FedAvgM", {"server_momentum": 0.9}),
    "fedavgm, slower": (
        "fedavgm",
        {"momentum": 0.5, "server_learning_rate": 0.3},
        "FedAvgM",
        {"server_momentum": 0.5, "server_learning_rate": 0.3},
    ),
    "fedadam": ("fedadam", {}, "FedAdam", {}),
    "fedadam, other settings": (
        "fedadam",
        {"server_learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "tau": 0.01},
        "FedAdam",
        {"eta": 0.02, "beta_1": 0.8, "beta_2": 0.95, "tau": 0.01},
    ),
    "fedyogi": ("fedyogi", {}, "FedYogi", {}),
    "fedadagrad": ("fedadagrad", {}, "FedAdagrad", {}),
    "median": ("median", {}, "FedMedian", {}),
    "trimmed-mean": ("trimmed-mean", {"trim_ratio": 0.2}, "FedTrimmedAvg", {"beta": 0.2}),
    "trimmed-mean, nearly all": ("trimmed-mean", {"trim_ratio": 0.45}, "FedTrimmedAvg", {"beta": 0.45}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("clients", [3, 7, 8])
@pytest.mark.parametrize("case", CASES)
def test_models_equal_flowers_in_each_round(flower, case, clients, dtype):
    name, settings, flower_name, flower_settings = CASES[case]
    ours = find_strategy(name, **settings)
    theirs = getattr(flower.strategy, flower_name)(**flower_settings)
    generator = np.random.default_rng(clients)
    arrays = {key: generator.normal(0, 0.05, shape).astype(dtype) for key, shape in SHAPES.items()}
    layout = Layout.of(arrays)
    model, state = layout.join(arrays), ours.start(layout.size)
    for number in range(1, ROUNDS + 1):
        deltas, examples = draw_round(generator, clients, layout.size, dtype)
        # Flower's clients send whole models. Ours are made of the same bits, so that rounding is not compared.
        sent = [model + delta for delta in deltas]
        deltas = [whole.astype(np.float64) - model for whole in sent]
        replies = ListedReplies(
            Received(client=f"c{index}", delta=delta, examples=examples[index]) for index, delta in enumerate(deltas)
        )
        give_model(flower, theirs, layout.split(model))
        answers = [answer(flower, layout.split(whole), count) for whole, count in zip(sent, examples, strict=True)]
        expected, _ = theirs.aggregate_train(number, answers)
        model, state = ours.aggregate(model, state, replies)
        for key, array in layout.split(model).items():
            assert array.dtype == dtype
            theirs_array = expected[key].numpy()
            np.testing.assert_allclose(array, theirs_array, rtol=1e-6, atol=1e-6 * np.abs(theirs_array).max())


@pytest.mark.parametrize("clients", [5, 9, 20])
@pytest.mark.parametrize("selected", [1, 3])
def test_krum_selects_the_clients_that_flower_selects(flower, clients, selected):
    generator = np.random.default_rng(clients)
    malicious = (clients - 3) // 2
    for number in range(1, ROUNDS + 1):
        deltas, _ = draw_round(generator, clients, 60, "float64")
        for index in generator.choice(clients, malicious, replace=False):
            deltas[index] = deltas[index] + generator.normal(0, 1, 60)
        # A model of small integers: what Flower sees has the same distances as what we see, to the bit or nearly.
        model = generator.integers(-1, 2, 60).astype(np.float64)
        sent = [model + delta for delta in deltas]
        replies = ListedReplies(
            Received(client=f"c{index:03}", delta=whole - model, examples=10) for index, whole in enumerate(sent)
        )
        theirs = (
            flower.strategy.Krum(num_malicious_nodes=malicious)
            if selected == 1
            else flower.strategy.MultiKrum(num_malicious_nodes=malicious, num_nodes_to_select=selected)
        )
        expected, _ = theirs.aggregate_train(number, [answer(flower, {"all": whole}, 10) for whole in sent])
        ours = (
            find_strategy("krum", malicious_clients=malicious)
            if selected == 1
            else find_strategy("multi-krum", malicious_clients=malicious, selected_clients=selected)
        )
        result, _ = ours.aggregate(model, {}, replies)
        np.testing.assert_allclose(result, expected["all"].numpy(), rtol=1e-12, atol=1e-12)
        contents = [answer(flower, {"all": whole}, index).content for index, whole in enumerate(sent)]
        chosen = select_by_flower(contents, malicious, selected)
        assert choose_clients(replies, 60, malicious, selected) == {f"c{index:03}" for index in chosen}


def select_by_flower(contents, malicious, selected):
    """Return the indices that Flower selects; each content carries its own as its number of examples."""
    from flwr.serverapp.strategy.multikrum import select_multikrum

    return [content["metrics"]["num-examples"] for content in select_multikrum(contents, malicious, selected)]


def test_late_in_training_flowers_float32_formula_picks_the_wrong_client_and_ours_does_not(flower):
    generator = np.random.default_rng(0)
    size, clients = 20_000, 7
    wrong = 0
    for _ in range(5):
        model = generator.normal(0, 0.05, size).astype(np.float32)
        # Updates of 1e-5; each client is further from the middle than the one before it, so the first is Krum's.
        spread = np.linspace(1e-5, 1.6e-5, clients)
        deltas = [generator.normal(0, scale, size).astype(np.float32) for scale in spread]
        contents = [answer(flower, {"all": model + delta}, index).content for index, delta in enumerate(deltas)]
        wrong += select_by_flower(contents, 1, 1) != [0]
        # What ours sees was rounded just as much: differences of float32 weights.
        replies = ListedReplies(
            Received(client=f"c{index}", delta=(model + delta) - model, examples=10)
            for index, delta in enumerate(deltas)
        )
        assert choose_clients(replies, size, 1, 1) == {"c0"}
    assert wrong >= 3
