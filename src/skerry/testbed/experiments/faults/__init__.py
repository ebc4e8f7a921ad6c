"""What becomes of a map over two sites when one is killed, and when a link is cut or becomes slow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from skerry.pages.words import say
from skerry.testbed.experiments.experiment import Arm, Experiment, Option
from skerry.testbed.experiments.faults import arms
from skerry.testbed.experiments.results import Results


def conclude(results: Results) -> Sequence[str]:
    """Return sentences about a run."""
    said = []
    wrong = sum(sum(results.values(arm, "wrong_answers")) for arm in results.arm_names())
    calls = sum(sum(results.values(arm, "calls")) for arm in results.arm_names())
    said.append(f"{calls:.0f} jobs were mapped over two sites, and {wrong:.0f} answers were wrong or missing.")
    calm = results.median("undisturbed", "response_time_s")
    for arm in results.arm_names():
        took, moved = results.median(arm, "response_time_s"), results.median(arm, "repeated_calls")
        if took is not None and calm is not None and moved is not None and arm != "undisturbed":
            said.append(
                f"{results.manifest.arms[arm]}: the map takes {say(took, 's')} instead of {say(calm, 's')} in the "
                f"median, and {moved:.0f} jobs went elsewhere."
            )
    return said


experiment = Experiment(
    name="faults",
    title="A map over two sites while sites and links fail",
    question=(
        "Jobs are mapped over two edge sites. When a quarter of the answers is there, something happens to the first "
        "site or its link. Does the map come to its end, with the right answers, and how much longer does it take?"
    ),
    arms=(
        Arm(name="undisturbed", title="Nothing happens", run=arms.run_map),
        Arm(name="site-killed", title="One site is killed", run=partial(arms.run_map, fault=arms.kill)),
        Arm(name="link-cut", title="One link is cut for five seconds", run=partial(arms.run_map, fault=arms.cut)),
        Arm(name="link-slow", title="One link becomes ten times slower", run=partial(arms.run_map, fault=arms.slow)),
    ),
    measures=("response_time_s", "wrong_answers", "repeated_calls", "calls", "bytes_sent", "wire_bytes"),
    sites=arms.SITES,
    app="skerry.testbed.experiments.faults.app:app",
    topology="6g-edge",
    repeats=5,
    options={
        "jobs": Option(default="120", title="how many jobs"),
        "work_s": Option(default="0.05", title="processor time of one job, seconds"),
    },
    quick={"jobs": "40", "work_s": "0.02"},
    pairs=(("site-killed", "undisturbed"), ("link-cut", "undisturbed"), ("link-slow", "undisturbed")),
    conclude=conclude,
)
