"""Arms of one run beside each other, and two runs beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from skerry.errors import DataError
from skerry.testbed.experiments.estimates import Interval, paired_difference, ratio_of_medians, spread
from skerry.testbed.experiments.measures import MEASURES
from skerry.testbed.experiments.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOfArms:
    """Two arms of a run, compared over the repeats that both have.

    Args:
        first: Name of an arm.
        second: With which it is compared.
        measure: Name of the measure.
        pairs: Repeats that both have.
        difference: The median of first minus second, repeat by repeat.
        ratio: Median of first by median of second; none where a value is 0 or below.
    """

    first: str
    second: str
    measure: str
    pairs: int
    difference: Interval
    ratio: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedMeasure:
    """One measure of one arm in two runs.

    Args:
        arm: Name of the arm.
        measure: Name of the measure.
        before: Median in the first run.
        after: Median in the second run.
        counts: Trials in either.
        is_paired: Whether both runs drew alike in each repeat.
        ratio: Median after by median before; none where that has no sense.
    """

    arm: str
    measure: str
    before: float
    after: float
    counts: tuple[int, int]
    is_paired: bool
    ratio: Interval | None


def compare_arms(results: Results, measures: Iterable[str]) -> list[PairOfArms]:
    """Return the declared pairs of a run that have results, for some measures."""
    found = []
    for measure in measures:
        for first, second in results.manifest.pairs:
            one, other = results.by_repeat(first, measure), results.by_repeat(second, measure)
            difference = paired_difference(one, other)
            if difference is not None:
                found.append(
                    PairOfArms(
                        first=first,
                        second=second,
                        measure=measure,
                        pairs=len(one.keys() & other.keys()),
                        difference=difference,
                        ratio=ratio_of_medians(one, other),
                    )
                )
    return found


def compare_results(before: Results, after: Results) -> list[ComparedMeasure]:
    """Return every measure of every arm that two runs have in common.

    Where both runs have the same seed and options, their repeats drew the same articles and pair up.

    Raises:
        DataError: they have no arm in common.
    """
    is_paired = (before.manifest.seed, before.manifest.options, before.manifest.experiment) == (
        after.manifest.seed,
        after.manifest.options,
        after.manifest.experiment,
    )
    arms = [arm for arm in before.arm_names() if arm in after.arm_names()]
    if not arms:
        raise DataError(
            f"the runs of {before.manifest.experiment!r} and {after.manifest.experiment!r} have no arm in common"
        )
    found = []
    for arm in arms:
        for measure in before.manifest.measures:
            old, new = before.by_repeat(arm, measure), after.by_repeat(arm, measure)
            both = old.keys() & new.keys()
            if is_paired and both:  # the ratio is over the repeats that both have, and so are the medians beside it
                old, new = ({key: values[key] for key in sorted(both)} for values in (old, new))
            if old and new:
                found.append(
                    ComparedMeasure(
                        arm=arm,
                        measure=measure,
                        before=spread(list(old.values())).median,
                        after=spread(list(new.values())).median,
                        counts=(len(old), len(new)),
                        is_paired=is_paired,
                        ratio=ratio_of_medians(new, old, is_paired=is_paired),
                    )
                )
    return found


def compare_to_json(before: Results, after: Results) -> dict[str, Any]:
    """Return two runs beside each other as plain values."""
    arms: dict[str, dict[str, Any]] = {}
    for one in compare_results(before, after):
        ratio: Mapping[str, float] | None = None if one.ratio is None else asdict(one.ratio)
        arms.setdefault(one.arm, {})[one.measure] = {
            "before": one.before,
            "after": one.after,
            "ratio": ratio,
            "unit": MEASURES[one.measure].unit,
        }
    return {
        "experiments": [before.manifest.experiment, after.manifest.experiment],
        "environments": [before.to_json()["environment"], after.to_json()["environment"]],
        "arms": arms,
    }
