"""One trial: calm traffic, then an attack or a control, then calm again, and what was seen of it."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skerry.errors import PlatformError
from skerry.testbed.experiments.ddos_loop.attacks import SPEED_TEST_PORT, STEADY_CLIENTS, Disturbance, visitors
from skerry.testbed.experiments.ddos_loop.clearing import check_clear, clear
from skerry.testbed.experiments.ddos_loop.defences import EXPORTER_START_S, Defence, Said
from skerry.testbed.experiments.ddos_loop.processes import Program
from skerry.testbed.experiments.ddos_loop.star import CLIENTS, VICTIM
from skerry.testbed.experiments.usage import trees_cpu_s

STEADY_PORT = 5201
# The steady connection takes about half of the thin link, in pieces small enough to be even.
STEADY = f"iperf3 -c {VICTIM} -p {STEADY_PORT} -B {CLIENTS[0]} -t 600 -l 8K -b 8M -i 0.2 -J"
VISITS_PER_S = 20
CHECK_EVERY_S = 0.25
SERVER = {"role": "server", "places": 100, "patience_s": 10.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long the parts of a trial are, seconds.

    Args:
        before_s: Calm, before.
        during_s: The attack, or the control.
        after_s: Calm, at least, after it.
    """

    before_s: float
    during_s: float
    after_s: float


@dataclass(slots=True, kw_only=True)
class Seen:
    """What a trial has seen; times are of the machine's monotonic clock.

    Args:
        began_s: When the attack or control was started.
        ended_s: When it was ended.
        said: What the defence did.
        counts: Time, and packets of attacker and client before and after the rules.
        visits: New connections: when, from where, whether they were answered.
        rates: Time, and bits per second of the steady connection.
        first_packet_s: When the attacker's first packet came; none without one.
        cpu_s: Processor time of the defence, by program.
        memory_bytes: Most memory of the defence.
    """

    began_s: float
    ended_s: float
    said: Sequence[Said] = ()
    counts: Sequence[tuple[float, Sequence[int]]] = ()
    visits: Sequence[Mapping[str, Any]] = ()
    rates: Sequence[tuple[float, float]] = ()
    first_packet_s: float | None = None
    cpu_s: Sequence[float] = field(default_factory=tuple)
    memory_bytes: int = 0


def run(
    networks: Mapping[str, str],
    make: Callable[[str, Path], Defence],
    disturbance: Disturbance,
    times: Times,
    *,
    cold: bool = False,
) -> Seen:
    """Run a trial.

    Args:
        networks: Names of the star's networks, by role.
        make: Makes the defence, for a network and a folder.
        disturbance: The attack or the control.
        times: How long.
        cold: Whether the defence starts only after the calm, and knows nothing of it.

    Raises:
        PlatformError: the router has rules already, or a program does not do its work.
    """
    check_clear(networks["router"])
    folder = Path(tempfile.mkdtemp(prefix="skerry-ddos-"))
    with ExitStack() as ending:
        # Last of all: as long as the keeper lives it needs the journal that is in there.
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        ending.callback(clear, networks.values())
        running = ending.enter_context(ExitStack())
        defence = make(networks["router"], folder)
        return _Scene(networks, folder, running).play(defence, disturbance, times, cold=cold)


class _Scene:
    """The programs of a trial, which end with it."""

    def __init__(self, networks: Mapping[str, str], folder: Path, running: ExitStack) -> None:
        self._networks = networks
        self._folder = folder
        self._running = running
        self._watched: list[Program] = []
        web = self._keep(Program.python(networks["victim"], "web", SERVER, folder))
        servers = [
            self._start("victim", f"iperf3 -s --forceflush -p {port}") for port in (STEADY_PORT, SPEED_TEST_PORT)
        ]
        for server in servers:
            server.wait_for(lambda line: "listening" in line)
        web.wait_for(_is_ready)
        steady = visitors(0, STEADY_CLIENTS, VISITS_PER_S)
        self._visitors = self._keep(Program.python(networks["client"], "web", steady, folder))
        self._meter = self._keep(Program.python(networks["router"], "meter", {}, folder))
        for program in (self._visitors, self._meter):
            program.wait_for(_is_ready)
        self._steady_s = time.monotonic()
        self._steady = self._start("client", STEADY)

    def play(self, defence: Defence, disturbance: Disturbance, times: Times, *, cold: bool) -> Seen:
        """Let it happen, and return what was seen."""
        if cold:
            self._pass_time(times.before_s)
        programs = [self._keep(program) for program in defence.start()]
        self._pass_time(EXPORTER_START_S if cold else EXPORTER_START_S + times.before_s)
        attack = self._keep(disturbance.start(self._networks[disturbance.where], self._folder))
        if disturbance.says_ready:
            attack.wait_for(_is_ready)
        seen = Seen(began_s=time.monotonic(), ended_s=0.0)
        self._pass_time(times.during_s)
        self._watched.remove(attack)
        attack.stop()
        seen.ended_s = time.monotonic()
        self._wait_for_calm(defence, seen.ended_s, times.after_s, disturbance.let_go_s)
        seen.cpu_s = [trees_cpu_s([program.pid]) for program in programs]
        seen.memory_bytes = _most_memory_bytes(programs[0].pid) if programs else 0
        for program in (self._steady, self._visitors, self._meter):
            program.stop()
        seen.said = defence.said()
        lines = self._meter.objects()
        seen.counts = [(line["at_s"], line["counts"]) for line in lines if "counts" in line]
        seen.first_packet_s = next((line["first_packet_s"] for line in lines if "first_packet_s" in line), None)
        if disturbance.where == "attacker" and seen.first_packet_s is None:
            raise PlatformError(
                f"{attack.name} has run, but no packet of it came to the router, so there was no attack: "
                f"{attack.last_lines()}"
            )
        seen.visits = [line for line in (*self._visitors.objects(), *attack.objects()) if "answered" in line]
        seen.rates = _rates(self._steady.lines, self._steady_s)
        return seen

    def _pass_time(self, length_s: float) -> None:
        """Wait, as long as every program runs: one that has died would otherwise be one that has done nothing."""
        ends_s = time.monotonic() + length_s
        while True:
            for program in self._watched:
                program.check()
            left_s = ends_s - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(left_s, CHECK_EVERY_S))

    def _wait_for_calm(self, defence: Defence, ended_s: float, after_s: float, let_go_s: float) -> None:
        """Wait for so long, and then until what was acted on is withdrawn."""
        self._pass_time(ended_s + after_s - time.monotonic())
        while time.monotonic() - ended_s < let_go_s:
            words = [said.what for said in defence.said()]
            if words.count("acted") <= words.count("withdrawn"):
                return
            self._pass_time(0.1)

    def _keep(self, program: Program) -> Program:
        self._running.callback(program.stop)
        self._watched.append(program)
        return program

    def _start(self, role: str, words: str) -> Program:
        return self._keep(Program(self._networks[role], words.split(), self._folder))


def _is_ready(line: str) -> bool:
    return '"ready"' in line


def _most_memory_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def _rates(lines: Sequence[str], began_s: float) -> list[tuple[float, float]]:
    """Return the bits per second of each interval of iperf3, by when it began."""
    found = json.loads("\n".join(lines))
    sums = [interval["sum"] for interval in found["intervals"]]
    return [(began_s + one["start"], one["bits_per_second"]) for one in sums if one["seconds"] > 0.1]
