import gzip
import os
import random
import struct

import numpy as np
import pytest

from skerry.errors import ConfigError
from skerry.network.detection import EndRules
from skerry.testbed.experiments import load_experiment
from skerry.testbed.experiments.ddos_loop import benign, conclusions
from skerry.testbed.experiments.ddos_loop.arms import (
    ALARM_SETTLE_S,
    dropped,
    last_packet_s,
    measure,
    note,
    run_benign,
    stopped_at,
    tell,
)
from skerry.testbed.experiments.ddos_loop.attacks import ATTACKS
from skerry.testbed.experiments.ddos_loop.defences import Said
from skerry.testbed.experiments.ddos_loop.replay import make_datagrams, read_datagrams
from skerry.testbed.experiments.ddos_loop.trial import Seen
from skerry.testbed.experiments.experiment import Trial
from skerry.testbed.experiments.places import choose_place
from skerry.testbed.experiments.results import Manifest, Results, TrialRecord
from support.flow_traffic import ETHERNET, SYN, ipv4, tcp, udp

BEGAN_S, STOPPED_S, ENDED_S = 100.0, 100.5, 105.0


def make_seen(*, said=(), stops=True):
    """Return a trial of 10,000 packets a second from 100 to 105 s, of which nothing passes from 100.5 s on."""
    counts = []
    for at_s in np.arange(98.0, 108.0, 0.02).tolist():
        came = round(10_000 * min(max(at_s - BEGAN_S, 0.0), ENDED_S - BEGAN_S))
        passed = min(came, 5000) if stops else came
        client = round(100 * (at_s - 98.0))
        counts.append((at_s, [came, passed, client, client - 3 if at_s > STOPPED_S else client]))
    visits = [
        {"at_s": at_s, "source": "10.9.2.2", "answered": not BEGAN_S <= at_s < STOPPED_S}
        for at_s in np.arange(98.0, 107.0, 0.1).tolist()
    ]
    rates = [(at_s, 2e6 if BEGAN_S <= at_s < STOPPED_S else 8e6) for at_s in np.arange(92.0, 107.0, 0.25).tolist()]
    return Seen(
        began_s=99.9,
        ended_s=105.1,
        said=said,
        counts=counts,
        visits=visits,
        rates=rates,
        first_packet_s=BEGAN_S,
        cpu_s=[1.5, 0.1],
        memory_bytes=50_000_000,
    )


DEFENDED = (
    Said(what="detected", at_s=100.2, reason="too much"),
    Said(what="acted", at_s=100.5),
    Said(what="withdrawn", at_s=107.5),
)


def test_an_attack_is_measured_from_its_first_packet_to_its_last():
    values = measure(make_seen(said=DEFENDED), BEGAN_S)

    assert values["time_to_detect_s"] == pytest.approx(0.2)
    assert values["time_to_mitigate_s"] == pytest.approx(0.5, abs=0.1)
    assert values["time_to_withdraw_s"] == pytest.approx(2.5, abs=0.05)
    assert values["goodput_ratio"] == pytest.approx(0.925, abs=0.01)
    assert values["connections_ratio"] == pytest.approx(0.9, abs=0.02)
    assert values["attack_passed_ratio"] == 0.1
    assert (values["legitimate_dropped"], values["false_alarms"]) == (3, 0)
    assert (values["loop_cpu_s"], values["loop_memory_bytes"]) == (1.5, 5e7)


def test_an_attack_that_nobody_stops_has_no_times():
    seen = make_seen(stops=False)

    assert stopped_at(seen, BEGAN_S, ENDED_S) is None
    assert not {"time_to_detect_s", "time_to_mitigate_s", "time_to_withdraw_s"} & measure(seen, BEGAN_S).keys()


def test_an_alarm_before_the_attack_is_a_false_one():
    early = Said(what="detected", at_s=99.0)

    values = measure(make_seen(said=(early, *DEFENDED)), BEGAN_S)

    assert values["false_alarms"] == 1
    assert values["time_to_detect_s"] == pytest.approx(0.2)


