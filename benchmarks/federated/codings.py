"""Measure what codings cost in accuracy and save in bytes: ``python -m benchmarks.federated.codings [--quick]``.

Method. A network of one hidden layer learns MNIST (a subset, where the data set is beside the checkout) and
scikit-learn's digits: 50 rounds of FedAvg, clients that differ by a Dirichlet distribution of 0.3 over the labels, one
local epoch. The coordinator, its record, the messages and what clients keep are the product's own (`simulated.py`);
plans differ by ``coding`` and ``down_coding`` alone, so that a coding is used in both directions. The arm without
feedback has the clients forget what their coding has lost; the coordinator's own feedback cannot be switched off.

Arms are interleaved seed by seed. Those of a seed share split, start and training seeds, and what an arm lost is the
float32 arm's accuracy minus its own, in points. An accuracy is the mean of the last five rounds'. Bytes are those of
the coded vectors, which the record counts, and of whole messages in MessagePack. In the first round of a run clients
hold nothing, and are sent the whole model in any coding; shares are given with and without it.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import skerry
from benchmarks.federated.simulated import SimulatedFederation, functions_of
from benchmarks.measuring import cpu_s, facts, save, spread
from benchmarks.models.making import MNIST
from skerry.learn import federated
from skerry.learn.federated.clients.site_store import SiteStore
from skerry.learn.federated.data.partition import split_dirichlet
from skerry.learn.federated.record.record import read_checkpoint
from skerry.learn.federated.wire.messages import Coding, FitTask
from skerry.learn.federated.wire.parameters import Layout

VERSIONS = ("skerry", "numpy", "scikit-learn", "pydantic")
ROUNDS, SEEDS, CLIENTS, ALPHA = 50, 8, 5, 0.3
LAST = 5  # rounds whose accuracy is averaged
TRAIN_ROWS = 6000  # of MNIST's 60,000
BATCH = 32
BAR_RATIO, BAR_POINTS = 0.27, 0.3
Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A way to write numbers.

    Args:
        name: Of the row.
        up: How clients write updates.
        down: How models are written.
        feedback: Whether clients add what their coding lost to the next update.
    """

    name: str
    up: Coding
    down: Coding
    feedback: bool = True


