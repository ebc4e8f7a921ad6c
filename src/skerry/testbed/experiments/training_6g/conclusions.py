"""What the results of the experiment mean, in plain words, whichever way they came out."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from skerry.pages.words import say
from skerry.testbed.experiments.estimates import Interval, paired_difference, ratio_of_medians
from skerry.testbed.experiments.measures import PHASES
from skerry.testbed.experiments.place import BY_RELAYS
from skerry.testbed.experiments.report.words import say_ratio
from skerry.testbed.experiments.results import Results
from skerry.testbed.experiments.training_6g.decomposition import decompose_by_arms, decompose_by_phases

EDGE_BAR = 0.75
GAP_BAR = 0.01
REFERENCE_BAR = 1 / 8
CHAIN = ("cloud-reference", "cloud", "cloud-split", "edge-split")
PAPER = "The paper found about 0.75."
KINDS = {
    "real": "the paper's own sample and the ISOT sample together",
    "seed": "the paper's own sample",
    "isot": "the ISOT sample",
    "made": "made up for a quick test, so that accuracies mean nothing",
}


def conclude(results: Results) -> list[str]:
    """Return sentences about a run; what has no results is left out."""
    sentences = [
        *_busy(results),
        *_edge_and_cloud(results),
        *_causes(results),
        *_algorithm(results),
        *(_accuracy(results) if results.manifest.options.get("articles") != "made" else ()),
        *_exact(results),
        *_bytes(results),
        *_cautions(results),
    ]
    return [sentence for sentence in sentences if sentence]


def _edge_and_cloud(results: Results) -> list[str]:
    said = []
    ratio = _ratio(results, "edge-split", "cloud")
    if ratio is not None:
        said.append(
            f"With one core per function, the paper's way at the edge takes {say_ratio(ratio)} times the cloud's "
            f"median response time. {PAPER} The bar of {EDGE_BAR} is {_met(ratio.estimate <= EDGE_BAR)}."
        )
    ratio = _ratio(results, "edge-split", "cloud-2-cores")
    if ratio is not None:
        verdict = "the edge is still ahead" if ratio.high < 1 else "the edge is behind" if ratio.low > 1 else "a draw"
        said.append(
            f"Give the one function in the cloud two cores, as many as the two at the edge have together, and it is "
            f"{say_ratio(ratio)}: {verdict}. The paper's 25 % hangs on that choice."
        )
    return said


def _causes(results: Results) -> list[str]:
    said = []
    inside = decompose_by_arms(_common_medians(results, CHAIN[1:]))
    if inside:
        whole = sum(step.gain_s for step in inside)
        parts = ", ".join(f"{step.cause} {_gain(step.gain_s)}" for step in inside)
        said.append(
            f"From the cloud to the edge the median response time becomes {_change(whole)}: {parts}. (The arm "
            "cloud-split does the paper's way on the cloud's network, so that each step changes one thing.)"
        )
    cloud, edge = _mean_phases(results, "cloud"), _mean_phases(results, "edge-split")
    if cloud and edge:
        gain = decompose_by_phases(cloud, edge)
        said.append(
            f"By the measured phases, in the mean, it becomes {_change(gain.whole_s)}: time on the network "
            f"{_gain(gain.network_s)}, computing {_gain(gain.data_s)}, the rest {_gain(gain.rest_s)}."
        )
    steps = decompose_by_arms(_common_medians(results, CHAIN))
    if steps:
        whole = sum(step.gain_s for step in steps)
        parts = ", ".join(f"{step.cause} {_gain(step.gain_s)}" for step in steps)
        said.append(
            f"From scikit-learn in the cloud to Skerry at the edge, over the repeats that have both, the median "
            f"becomes {_change(whole)}: {parts}."
        )
    return said


def _algorithm(results: Results) -> list[str]:
    said = []
    for arm in ("edge-split", "cloud", "cloud-2-cores"):
        ratio = _ratio(results, arm, f"{arm}-reference")
        if ratio is not None:
            same = _same_scores(results, arm, f"{arm}-reference")
            said.append(
                f"In the same place ({arm}) our search takes {say_ratio(ratio)} times what scikit-learn's GridSearchCV "
                f"takes, network included; the bar of 1/8 is {_met(ratio.estimate <= REFERENCE_BAR)}. {same}".rstrip()
            )
    return said


def _accuracy(results: Results) -> list[str]:
    medians = {arm: results.median(arm, "test_accuracy") for arm in ("edge-split", "cloud", "edge-exact")}
    edge, cloud, exact = medians.values()
    said = []
    if edge is not None and cloud is not None:
        gap = abs(edge - cloud)
        difference = paired_difference(
            results.by_repeat("edge-split", "test_accuracy"), results.by_repeat("cloud", "test_accuracy")
        )
        pairs = "" if difference is None else f" In pairs: {_points(difference)}."
        said.append(
            f"Median accuracy on the test set: {edge:.2%} at the edge, {cloud:.2%} in the cloud. The gap of "
            f"{gap * 100:.2f} points is {_met(gap <= GAP_BAR, 'within', 'not within')} 1 point.{pairs}"
        )
    if edge is not None and exact is not None:
        mean_edge, mean_exact = (fmean(results.values(arm, "test_accuracy")) for arm in ("edge-split", "edge-exact"))
        verb = "is at least as accurate as" if exact >= edge else "is less accurate than"
        said.append(
            f"Searching exactly over both sites (edge-exact) {verb} the paper's way in the median: {exact:.2%} and "
            f"{edge:.2%} (means {mean_exact:.2%} and {mean_edge:.2%})."
        )
    return said


def _exact(results: Results) -> list[str]:
    pairs = _scores(results, "edge-exact"), _scores(results, "cloud")
    common = pairs[0].keys() & pairs[1].keys()
    if not common:
        return []
    equal = sum(pairs[0][repeat] == pairs[1][repeat] for repeat in common)
    ratio = _ratio(results, "edge-exact", "cloud")
    time = "" if ratio is None else f" It takes {say_ratio(ratio)} times the cloud's median response time."
    return [
        f"edge-exact gave the answer of one machine in {equal} of {len(common)} repeats: the scores of all candidates "
        f"are the same, bit by bit.{time}"
    ]


def _bytes(results: Results) -> list[str]:
    sent = {arm: results.median(arm, "bytes_sent") for arm in ("edge-split", "edge-exact", "cloud")}
    known = [f"{arm} {say(value, 'bytes')}" for arm, value in sent.items() if value is not None]
    return [f"Bytes that the client sends: {', '.join(known)}."] if known else []


def _cautions(results: Results) -> list[str]:
    kind = results.manifest.options.get("articles", "real")
    counts = {trial.notes["articles"] for trial in results.trials if "articles" in trial.notes}
    count = f"{max(counts)} articles: " if counts else "Articles: "
    said = [f"{count}{KINDS.get(kind, kind)}. They are not the paper's 3,150."]
    if results.manifest.place == "one machine":
        said.append(
            "There was no network between client and sites in this run: what it says of the network is nothing."
        )
    if results.manifest.place.endswith(BY_RELAYS):
        said.append(
            "Relays stood for the links, which is approximate: TCP saw no loss, sites had no limits of cores, and what "
            "lost packets cost on the way to the cloud is missing."
        )
    return said


def _busy(results: Results) -> list[str]:
    load = [trial.values["load_average"] for trial in results.trials if "load_average" in trial.values]
    cores = results.environment.get("cores") or 1
    if not load or median(load) <= cores:
        return []
    return [
        f"Read what follows with care: the machine was busy. The median load average before a trial was "
        f"{median(load):.1f} on {cores} cores. Times are longer than on an idle machine, and arms that use two cores "
        "suffer most."
    ]


def _ratio(results: Results, first: str, second: str) -> Interval | None:
    measure = "response_time_s"
    return ratio_of_medians(results.by_repeat(first, measure), results.by_repeat(second, measure))


def _common_medians(results: Results, arms: Sequence[str]) -> dict[str, float]:
    """Return median response times over the repeats that all arms have; nothing where there are none."""
    values = {arm: results.by_repeat(arm, "response_time_s") for arm in arms}
    common = set.intersection(*(set(found) for found in values.values()))
    return {arm: median(found[repeat] for repeat in common) for arm, found in values.items()} if common else {}


def _mean_phases(results: Results, arm: str) -> dict[str, float]:
    """Return the mean of every phase; nothing where one was not measured."""
    found = {phase: results.values(arm, phase) for phase in PHASES}
    return {phase: fmean(values) for phase, values in found.items()} if all(found.values()) else {}


def _scores(results: Results, arm: str) -> dict[int, list[float]]:
    return {
        trial.repeat: trial.notes["scores"] for trial in results.trials if trial.arm == arm and "scores" in trial.notes
    }


def _same_scores(results: Results, arm: str, other: str) -> str:
    ours, theirs = _scores(results, arm), _scores(results, other)
    common = ours.keys() & theirs.keys()
    equal = sum(ours[repeat] == theirs[repeat] for repeat in common)
    return f"The scores were the same in {equal} of {len(common)} repeats." if common else ""


def _points(interval: Interval) -> str:
    parts = (interval.estimate, interval.low, interval.high)
    estimate, low, high = (f"{value * 100:+.2f}" for value in parts)
    return f"{estimate} points ({low} to {high})"


def _change(gain_s: float) -> str:
    return f"{say(abs(gain_s), 's')} {'shorter' if gain_s >= 0 else 'longer'}"


def _gain(gain_s: float) -> str:
    return f"{'-' if gain_s >= 0 else '+'}{say(abs(gain_s), 's')}"


def _met(holds: bool, yes: str = "met", no: str = "not met") -> str:
    return yes if holds else no
