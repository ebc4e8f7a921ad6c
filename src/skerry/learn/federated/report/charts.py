"""The report's pictures: curves over rounds, and bars of each round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skerry.learn.federated.report.metrics import say_metric
from skerry.learn.federated.report.tallies import MEAN, SERVER_TITLE, Curve
from skerry.pages.drawing import COLORS, FAINT, INK, STYLE, new_figure, to_svg
from skerry.pages.words import Unit, say

NAMED_CLIENTS = 8  # more have no colours of their own
MARKED_ROUNDS = 40  # more are a line without dots
SPREAD = 50.0  # losses that span more than this are drawn on a logarithmic scale


def draw_curves(curves: Mapping[str, Curve], metric: str, *, name: str, title: str) -> str:
    """Draw a metric over rounds: the mean strong, clients thin; many clients as the band that they fill.

    Args:
        curves: Values by round, by name; `MEAN` and `SERVER_TITLE` are those of all.
        metric: Its name, which says how its values are written.
        name: A word that no other picture of the page has.
        title: What the picture shows, for who cannot see it.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure, axes = new_figure(9.2, 3.3)
        clients = {client: curve for client, curve in curves.items() if client not in (MEAN, SERVER_TITLE)}
        dots = "o" if max(map(len, curves.values())) <= MARKED_ROUNDS else ""
        if len(clients) > NAMED_CLIENTS:
            _fill_band(axes, clients)
        else:
            for (client, curve), color in zip(clients.items(), COLORS, strict=False):
                axes.plot(*_points(curve), dots + "-", color=color, linewidth=1.2, markersize=3, label=client)
        for known, style in ((MEAN, "-"), (SERVER_TITLE, "--")):
            if known in curves:
                axes.plot(*_points(curves[known]), dots + style, color=INK, linewidth=2.2, markersize=4, label=known)
        values = [value for curve in curves.values() for value in curve.values()]
        if min(values) > 0 and max(values) / min(values) > SPREAD:
            axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: say_metric(metric, value))
        _label_rounds(axes, [round for curve in curves.values() for round in curve])
        _place_legend(axes)
        return to_svg(figure, name, title)


def draw_phases(rounds: Mapping[int, Mapping[str, float]], *, name: str, title: str) -> str:
    """Draw the seconds of each round, one part on the other.

    Args:
        rounds: Seconds by phase, by round; every round has the same phases.
        name: A word that no other picture of the page has.
        title: What the picture shows, for who cannot see it.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure, axes = new_figure(9.2, 3.0)
        numbers, below = list(rounds), [0.0] * len(rounds)
        for phase, color in zip(next(iter(rounds.values())), COLORS, strict=False):
            heights = [parts[phase] for parts in rounds.values()]
            axes.bar(numbers, heights, bottom=below, width=_width(numbers), color=color, label=phase)
            below = [low + height for low, height in zip(below, heights, strict=True)]
        _finish_bars(axes, numbers, "s")
        return to_svg(figure, name, title)


def draw_bytes(up: Mapping[int, int], down: Mapping[int, int], *, name: str, title: str) -> str:
    """Draw the bytes of each round: updates beside models.

    Args:
        up: Bytes of updates by round.
        down: Bytes of models by round; the same rounds.
        name: A word that no other picture of the page has.
        title: What the picture shows, for who cannot see it.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure, axes = new_figure(9.2, 2.6)
        numbers = list(up)
        width = _width(numbers) / 2
        for side, values, label, color in ((-1, up, "up: updates", COLORS[1]), (1, down, "down: models", COLORS[0])):
            if len(numbers) > MARKED_ROUNDS:
                axes.step(numbers, list(values.values()), where="mid", color=color, linewidth=1.4, label=label)
                continue
            places = [number + side * width / 2 for number in numbers]
            axes.bar(places, list(values.values()), width=width, color=color, label=label)
        axes.set_ylim(bottom=0)
        _finish_bars(axes, numbers, "bytes")
        return to_svg(figure, name, title)


def _fill_band(axes: Any, clients: Mapping[str, Curve]) -> None:
    rounds = sorted({round for curve in clients.values() for round in curve})
    found = [[curve[round] for curve in clients.values() if round in curve] for round in rounds]
    axes.fill_between(
        rounds,
        [min(values) for values in found],
        [max(values) for values in found],
        color=COLORS[0],
        alpha=0.25,
        linewidth=0,
        label=f"the lowest to the highest of {len(clients)} clients",
    )


def _points(curve: Curve) -> tuple[list[int], list[float]]:
    return list(curve), list(curve.values())


def _width(numbers: Sequence[int]) -> float:
    return 0.8 if len(numbers) <= MARKED_ROUNDS else 1.0


def _finish_bars(axes: Any, numbers: Sequence[int], unit: Unit) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: say(value, unit) if value else "0")
    axes.yaxis.get_major_locator().set_params(nbins=5)
    _label_rounds(axes, numbers)
    _place_legend(axes)


def _label_rounds(axes: Any, numbers: Sequence[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
    axes.set_xlim(min(numbers) - 0.6, max(numbers) + 0.6)
    axes.set_xlabel("round")
    axes.grid(axis="y", color=FAINT, linewidth=0.4, alpha=0.5)
    axes.set_axisbelow(True)


def _place_legend(axes: Any) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=6, fontsize=9, handlelength=1.2, columnspacing=1.2)