def test_an_alarm_when_the_attack_has_long_ended_is_a_false_one_and_detects_nothing():
    soon, late = (Said(what="detected", at_s=ENDED_S + ALARM_SETTLE_S + shift_s) for shift_s in (-0.5, 0.5))

    assert measure(make_seen(said=(*DEFENDED, soon)), BEGAN_S)["false_alarms"] == 0
    assert measure(make_seen(said=(*DEFENDED, late)), BEGAN_S)["false_alarms"] == 1
    assert "time_to_detect_s" not in measure(make_seen(said=(late,)), BEGAN_S)


def test_what_is_sent_again_after_the_end_does_not_lengthen_the_time_in_which_clients_were_attacked():
    seen = make_seen(said=DEFENDED)
    plain = measure(seen, BEGAN_S)
    last_s, (came, *others) = seen.counts[-1]
    seen.counts = [*seen.counts, (last_s + 40.0, [came + 1, *others])]
    seen.visits = [*seen.visits, *({"at_s": last_s + number, "answered": True} for number in range(40))]
    seen.rates = [*seen.rates, *((last_s + number, 8e6) for number in range(40))]

    values = measure(seen, BEGAN_S)

    assert last_packet_s(seen) == last_s + 40.0
    assert values["connections_ratio"] == pytest.approx(plain["connections_ratio"], abs=0.01)
    assert values["goodput_ratio"] == pytest.approx(plain["goodput_ratio"], abs=0.01)


RELAPSED = (
    Said(what="detected", at_s=100.2),
    Said(what="acted", at_s=100.5),
    Said(what="withdrawn", at_s=103.0),
    Said(what="acted", at_s=103.5),
)


def test_a_rule_that_is_withdrawn_too_soon_breaks_its_bar_also_when_it_comes_back_and_goes_in_time():
    seen = make_seen(said=(*RELAPSED, Said(what="withdrawn", at_s=107.5)))

    values = measure(seen, BEGAN_S)
    bars = dict(conclusions.find_bars(make_results(syn_flood_skerry=(values, {}))))

    assert values["first_withdrawal_s"] == pytest.approx(-2.0, abs=0.05)
    assert values["time_to_withdraw_s"] == pytest.approx(2.5, abs=0.05)
    assert bars["syn-flood: its rule withdrawn not before the end"] is False
    assert bars["syn-flood: its rule withdrawn within 5 s of the end in the median"] is True


def test_a_rule_that_is_left_was_not_withdrawn_also_when_one_before_it_was():
    assert "time_to_withdraw_s" not in measure(make_seen(said=RELAPSED), BEGAN_S)


def test_what_the_report_draws_and_tells_begins_with_the_attack():
    seen = make_seen(said=DEFENDED)
    noted = note(seen, BEGAN_S)

    assert noted["ended_s"] == pytest.approx(5.0, abs=0.03)
    assert noted["said"][0] == [0.2, "detected", "too much"]
    assert max(came for at_s, came, _ in noted["attack"]) == pytest.approx(10_000, rel=0.01)
    assert tell(seen, BEGAN_S)[0] == "0.00 s: the first packet of the attack comes to the router"
    assert last_packet_s(seen) == pytest.approx(ENDED_S, abs=0.03)
    assert dropped(seen) == 3


def make_results(*, failed=(), **arms):
    """Return a run with a trial of each arm, or with as many as a list has, and failed ones."""
    trials = [
        TrialRecord(arm=arm.replace("_", "-"), repeat=repeat, seed=0, session=0, values=values, notes=notes)
        for arm, given in arms.items()
        for repeat, (values, notes) in enumerate(given if isinstance(given, list) else [given])
    ]
    failures = [TrialRecord(arm=arm, repeat=9, seed=0, session=0, error="it has died") for arm in failed]
    experiment, target = load_experiment("ddos-loop")
    manifest = Manifest(
        experiment=experiment.name,
        target=target,
        title="",
        question="",
        arms={arm.name: arm.title for arm in experiment.arms},
        measures=experiment.all_measures,
        pairs=(),
        options={},
        seed=1,
        place="",
        begun="",
    )
    return Results(manifest=manifest, sessions=[], trials=trials, failures=failures)


