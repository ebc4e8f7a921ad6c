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
from skerry.network.detection import BaselineDetector, decide_by_one_field
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


def defend_until(step, settings, *, source=forged, is_over=lambda: False, **options):
    """Defend against a flood until the loop has told something, or it is over; return all that it has told."""
    said, ended = [], threading.Event()
    ends_at = time.monotonic() + DEADLINE_S
    senders = []

    def begin(port):
        senders.append(threading.Thread(target=send_flood, args=(port, ended, source)))
        senders[0].start()

    def stopped():
        return is_over() or any(each.step is step for each in said) or time.monotonic() > ends_at

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
    asked = threading.Event()  # by the loop itself: what is told comes a moment later, when it may act once more

    def refuse(decision, readings):
        asked.set()
        return Finding.FAILED

    said = defend_until(Step.WITHDRAWN, acting, is_over=asked.is_set, verification=refuse)

    assert [each.step for each in said[:3]] == [Step.DETECTED, Step.ACTED, Step.WITHDRAWN]
    assert said[2].reason == "the verification has failed"
    assert rule_set() == before


def test_who_is_told_slowly_delays_no_window_and_is_told_everything_before_the_end(settings):
    told, may_go, senders, flooded = [], threading.Event(), [], threading.Event()
    ends_at = time.monotonic() + DEADLINE_S

    class Counting(BaselineDetector):
        judged = 0

        def judge(self, window):
            self.judged += bool(told)
            return super().judge(window)

    def tell(what):
        told.append(what.step)
        may_go.wait(DEADLINE_S)

    def begin(port):
        senders.append(threading.Thread(target=send_flood, args=(port, flooded, forged)))
        senders[0].start()

    def stopped():
        is_over = detector.judged >= 5 or time.monotonic() > ends_at
        if is_over:
            seen.extend(told)
            may_go.set()
        return is_over

    detector, seen = Counting(), []
    try:
        defend(settings, stopped, detector=detector, tell=tell, ready=begin)
    finally:
        flooded.set()
        may_go.set()
        senders[0].join()

    assert detector.judged >= 5
    assert seen == [Step.DETECTED]  # whoever is told has not come back from the first one
    assert told[:2] == [Step.DETECTED, Step.TRIED]


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

        assert [each.step for each in said[:3]] == [Step.DETECTED, Step.ACTED, Step.VERIFIED]
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