ARMS = (
    Arm(name="float32", up="float32", down="float32"),
    Arm(name="float16", up="float16", down="float16"),
    Arm(name="int8", up="int8", down="int8"),
    Arm(name="int8, no feedback", up="int8", down="int8", feedback=False),
    Arm(name="top-k", up="top-k", down="top-k"),
    Arm(name="top-k up, int8 down", up="top-k", down="int8"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is learnt.

    Args:
        name: Of the data set.
        rows: To train on, float32, shape (n, inputs).
        labels: Of them, 0 to 9.
        test_rows: To test with.
        test_labels: Of them.
        hidden: Width of the hidden layer.
        rate: Of learning.
    """

    name: str
    rows: Array
    labels: Array
    test_rows: Array
    test_labels: Array
    hidden: int
    rate: float

    def begin(self, seed: int) -> dict[str, Array]:
        """Return the parameters that a run begins with."""
        random, widths = np.random.default_rng(seed), (self.rows.shape[1], self.hidden, 10)
        arrays: dict[str, Array] = {}
        for layer, (before, after) in enumerate(pairwise(widths), start=1):
            values = random.standard_normal((before, after)) * np.sqrt(2 / before)
            arrays |= {f"w{layer}": values.astype(np.float32), f"b{layer}": np.zeros(after, np.float32)}
        return arrays

    def accuracy(self, arrays: dict[str, Array]) -> float:
        """Return how many test rows a model knows, in per cent."""
        _, scores = look(arrays, self.test_rows)
        return 100 * float((scores.argmax(axis=1) == self.test_labels).mean())


def load_digits_task() -> Task:
    """Return scikit-learn's digits: 1,347 to train on and 450 others."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    rows, test_rows, labels, test_labels = train_test_split(
        (data.data / 16).astype(np.float32), data.target, test_size=0.25, random_state=0, stratify=data.target
    )
    return Task(
        name="digits", rows=rows, labels=labels, test_rows=test_rows, test_labels=test_labels, hidden=64, rate=0.1
    )


def load_mnist_task() -> Task:
    """Return the first images of MNIST to train on, and all of its test images."""

    def read(name: str, head_bytes: int) -> Array:
        return np.frombuffer(gzip.decompress((MNIST / name).read_bytes()), np.uint8, offset=head_bytes)

    def rows(name: str) -> Array:
        return (read(name, 16).reshape(-1, 784) / np.float32(255)).astype(np.float32)

    return Task(
        name="mnist",
        rows=rows("train-images-idx3-ubyte.gz")[:TRAIN_ROWS],
        labels=read("train-labels-idx1-ubyte.gz", 8)[:TRAIN_ROWS],
        test_rows=rows("t10k-images-idx3-ubyte.gz"),
        test_labels=read("t10k-labels-idx1-ubyte.gz", 8),
        hidden=64,
        rate=0.1,
    )


def look(arrays: dict[str, Array], rows: Array) -> tuple[Array, Array]:
    """Return the hidden layer and the scores."""
    hidden = np.maximum(rows @ arrays["w1"] + arrays["b1"], 0)
    return hidden, hidden @ arrays["w2"] + arrays["b2"]


def learn(arrays: dict[str, Array], rows: Array, labels: Array, rate: float, seed: int) -> int:
    """Train a model in place for one epoch; returns the steps."""
    order = np.random.default_rng(seed).permutation(len(labels))
    for begin in range(0, len(order), BATCH):
        batch = order[begin : begin + BATCH]
        hidden, scores = look(arrays, rows[batch])
        errors = np.exp(scores - scores.max(axis=1, keepdims=True))
        errors /= errors.sum(axis=1, keepdims=True)
        errors[np.arange(len(batch)), labels[batch]] -= 1
        errors *= np.float32(rate / len(batch))
        back = (errors @ arrays["w2"].T) * (hidden > 0)
        arrays["w2"] -= hidden.T @ errors
        arrays["b2"] -= errors.sum(axis=0)
        arrays["w1"] -= rows[batch].T @ back
        arrays["b1"] -= back.sum(axis=0)
    return -(-len(order) // BATCH)


def make_app(task: Task, seed: int, state: Path) -> skerry.App:
    """Return the clients' app."""
    names = [f"client-{number}" for number in range(CLIENTS)]
    parts = split_dirichlet(task.labels, CLIENTS, alpha=ALPHA, seed=seed, least_rows=BATCH)
    rows = dict(zip(names, parts, strict=True))
    app = skerry.App("codings")
    client = federated.Client(
        app, data=lambda name: rows[name], start=lambda settings: task.begin(settings["seed"]), state=state
    )

    @client.fit
    def fit(parameters: dict[str, Any], data: Array, config: federated.Config) -> federated.Update:
        steps = learn(parameters, task.rows[data], task.labels[data], task.rate, config.seed)
        return federated.Update(parameters=parameters, examples=len(data), steps=steps)

    return app


def run(task: Task, arm: Arm, seed: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Return what an arm comes to with a seed."""
    plan = federated.Plan(
        job="codings",
        members=tuple(federated.Member(name=f"client-{number}") for number in range(CLIENTS)),
        rounds=rounds,
        seed=seed,
        coding=arm.up,
        down_coding=arm.down,
        evaluate_every=0,
        in_flight=1,
    )
    functions = functions_of(make_app(task, seed, folder / "clients"))
    if not arm.feedback:
        functions["fit"].after = lambda sent: forget(folder / "clients", sent)
    accuracies, up, down = [], [], []
    began_s, cpu_began_s = time.perf_counter(), cpu_s()
    for event in SimulatedFederation(folder / "run", plan, functions).events():
        if event.kind == "round-ended":
            up.append(event.facts["bytes_up"])
            down.append(event.facts["bytes_down"])
            if event.round > rounds - LAST:
                accuracies.append(task.accuracy(read_model(folder / "run", event.round)))
    return {
        "accuracy": statistics.fmean(accuracies),
        "final_accuracy": accuracies[-1],
        "up": up,
        "down": down,
        "message_bytes": functions["fit"].bytes_up + functions["fit"].bytes_down,
        "wall_s": time.perf_counter() - began_s,
        "cpu_s": cpu_s() - cpu_began_s,
    }


def forget(state: Path, task: FitTask) -> None:
    """Have a client forget what its coding has lost."""
    store = SiteStore(state, task.job, task.client)
    held = store.read()
    if held is not None:
        store.write(replace(held, residual=None))


def read_model(folder: Path, round: int) -> dict[str, Array]:
    """Return the model of a round, of a run's folder."""
    checkpoint = read_checkpoint(folder / "models" / f"{round:05}.model")
    if checkpoint is None:
        raise RuntimeError(f"{folder} has no model of round {round}")
    return checkpoint.layout.split(checkpoint.model)


def judge(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return each arm's row: what it lost, and its shares of the bytes of float32."""
    plain = runs[ARMS[0].name]
    rows = {}
    for arm in ARMS:
        pairs = list(zip(plain, runs[arm.name], strict=True))
        lost = [before["accuracy"] - after["accuracy"] for before, after in pairs]
        rows[arm.name] = {
            "accuracy": spread([each["accuracy"] for each in runs[arm.name]]),
            "lost_points": spread(lost),
            "mean_lost_points": statistics.fmean(lost),
            "standard_error_points": statistics.stdev(lost) / len(lost) ** 0.5 if len(lost) > 1 else None,
            "up_ratio": ratio(pairs, ("up",), 0),
            "down_ratio": ratio(pairs, ("down",), 1),
            "ratio": ratio(pairs, ("up", "down"), 1),
            "whole_run_ratio": ratio(pairs, ("up", "down"), 0),
            "message_ratio": sum(b["message_bytes"] for _, b in pairs) / sum(a["message_bytes"] for a, _ in pairs),
            "round_wall_ms": spread([each["wall_s"] * 1e3 / len(each["up"]) for each in runs[arm.name]]),
            "round_cpu_ms": spread([each["cpu_s"] * 1e3 / len(each["up"]) for each in runs[arm.name]]),
            "runs": runs[arm.name],
        }
    return rows


def ratio(pairs: list[tuple[dict[str, Any], dict[str, Any]]], ways: tuple[str, ...], first: int) -> float:
    """Return an arm's share of the bytes of float32, from the round with this index on."""
    plain, coded = (sum(sum(pair[side][way][first:]) for pair in pairs for way in ways) for side in (0, 1))
    return coded / plain


def measure(task: Task, rounds: int, seeds: int) -> dict[str, Any]:
    """Run all arms of a data set, and print their rows."""
    runs: dict[str, list[dict[str, Any]]] = {arm.name: [] for arm in ARMS}
    for seed in range(seeds):
        for arm in ARMS:
            with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
                runs[arm.name].append(run(task, arm, seed, rounds, Path(folder)))
    rows = judge(runs)
    print(f"\n{task.name}: {Layout.of(task.begin(0)).size} parameters, {rounds} rounds, {seeds} seeds")
    print("| Arm | Accuracy, % | Points lost: median, mean ± its error | Bytes up | down | both | CPU per round, ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, row in rows.items():
        print(
            f"| {name} | {row['accuracy']['median']:.2f} | {row['lost_points']['median']:+.2f}, "
            f"{row['mean_lost_points']:+.2f} ± {row['standard_error_points'] or 0:.2f} | {row['up_ratio']:.4f} "
            f"| {row['down_ratio']:.4f} | {row['ratio']:.4f} | {row['round_cpu_ms']['median']:.1f} |"
        )
    int8 = rows["int8"]
    print(
        f"int8: {int8['ratio']:.4f} of float32's bytes per round (bar {BAR_RATIO}; {int8['whole_run_ratio']:.4f} with "
        f"the first round, {int8['message_ratio']:.4f} of whole messages), {int8['mean_lost_points']:+.2f} points lost "
        f"(bar {BAR_POINTS}): "
        + ("met" if int8["ratio"] <= BAR_RATIO and int8["mean_lost_points"] <= BAR_POINTS else "MISSED")
    )
    return rows


def main() -> int:
    """Run the benchmark; returns the exit code."""
    from threadpoolctl import threadpool_limits

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="digits only, 8 rounds, 2 seeds: does it run at all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="seeds of each arm")
    arguments = parser.parse_args()
    rounds, seeds = (8, 2) if arguments.quick else (ROUNDS, arguments.seeds)
    tasks = [load_digits_task()]
    if MNIST.is_dir() and not arguments.quick:
        tasks.append(load_mnist_task())
    with threadpool_limits(1):
        found = {task.name: measure(task, rounds, seeds) for task in tasks}
    method = {"rounds": rounds, "seeds": seeds, "clients": CLIENTS, "dirichlet": ALPHA, "batch": BATCH, "last": LAST}
    if not arguments.quick:
        print(f"written to {save('federated_codings', {'facts': facts(VERSIONS), 'method': method, 'data': found})}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
