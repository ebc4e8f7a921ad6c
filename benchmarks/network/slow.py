"""How soon slow attacks can be told from what looks like them: ``python -m benchmarks.network.slow``.

Each rule is shown attacks, and each lookalike, in windows of a second after 30 s of ordinary clients, as a flow
exporter tells both: without an answer's bytes and without what is in a packet. An alarm about a lookalike is a false
one. The rules are the detector with other times, and a trial rule that needs no time: so many connections of one
machine that are open at once, each with few packets and silent for a second.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from typing import NamedTuple

from benchmarks.measuring import facts, save
from skerry.network.actions import Flag, Protocol
from skerry.network.detection import Slice, SlowDetector, SlowRules, Traffic, make_traffic
from skerry.network.detection.connections import ConnectionTable

VICTIM = IPv4Address("10.9.3.2")
QUIET_S, SHOWN_S = 30, 60
OPENED, SAYS, LEAVES = Flag.SYN | Flag.ACK, Flag.ACK, Flag.ACK | Flag.FIN
TIMES_S = (1.0, 2.0, 3.0, 5.0, 10.0)
# Of the trial rule: packets of a connection, from and to, and its bytes, headers included. Three packets are the
# beginning of a request that nobody has answered.
TRIALS = ((2, 3, 240), (3, 3, 240), (3, 3, 400), (3, 3, 1000))


class Packets(NamedTuple):
    """What one connection sends in one second.

    Args:
        at_s: In which, from when it is opened.
        packets: How many.
        length_bytes: Their mean length.
        flags: All that they have.
    """

    at_s: int
    packets: int
    length_bytes: int
    flags: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Connections that are alike.

    Args:
        title: What they are.
        count: How many.
        sources: Of how many machines.
        within_s: In how many seconds they are opened.
        course: What each sends.
        attack: Whether they are an attack.
    """

    title: str
    count: int
    sources: int
    within_s: int
    course: Sequence[Packets]
    attack: bool = False

    def window(self, second: int) -> Iterator[Slice]:
        """Yield what they send in a second, from when the first is opened."""
        for number in range(self.count):
            begins_s = number * self.within_s // self.count
            for one in self.course:
                if begins_s + one.at_s == second:
                    yield _slice(IPv4Address("203.0.113.0") + number % self.sources, 20_000 + number, one)


def every(seconds: int, length_bytes: int, packets: int = 1) -> list[Packets]:
    """Return what says something again and again."""
    return [Packets(at_s, packets, length_bytes, SAYS) for at_s in range(seconds, SHOWN_S, seconds)]


def stalled(stand_s: int) -> list[Packets]:
    """Return a request that is answered only once the server goes on, on a connection that is kept."""
    return [Packets(0, 3, 200, OPENED), Packets(stand_s, 3, 52, SAYS)]


HEADER_16, HEADER_200 = Packets(0, 3, 60, OPENED), Packets(0, 3, 125, OPENED)
ASKED = Packets(0, 3, 200, OPENED)  # a request of some 440 bytes, which nobody has answered yet
CASES = (
    Case(
        title="the experiment's attack",
        count=250,
        sources=1,
        within_s=1,
        course=[HEADER_16, *every(2, 60)],
        attack=True,
    ),
    Case(
        title="a header of 200 bytes, a line each 10 s",
        count=400,
        sources=4,
        within_s=2,
        course=[HEADER_200, *every(10, 70)],
        attack=True,
    ),
    Case(
        title="a header of 440 bytes, a byte each 15 s",
        count=400,
        sources=4,
        within_s=2,
        course=[ASKED, *every(15, 53)],
        attack=True,
    ),
    *(
        Case(
            title=f"a server that stands for {stand_s} s: 300 kept connections of 150 clients",
            count=300,
            sources=150,
            within_s=1,
            course=stalled(stand_s),
        )
        for stand_s in (2, 4, 8)
    ),
    Case(
        title="a server that stands for 2 s: 300 kept connections of one proxy",
        count=300,
        sources=1,
        within_s=1,
        course=stalled(2),
    ),
    Case(
        title="a proxy that opens 150 connections ahead",
        count=150,
        sources=1,
        within_s=1,
        course=[Packets(0, 2, 56, OPENED), Packets(20, 20, 400, SAYS)],
    ),
    Case(
        title="200 users behind one address, long polling",
        count=200,
        sources=1,
        within_s=5,
        course=[ASKED, Packets(25, 3, 52, SAYS), Packets(26, 1, 500, SAYS), Packets(51, 3, 52, SAYS)],
    ),
    Case(
        title="200 users behind one address, web sockets",
        count=200,
        sources=1,
        within_s=5,
        course=[Packets(0, 5, 200, OPENED), *every(20, 60, 2)],
    ),
    Case(
        title="150 users behind one address, whose browsers open one connection to spare",
        count=150,
        sources=1,
        within_s=5,
        course=[Packets(0, 2, 56, OPENED), Packets(10, 1, 52, LEAVES)],
    ),
    Case(
        title="150 sensors behind one address that come back, whose broker stands for 3 s",
        count=150,
        sources=1,
        within_s=1,
        course=[Packets(0, 3, 62, OPENED), Packets(3, 1, 52, SAYS), *every(20, 90, 2)],
    ),
    Case(
        title="150 sensors behind one address after a power cut, a value each 2 s",
        count=150,
        sources=1,
        within_s=2,
        course=[Packets(0, 4, 70, OPENED), *every(2, 90, 2)],
    ),
    Case(
        title="300 clients that keep a connection and ask nothing more",
        count=300,
        sources=300,
        within_s=3,
        course=[Packets(0, 5, 200, OPENED), Packets(15, 2, 52, LEAVES)],
    ),
    Case(
        title="a crowd of 300 clients, answered at once",
        count=300,
        sources=100,
        within_s=1,
        course=[Packets(0, 6, 150, Flag.SYN | Flag.ACK | Flag.FIN)],
    ),
)


