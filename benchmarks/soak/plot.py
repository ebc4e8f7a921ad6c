"""The samples as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.soak.judge import MIB
from benchmarks.soak.watch import FRONT, WORKER, ZYGOTE, Sample

PANELS = (
    ("anonymous_bytes", "anonymous memory (MiB)", MIB),
    ("descriptors", "descriptors", 1),
    ("threads", "threads", 1),
)
COLOURS = {FRONT: "tab:red", ZYGOTE: "tab:blue", WORKER: "tab:grey"}


def draw(samples: Sequence[Sample], path: Path) -> None:
    """Write a PNG with a line for each process, and one for their number."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(PANELS) + 1, 1, figsize=(9, 12), sharex=True, layout="constrained")
    processes = sorted({(held.role, held.pid) for sample in samples for held in sample.held})
    for axis, (what, label, unit) in zip(axes, PANELS, strict=False):
        for role, pid in processes:
            points = [
                (sample.at_s / 60, getattr(held, what) / unit)
                for sample in samples
                for held in sample.held
                if held.pid == pid
            ]
            axis.plot(*zip(*points, strict=True), color=COLOURS[role], linewidth=1, alpha=0.8)
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
    minutes = [sample.at_s / 60 for sample in samples]
    for role, colour in COLOURS.items():
        counts = [sum(held.role == role for held in sample.held) for sample in samples]
        axes[-1].plot(minutes, counts, color=colour, label=role)
    axes[-1].set_ylabel("processes")
    axes[-1].set_xlabel("minutes")
    axes[-1].legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)
