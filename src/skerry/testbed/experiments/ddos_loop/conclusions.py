"""What a run says in plain words, and its pictures with lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, isfinite
from statistics import mean, median

from skerry.pages.words import say
from skerry.testbed.experiments.curves import Curves
from skerry.testbed.experiments.ddos_loop.attacks import ATTACKS, CONTROLS
from skerry.testbed.experiments.results import Results, TrialRecord

DETECT_S, MITIGATE_S, WITHDRAW_S, GOODPUT_RATIO, BENIGN_WINDOWS = 0.5, 1.0, 5.0, 0.95, 10_000
DRAWN_FROM_S = -3.0
FLOODS = ("syn-flood", "syn-options", "amplification")
SHOWN = {"skerry": "Skerry", "fastnetmon": "FastNetMon", "none": "no defence"}


def conclude(results: Results) -> Sequence[str]:
    """Return sentences about a run: each attack, the controls, and then which bars were kept."""
    said = [sentence for attack in ATTACKS for sentence in _attack(results, attack)]
    said += _controls(results)
    kept = [(name, passed) for name, passed in find_bars(results) if passed is not None]
    if kept:
        missed = [name for name, passed in kept if not passed]
        said.append(f"Of {len(kept)} bars {len(kept) - len(missed)} are kept.")
        said += [f"Not kept: {name}." for name in missed]
    return said


def find_bars(results: Results) -> list[tuple[str, bool | None]]:
    """Return what was asked for, and whether it is so; None where the run has no trial that could tell.

    What did not happen in a trial is missed there: it counts as infinitely late, and is not left out of the median.
    """
    bars: list[tuple[str, bool | None]] = []
    for attack in FLOODS:
        arm, other = f"{attack}-skerry", f"{attack}-fastnetmon"
        for measure, most, words in (
            ("time_to_detect_s", DETECT_S, "detected within 0.5 s in the median"),
            ("time_to_mitigate_s", MITIGATE_S, "stopped within a second in the median"),
            ("time_to_withdraw_s", WITHDRAW_S, "its rule withdrawn within 5 s of the end in the median"),
        ):
            times = _each(results, arm, measure, inf, failed=True)
            bars.append((f"{attack}: {words}", median(times) <= most if times else None))
        first = _each(results, arm, "first_withdrawal_s", -inf, failed=True)
        bars.append((f"{attack}: its rule withdrawn not before the end", min(first) >= 0 if first else None))
        bars.append((f"{attack}: sooner stopped than by FastNetMon", _is_sooner(results, arm, other)))
        goodput = _each(results, arm, "goodput_ratio", 0.0, failed=True)
        bars.append((f"{attack}: goodput of 95 % in the median", median(goodput) >= GOODPUT_RATIO if goodput else None))
    for control in CONTROLS:
        for measure, words in (("blocked_clients", "no client blocked"), ("legitimate_dropped", "no packet dropped")):
            values = _each(results, f"{control}-skerry", measure, inf, failed=True)
            bars.append((f"{control}: {words}", sum(values) == 0 if values else None))
    windows, alarms = (results.values("benign-skerry", name) for name in ("benign_windows", "false_alarms"))
    # No two repeats judge the same windows.
    enough = sum(windows) >= BENIGN_WINDOWS
    bars.append(("no false alarm in 10,000 windows", sum(alarms) == 0 and enough if windows else None))
    return bars


def draw(results: Results) -> Sequence[Curves]:
    """Return for each attack the goodput and what came through, in the first trial of each defence."""
    return [picture for attack in ATTACKS for picture in _pictures(results, attack)]


def _attack(results: Results, attack: str) -> Iterator[str]:
    for defence, name in SHOWN.items():
        arm = f"{attack}-{defence}"
        goodput = results.median(arm, "goodput_ratio")
        kept = results.median(arm, "connections_ratio")
        if goodput is None or kept is None:
            continue
        left = f"goodput is {say(goodput, 'ratio')} of before, {say(kept, 'ratio')} of new connections are answered"
        if defence == "none":
            yield f"{attack}, no defence: {left}."
            continue
        detected, stopped, withdrawn = (
            _say_when(_each(results, arm, measure, inf))
            for measure in ("time_to_detect_s", "time_to_mitigate_s", "time_to_withdraw_s")
        )
        yield (
            f"{attack}, {name}: detected {detected}, it is stopped {stopped}, "
            f"and once it has ended let go {withdrawn}; {left}."
        )


def _controls(results: Results) -> Iterator[str]:
    for control in CONTROLS:
        for defence, name in SHOWN.items():
            arm = f"{control}-{defence}"
            values = results.values(arm, "legitimate_dropped")
            if values:
                blocked, alarms = (sum(results.values(arm, what)) for what in ("blocked_clients", "false_alarms"))
                yield (
                    f"{control}, {name}: {blocked:.0f} clients blocked, {sum(values):.0f} packets dropped, "
                    f"{alarms:.0f} alarms in {len(values)} trials."
                )
    windows, alarms_ = (results.values("benign-skerry", name) for name in ("benign_windows", "false_alarms"))
    if windows:
        recorded, made, warm_up = (
            sum(trial.notes.get(f"{what}_windows", 0) for trial in results.trials if trial.arm == "benign-skerry")
            for what in ("recorded", "made", "warm_up")
        )
        yield (
            f"{sum(windows):.0f} windows without an attack were judged: {sum(alarms_):.0f} false alarms. "
            f"Of these windows {recorded} are of recordings, each judged once, and {made} are made up; "
            f"{warm_up} more, in which the detector had only just begun with a destination, are not counted, but their "
            "alarms are."
        )


def _each(results: Results, arm: str, measure: str, missing: float, *, failed: bool = False) -> list[float]:
    """Return a value for each trial of an arm: also for those in which what is measured did not happen.

    Args:
        results: The run.
        arm: The arm's name.
        measure: What is asked for.
        missing: The value where there is none, which is as bad as one can be.
        failed: Whether trials that failed count as such too: a defence may be what has failed.
    """
    trials = (*results.trials, *results.failures) if failed else results.trials
    return [trial.values.get(measure, missing) for trial in trials if trial.arm == arm]


def _say_when(times: Sequence[float]) -> str:
    middle, found = median(times), sum(isfinite(time_s) for time_s in times)
    when = f"after {say(middle, 's')}" if isfinite(middle) else "not in the trial"
    return when if found == len(times) else f"{when} ({found} of {len(times)} trials)"


def _is_sooner(results: Results, arm: str, other: str) -> bool | None:
    ours = _each(results, arm, "time_to_mitigate_s", inf, failed=True)
    # A failed trial of the other one is not held against it.
    theirs = _each(results, other, "time_to_mitigate_s", inf)
    return median(ours) < median(theirs) if ours and theirs else None


def _pictures(results: Results, attack: str) -> Iterator[Curves]:
    trials = {name: _first(results, f"{attack}-{defence}") for defence, name in SHOWN.items()}
    told = {name: trial for name, trial in trials.items() if trial is not None}
    across = "seconds from the first packet of the attack"
    yield Curves(
        name=f"goodput-{attack}",
        title=f"Goodput of a client, {attack}",
        across=across,
        unit="ratio",
        lines={name: _goodput(trial) for name, trial in told.items()},
        marks={"95 % of before": GOODPUT_RATIO},
        read="A connection of 8 Mbit/s that was there before the attack, in the first trial of each defence.",
    )
    yield Curves(
        name=f"passed-{attack}",
        title=f"Packets of the attack that pass the router in a second, {attack}",
        across=across,
        unit="count",
        lines={name: _passed(trial) for name, trial in told.items()},
        read="Counted behind all rules. Where the line falls to the ground, the attack is stopped.",
    )


def _first(results: Results, arm: str) -> TrialRecord | None:
    return next((trial for trial in results.trials if trial.arm == arm and "rates" in trial.notes), None)


def _goodput(trial: TrialRecord) -> list[tuple[float, float]]:
    rates = trial.notes["rates"]
    # The first seconds are those in which the connection finds its rate.
    before = [rate for at_s, rate in rates if rates[0][0] + 2 <= at_s < 0]
    usual = mean(before) if before else 1.0
    return [(at_s, rate / usual) for at_s, rate in rates if at_s >= DRAWN_FROM_S]


def _passed(trial: TrialRecord) -> list[tuple[float, float]]:
    return [(at_s, passed) for at_s, _, passed in trial.notes["attack"] if at_s >= DRAWN_FROM_S]
