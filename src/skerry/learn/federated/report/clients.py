"""The parts of the report that are about clients: a table of them, and how evenly the model serves them."""

from __future__ import annotations

from collections.abc import Sequence

from skerry.learn.federated.data.fairness import measure_fairness
from skerry.learn.federated.record.run_view import RunView
from skerry.learn.federated.report.metrics import is_share, say_metric
from skerry.learn.federated.report.tallies import Tally, client_values, evaluated_metrics, last_evaluations
from skerry.pages.parts import paragraph, section, table
from skerry.pages.words import say

SHOWN_METRICS = 2


def show_clients(view: RunView, tallies: Sequence[Tally]) -> str:
    """Return the table of clients: the model on their data, and what became of their rounds."""
    metrics = evaluated_metrics(view)[:SHOWN_METRICS]
    last = last_evaluations(view)
    rows = []
    for one in tallies:
        found = last[one.client].metrics if one.client in last else {}
        rows.append(
            [
                one.client,
                *(say_metric(metric, found[metric]) if metric in found else "" for metric in metrics),
                "" if one.examples is None else f"{one.examples:,}",
                str(one.asked),
                *(str(count) if count else "" for count in (one.answered, one.late, one.missed, one.refused)),
                "" if one.median_s is None else say(one.median_s, "s"),
                "" if one.median_train_s is None else say(one.median_train_s, "s"),
                say(one.peak_memory_bytes, "bytes") if one.peak_memory_bytes else "",
            ]
        )
    columns = [
        "client",
        *metrics,
        "examples",
        "asked",
        "answered",
        "late",
        "missed",
        "refused",
        "task to reply",
        "training",
        "memory",
    ]
    read = "Metrics: of the last evaluation. Times: medians. Late: replies that were used in a later round."
    return section("Clients", table(columns, rows), paragraph(read, "soft"))


def show_fairness(view: RunView) -> str:
    """Return the table of how evenly metrics of the last evaluation are spread; nothing below two clients."""
    rows = []
    for metric in evaluated_metrics(view):
        values = client_values(view, metric)
        # What Jain's index means is only known of values from 0 upwards.
        if len(values) < 2 or min(values.values()) < 0:
            continue
        found = measure_fairness(values, higher_is_better=is_share(metric))
        numbers = (found.lowest, found.highest, found.mean, found.standard_deviation, found.worst_tenth_mean)
        rows.append([metric, *(say_metric(metric, number) for number in numbers), f"{found.jain_index:.4f}"])
    columns = ["metric", "lowest", "highest", "mean", "standard deviation", "worst tenth", "Jain's index"]
    read = "Of the last evaluation; each client counts alike. Jain's index is 1 where all clients have the same."
    return section("How evenly clients are served", table(columns, rows), paragraph(read, "soft")) if rows else ""