class OpenAtOnce:
    """The trial rule.

    Args:
        packets: That a connection has sent, at least and at most.
        most_bytes: That it has sent, at most.
        least: Such connections of one machine, at least.
    """

    def __init__(self, packets: tuple[int, int], most_bytes: int, least: int = 100) -> None:
        self._table = ConnectionTable(idle_s=90.0)
        self._packets = packets
        self._most_bytes = most_bytes
        self._least = least

    def __call__(self, window: Traffic) -> bool:
        """Take a window; return whether there is an alarm."""
        self._table.see(window, adopt=True)
        now_s = window.ended_s
        found = Counter(
            key[0]
            for key, one in self._table.of(window.destination).items()
            if not one.ended
            and one.flags & int(OPENED) == int(OPENED)
            and now_s - one.last_s >= 1.0
            and now_s - one.first_s <= 10.0
            and self._packets[0] <= one.packets <= self._packets[1]
            and one.size_bytes <= self._most_bytes
        )
        return max(found.values(), default=0) >= self._least


def detector(slow_s: float) -> Callable[[Traffic], bool]:
    """Return the detector as a rule, with another time."""
    found = SlowDetector(SlowRules(slow_s=slow_s))

    def judge(window: Traffic) -> bool:
        alarm = found.judge(window).alarm
        if not alarm:
            found.learn(window)
        return alarm

    return judge


def first_alarm(case: Case, judge: Callable[[Traffic], bool]) -> int | None:
    """Return how many seconds after the first connection a rule raises an alarm; None where it raises none."""
    for second in range(-QUIET_S, SHOWN_S):
        slices = [*_clients(second), *case.window(second)]
        if judge(make_traffic(VICTIM, slices, ended_s=1000.0 + second + 1, length_s=1.0)):
            return second + 1
    return None


def _clients(second: int) -> Iterator[Slice]:
    for number in range(10):
        yield _slice(IPv4Address("10.9.1.0") + number, 30_000 + second % 20_000, Packets(0, 8, 150, OPENED | Flag.FIN))


def _slice(source: IPv4Address, port: int, one: Packets) -> Slice:
    return Slice(
        source=source,
        protocol=Protocol.TCP,
        source_port=port,
        destination_port=80,
        flags=one.flags,
        length_bytes=one.length_bytes,
        packets=one.packets,
    )


def main() -> None:
    """Measure, say it, and keep it."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rules: dict[str, Callable[[], Callable[[Traffic], bool]]] = {
        **{f"slow_s={slow_s:g}": partial(detector, slow_s) for slow_s in TIMES_S},
        **{
            f"open at once, {least}-{most} packets, {size_bytes} bytes": partial(OpenAtOnce, (least, most), size_bytes)
            for least, most, size_bytes in TRIALS
        },
    }
    found = {case.title: {name: first_alarm(case, make()) for name, make in rules.items()} for case in CASES}
    print("seconds until there is an alarm; of what is no attack, each is a false one\n")
    print(" | ".join(["", *rules]))
    for case in CASES:
        said = ["-" if at_s is None else str(at_s) for at_s in found[case.title].values()]
        print(" | ".join([("ATTACK: " if case.attack else "") + case.title, *said]))
    attacks = [case.title for case in CASES if case.attack]
    print(f"\n{save('network_slow', {'facts': facts(['skerry', 'numpy']), 'attacks': attacks, 'alarms_s': found})}")


if __name__ == "__main__":
    main()
