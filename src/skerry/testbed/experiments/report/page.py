"""The page: plain words first, then pictures, tables, and what everything ran on."""

from __future__ import annotations

from skerry.errors import ConfigError, DataError
from skerry.pages.drawing import require_matplotlib
from skerry.pages.page import fill_page
from skerry.pages.parts import bullets, facts, paragraph, scroll, section, table
from skerry.pages.parts import text as escape
from skerry.pages.words import say
from skerry.testbed.experiments.catalogue import load_experiment
from skerry.testbed.experiments.estimates import bootstrap, spread
from skerry.testbed.experiments.measures import MEASURES, OF_EVERY_TRIAL, PHASES
from skerry.testbed.experiments.report.charts import draw_boxes, draw_lines, draw_stacks
from skerry.testbed.experiments.report.comparison import PairOfArms, compare_arms, compare_results
from skerry.testbed.experiments.report.words import say_difference, say_interval, say_ratio
from skerry.testbed.experiments.results import Results

BOXED = ("response_time_s", "test_accuracy", "wrong_answers")
COMPARED = ("response_time_s", "test_accuracy")
LEAST_REPEATS = 5  # all values of so many have the median between them with 94 % probability


def render_report(results: Results) -> str:
    """Return the report of a run as one HTML page.

    Args:
        results: The run; one that was interrupted is reported as far as it went.

    Raises:
        ConfigError: matplotlib is not installed.
        DataError: no trial has ended well yet.
    """
    require_matplotlib()
    if not results.trials:
        raise DataError("no trial has ended well yet: there is nothing to report")
    sections = [
        section("In plain words", bullets(conclude(results)), kind="words"),
        _pictures(results),
        _curves(results),
        _phases(results),
        _pairs(results),
        _numbers(results),
        _stories(results),
        section("The network", facts(results.sessions[-1].get("place", {}))),
        _surroundings(results),
    ]
    return fill_page(results.manifest.title, [results.manifest.question, _what_ran(results)], sections)


def render_comparison(before: Results, after: Results, names: tuple[str, str]) -> str:
    """Return two runs beside each other as one HTML page.

    Args:
        before: The first run.
        after: The second run.
        names: What to call them.
    """
    require_matplotlib()
    compared = compare_results(before, after)
    sections = []
    for measure in BOXED:
        groups = {
            f"{arm}: {name}": results.values(arm, measure)
            for arm in dict.fromkeys(one.arm for one in compared if one.measure == measure)
            for name, results in zip(names, (before, after), strict=True)
        }
        if groups:
            known = MEASURES[measure]
            picture = draw_boxes(groups, known.unit, name=f"compare-{measure.replace('_', '-')}", title=known.title)
            sections.append(section(known.title.capitalize(), scroll(picture)))
    rows = [
        [
            one.arm,
            MEASURES[one.measure].title,
            say(one.before, MEASURES[one.measure].unit),
            say(one.after, MEASURES[one.measure].unit),
            "" if one.ratio is None else say_ratio(one.ratio),
            f"{one.counts[0]} and {one.counts[1]}",
        ]
        for one in compared
    ]
    columns = ["arm", "measure", names[0], names[1], "second by first", "trials"]
    how = "Repeats pair up: both runs have the same seed and options." if compared[0].is_paired else ""
    sections.append(section("Medians", table(columns, rows, words=2)))
    sections.append(section(f"What {names[0]} ran on", facts(before.environment)))
    sections.append(section(f"What {names[1]} ran on", facts(after.environment)))
    lead = [f"Medians, and the ratio of the second to the first with its 95 % interval (bootstrap). {how}".strip()]
    return fill_page(f"{names[0]} and {names[1]}: {before.manifest.title}", lead, sections)


def conclude(results: Results) -> list[str]:
    """Return what a run means in plain words: what its experiment says, then what every reader must know."""
    said: list[str] = []
    try:
        experiment, _target = load_experiment(results.manifest.target)
        if experiment.conclude is not None:
            said.extend(experiment.conclude(results))
    except ConfigError:
        said.append("The experiment's own conclusions are left out: it is not where it was when this ran.")
    fewest = min((len(results.values(arm, "wall_s")) for arm in results.arm_names()), default=0)
    if fewest < LEAST_REPEATS and any(measure in results.manifest.measures for measure in COMPARED):
        said.append(
            f"Repeats of some arm: {fewest}. Of fewer than {LEAST_REPEATS}, intervals are narrower than their "
            "confidence says, and verdicts are hints."
        )
    if results.failures:
        first = results.failures[0]
        said.append(
            f"{len(results.failures)} trials failed and are not counted; the first: {first.arm}, repeat "
            f"{first.repeat + 1}: {first.error}"
        )
    return said


def _what_ran(results: Results) -> str:
    counts = {arm: len(results.values(arm, "wall_s")) for arm in results.arm_names()}
    most = max(counts.values())
    fewer = [f"{arm} {count}" for arm, count in counts.items() if count < most]
    less = f" Fewer of: {', '.join(fewer)}." if fewer else ""
    sessions = len(results.sessions)
    times = {2: "once"}.get(sessions, f"{sessions - 1} times")
    breaks = f" The run was taken up again {times} after a break." if sessions > 1 else ""
    files = [session["files"] for session in results.sessions if "files" in session]
    if any(one != files[0] for one in files):
        breaks += " Its own file or that of its app had changed meanwhile: not all trials ran the same code."
    return (
        f"Begun {results.manifest.begun} on {results.manifest.place}. Repeats of each arm: {most}, in an order drawn "
        f"anew for each repeat.{less}{breaks}"
    )


