"""What the results mean, in plain words: against the issue's bars, and beside the paper's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skerry.pages.words import say
from skerry.testbed.experiments.edge_federated.course import PAPER_ACCURACY, WANTED_ACCURACY, rounds_to
from skerry.testbed.experiments.results import Results

EARLY_ROUNDS = 3
MOST_ROUNDS = 20
PARAMETERS = 317_066
TRAINING_BYTES = 200 * 2**20
SERVING_BYTES = 100 * 2**20
WARM_BAR_S = 0.02
COLD_BAR_S = 0.1
HIGH_LOAD = 3.0


def conclude(results: Results) -> list[str]:
    """Return sentences about a run; what has no results is left out."""
    return [
        *_busy(results),
        *_best(results),
        *_paper(results),
        *_flower(results),
        *_memory(results),
        *_response(results),
        *_served(results),
        *_bytes(results),
        *_cautions(results),
    ]


def _best(results: Results) -> list[str]:
    notes = _notes(results, "best")
    accuracy: Sequence[float] = notes.get("accuracy", ())
    if not accuracy:
        return []
    early, wanted = rounds_to(accuracy, PAPER_ACCURACY), rounds_to(accuracy, WANTED_ACCURACY)
    is_early = early is not None and early <= EARLY_ROUNDS
    is_wanted = wanted is not None and wanted <= MOST_ROUNDS
    return [
        f"In our way (best), the global model {_reached(early, PAPER_ACCURACY)}; the bar of {EARLY_ROUNDS} rounds is "
        f"{_met(is_early)}. It {_reached(wanted, WANTED_ACCURACY)}; the bar of {MOST_ROUNDS} rounds is "
        f"{_met(is_wanted)}. It ended at {say(accuracy[-1], 'ratio')} after {len(accuracy)} rounds."
    ]


def _paper(results: Results) -> list[str]:
    notes = _notes(results, "paper")
    accuracy: Sequence[float] = notes.get("accuracy", ())
    if not accuracy:
        return []
    clients = ", ".join(
        f"{name} {say(values[-1], 'ratio')}" for name, values in notes["client_accuracy"].items() if values
    )
    return [
        f"In the paper's way, {len(accuracy)} rounds of its local epochs ended at {say(accuracy[-1], 'ratio')}, where "
        f"the paper has 82 %; it {_reached(rounds_to(accuracy, PAPER_ACCURACY), PAPER_ACCURACY)}. The clients' own "
        f"models ended at {clients}; the paper has about 90, 90 and 70 %. It does not say how its images were divided; "
        "here each client has few of them, two lack one digit and one lacks three."
    ]


def _flower(results: Results) -> list[str]:
    notes, best = _notes(results, "flower"), _notes(results, "best")
    if "left_out" in notes:
        return [str(notes["left_out"]) + "."]
    if not notes.get("accuracy") or not best.get("accuracy"):
        return []
    furthest = max(abs(one - other) for one, other in zip(notes["accuracy"], best["accuracy"], strict=False))
    ours, theirs = results.median("best", "round_s"), results.median("flower", "round_s")
    times = "" if ours is None or theirs is None else f" A round took {say(ours, 's')} with us, over the links, and "
    times += "" if theirs is None else f"{say(theirs, 's')} there, without any."
    return [f"Flower's FedAvg on the same work gives the same curve to within {furthest * 100:.2f} points.{times}"]


def _memory(results: Results) -> list[str]:
    training = _most(results, "peak_memory_bytes")
    serving = _most(results, "serving_memory_bytes")
    said = []
    if training is not None:
        said.append(
            f"No training worker held more than {say(training, 'bytes')}; the enforced limit of 200 MiB is "
            f"{_met(training <= TRAINING_BYTES)}."
        )
    if serving is not None:
        said.append(
            f"The serving worker held at most {say(serving, 'bytes')}; the enforced limit of 100 MiB is "
            f"{_met(serving <= SERVING_BYTES)}."
        )
    return said


def _response(results: Results) -> list[str]:
    said = []
    for kind, bar, paper in (("warm", WARM_BAR_S, "50 ms"), ("cold", COLD_BAR_S, "5 s")):
        added = results.median("response", f"{kind}_overhead_s")
        paired = results.median("response", f"{kind}_difference_s")
        if added is not None and paired is not None:
            said.append(
                f"A {kind} answer came {say(added, 's')} after the training inside it, at worst over 1, 5, 10 and 20 "
                f"epochs (medians); the bar of {say(bar, 's')} is {_met(added <= bar)}. The paper has {paper}. Beside "
                f"the same training in a plain process, in pairs, the median difference is {say(paired, 's')}."
            )
    return said


def _served(results: Results) -> list[str]:
    wrong = [value for arm in ("best", "paper") for value in results.values(arm, "wrong_answers")]
    if not wrong:
        return []
    return [
        f"The model was exported, pushed to the model store of an edge site and served there in {len(wrong)} trials; "
        f"{sum(wrong):.0f} of its answers differed from the model in NumPy."
    ]


def _bytes(results: Results) -> list[str]:
    down, up = results.median("best", "bytes_sent_per_round"), results.median("best", "bytes_received_per_round")
    if down is None or up is None:
        return []
    return [
        f"A round sends {say(down, 'bytes')} of models to three clients and a place that evaluates, and receives "
        f"{say(up, 'bytes')} of updates; no image is among them."
    ]


def _busy(results: Results) -> list[str]:
    loads = [value for arm in results.arm_names() for value in results.values(arm, "load_average")]
    if not loads or max(loads) < HIGH_LOAD:
        return []
    return [
        f"The machine was busy: before a trial, its load average was up to {max(loads):.1f}. Times are those of a busy "
        "machine; accuracies and bytes are not touched by it."
    ]


def _cautions(results: Results) -> list[str]:
    said = []
    sizes = {value for arm in ("best", "paper") for value in results.values(arm, "parameters")}
    if sizes and sizes != {PARAMETERS}:
        said.append(f"The network does not have the paper's {PARAMETERS:,} parameters.")
    options = results.manifest.options
    shortened = [name for name in ("rounds", "epochs", "rows") if options.get(name, "0") != "0"]
    if shortened:
        said.append(f"This run was shortened ({', '.join(shortened)}): its accuracies say nothing about the bars.")
    if any("images of digits" in line for trial in results.trials for line in trial.story):
        said.append(
            "The images are scikit-learn's digits, and not MNIST: accuracies are not comparable with the paper's."
        )
    return said


def _reached(number: int | None, wanted: float) -> str:
    level = f"{wanted * 100:.0f} %"
    return f"never reached {level}" if number is None else f"passed {level} in round {number}"


def _met(is_met: bool) -> str:
    return "met" if is_met else "not met"


def _most(results: Results, measure: str) -> float | None:
    values = [value for arm in results.arm_names() for value in results.values(arm, measure)]
    return max(values, default=None)


def _notes(results: Results, arm: str) -> Mapping[str, Any]:
    return next((trial.notes for trial in results.trials if trial.arm == arm), {})
