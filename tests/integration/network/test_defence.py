"""What a person runs on a router: flow records in, and in a dry run nothing out but words."""

import socket
import threading
import time
from dataclasses import replace
from ipaddress import IPv4Address, ip_network

import pytest

from skerry.errors import ConfigError
from skerry.network.actions import XdpActuator
from skerry.network.actions.person import withdraw
from skerry.network.defence import DefenceSettings, defend
from skerry.network.detection import decide_by_one_field
from skerry.network.loop import Step
from skerry.network.verification import Finding
from support.flow_messages import netflow5, record5
from support.own_network import rule_set
from support.xdp import ADDRESSES_ONLY, INTERFACE, filter_status, missing_for_xdp, peer_with_xdp_filter

VICTIM = "203.0.113.9"  # where the records of these tests go to
DEADLINE_S = 60.0


def forged(turn, part, number):
    return f"198.{turn % 250}.{part}.{number}"


def send_flood(port, ended, source):
    """Tell a collector of opening packets, until it is enough."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for turn in range(10_000):
            for part in range(10):
                records = [record5(source(turn, part, number)) for number in range(30)]
                sender.sendto(netflow5(*records), ("127.0.0.1", port))
            if ended.wait(0.05):
                return


@pytest.fixture
def settings(tmp_path):
    return DefenceSettings(scope=(ip_network("203.0.113.0/24"),), folder=tmp_path / "defence", port=0, paths=())


def defend_until(step, settings, *, source=forged, **options):
    """Defend against a flood until the loop has done something; return all that it has done."""
    said, ended = [], threading.Event()
    ends_at = time.monotonic() + DEADLINE_S
    senders = []

    def begin(port):
        senders.append(threading.Thread(target=send_flood, args=(port, ended, source)))
        senders[0].start()

    def stopped():
        return any(each.step is step for each in said) or time.monotonic() > ends_at

    try:
        defend(settings, stopped, tell=said.append, ready=begin, **options)
    finally:
        ended.set()
        senders[0].join()
    return said


def test_a_flood_in_flow_records_is_found_and_in_a_dry_run_nothing_is_done(settings):
    before = rule_set()

    said = defend_until(Step.TRIED, settings)

    assert [each.step for each in said[:2]] == [Step.DETECTED, Step.TRIED]
    assert {each.destination for each in said} == {IPv4Address(VICTIM)}
    assert rule_set() == before


def test_an_action_is_verified_as_the_caller_says(settings):
    before = rule_set()
    acting = replace(settings, dry_run=False)

    said = defend_until(Step.WITHDRAWN, acting, verification=lambda decision, readings: Finding.FAILED)

    assert [each.step for each in said[:3]] == [Step.DETECTED, Step.ACTED, Step.WITHDRAWN]
    assert said[2].reason == "the verification has failed"
    assert rule_set() == before


def test_few_sources_are_dropped_by_xdp(settings):
    missing = missing_for_xdp()
    if missing:
        pytest.skip(missing)
    sources = ("198.51.100.1", "198.51.100.2", "198.51.100.3")
    with peer_with_xdp_filter(*ADDRESSES_ONLY):
        before = filter_status()
        actuator = XdpActuator(
            folder=settings.folder / "xdp",
            interfaces=(INTERFACE,),
            destinations=(ip_network(VICTIM),),
            policy=settings.policy(),
        )
        said = defend_until(
            Step.VERIFIED,
            replace(settings, dry_run=False),
            source=lambda turn, part, number: sources[number % 3],
            actuator=actuator,
            decide_rule=decide_by_one_field,
            verification=lambda decision, readings: Finding.PASSED,
        )

        assert [each.step for each in said] == [Step.DETECTED, Step.ACTED, Step.VERIFIED]
        assert all(source in filter_status() for source in sources)
        withdraw(settings.folder, said[1].action_id, "the test has ended")
        assert filter_status() == before


def test_a_port_that_is_taken_is_refused_with_the_reason(settings):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = DefenceSettings(
            scope=settings.scope, folder=settings.folder, port=other.getsockname()[1], paths=settings.paths
        )
        with pytest.raises(ConfigError, match="Address already in use"):
            defend(taken, lambda: True)