def _pictures(results: Results) -> str:
    found = []
    for measure in dict.fromkeys((*BOXED, *_boxes(results))):
        if measure not in results.manifest.measures:
            continue
        groups = {arm: results.values(arm, measure) for arm in results.arm_names()}
        groups = {arm: values for arm, values in groups.items() if values}
        if groups:
            known = MEASURES[measure]
            picture = draw_boxes(groups, known.unit, name=measure.replace("_", "-"), title=known.title)
            read = "A dot is one trial; the box holds the middle half of them, the line in it is the median."
            found.append(section(known.title.capitalize(), scroll(picture), paragraph(read, "soft")))
    return "".join(found)


def _boxes(results: Results) -> tuple[str, ...]:
    try:
        return load_experiment(results.manifest.target)[0].boxes
    except ConfigError:
        return ()


def _curves(results: Results) -> str:
    """Draw the curves of the run's experiment, where it is still where it was and hands some over."""
    try:
        experiment, _target = load_experiment(results.manifest.target)
    except ConfigError:
        return ""
    if experiment.curves is None:
        return ""
    return "".join(
        section(one.title.capitalize(), scroll(draw_lines(one)), paragraph(one.read, "soft") if one.read else "")
        for one in experiment.curves(results)
        if any(one.lines.values())
    )


def _phases(results: Results) -> str:
    """Draw the mean of each phase: means add up to the mean response time, medians would not."""
    rows = {}
    for arm in results.arm_names():
        values = {phase: results.values(arm, phase) for phase in (*PHASES, "final_fit_s")}
        if all(values[phase] for phase in PHASES):
            rows[arm] = {
                MEASURES[phase].title: max(0.0, sum(found) / len(found)) for phase, found in values.items() if found
            }
    if not rows:
        return ""
    shown = [part for part in next(iter(rows.values())) if any(parts.get(part, 0.0) > 0 for parts in rows.values())]
    picture = draw_stacks(
        {arm: {part: parts.get(part, 0.0) for part in shown} for arm, parts in rows.items()},
        name="phases",
        title="Response time by phase",
    )
    read = (
        "Means over the trials, because these add up. Where calls run side by side, the phases are those of the one "
        "that ended last. The final fit comes after the response, at the client."
    )
    columns = ["arm", *(part for part in shown)]
    table_rows = [[arm, *(say(parts.get(part, 0.0), "s") for part in shown)] for arm, parts in rows.items()]
    return section("Where the time goes", scroll(picture), paragraph(read, "soft"), table(columns, table_rows))


def _pairs(results: Results) -> str:
    measures = [measure for measure in COMPARED if measure in results.manifest.measures]
    rows = [_pair_row(pair) for pair in compare_arms(results, measures)]
    read = (
        "Both arms of a pair had the same articles in the same repeat. Intervals hold with 95 % confidence (bootstrap "
        "over the pairs)."
    )
    columns = ["measure", "arm", "compared with", "difference (median of the pairs)", "ratio of medians", "pairs"]
    return section("Arms in pairs", table(columns, rows, words=3), paragraph(read, "soft")) if rows else ""


def _pair_row(pair: PairOfArms) -> list[str]:
    known = MEASURES[pair.measure]
    ratio = "" if pair.ratio is None or known.unit == "ratio" else say_ratio(pair.ratio)
    return [known.title, pair.first, pair.second, say_difference(pair.difference, known.unit), ratio, str(pair.pairs)]


def _numbers(results: Results) -> str:
    rows = []
    for measure in dict.fromkeys((*results.manifest.measures, *OF_EVERY_TRIAL)):
        known = MEASURES[measure]
        for arm in results.arm_names():
            values = results.values(arm, measure)
            if values:
                found = spread(values)
                rows.append(
                    [
                        known.title,
                        arm,
                        say_interval(bootstrap(values), known.unit),
                        f"{say(found.p25, known.unit)} to {say(found.p75, known.unit)}",
                        f"{say(found.low, known.unit)} to {say(found.high, known.unit)}",
                        str(found.count),
                    ]
                )
    columns = ["measure", "arm", "median (95 % interval)", "middle half", "all", "trials"]
    return section("All numbers", table(columns, rows, words=2))


def _stories(results: Results) -> str:
    parts = []
    for arm in results.arm_names():
        told = [trial for trial in results.trials if trial.arm == arm and trial.story]
        if told:
            parts.append(f"<h3>{escape(arm)}: {escape(results.manifest.arms[arm])}</h3>")
            parts.append(bullets(told[0].story))
    return section("What happened, in the first trial of each", *parts)


def _surroundings(results: Results) -> str:
    arms = table(["arm", "what it does"], [[name, title] for name, title in results.manifest.arms.items()], words=2)
    options = {**results.manifest.options, "seed": results.manifest.seed}
    return section(
        "What it ran on", arms, "<h3>Options</h3>", facts(options), "<h3>Machine</h3>", facts(results.environment)
    )
