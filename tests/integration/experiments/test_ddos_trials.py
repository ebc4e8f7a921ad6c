"""What trials of the closed loop leave behind, and what becomes of them when a program dies: with real networks."""

import os
import shutil
import socket
import subprocess
import time
from functools import partial
from threading import Timer

import pytest

from skerry.errors import PlatformError
from skerry.testbed.experiments.ddos_loop import trial as trials
from skerry.testbed.experiments.ddos_loop.attacks import ATTACKS, Disturbance
from skerry.testbed.experiments.ddos_loop.clearing import check_clear, clear
from skerry.testbed.experiments.ddos_loop.defences import EXPORTER_START_S, Defence, FastNetMon, Nothing, Said
from skerry.testbed.experiments.ddos_loop.processes import Program
from skerry.testbed.experiments.ddos_loop.star import ROLES, StarPlace
from skerry.testbed.experiments.ddos_loop.trial import Times
from skerry.testbed.links.namespace import FOLDER, add_namespace, delete_namespace, inside, run_tool
from support.own_network import missing_for_nftables


def find_missing():
    absent = [name for name in ("iperf3", "tc", "ss", "nsenter", "prlimit", "setsid") if shutil.which(name) is None]
    return missing_for_nftables() or (f"needs the programs {', '.join(absent)}" if absent else "")


pytestmark = pytest.mark.skipif(bool(find_missing()), reason=find_missing() or "")

TIMES = Times(before_s=0.0, during_s=0.0, after_s=0.0)
TABLE = "add table inet skerry\n"
DROPPING = """table inet skerry {
    chain dropping {
        type filter hook input priority 0; policy drop;
    }
}
"""


@pytest.fixture
def network():
    name = f"sk-trial-{os.getpid()}"
    add_namespace(name)
    yield name
    for pid in run_tool(["ip", "netns", "pids", name]).split():
        os.kill(int(pid), 9)
    delete_namespace(name)


def run_in(network, *words, **how):
    return subprocess.run(["nsenter", f"--net={FOLDER / network}", *words], check=True, **how)


def keep_alive(network):
    """Leave a process in a network that is nobody's child, as a keeper whose loop has ended is."""
    run_in(network, "setsid", "--fork", "sleep", "600")


def test_rules_and_processes_that_a_defence_leaves_go_with_its_trial(network):
    folders = []

    def leave(router, folder):
        run_in(router, "nft", "-f", "-", input=TABLE, text=True)
        keep_alive(router)
        folders.append(folder)
        return Nothing(router, folder)

    # There is no victim in this network, so that the trial ends when its service finds no address.
    with pytest.raises(PlatformError, match="is not ready"):
        trials.run(dict.fromkeys(ROLES, network), leave, ATTACKS["syn-flood"], TIMES)

    check_clear(network)
    assert run_tool(["ip", "netns", "pids", network]) == ""
    assert not folders[0].exists()


def test_connections_whose_ends_were_dropped_do_not_send_them_in_the_next_trial(network):
    with inside(network), socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        served, _ = server.accept()
        run_in(network, "nft", "-f", "-", input=DROPPING, text=True)
        client.close()
        served.close()
    assert run_in(network, "ss", "-Htan", capture_output=True, text=True).stdout.count("FIN-WAIT-1") == 2

    clear([network])

    assert run_in(network, "ss", "-Htan", capture_output=True, text=True).stdout == ""
    check_clear(network)


def test_a_trial_does_not_begin_while_the_router_has_rules(network):
    run_in(network, "nft", "-f", "-", input=TABLE, text=True)

    with pytest.raises(PlatformError, match="already has the tables skerry of nftables before the trial begins"):
        trials.run(dict.fromkeys(ROLES, network), Nothing, ATTACKS["syn-flood"], TIMES)


