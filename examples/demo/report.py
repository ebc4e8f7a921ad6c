"""The report: one HTML file with everything in it, nothing fetched from anywhere."""

from __future__ import annotations

import html
import statistics
import time
from pathlib import Path
from string import Template

import charts
from outcome import Outcome, Sample, surroundings
from publishing import ALIAS
from story import describe_export, describe_parameters, milliseconds
from training import by_score

TEMPLATE = Path(__file__).with_name("report.template.html")
SHOWN_SAMPLES = 20
SHOWN_ROWS = 12
SHOWN_LETTERS = 160


def write_report(outcome: Outcome, path: Path, *, took_s: float) -> Path:
    """Write the report of a run and return its path.

    Args:
        outcome: What the run found.
        path: The file; an older one is replaced.
        took_s: How long the run took, in seconds.
    """
    title = "Handwritten digits" if outcome.source.startswith("scikit-learn") else Path(outcome.source).name
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=f"{_text(title)}: from training to serving",
        summary=_summary(outcome, took_s),
        figures="".join(_figures(outcome)),
        sections="".join(_sections(outcome)),
    )
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(page, encoding="utf-8")
    partial.replace(path)
    return path


def _summary(outcome: Outcome, took_s: float) -> str:
    when = time.strftime("%d %B %Y, %H:%M", time.localtime(outcome.measured.ended_s))
    return (
        "One engine on one machine ran two apps: one trained and scored candidate models, the other served the best of "
        f"them. Data: {_text(outcome.source)}, {outcome.data.rows} rows. Run on {when}, {took_s:.0f} s in all."
    )


def _figures(outcome: Outcome) -> list[str]:
    measured = outcome.measured
    cold, warm = statistics.median(measured.took_ms("cold")), statistics.median(measured.took_ms("warm"))
    shown = [(f"{outcome.test_score:.1%}", f"of {len(outcome.samples)} held-out rows right, as served")]
    if outcome.arms[1:]:
        shown.append((f"{outcome.speed_up:.2f}x", f"as fast with {outcome.arms[-1].workers} workers, same answer"))
    shown.append((milliseconds(cold), "median answer from zero workers"))
    shown.append((milliseconds(warm), "median answer of a warm worker"))
    return [f'<div class="figure"><b>{_text(value)}</b><span>{_text(what)}</span></div>' for value, what in shown]


def _sections(outcome: Outcome) -> list[str]:
    parts = [
        ("The search", _search_part(outcome)),
        ("One worker and more", _arms_part(outcome)) if outcome.arms[1:] else None,
        ("The published model", _model_part(outcome)),
        ("Response times", _times_part(outcome)),
        ("Scaling", _scaling_part(outcome)),
        ("Sample predictions", _samples_part(outcome)),
        ("What it ran on", _surroundings_part()),
    ]
    kept = [part for part in parts if part is not None]
    return [
        f"<section><h2><small>{number}</small>{title}</h2>{body}</section>"
        for number, (title, body) in enumerate(kept, start=1)
    ]


def _search_part(outcome: Outcome) -> str:
    rows = []
    tried = {each.title: each.candidates for each in outcome.competing}
    for title in by_score(outcome.results):
        result = outcome.results[title]
        spread = result.cv_results["std_test_score"][result.best_index]
        test = "" if result.holdout_score is None else f"{result.holdout_score:.4f}"
        rows.append(
            f"<tr{' class=best' if title == outcome.winner else ''}><td>{_text(title)}</td><td "
            f"class=number>{tried[title]}</td>"
            f"<td class=number>{result.best_score:.4f} ± {spread:.4f}</td><td class=number>{test}</td>"
            f"<td>{_text(describe_parameters(result.best_parameters))}</td></tr>"
        )
    failed = sum(len(result.failed) for result in outcome.results.values())
    note = f"<p>{failed} candidates could not be fitted; they rank last.</p>" if failed else ""
    return (
        f"<p>{len(outcome.competing)} kinds of models with {sum(tried.values())} candidates between them, each "
        f"fitted on 3 stratified folds of 80 % of the rows: {outcome.fits} fits, sent as small messages to the "
        "function "
        "<code>evaluate"
        "</code>. The other 20 % were held out and play no part in the choice.</p>"
        f"{charts.draw_scores(outcome)}"
        '<p class="read">each dot is one candidate, the line through it the spread of its folds; orange is the best '
        "of its kind, the largest is the model that was published. Further right is better; the scale is "
        "stretched towards "
        "100 %, where the good ones are.</p>"
        "<div class=scroll><table><tr><th>model</th><th class=number>tried</th><th class=number>validation</th>"
        f"<th class=number>test</th><th>best parameters</th></tr>{''.join(rows)}</table></div>{note}"
    )


def _arms_part(outcome: Outcome) -> str:
    return (
        "<p>The same search, once for each number of workers; every worker is one process with one thread. Workers "
        f"had started and had opened the data before the clock did. All {outcome.arrays_compared} arrays of scores "
        "and ranks were "
        "compared between the runs and are <b class=right>equal</b>, number by number.</p>"
        f"{charts.draw_arms(outcome)}"
        '<p class="read">a shorter bar is a faster search. Two workers can halve the time at best, and only where two '
        "processors are free. Each search was timed once: a figure beyond that says that the machine was busier during "
        "the first one, little or no gain that it was busy during the second.</p>"
    )


