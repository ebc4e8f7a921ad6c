"""The page: plain words first, then curves, what each round took, each client, and what was planned."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable
from typing import Any

import skerry
from skerry.learn.federated.record.run_view import RunView
from skerry.learn.federated.report.charts import draw_bytes, draw_curves, draw_phases
from skerry.learn.federated.report.clients import show_clients, show_fairness
from skerry.learn.federated.report.metrics import say_metric
from skerry.learn.federated.report.tallies import (
    Curve,
    evaluated_metrics,
    evaluation_curves,
    phases,
    tally,
    trained_metrics,
    training_curves,
)
from skerry.learn.federated.report.words import conclude, lead
from skerry.pages.drawing import require_matplotlib
from skerry.pages.page import fill_page
from skerry.pages.parts import bullets, facts, paragraph, scroll, section, table
from skerry.pages.words import say

SHOWN_METRICS = 3
EPSILON = "epsilon"
SHOWN_REFUSALS = 50
EVALUATED = "The global model after each round, on the data of each client. Mean: weighted by examples."
TRAINED = "What clients reported of their own training, on their own data, from the global model of the round before."
WHAT_HAPPENED = {
    "replied": "has answered",
    "late": "has answered for an earlier round",
    "missed": "gave no reply: {reason}",
    "refused": "was refused: {reason}",
}


def render_report(view: RunView) -> str:
    """Return the report of a run as one HTML page, however far the run has come.

    Args:
        view: The run.

    Raises:
        ConfigError: matplotlib is not installed.

    Example:
        ``write_page(render_report(read_run(folder)), folder / "report.html")``
    """
    require_matplotlib()
    tallies = tally(view)
    sections = [
        section("In plain words", bullets(conclude(view, tallies)), kind="words") if view.rounds else "",
        _current(view),
        *_curves("The global model", EVALUATED, view, evaluated_metrics(view), evaluation_curves),
        *_curves("Training", TRAINED, view, trained_metrics(view), training_curves),
        _privacy(view),
        _times(view),
        _traffic(view),
        show_clients(view, tallies),
        show_fairness(view),
        _refusals(view),
        _rounds(view),
        section("The plan", facts(_plan(view))),
        section("What wrote this page", facts(versions())),
    ]
    return fill_page(f"Federated run {view.plan.job}", lead(view), sections)


def versions() -> dict[str, str]:
    """Return the versions of what this process runs on."""
    found = {"skerry": skerry.__version__, "Python": platform.python_version(), "system": platform.platform()}
    return {**found, **{name: importlib.metadata.version(name) for name in ("numpy", "matplotlib")}}


def _current(view: RunView) -> str:
    """Tell of the round that has begun and not ended."""
    if not view.events or view.state == "finished":
        return ""
    number = view.events[0].round
    told = {
        event.client: WHAT_HAPPENED[event.kind].format(reason=event.facts.get("reason", ""))
        for event in view.events
        if event.client is not None and event.kind in WHAT_HAPPENED
    }
    begin = view.events[0].facts
    told |= dict.fromkeys(begin.get("answered", ()), "has answered before the run was taken up again")
    clients: dict[str, list[str]] = {}
    for client in begin.get("chosen", ()):
        clients.setdefault(told.get(client, "has not answered"), []).append(client)
    rows = [[what, ", ".join(names)] for what, names in clients.items()]
    return section(f"Round {number}, which has not ended", table(["", "clients"], rows, words=2))


def _curves(
    title: str, read: str, view: RunView, metrics: list[str], find: Callable[[RunView, str], dict[str, Curve]]
) -> list[str]:
    found = []
    for number, metric in enumerate(metrics[:SHOWN_METRICS]):
        curves = find(view, metric)
        if curves:
            whole = f"{title}: {metric}"
            name = f"{title}-{number}".lower().replace(" ", "-")
            found.append(section(whole, scroll(draw_curves(curves, metric, name=name, title=whole))))
    if found:
        found[-1] = found[-1].replace("</section>", paragraph(read, "soft") + "</section>")
    return found


def _privacy(view: RunView) -> str:
    plan = view.plan
    if plan.privacy is None and plan.central is None:
        return ""
    told = {
        "at the clients": None if plan.privacy is None else plan.privacy.model_dump(),
        "at the coordinator": None if plan.central is None else plan.central.model_dump(),
        "delta": f"{plan.privacy_delta:g}",
    }
    curve = {result.round: result.epsilon for result in view.rounds if result.epsilon is not None}
    if not curve:
        return section("Privacy", paragraph("Updates are clipped, without noise: there is no epsilon."), facts(told))
    picture = draw_curves({EPSILON: curve}, EPSILON, name=EPSILON, title="Epsilon by round")
    read = (
        "What the rounds so far have given away at most, with probability 1 - delta; with noise at the clients, of the "
        "one that took part most often. Lower is more private."
    )
    return section("Privacy", scroll(picture), paragraph(read, "soft"), facts(told))


def _times(view: RunView) -> str:
    if not view.rounds:
        return ""
    picture = draw_phases(
        {result.round: phases(result) for result in view.rounds}, name="phases", title="Time per round by phase"
    )
    read = (
        "Send: the longest sending of a task. Train: the longest training. Wait for replies: what passed until the "
        "last reply beyond these: queues, starts of workers, the way back, clients that were waited for in vain."
    )
    return section("Time per round", scroll(picture), paragraph(read, "soft"))


def _traffic(view: RunView) -> str:
    if not view.rounds:
        return ""
    picture = draw_bytes(
        {result.round: result.bytes_up for result in view.rounds},
        {result.round: result.bytes_down for result in view.rounds},
        name="bytes",
        title="Bytes per round, up and down",
    )
    read = "Of models and updates as they were sent, for training and evaluation; not the envelopes around them."
    return section("Bytes per round", scroll(picture), paragraph(read, "soft"))


def _refusals(view: RunView) -> str:
    rows = [[str(result.round), client, why] for result in view.rounds for client, why in result.refused]
    more = f"{len(rows) - SHOWN_REFUSALS} more are not shown." if len(rows) > SHOWN_REFUSALS else ""
    shown = table(["round", "client", "why"], rows[:SHOWN_REFUSALS], words=3)
    return section("Replies that were refused", shown, paragraph(more, "soft") if more else "")


def _rounds(view: RunView) -> str:
    metrics = evaluated_metrics(view)[:2]
    rows = [
        [
            str(result.round),
            *(say_metric(metric, result.metrics[metric]) if metric in result.metrics else "" for metric in metrics),
            f"{sum(reply.staleness == 0 for reply in result.replies)} of {len(result.chosen)}",
            say(result.ended_at - result.started_at, "s"),
            say(result.bytes_up, "bytes"),
            say(result.bytes_down, "bytes"),
            "; ".join(f"{client}: {why}" for client, why in result.missed.items()),
        ]
        for result in view.rounds
    ]
    columns = ["round", *metrics, "answered", "took", "up", "down", "missed"]
    if not any(result.missed for result in view.rounds):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return section("Rounds", table(columns, rows))


def _plan(view: RunView) -> dict[str, Any]:
    plan = view.plan.model_dump(mode="json")
    members = plan.pop("members")
    sites: dict[str, list[str]] = {}
    for member in members:
        sites.setdefault(member["site"] or "this machine", []).append(member["name"])
    return {**plan, "clients": sites, "digest": view.plan.digest}