def test_bans_of_fastnetmon_are_stamped_by_the_clock_of_everything_else(network, tmp_path):
    defence = FastNetMon(network, tmp_path)
    script, bans = defence.write_script(), defence.listen()
    began_s = time.monotonic()

    for action in ("ban", "unban"):
        run_in(network, str(script), "10.9.3.2", "incoming", "23456", action, input="details\n", text=True)
        if action == "ban":
            assert (
                "ip daddr 10.9.3.2" in run_in(network, "nft", "list", "ruleset", capture_output=True, text=True).stdout
            )
    bans.wait_for(lambda line: "withdrawn" in line)
    bans.stop()

    said = defence.said()
    assert [one.what for one in said] == ["detected", "acted", "withdrawn"]
    stamps = [began_s, *(one.at_s for one in said), time.monotonic()]
    assert stamps == sorted(set(stamps))  # not one of them is rounded
    assert said[0] == Said(what="detected", at_s=stamps[1], reason="23456 packets per second")
    check_clear(network)


class Dying(Defence):
    """A defence whose exporter has died, before the attack or in the middle of it."""

    def __init__(self, network, folder, *, life_s):
        super().__init__(network, folder)
        self._life_s = life_s

    def start(self):
        log = self.folder / "exporter.log"
        log.write_text("there is no such interface\n")
        alive, exporter = (Program(self.network, ["sleep", "600"], self.folder, log=log) for _ in range(2))
        if self._life_s is None:
            exporter.stop()
        else:
            Timer(self._life_s, exporter.stop).start()
        return [alive, exporter]

    def said(self):
        return []


@pytest.mark.parametrize("life_s", [None, EXPORTER_START_S + 0.3])
def test_a_trial_fails_when_a_program_of_its_defence_has_died(tmp_path, life_s):
    idle = Disturbance(title="", start=lambda network, folder: Program(network, ["sleep", "600"], folder))
    times = Times(before_s=0.0, during_s=0.0, after_s=0.0 if life_s is None else 30.0)

    with (
        StarPlace(tmp_path) as place,
        pytest.raises(PlatformError, match=r"sleep has ended in the middle of the trial[^$]*no such interface"),
    ):
        trials.run(place.disturb("networks", {}), partial(Dying, life_s=life_s), idle, times)


DIES = "sleep 0.3; echo there is no way to the victim; exit 3"


@pytest.mark.parametrize(
    ("command", "during_s", "said"),
    [
        (DIES, 30.0, r"sh has ended in the middle of the trial, with exit code 3[^$]*no way to the victim"),
        ("echo I wait; sleep 600", 0.5, r"sh has run, but no packet of it came to the router[^$]*I wait"),
    ],
    ids=["dies", "does nothing"],
)
def test_a_trial_fails_when_its_attack_was_none(tmp_path, command, during_s, said):
    attack = Disturbance(title="", start=lambda network, folder: Program(network, ["sh", "-c", command], folder))
    times = Times(before_s=0.0, during_s=during_s, after_s=0.0)

    with StarPlace(tmp_path) as place, pytest.raises(PlatformError, match=said):
        trials.run(place.disturb("networks", {}), Nothing, attack, times)


def test_a_trial_fails_when_the_traffic_of_its_clients_has_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "STEADY", trials.STEADY.replace(f"-p {trials.STEADY_PORT}", "-p 9"))

    with (
        StarPlace(tmp_path) as place,
        pytest.raises(PlatformError, match=r"iperf3 has ended in the middle of the trial[^$]*unable to connect"),
    ):
        trials.run(place.disturb("networks", {}), Nothing, ATTACKS["syn-flood"], TIMES)


def test_a_program_that_ends_before_it_is_ready_says_how(network, tmp_path):
    program = Program(network, ["sh", "-c", "echo there is no such option; exit 4"], tmp_path)

    with pytest.raises(PlatformError, match=r"sh is not ready; it has ended with exit code 4: there is no such option"):
        program.wait_for(lambda line: "ready" in line)

    program.stop()
