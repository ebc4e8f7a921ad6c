"""The closed loop on real packets, in a form for every change: a flood is found, stopped, and let go."""

import os
import shutil
from pathlib import Path

import pytest

from skerry.testbed.experiments import Settings, load_experiment, run_experiment
from skerry.testbed.experiments.places import choose_place
from skerry.testbed.experiments.report import render_report
from skerry.testbed.links.namespace import list_namespaces
from support.own_network import missing_for_nftables

PROGRAMS = ("hping3", "iperf3", "pmacctd", "tc", "nsenter", "prlimit")


def find_missing():
    missing = missing_for_nftables()
    paths = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    absent = [name for name in PROGRAMS if shutil.which(name, path=paths) is None]
    return missing or (f"needs the programs {', '.join(absent)}" if absent else "")


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(find_missing()), reason=find_missing() or ""),
]


def test_a_flood_is_found_stopped_and_let_go_and_clients_are_served_meanwhile(tmp_path):
    experiment, target = load_experiment("ddos-loop")
    folder: Path = tmp_path / "run"
    place = choose_place(experiment, folder)
    before = list_namespaces("skd")
    options = {"before_s": "4", "attack_s": "3", "after_s": "0"}
    settings = Settings(repeats=1, options=options, arms=["syn-flood-skerry"])

    results = run_experiment(experiment, target, folder, place, settings, place_name=place.name)

    assert results.failures == []
    (trial,) = results.trials
    values = trial.values
    assert 0 < values["time_to_detect_s"] <= values["time_to_mitigate_s"] + 0.1
    assert values["time_to_withdraw_s"] > 0  # not before the end of the attack
    assert values["attack_passed_ratio"] < 0.9
    assert values["false_alarms"] == 0
    assert values["connections_ratio"] > 0
    assert [what for _, what, _ in trial.notes["said"]] == ["detected", "acted", "verified", "withdrawn"]
    assert list_namespaces("skd") == before
    assert "Goodput of a client" in render_report(results)