def test_a_run_says_what_was_seen_and_which_bars_were_not_kept():
    seen = make_seen(said=DEFENDED)
    results = make_results(
        syn_flood_skerry=(measure(seen, BEGAN_S), note(seen, BEGAN_S)),
        syn_flood_none=(measure(make_seen(stops=False), BEGAN_S), note(make_seen(stops=False), BEGAN_S)),
        flash_crowd_skerry=({"legitimate_dropped": 2.0, "blocked_clients": 0.0, "false_alarms": 1.0}, {}),
        benign_skerry=({"benign_windows": 12_000.0, "false_alarms": 0.0}, {}),
    )

    said = "\n".join(conclusions.conclude(results))

    assert "syn-flood, Skerry: detected after 200 ms, it is stopped after" in said
    assert "syn-flood, no defence: goodput is" in said
    assert "flash-crowd, Skerry: 0 clients blocked, 2 packets dropped, 1 alarms in 1 trials." in said
    assert "12000 windows without an attack were judged: 0 false alarms." in said
    assert "Of 8 bars 6 are kept." in said
    assert "Not kept: syn-flood: goodput of 95 % in the median." in said
    assert "Not kept: flash-crowd: no packet dropped." in said


def test_what_did_not_happen_in_a_trial_is_missed_and_not_left_out():
    good, bad = measure(make_seen(said=DEFENDED), BEGAN_S), measure(make_seen(stops=False), BEGAN_S)
    results = make_results(
        syn_flood_skerry=[(good, {}), (bad, {}), (bad, {})],
        syn_flood_fastnetmon=(good, {}),
        amplification_skerry=[(good, {}), (good, {}), (bad, {})],
    )

    bars, said = dict(conclusions.find_bars(results)), "\n".join(conclusions.conclude(results))

    assert {passed for name, passed in bars.items() if name.startswith("syn-flood:")} == {False}
    assert bars["amplification: detected within 0.5 s in the median"] is True
    assert bars["amplification: its rule withdrawn not before the end"] is False
    assert bars["amplification: sooner stopped than by FastNetMon"] is None  # which has not run
    assert "syn-flood, Skerry: detected not in the trial (1 of 3 trials), it is stopped not in the trial" in said
    assert "amplification, Skerry: detected after 200 ms (2 of 3 trials), it is stopped after" in said
    assert "Not kept: syn-flood: detected within 0.5 s in the median." in said


def test_trials_that_failed_are_missed_by_skerry_and_not_held_against_fastnetmon():
    good = measure(make_seen(said=DEFENDED), BEGAN_S)
    failed = ("syn-flood-skerry", "speed-test-skerry", "amplification-fastnetmon")
    results = make_results(failed=failed, syn_flood_skerry=(good, {}), amplification_skerry=(good, {}))

    bars = dict(conclusions.find_bars(results))

    assert bars["syn-flood: detected within 0.5 s in the median"] is False
    assert bars["speed-test: no packet dropped"] is False
    assert bars["amplification: sooner stopped than by FastNetMon"] is None


def test_each_attack_has_its_pictures():
    seen = make_seen(said=DEFENDED)
    results = make_results(syn_flood_skerry=(measure(seen, BEGAN_S), note(seen, BEGAN_S)))

    first, second, *_ = conclusions.draw(results)

    assert (first.name, second.name) == ("goodput-syn-flood", "passed-syn-flood")
    assert min(ratio for _, ratio in first.lines["Skerry"]) == pytest.approx(0.25)
    assert set(first.lines) == {"Skerry"}


def write_capture(path, *frames):
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    path.write_bytes(head + b"".join(struct.pack("<IIII", 1, 0, len(each), len(each)) + each for each in frames))
    return path


def test_recorded_datagrams_go_to_the_victim_from_where_they_came(tmp_path):
    frames = [ETHERNET + ipv4("198.51.100.7", "192.0.2.1", 17, udp(500, 4500, 100))]
    frames.append(ETHERNET + ipv4("198.51.100.8", "192.0.2.1", 6, tcp(1, 2, SYN)))
    frames.append(frames[0][:60])  # cut off by the capture

    whole, cut = read_datagrams(write_capture(tmp_path / "attack.pcap", *frames))

    assert whole[12:20] == bytes([198, 51, 100, 7, 10, 9, 3, 2])
    assert struct.unpack("!HHHH", whole[20:28]) == (500, 4500, 108, 0)
    assert whole[28:] == b"y" * 100
    assert len(cut) == len(whole)


