"""The quick form of paper 003's experiment: what must hold whatever the speed of the machine."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from skerry.errors import ModelRejectedError
from skerry.learn.federated.data.datasets import load_small_digits
from skerry.learn.federated.models.network import DEVIATION, MEAN
from skerry.testbed.experiments import Settings, load_experiment, read_results, run_experiment
from skerry.testbed.experiments.edge_federated import app
from skerry.testbed.experiments.edge_federated.arms import run_federated
from skerry.testbed.experiments.edge_federated.images import divide
from skerry.testbed.experiments.edge_federated.messages import Division
from skerry.testbed.experiments.experiment import Trial
from skerry.testbed.experiments.place import OneMachine
from skerry.testbed.experiments.places import choose_place
from skerry.testbed.experiments.report import render_report
from support.packets import Capture
from support.testbeds import refusal

PARAMETERS = 317_066
ROUNDS = 3
CLIENTS = 3
EDGES = ("edge-1", "edge-2", "edge-3")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(refusal() is not None, reason=refusal() or ""),
]


@pytest.fixture(scope="module", autouse=True)
def home():
    """A short folder for engines and models: sockets lie deep in it, and their paths may take 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKERRY_HOME", f"{folder}/home")
        patch.setenv("SKERRY_MODELS", f"{folder}/models")
        patch.setenv("SKERRY_MODEL_CACHE", f"{folder}/cache")
        yield Path(folder)


@pytest.fixture(scope="module")
def quick(home):
    """The results of the quick form on the network of the paper."""
    experiment, target = load_experiment("edge-federated")
    folder = home / "run"
    # Links have tests of their own; on a machine that is busy with others, a self-test would rightly fail.
    place = choose_place(experiment, folder, self_test=False)
    settings = Settings(options=experiment.quick, repeats=1, arms=("best", "response"))
    run_experiment(experiment, target, folder, place, settings, place_name=place.name)
    return read_results(folder)


def trial_of(results, arm):
    return next(trial for trial in results.trials if trial.arm == arm)


def test_three_sites_train_and_the_model_is_served_at_the_edge(quick):
    assert not quick.failures
    place = quick.sessions[0]["place"]
    assert place["means"] in ("tun", "netem")
    assert sorted(place["sites"]) == ["aggregator", *EDGES]
    trial = trial_of(quick, "best")
    values = trial.values
    model_bytes = 4 * PARAMETERS

    assert values["parameters"] == PARAMETERS
    assert values["rounds"] == ROUNDS == len(trial.notes["accuracy"])
    assert sorted(trial.notes["client_accuracy"]) == list(EDGES)
    # Clients and the coordinator's own place are given each model once: to evaluate it, and then to train from it.
    assert values["bytes_sent_per_round"] == (CLIENTS + 1) * model_bytes
    assert values["bytes_received_per_round"] == CLIENTS * model_bytes
    assert values["wire_bytes"] > ROUNDS * (2 * CLIENTS + 1) * model_bytes
    assert values["peak_memory_bytes"] <= 200 * 2**20
    assert values["serving_memory_bytes"] <= 100 * 2**20
    assert values["wrong_answers"] == 0
    assert trial.notes["furthest_probability"] < 1e-5
    assert values["test_accuracy"] == values["global_accuracy"]


def test_training_answers_cold_warm_and_bare_at_each_number_of_epochs(quick):
    trial = trial_of(quick, "response")
    assert list(trial.notes["response"]) == ["1", "5", "10", "20"]
    for found in trial.notes["response"].values():
        assert all(found[kind][0] > found[f"{kind}_train"][0] > 0 for kind in ("cold", "warm", "bare"))
    assert trial.values["warm_overhead_s"] > 0


def test_the_report_has_the_papers_figures(quick):
    page = render_report(quick)
    for figure in ("(figure 4)", "(figure 5)", "(figure 6)"):
        assert figure in page
    assert "This run was shortened (rounds, epochs, rows)" in page


def test_on_another_network_the_same_seed_gives_the_same_model_and_no_row_is_on_the_wire(quick):
    """Sites of this machine speak plain HTTP over loopback, so packets can be read; between sites there is TLS."""
    experiment, _ = load_experiment("edge-federated")
    before = trial_of(quick, "best")
    options = experiment.settle(experiment.quick)
    with OneMachine(experiment.sites, experiment.app) as place, ExitStack() as stack:
        trial = Trial(arm="best", repeat=0, seed=before.seed, sites=place.sites, options=options, memory={})
        ports = [urlsplit(site.address).port for site in place.sites.values()]
        captures = [stack.enter_context(Capture(port)) for port in ports]
        outcome = run_federated(trial)
        control = load_small_digits().train.images[0].tobytes()
        # What a row would look like: the same functions, and one row in the place of a model.
        with pytest.raises(ModelRejectedError, match="no ONNX model"):
            app.publish.at(place.sites[EDGES[0]].place()).remote(control, 0.0)
        stack.close()
    sent = b"".join(capture.payload for capture in captures)

    assert outcome.notes["model_digest"] == before.notes["model_digest"]
    assert outcome.notes["accuracy"] == before.notes["accuracy"]
    assert sum(capture.dropped for capture in captures) == 0
    assert len(sent) > outcome.values["rounds"] * 7 * 4 * PARAMETERS
    assert control in sent
    sent = sent.replace(control, b"")
    for row in training_rows(before.seed, int(options["rows"])):
        assert row not in sent


def training_rows(seed, rows):
    """Return the middle of some images of each client, as pixels and as the network takes them."""
    train = load_small_digits().train
    division = Division(data="digits", clients=EDGES, rows=rows, seed=seed)
    for part in divide(train.labels, division):
        for image in train.images[part[:8]]:
            middle = np.ascontiguousarray(image[8:20])
            yield middle.tobytes()
            yield ((middle[:4] - np.float32(MEAN)) * np.float32(1 / DEVIATION)).tobytes()