def _model_part(outcome: Outcome) -> str:
    model = outcome.model
    if model is None:
        return ""
    files = "".join(
        f"<tr><td><code>{_text(name)}</code></td><td class=number>{file.size_bytes:,} bytes</td>"
        f"<td><code>{file.sha256[:16]}…</code></td></tr>"
        for name, file in model.files.items()
    )
    refused = "".join(f"<p>Not published: {_text(title)}; {_text(reason)}.</p>" for title, reason in outcome.refused)
    return (
        f"<p><b>{_text(str(model))}</b>: {_text(outcome.winner)} with "
        f"{_text(describe_parameters(outcome.results[outcome.winner].best_parameters))}, fitted again on all rows of "
        f"the search and pushed to the model repository in <code>models</code>, beside this file, under the alias "
        f"<b>{ALIAS}</b>. Plain data files, no pickle.</p>"
        f"<p>The check of the export: {_text(describe_export(model))} (1e-05 is allowed, relative where values exceed "
        f"1). Once it was served, it gave the original's label for all {len(outcome.samples)} held-out rows.</p>"
        f"<div class=scroll><table><tr><th>file</th><th "
        f"class=number>size</th><th>SHA-256</th></tr>{files}</table></div>{refused}"
    )


def _times_part(outcome: Outcome) -> str:
    measured = outcome.measured
    cold, fresh = statistics.median(measured.took_ms("cold")), statistics.median(measured.fresh_ms)
    return (
        f"<p>From zero workers, the median answer took {milliseconds(cold)}: fork a worker, load the model, answer. "
        f"A new Python process for the same work took {milliseconds(fresh)}, {fresh / cold:.0f} times as long. All "
        f"{len(measured.took_ms('burst'))} requests of the burst, from 16 clients at the same moment and with no "
        f"worker there, were answered within {measured.burst_s:.2f} s.</p>"
        f"{charts.draw_response_times(outcome)}"
        '<p class="read">each dot is one request, the upright line the median. The scale is logarithmic: from one '
        "grid line to the next, times grow tenfold.</p>"
    )


def _scaling_part(outcome: Outcome) -> str:
    memory = {name: f"{size / 2**20:.0f} MiB" for name, size in outcome.memory_bytes.items()}
    memory_note = ", ".join(f"{_text(name)} {_text(size)}" for name, size in memory.items())
    return (
        "<p>The function keeps no worker while nobody asks. Its stable window is 1 s and its grace 1 s, so that the "
        "demo does not take long; the defaults are Knative's, 60 s and 30 s.</p>"
        f"{charts.draw_timeline(outcome)}"
        '<p class="read">the line is the number of workers that were ready; each mark below zero is a request, sent '
        "at that moment.</p>"
        f"<h3>What a start is made of</h3>{charts.draw_phases(outcome)}"
        "<p class=read>fork: a copy of a process that has the libraries in memory already; confine: limits; import: "
        "the app's own file; load: the model is opened and runs its sample.</p>"
        f"<p>Private memory right after the burst: {memory_note}.</p>"
    )


def _samples_part(outcome: Outcome) -> str:
    wrong = [sample for sample in outcome.samples if sample.truth != sample.served]
    right = [sample for sample in outcome.samples if sample.truth == sample.served]
    images = outcome.data.features is not None and charts.image_side(outcome.data.features.shape[1]) > 0
    count = SHOWN_SAMPLES if images else SHOWN_ROWS
    shown = wrong[: count // 2]
    shown += right[: count - len(shown)]
    told = "all of them right" if not wrong else f"{len(wrong)} of them wrong"
    intro = (
        f"<p>The served model's answers for {len(outcome.samples)} held-out rows, {told}"
        f"{' (wrong ones first, in red)' if wrong else ''}.</p>"
    )
    if images:
        return f"{intro}<div class=samples>{''.join(map(_image, shown))}</div>"
    rows = "".join(
        f"<tr{' class=wrong' if each.truth != each.served else ''}><td>{_text(_shorten(each.row))}</td>"
        f"<td>{_text(each.truth)}</td><td><b>{_text(each.served)}</b></td></tr>"
        for each in shown
    )
    return f"{intro}<div class=scroll><table><tr><th>row</th><th>label</th><th>served</th></tr>{rows}</table></div>"


def _image(sample: Sample) -> str:
    wrong = sample.truth != sample.served
    note = f"is {_text(sample.truth)}" if wrong else ""
    return (
        f'<div class="sample{" wrong" if wrong else ""}"><img alt="an image labelled {_text(sample.truth)}" '
        f'src="{charts.draw_image(sample.row)}"><b>{_text(sample.served)}</b> {note}</div>'
    )


def _shorten(row: object) -> str:
    if isinstance(row, str):
        text = " ".join(row.split())
        return text if len(text) <= SHOWN_LETTERS else text[:SHOWN_LETTERS] + "…"
    numbers = [f"{number:.4g}" for number in list(row)[:8]]  # type: ignore[call-overload]  # a row of an array
    return ", ".join(numbers) + (", …" if len(numbers) == 8 else "")


def _surroundings_part() -> str:
    rows = "".join(f"<tr><td>{_text(name)}</td><td>{_text(value)}</td></tr>" for name, value in surroundings().items())
    return (
        "<p>Figures of one run on one machine; other programs that ran at the same time are in them.</p>"
        f"<div class=scroll><table>{rows}</table></div>"
    )


def _text(value: str) -> str:
    return html.escape(value)
