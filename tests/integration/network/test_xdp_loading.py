"""Whose an entry is after xdp-filter was loaded again, and where its maps cannot be seen."""

import subprocess
from ipaddress import ip_network

import pytest

from skerry.errors import PlatformError
from skerry.network.actions import Action, Match, Policy, XdpActuator
from skerry.network.actions.xdp import loading
from skerry.testbed.links.namespace import inside
from support.xdp import (
    ADDRESSES_ONLY,
    INTERFACE,
    LOCAL,
    STRANGER,
    filter_status,
    missing_for_xdp,
    peer_with_xdp_filter,
)

OWN = ip_network(LOCAL)
ACTION = Action(match=Match(destination=OWN, sources=(ip_network(STRANGER),)), ttl_s=60)


@pytest.fixture(scope="module", autouse=True)
def _needed():
    missing = missing_for_xdp()
    if missing:
        pytest.skip(missing)


@pytest.fixture
def network():
    with peer_with_xdp_filter(*ADDRESSES_ONLY) as name:
        yield name


@pytest.fixture
def actuator(network, tmp_path):
    folder = tmp_path / "entries"
    return XdpActuator(folder=folder, interfaces=(INTERFACE,), destinations=(OWN,), policy=Policy(scope=(OWN,)))


def run(*words):
    subprocess.run(["xdp-filter", *words], check=True)


def test_an_equal_entry_of_whoever_loads_the_filter_again_is_left_alone(actuator):
    actuator.apply(ACTION, timeout_s=60)
    run("unload", INTERFACE)
    run("load", INTERFACE, *ADDRESSES_ONLY)
    run("ip", STRANGER, "-m", "src")
    theirs = filter_status()

    assert actuator.applied() == {}
    with pytest.raises(PlatformError, match="not in force any more"):
        actuator.renew(ACTION, timeout_s=60)
    assert actuator.withdraw(ACTION.id)
    assert not actuator.withdraw(ACTION.id)
    assert filter_status() == theirs


def test_an_equal_entry_is_left_alone_after_a_restart_of_the_machine(actuator, tmp_path, monkeypatch):
    boot = tmp_path / "boot_id"
    boot.write_text("the start of before\n")
    with monkeypatch.context() as patched:
        patched.setattr(loading, "BOOT_ID", boot)
        actuator.apply(ACTION, timeout_s=60)
        theirs = filter_status()

    assert actuator.applied() == {}
    assert actuator.withdraw(ACTION.id)
    assert filter_status() == theirs


def test_entries_stay_ours_while_the_filter_is_loaded_and_unloaded_elsewhere(actuator):
    before = filter_status()
    actuator.apply(ACTION, timeout_s=60)
    run("load", "lo", "-m", "skb")
    assert set(actuator.applied()) == {ACTION.id}
    run("unload", "lo")

    assert set(actuator.applied()) == {ACTION.id}
    assert actuator.withdraw(ACTION.id)
    assert filter_status() == before


def test_where_another_file_system_of_bpf_is_mounted_nothing_is_taken_for_withdrawn(actuator):
    before = filter_status()
    actuator.apply(ACTION, timeout_s=60)
    with peer_with_xdp_filter(*ADDRESSES_ONLY) as elsewhere:
        with pytest.raises(PlatformError, match="not the one in which"):
            actuator.withdraw(ACTION.id)
        with inside(elsewhere), pytest.raises(PlatformError, match="not the one in which"):
            actuator.withdraw(ACTION.id)

    assert set(actuator.applied()) == {ACTION.id}
    assert actuator.withdraw(ACTION.id)
    assert filter_status() == before
