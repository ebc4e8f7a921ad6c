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

from skerry.testbed.experiments.ddos_loop.defences import EXPORTER_START_S, Defence, Said
from skerry.testbed.experiments.ddos_loop.processes import Program
from skerry.testbed.experiments.ddos_loop.star import CLIENTS, VICTIM
from skerry.testbed.experiments.usage import trees_cpu_s

RATE = "8M"  # of the steady connection, about half of the thin link
VISITS_PER_S = 20
STEADY_CLIENTS = 20
WITHDRAWN_WITHIN_S = 12.0
SERVER = {"role": "server", "places": 100, "patience_s": 10.0}

Start = Callable[[str, Path], Program]


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
    networks: Mapping[str, str], make: Callable[[str, Path], Defence], disturb: Start, where: str, times: Times
) -> Seen:
    """Run a trial.

    Args:
        networks: Names of the star's networks, by role.
        make: Makes the defence, for a network and a folder.
        disturb: Starts the attack or the control.
        where: In whose network.
        times: How long.
    """
    folder = Path(tempfile.mkdtemp(prefix="skerry-ddos-"))
    try:
        with ExitStack() as running:
            return _run(networks, make(networks["router"], folder), disturb, where, times, folder, running)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    networks: Mapping[str, str],
    defence: Defence,
    disturb: Start,
    where: str,
    times: Times,
    folder: Path,
    running: ExitStack,
) -> Seen:
    def keep(program: Program) -> Program:
        running.callback(program.stop)
        return program

    def start(role: str, words: str) -> Program:
        return keep(Program(networks[role], words.split(), folder))

    web = keep(Program.python(networks["victim"], "web", SERVER, folder))
    start("victim", "iperf3 -s")
    web.wait_for(lambda line: "ready" in line)
    visitors = keep(Program.python(networks["client"], "web", _visitors(0, STEADY_CLIENTS, VISITS_PER_S), folder))
    meter = keep(Program.python(networks["router"], "meter", {}, folder))
    programs = [keep(program) for program in defence.start()]
    for program in (visitors, meter):
        program.wait_for(lambda line: "ready" in line)
    steady = start("client", f"iperf3 -c {VICTIM} -B {CLIENTS[0]} -t 600 -b {RATE} -i 0.2 -J")
    steady_s = time.monotonic()
    time.sleep(EXPORTER_START_S + times.before_s)
    attack = keep(disturb(networks[where], folder))
    seen = Seen(began_s=time.monotonic(), ended_s=0.0)
    time.sleep(times.during_s)
    attack.stop()
    seen.ended_s = time.monotonic()
    _wait_for_calm(defence, seen.ended_s, times.after_s)
    seen.cpu_s = [trees_cpu_s([program.pid]) for program in programs]
    seen.memory_bytes = _most_memory_bytes(programs[0].pid) if programs else 0
    for program in (steady, visitors, meter):
        program.stop()
    seen.said = defence.said()
    lines = meter.objects()
    seen.counts = [(line["at_s"], line["counts"]) for line in lines if "counts" in line]
    seen.first_packet_s = next((line["first_packet_s"] for line in lines if "first_packet_s" in line), None)
    seen.visits = [line for line in visitors.objects() if "answered" in line]
    seen.rates = _rates(steady.lines, steady_s)
    return seen


def _visitors(first: int, sources: int, per_s: float) -> dict[str, Any]:
    return {"role": "client", "first": first, "sources": sources, "per_s": per_s}


def _wait_for_calm(defence: Defence, ended_s: float, after_s: float) -> None:
    """Wait for so long, and then until what was acted on is withdrawn."""
    while (passed_s := time.monotonic() - ended_s) < max(after_s, WITHDRAWN_WITHIN_S):
        words = [said.what for said in defence.said()]
        if passed_s >= after_s and words.count("acted") <= words.count("withdrawn"):
            return
        time.sleep(0.1)


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