def test_made_datagrams_are_those_of_name_servers():
    for packet in random.Random(1).choices(make_datagrams(1), k=50):
        assert struct.unpack("!H", packet[20:22]) == (53,)
        assert 400 <= len(packet) - 28 <= 1400


def test_made_up_traffic_is_full_of_clients_and_raises_no_alarm():
    batches = list(benign.make_traffic(3, servers=2, length_ms=12_000))

    found = benign.judge(batches)

    assert found.windows >= 200
    assert found.alarms == []
    assert all(set(batch["protocol"].tolist()) <= {6, 17} for batch in batches)
    assert all((batch["sampling"] == benign.SAMPLING).all() for batch in batches)


def test_windows_in_which_the_detectors_warm_up_are_judged_and_not_counted():
    short = benign.judge(list(benign.make_traffic(3, servers=1, length_ms=9_000)))
    longer = benign.judge(list(benign.make_traffic(3, servers=1, length_ms=15_000)))

    assert (short.windows, short.counted) == (short.warm_up, 0)
    assert longer.windows == longer.counted + longer.warm_up
    assert longer.counted > 0
    assert longer.warm_up <= 1000 / benign.WINDOW_MS * benign.WARM_UP_S


def test_recordings_are_judged_once_and_made_up_traffic_anew_in_each_repeat(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "pcap_normal"
    folder.mkdir(parents=True)
    frames = [ETHERNET + ipv4("198.51.100.7", "192.0.2.1", 17, udp(500, 4500, 100))] * 2
    for number in range(3):
        plain = write_capture(tmp_path / "plain.pcap", *frames)
        (folder / f"{number}.pcap.gz").write_bytes(gzip.compress(plain.read_bytes()))
    monkeypatch.setenv("SKERRY_SHARED", str(tmp_path))
    seeds = []
    monkeypatch.setattr(benign, "make_traffic", lambda seed: seeds.append(seed) or [])

    outcomes = [
        run_benign(Trial(arm="", repeat=repeat, seed=repeat + 7, sites={}, options={}, memory={})) for repeat in (0, 1)
    ]

    # A recording of one window is all warm-up.
    assert [outcome.notes["warm_up_windows"] for outcome in outcomes] == [3, 0]
    assert [outcome.values["benign_windows"] for outcome in outcomes] == [0, 0]
    assert seeds == [7, 8]


def test_windows_without_an_attack_are_those_of_all_repeats_together():
    def benign_trial(recorded, made):
        notes = {"recorded_windows": recorded, "made_windows": made, "warm_up_windows": 500}
        return {"benign_windows": float(recorded + made), "false_alarms": 0.0}, notes

    few = make_results(benign_skerry=[benign_trial(3000, 3000), benign_trial(0, 3000)])
    enough = make_results(benign_skerry=[benign_trial(3000, 3000), benign_trial(0, 4000)])

    assert dict(conclusions.find_bars(few))["no false alarm in 10,000 windows"] is False
    assert dict(conclusions.find_bars(enough))["no false alarm in 10,000 windows"] is True
    assert "3000 are of recordings, each judged once, and 7000 are made up; 1000 more" in "".join(
        conclusions.conclude(enough)
    )


def test_the_experiment_brings_its_own_network_and_takes_no_other(tmp_path):
    experiment, _ = load_experiment("ddos-loop")

    for other in ({"topology": "6g-edge"}, {"without_links": True}):
        with pytest.raises(ConfigError, match="brings a network of its own along"):
            choose_place(experiment, tmp_path, **other)


def test_without_root_there_is_no_star(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(ConfigError, match="ddos-loop needs root"):
        choose_place(load_experiment("ddos-loop")[0], tmp_path)


def test_a_trial_waits_for_the_silence_that_the_rule_of_a_slow_attack_needs():
    assert ATTACKS["low-and-slow"].let_go_s >= EndRules().slow_quiet_s + 10
    assert all(ATTACKS[flood].let_go_s > EndRules().quiet_s for flood in conclusions.FLOODS)
