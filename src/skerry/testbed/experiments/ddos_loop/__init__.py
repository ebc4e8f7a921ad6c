"""The experiment of the closed loop: an attack on a thin link is found, stopped, and let go."""

from __future__ import annotations

from functools import partial

from skerry.testbed.experiments.ddos_loop import arms
from skerry.testbed.experiments.ddos_loop.attacks import ATTACKS, CONTROLS
from skerry.testbed.experiments.ddos_loop.conclusions import FLOODS, conclude, draw
from skerry.testbed.experiments.ddos_loop.star import StarPlace
from skerry.testbed.experiments.experiment import Arm, Experiment, Option

DEFENCES = {
    "skerry": "Skerry's loop behind pmacct",
    "fastnetmon": "FastNetMon, which blocks the address that is attacked",
    "none": "no defence",
}
BY_FLOWS = "Skerry's loop behind softflowd, which tells flows once a second"


def _attack(name: str, attack: str, defence: str, by: str, *, cold: bool = False) -> Arm:
    run = partial(arms.run_attack, attack=attack, defence=defence, cold=cold)
    return Arm(name=name, title=f"{ATTACKS[attack].title}; {by}", run=run)


def _control(control: str, defence: str) -> Arm:
    run = partial(arms.run_control, control=control, defence=defence)
    return Arm(name=f"{control}-{defence}", title=f"{CONTROLS[control].title}; {DEFENCES[defence]}", run=run)


experiment = Experiment(
    name="ddos-loop",
    extras=("network",),
    title="An attack on a thin link is found, stopped, and let go",
    question=(
        "A victim behind 15 Mbit/s serves clients, and is attacked. How soon is the attack detected, and how soon "
        "stopped? What is left of the clients' traffic meanwhile? Is the rule withdrawn when the attack has ended, "
        "and not before? Is anybody stopped who does not attack?"
    ),
    arms=(
        *(_attack(f"{attack}-{one}", attack, one, by) for attack in FLOODS for one, by in DEFENCES.items()),
        _attack("syn-flood-cold", "syn-flood", "skerry", "Skerry's loop, which has only just begun", cold=True),
        _attack("syn-flood-softflowd", "syn-flood", "softflowd", BY_FLOWS),
        _attack("low-and-slow-skerry", "low-and-slow", "softflowd", BY_FLOWS),
        _attack("low-and-slow-fastnetmon", "low-and-slow", "fastnetmon", DEFENCES["fastnetmon"]),
        _attack("low-and-slow-none", "low-and-slow", "none", DEFENCES["none"]),
        *(_control(control, defence) for control in CONTROLS for defence in ("skerry", "fastnetmon")),
        Arm(
            name="benign-skerry",
            title="recordings of ordinary traffic, and made-up traffic, judged by the loop's detector",
            run=arms.run_benign,
        ),
    ),
    measures=(
        "time_to_detect_s",
        "time_to_mitigate_s",
        "time_to_withdraw_s",
        "first_withdrawal_s",
        "goodput_ratio",
        "connections_ratio",
        "attack_passed_ratio",
        "legitimate_dropped",
        "blocked_clients",
        "false_alarms",
        "benign_windows",
        "loop_cpu_s",
        "loop_memory_bytes",
    ),
    sites=(),
    app="",
    repeats=5,
    options={
        "before_s": Option(default="6", title="calm before the attack, seconds"),
        "attack_s": Option(default="8", title="how long floods and controls are, seconds"),
        "slow_s": Option(default="30", title="how long the low-and-slow attack is, seconds"),
        "after_s": Option(default="5", title="calm after it, at least, seconds"),
    },
    quick={"before_s": "4.5", "attack_s": "4", "slow_s": "8", "after_s": "0.5"},
    curves=draw,
    conclude=conclude,
    place=StarPlace,
    boxes=("time_to_detect_s", "time_to_mitigate_s", "time_to_withdraw_s", "goodput_ratio", "connections_ratio"),
)
