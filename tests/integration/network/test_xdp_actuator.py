import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from skerry.errors import ConfigError, PlatformError
from skerry.network.actions import Action, Actor, Journal, Match, Path, Policy, Protocol, State, XdpActuator
from skerry.network.actions.xdp import program
from skerry.network.actions.xdp.program import XdpFilter
from skerry.testbed.links.namespace import inside
from support.actions import matches
from support.bgp import wait_for
from support.xdp import (
    ADDRESSES_ONLY,
    INTERFACE,
    LOCAL,
    PEER,
    STRANGER,
    filter_status,
    missing_for_xdp,
    peer_with_xdp_filter,
    without_totals,
)

OWN = ip_network(LOCAL)
MANAGED = Path(peer=ip_network(PEER), local=OWN, protocol=Protocol.UDP, local_port=2222)
POLICY = Policy(scope=(ip_network("10.9.0.0/16"),), paths=(MANAGED,), black_holes=True)
STRANGERS = Match(destination=OWN, sources=(ip_network(STRANGER),))
TWO_SOURCES = Match(destination=OWN, sources=(ip_network("198.51.100.1"), ip_network("198.51.100.2")))
BURST = 20
# A process that acts, says so, and never confirms.
ACTING = """
import sys, time
from ipaddress import ip_network
from pathlib import Path
from skerry.network.actions import Action, Actor, Match, Policy, XdpActuator
folder, interface, own = Path(sys.argv[1]), sys.argv[2], ip_network(sys.argv[3])
policy = Policy(scope=(own,))
actuator = XdpActuator(folder=folder / "entries", interfaces=(interface,), destinations=(own,), policy=policy)
actor = Actor(actuator, policy, folder, dry_run=False, confirm_s=6)
match = Match(destination=own, sources=tuple(ip_network(f"198.51.100.{number}") for number in range(1, 9)))
print(actor.act(Action(match=match, ttl_s=60)).action.id, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module", autouse=True)
def network():
    """All tests here share a network, and the program that is loaded in it."""
    missing = missing_for_xdp()
    if missing:
        pytest.skip(missing)
    with peer_with_xdp_filter(*ADDRESSES_ONLY) as name:
        subprocess.run(["xdp-filter", "ip", "192.0.2.7", "-m", "src,dst"], check=True)
        yield name


@pytest.fixture
def make_actuator(tmp_path):
    def make(**options):
        where = {"folder": tmp_path / "entries", "interfaces": (INTERFACE,), "destinations": (OWN,), "policy": POLICY}
        return XdpActuator(**{**where, **options})

    return make


@pytest.fixture
def actuator(make_actuator):
    actuator = make_actuator()
    yield actuator
    for left in actuator.applied():
        actuator.withdraw(left)


@contextmanager
def listening(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.settimeout(60)
        listener.bind((LOCAL, port))
        yield listener


def send(network, source, port, *, times=1):
    with inside(network), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        for _ in range(times):
            sender.sendto(source.encode(), (LOCAL, port))


def arrive(network, listener, *sources, times=BURST):
    """Send from each source, and at last from one that is always let through; return who has arrived before that."""
    port = listener.getsockname()[1]
    for source in (*sources, PEER):
        send(network, source, port, times=times)
    arrived = []
    while arrived.count(PEER) < times:
        arrived.append(listener.recv(100).decode())
    return {source: arrived.count(source) for source in sources}


def test_packets_of_a_source_are_dropped_and_let_go(network, actuator):
    before = without_totals(filter_status())
    action = Action(match=STRANGERS, ttl_s=60)
    with listening(0) as listener:
        assert arrive(network, listener, STRANGER) == {STRANGER: BURST}

        actuator.check(action)
        actuator.apply(action, timeout_s=60)

        assert arrive(network, listener, STRANGER) == {STRANGER: 0}
        hits = actuator.applied()[action.id]
        assert hits.counted
        assert hits.packets >= BURST
        assert actuator.withdraw(action.id)
        assert arrive(network, listener, STRANGER) == {STRANGER: BURST}
    assert without_totals(filter_status()) == before


def test_packets_to_a_port_are_dropped_and_those_to_another_arrive(make_actuator):
    actuator = make_actuator(policy=Policy(scope=(OWN,)))
    with peer_with_xdp_filter() as network, listening(0) as closed, listening(0) as other:
        subprocess.run(["xdp-filter", "port", "9", "-m", "src", "-p", "udp"], check=True)
        before = without_totals(filter_status())
        ports = closed.getsockname()[1], other.getsockname()[1]
        udp = Match(destination=OWN, protocol=Protocol.UDP, destination_ports=(ports[0],))
        theirs = Match(destination=OWN, protocol=Protocol.TCP, destination_ports=(9,))
        with pytest.raises(PlatformError, match="about 9 already"):
            actuator.apply(Action(match=theirs, ttl_s=60), timeout_s=60)
        action = Action(match=udp, ttl_s=60)
        actuator.apply(action, timeout_s=60)

        send(network, STRANGER, ports[0], times=BURST)

        assert arrive(network, other, STRANGER) == {STRANGER: BURST}
        wait_for(lambda: actuator.applied()[action.id].packets == BURST)
        assert actuator.withdraw(action.id)
        assert arrive(network, closed, STRANGER) == {STRANGER: BURST}
        assert without_totals(filter_status()) == before


def test_everything_to_an_address_is_dropped_and_let_go(network, make_actuator):
    actuator = make_actuator(policy=Policy(scope=(OWN,), black_holes=True))
    before = without_totals(filter_status())
    hole = Action(match=Match(destination=OWN), ttl_s=60)
    with listening(0) as listener:
        assert arrive(network, listener, STRANGER) == {STRANGER: BURST}
        actuator.apply(hole, timeout_s=60)

        send(network, STRANGER, listener.getsockname()[1], times=BURST)

        wait_for(lambda: actuator.applied()[hole.id].packets >= BURST)
        assert actuator.withdraw(hole.id)
        assert arrive(network, listener, STRANGER) == {STRANGER: BURST}
    assert without_totals(filter_status()) == before


# An example starts programs; to shrink one would take minutes.
WITHOUT_SHRINKING = [Phase.explicit, Phase.reuse, Phase.generate]
hosts = st.lists(st.integers(1, 2**32 - 2), min_size=1, max_size=3).map(
    lambda numbers: tuple(ip_network(number) for number in numbers)
)
by_source = st.builds(Match, destination=st.just(OWN), sources=hosts)
acts = st.builds(Action, match=by_source | matches(), ttl_s=st.just(60))


@settings(
    max_examples=10,
    deadline=None,
    phases=WITHOUT_SHRINKING,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(acts, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_inverses_of_any_actions_restore_the_status_byte_for_byte(make_actuator, chosen, random):
    actuator = make_actuator(policy=Policy(scope=(OWN,)))
    for left in actuator.applied():  # by an example that failed
        actuator.withdraw(left)
    before = filter_status()
    in_force = []
    for action in chosen:
        held = filter_status()
        try:
            actuator.apply(action, timeout_s=600)
        except PlatformError:
            assert filter_status() == held
        else:
            in_force.append(action.id)
    assert set(actuator.applied()) == set(in_force)
    for action_id in random.sample(in_force, len(in_force)):
        assert actuator.withdraw(action_id)

    assert filter_status() == before


def test_what_is_there_already_is_not_changed_and_nothing_is_left_behind(actuator, monkeypatch):
    before = filter_status()
    theirs = Match(destination=OWN, sources=(ip_network("198.51.100.1"), ip_network("192.0.2.7")))
    with pytest.raises(PlatformError, match=r"about 192\.0\.2\.7 already"):
        actuator.apply(Action(match=theirs, ttl_s=60), timeout_s=60)
    monkeypatch.setattr(XdpFilter, "add", _refuse_the_second(XdpFilter.add))

    with pytest.raises(PlatformError, match="as the test says"):
        actuator.apply(Action(match=TWO_SOURCES, ttl_s=60), timeout_s=60)

    assert filter_status() == before
    assert actuator.applied() == {}


def test_what_is_half_there_and_cannot_be_taken_back_is_in_force_but_not_renewed(actuator, monkeypatch):
    before = filter_status()
    action = Action(match=TWO_SOURCES, ttl_s=60)
    monkeypatch.setattr(XdpFilter, "add", _refuse_the_second(XdpFilter.add))
    with monkeypatch.context() as patched:
        patched.setattr(XdpFilter, "remove", _refuse)
        with pytest.raises(PlatformError, match="as the test says"):
            actuator.apply(action, timeout_s=60)

    assert set(actuator.applied()) == {action.id}
    with pytest.raises(PlatformError, match="only 1 of 2 entries"):
        actuator.renew(action, timeout_s=60)
    assert actuator.withdraw(action.id)
    assert filter_status() == before


def test_the_keeper_takes_back_what_the_acting_process_could_not(actuator, tmp_path, monkeypatch):
    before = filter_status()
    monkeypatch.setattr(XdpFilter, "add", _refuse_the_second(XdpFilter.add))
    monkeypatch.setattr(XdpFilter, "remove", _refuse)
    actor = Actor(actuator, POLICY, tmp_path, dry_run=False, confirm_s=60)
    action = Action(match=TWO_SOURCES, ttl_s=60)

    with pytest.raises(PlatformError, match="as the test says"):
        actor.act(action)

    wait_for(lambda: actor.journal.find(action.id).state is State.WITHDRAWN)
    assert filter_status() == before
    actor.close()


def test_what_nobody_confirms_is_withdrawn_when_the_acting_process_is_killed(tmp_path):
    before = filter_status()
    command = [sys.executable, "-c", ACTING, str(tmp_path), INTERFACE, LOCAL]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
        action_id = process.stdout.readline().strip()
        assert filter_status() != before
        process.kill()

    journal = Journal(tmp_path)
    wait_for(lambda: journal.find(action_id).state is State.WITHDRAWN)
    assert filter_status() == before
    assert journal.audit(action_id)[-1].reason == "nobody confirmed it in time"
    journal.close()


@pytest.mark.parametrize(
    "match",
    [
        Match(destination=OWN, sources=(ip_network(PEER),)),
        Match(destination=OWN, protocol=Protocol.UDP, destination_ports=(2222,)),
        Match(destination=OWN, protocol=Protocol.UDP, source_ports=(53,)),
        Match(destination=OWN),
    ],
)
def test_the_management_path_can_never_be_cut(network, actuator, tmp_path, match):
    before = without_totals(filter_status())
    actor = Actor(actuator, POLICY, tmp_path, dry_run=False)
    # With the policy, and behind its back: nothing stands before an entry that would let the peer pass.
    assert actor.act(Action(match=match, ttl_s=60)).state is State.REFUSED
    with pytest.raises(PlatformError, match="would cut the path"):
        actuator.apply(Action(match=match, ttl_s=60), timeout_s=60)

    assert without_totals(filter_status()) == before
    with listening(2222) as listener:
        assert arrive(network, listener, times=1) == {}
    actor.close()


def test_it_acts_only_where_the_filter_is_loaded_as_it_has_to_be(make_actuator, tmp_path, monkeypatch):
    action = Action(match=STRANGERS, ttl_s=60)
    with pytest.raises(PlatformError, match="xdp-filter load lo"):
        make_actuator(interfaces=(INTERFACE, "lo")).check(action)
    subprocess.run(["xdp-filter", "load", "lo", "-m", "skb"], check=True)
    try:
        with pytest.raises(PlatformError, match=f"loaded on {INTERFACE} too"):
            make_actuator(interfaces=("lo",)).check(action)
    finally:
        subprocess.run(["xdp-filter", "unload", "lo"], check=True)
    with pytest.raises(PlatformError, match="withdraw only"):
        make_actuator(policy=None).check(action)
    with pytest.raises(ConfigError, match="name the interfaces"):
        make_actuator(interfaces=())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformError, match="apt install xdp-tools"):
        make_actuator()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-p", "deny", *ADDRESSES_ONLY], "--policy allow"),
        (["-f", "ethernet"], "without ipv4"),
        (ADDRESSES_ONLY, "not loaded"),
    ],
)
def test_a_filter_that_would_do_something_else_is_refused(words, reason, make_actuator):
    actuator = make_actuator()
    with peer_with_xdp_filter(*words):
        if reason == "not loaded":
            subprocess.run(["xdp-filter", "unload", INTERFACE], check=True)
        with pytest.raises(PlatformError, match=reason):
            actuator.check(Action(match=STRANGERS, ttl_s=60))


def test_entries_that_went_with_the_filter_are_withdrawn_as_well(make_actuator):
    actuator = make_actuator()
    action = Action(match=STRANGERS, ttl_s=60)
    with peer_with_xdp_filter(*ADDRESSES_ONLY):
        actuator.apply(action, timeout_s=60)
        subprocess.run(["xdp-filter", "unload", INTERFACE], check=True)

        assert actuator.applied() == {}
        with pytest.raises(PlatformError, match="not in force any more"):
            actuator.renew(action, timeout_s=60)
        assert actuator.withdraw(action.id)


def test_in_another_network_the_filter_is_not_asked_and_does_not_forget_where_it_is(network, actuator):
    before = without_totals(filter_status())
    action = Action(match=STRANGERS, ttl_s=60)
    actuator.apply(action, timeout_s=60)
    with inside(network):
        with pytest.raises(PlatformError, match=f"no interface {INTERFACE}"):
            actuator.applied()

        assert actuator.withdraw(action.id)

    assert without_totals(filter_status()) == before


def test_the_lock_of_a_command_that_was_killed_holds_nothing_up(tmp_path, monkeypatch):
    with subprocess.Popen(["true"]) as ended:
        pass
    lock = tmp_path / "xdp-filter.lck"
    lock.write_text(f"{ended.pid}\n")
    monkeypatch.setattr(program, "LOCK_FILE", lock)
    answers = [_answer(1, stderr=f"{program.LOCKED}: Already held by pid {ended.pid}"), _answer(0)]
    monkeypatch.setattr(XdpFilter, "_run_once", lambda self, words: answers.pop(0))

    XdpFilter().status(())

    assert not lock.exists()
    assert not answers


def _answer(code, *, stderr=""):
    return subprocess.CompletedProcess([], code, stdout="", stderr=stderr)


def _refuse_the_second(add):
    taken = []

    def refuse(self, entry):
        if taken:
            raise PlatformError("as the test says")
        taken.append(entry)
        add(self, entry)

    return refuse


def _refuse(self, entry):
    raise PlatformError("as the test says")
