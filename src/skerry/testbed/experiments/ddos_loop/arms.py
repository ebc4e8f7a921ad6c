"""What the client does in each arm: a trial with one defence and one attack or control, and its measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from skerry.errors import PlatformError
from skerry.learn.shared_data import shared_folder
from skerry.testbed.experiments.ddos_loop import trial as trials
from skerry.testbed.experiments.ddos_loop.attacks import ATTACKS, CONTROLS
from skerry.testbed.experiments.ddos_loop.defences import Defence, FastNetMon, Nothing, Said, Skerry
from skerry.testbed.experiments.ddos_loop.trial import Seen, Times
from skerry.testbed.experiments.experiment import Outcome, Trial

# An attack counts as stopped when so little of it passes for so long.
STOPPED_RATIO = 0.1
STOPPED_S = 0.3
# The first seconds of the steady connection, in which it finds its rate.
SETTLE_S = 1.5
# Alarms so soon after an attack's last packet may be about it: averages and flows of a second, looked at once a second.
ALARM_SETTLE_S = 2.0

DEFENCES: dict[str, Callable[[str, Path], Defence]] = {
    "skerry": partial(Skerry, exporter="pmacct"),
    "softflowd": partial(Skerry, exporter="softflowd"),
    "fastnetmon": FastNetMon,
    "none": Nothing,
}


def run_attack(trial: Trial, *, attack: str, defence: str, cold: bool = False) -> Outcome:
    """Run an attack against a defence."""
    during_s = float(trial.options["slow_s" if attack == "low-and-slow" else "attack_s"])
    seen = trials.run(trial.disturb("networks"), DEFENCES[defence], ATTACKS[attack], _times(trial, during_s), cold=cold)
    began_s = seen.first_packet_s if seen.first_packet_s is not None else seen.began_s
    return Outcome(values=measure(seen, began_s), notes=note(seen, began_s), story=tell(seen, began_s))


def run_control(trial: Trial, *, control: str, defence: str) -> Outcome:
    """Run a control, in which nobody attacks, with a defence."""
    during_s = float(trial.options["attack_s"])
    seen = trials.run(trial.disturb("networks"), DEFENCES[defence], CONTROLS[control], _times(trial, during_s))
    asked: dict[str, list[bool]] = {}
    for visit in seen.visits:
        asked.setdefault(visit["source"], []).append(bool(visit["answered"]))
    values = {
        "connections_ratio": answered(seen, seen.began_s, seen.ended_s),
        "legitimate_dropped": dropped(seen),
        "blocked_clients": float(sum(not any(answers) for answers in asked.values())),
        "false_alarms": float(sum(said.what == "detected" for said in seen.said)),
    }
    story = [f"{said.at_s - seen.began_s:.2f} s: {said.what}: {said.reason}" for said in _brief(seen.said)]
    visits = sum(seen.began_s <= visit["at_s"] < seen.ended_s for visit in seen.visits)
    story.append(f"{len(asked)} clients opened {visits} connections; {seen.counts[-1][1][2]} packets came from them")
    return Outcome(values={**values, **_cost(seen)}, notes={"cpu_s": list(seen.cpu_s)}, story=story)


def run_benign(trial: Trial) -> Outcome:
    """Judge windows without an attack: recordings in the first repeat, made-up traffic of another seed in each."""
    from skerry.testbed.experiments.ddos_loop import benign  # it needs NumPy, which is an extra

    # A second time they would be the same windows, of which nothing new is learned.
    recorded = benign.judge_recordings(shared_folder()) if trial.repeat == 0 else None
    made = benign.judge(list(benign.make_traffic(trial.seed)))
    judged = [made] if recorded is None else [recorded, made]
    alarms = [alarm for each in judged for alarm in each.alarms]
    notes = {
        "recorded_windows": recorded.counted if recorded is not None else 0,
        "made_windows": made.counted,
        "warm_up_windows": sum(each.warm_up for each in judged),
    }
    return Outcome(
        values={
            "benign_windows": float(sum(each.counted for each in judged)),
            "false_alarms": float(len(alarms)),
        },
        notes=notes,
        story=[
            f"{notes['recorded_windows']} windows of recordings, {notes['made_windows']} of made-up traffic, and "
            f"{notes['warm_up_windows']} of warm-up, which do not count",
            *alarms[:20],
        ],
    )


def _times(trial: Trial, during_s: float) -> Times:
    options = trial.options
    return Times(before_s=float(options["before_s"]), during_s=during_s, after_s=float(options["after_s"]))


def measure(seen: Seen, began_s: float) -> dict[str, float]:
    """Return the measures of an attack.

    Args:
        seen: What the trial has seen.
        began_s: When the first packet of the attack came.
    """
    ended_s = last_packet_s(seen)
    # What a kernel sends again when the attack has been ended is no time in which clients were attacked.
    attacked_until_s = min(ended_s, seen.ended_s)
    before = goodput(seen, 0.0, began_s)
    if not before:
        raise PlatformError("the steady connection sent nothing before the attack, so there is nothing to compare with")
    values = {
        "goodput_ratio": goodput(seen, began_s, attacked_until_s) / before,
        "connections_ratio": answered(seen, began_s, attacked_until_s),
        "attack_passed_ratio": seen.counts[-1][1][1] / max(seen.counts[-1][1][0], 1),
        "legitimate_dropped": dropped(seen),
        "false_alarms": float(len(_alarms_outside(seen, began_s, ended_s + ALARM_SETTLE_S))),
    }
    detected = [at_s for at_s in _times_of(seen, "detected", began_s) if at_s <= ended_s + ALARM_SETTLE_S]
    acted, withdrawn = (_times_of(seen, what, began_s) for what in ("acted", "withdrawn"))
    if detected:
        values["time_to_detect_s"] = detected[0] - began_s
    if withdrawn:
        values["first_withdrawal_s"] = withdrawn[0] - ended_s
        if len(withdrawn) >= len(acted):  # else a rule is left that nobody has withdrawn
            values["time_to_withdraw_s"] = withdrawn[-1] - ended_s
    stopped_s = stopped_at(seen, began_s, ended_s)
    if stopped_s is not None and acted:
        # What passed just before the rule is less than the tenth that may pass after it.
        values["time_to_mitigate_s"] = max(stopped_s, acted[0]) - began_s
    return {**values, **_cost(seen)}


def _alarms_outside(seen: Seen, began_s: float, ended_s: float) -> list[Said]:
    return [said for said in seen.said if said.what == "detected" and not began_s <= said.at_s <= ended_s]


def _times_of(seen: Seen, what: str, began_s: float) -> list[float]:
    return [said.at_s for said in seen.said if said.what == what and said.at_s >= began_s]


def _cost(seen: Seen) -> dict[str, float]:
    if not seen.cpu_s:
        return {}
    return {"loop_cpu_s": seen.cpu_s[0], "loop_memory_bytes": float(seen.memory_bytes)}


def last_packet_s(seen: Seen) -> float:
    """Return when the last packet of the attacker came."""
    last_s, count = seen.ended_s, seen.counts[-1][1][0]
    for at_s, counts in seen.counts:
        if counts[0] == count:
            return at_s
    return last_s


def stopped_at(seen: Seen, began_s: float, ended_s: float) -> float | None:
    """Return from when on the attack was stopped at the router; None when it never was."""
    points = [(at_s, counts[0], counts[1]) for at_s, counts in seen.counts if began_s <= at_s <= ended_s]
    later = 0
    for at_s, came, passed in points:
        while later < len(points) and points[later][0] < at_s + STOPPED_S:
            later += 1
        if later == len(points):
            return None
        _, came_later, passed_later = points[later]
        if came_later > came and passed_later - passed <= STOPPED_RATIO * (came_later - came):
            return at_s
    return None


def goodput(seen: Seen, from_s: float, until_s: float) -> float:
    """Return the mean bits per second of the steady connection in a time."""
    begins_s = max(from_s, seen.rates[0][0] + SETTLE_S) if seen.rates else from_s
    values = [rate for at_s, rate in seen.rates if begins_s <= at_s < until_s]
    return mean(values) if values else 0.0


def answered(seen: Seen, from_s: float, until_s: float) -> float:
    """Return the share of new connections in a time that were answered."""
    values = [bool(visit["answered"]) for visit in seen.visits if from_s <= visit["at_s"] < until_s]
    return mean(values) if values else 0.0


def dropped(seen: Seen) -> float:
    """Return how many packets of the client the router has dropped."""
    _, _, came, passed = seen.counts[-1][1]
    return float(came - passed)


def note(seen: Seen, began_s: float) -> dict[str, object]:
    """Return what the report draws: times from the beginning of the attack."""
    return {
        "rates": [[round(at_s - began_s, 3), rate] for at_s, rate in seen.rates],
        "attack": _per_second(seen, began_s),
        "ended_s": round(last_packet_s(seen) - began_s, 3),
        "said": [[round(said.at_s - began_s, 4), said.what, said.reason] for said in seen.said],
        "cpu_s": list(seen.cpu_s),
    }


def _per_second(seen: Seen, began_s: float, *, step_s: float = 0.2) -> list[list[float]]:
    """Return the attacker's packets per second that came and that passed, in steps."""
    found: list[list[float]] = []
    before = None
    for at_s, counts in seen.counts:
        if before is None or at_s - before[0] >= step_s:
            if before is not None:
                length_s = at_s - before[0]
                came, passed = ((counts[side] - before[1][side]) / length_s for side in (0, 1))
                found.append([round(before[0] - began_s, 3), round(came), round(passed)])
            before = at_s, counts
    return found


def tell(seen: Seen, began_s: float) -> Sequence[str]:
    """Return what happened, in plain words."""
    ended_s = last_packet_s(seen)
    lines = [(began_s, "the first packet of the attack comes to the router"), (ended_s, "the last one")]
    lines += [(said.at_s, f"{said.what}: {said.reason}" if said.reason else said.what) for said in _brief(seen.said)]
    came, passed = seen.counts[-1][1][:2]
    told = [f"{at_s - began_s:.2f} s: {text}" for at_s, text in sorted(lines)]
    return [*told, f"{came} packets of the attack came, and {passed} of them passed the router"]


def _brief(said: Sequence[Said], most: int = 20) -> Sequence[Said]:
    return said[:most]
