"""The experiment of the closed loop: an attack on a thin link is found, stopped, and let go."""

from __future__ import annotations

from functools import partial

from skerry.testbed.experiments.ddos_loop import arms
from skerry.testbed.experiments.ddos_loop.star import StarPlace
from skerry.testbed.experiments.experiment import Arm, Experiment, Option

ATTACKS = {
    "syn-flood": "opening packets of 40 bytes from forged sources",
    "syn-options": "opening packets with TCP options, as clients send them, from forged sources",
}
DEFENCES = {
    "skerry": "Skerry's loop behind pmacct",
    "fastnetmon": "FastNetMon, which blocks the address that is attacked",
    "none": "no defence",
}

experiment = Experiment(
    name="ddos-loop",
    title="An attack on a thin link is found, stopped, and let go",
    question=(
        "A victim behind 15 Mbit/s serves clients, and is attacked. How soon is the attack detected, and how soon "
        "stopped? What is left of the clients' traffic meanwhile? Is the rule withdrawn when the attack has ended, "
        "and not before? Is anybody stopped who does not attack?"
    ),
    arms=tuple(
        Arm(
            name=f"{attack}-{defence}",
            title=f"{said}; {by}",
            run=partial(arms.run_attack, attack=attack, defence=defence),
        )
        for attack, said in ATTACKS.items()
        for defence, by in DEFENCES.items()
    ),
    measures=(
        "time_to_detect_s",
        "time_to_mitigate_s",
        "time_to_withdraw_s",
        "goodput_ratio",
        "connections_ratio",
        "attack_passed_ratio",
        "legitimate_dropped",
        "false_alarms",
        "loop_cpu_s",
        "loop_memory_bytes",
    ),
    sites=(),
    app="",
    repeats=5,
    options={
        "before_s": Option(default="6", title="calm before the attack, seconds"),
        "attack_s": Option(default="8", title="how long the attack is, seconds"),
        "after_s": Option(default="3", title="calm after it, at least, seconds"),
    },
    quick={"before_s": "4.5", "attack_s": "4", "after_s": "0.5"},
    pairs=tuple((f"{attack}-skerry", f"{attack}-{other}") for attack in ATTACKS for other in ("fastnetmon", "none")),
    place=StarPlace,
    boxes=("time_to_detect_s", "time_to_mitigate_s", "goodput_ratio", "connections_ratio"),
)
