"""What the whole loop carries: ``python -m benchmarks.network.throughput [--backlog sqlite nats]``.

As root on Linux with nftables; NATS needs ``nats-server`` and ``redis-server``. Everything runs on one machine, as the
guides "Defend a link" and "React to an event" have it: an exporter sends IPFIX over UDP to a defence (a process of its
own: collector, features of each window, detectors, decision, an action as a dry run), which tells what happens to the
broker of an engine, which gives it to a function, which writes it into a state. ``sqlite`` keeps events and states in
files of the engine, ``nats`` keeps events on a JetStream server and states on Redis.

Measured in rounds, all arms in turn in each of them:

* flow records: rates are tried upwards (in steps of a quarter) until one is not kept. A rate is kept when every record
  was decoded and every packet judged within a second after the last datagram, no datagram was dropped or refused, no
  sequence number was missing, and what the loop told has had its effect once. The exporter keeps to its plan whatever
  becomes of its datagrams; half of its records tell of connections that last, the others of new ones, and every four
  seconds a server is flooded for half a second with as many openings from forged sources.
* events: published as fast as they are accepted, until the last effect is in the state, each by a transaction of its
  own; given to the function singly and in lists. ``told`` publishes one after the other, as a defence does.
* states: what `benchmarks.state` measures, at its increments.

Processor time stands beside the rates, and the share of moments in which the machine ran at less than a third of its
usual speed (`measuring.SpeedWatch`). Files are written without waiting for the disk, see ``docs/concepts/events.md``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import SpeedWatch, facts, line, save, spread
from benchmarks.network.throughput import events, flows
from benchmarks.network.throughput.place import BACKLOGS, STATE_OF, place
from benchmarks.state.__main__ import increment
from benchmarks.state.__main__ import measure as measure_state
from benchmarks.state.places import backends
from skerry.store.state import State, store_at

STATE_GROUP = "bench/state"  # of `benchmarks.state`


def measure_round(options: argparse.Namespace, folder: Path, number: int, starts: dict[str, float]) -> Iterator[Any]:
    """Yield each arm's figures of one round, as the kind of measure, the arm and its figures."""
    for backlog in options.backlog:
        with place(folder / f"{number}-{backlog}-flows", backlog, 1) as here:
            trials = flows.search(here, starts[backlog], options.seconds)
        best = max((one for one in trials if one["kept"]), key=lambda one: one["rate_per_s"], default=None)
        if best is not None:
            starts[backlog] = best["rate_per_s"]
        yield "flows", backlog, {"best": best, "trials": trials, "span_s": spans(trials)}
        for together in (1, options.together):
            with place(folder / f"{number}-{backlog}-{together}", backlog, together) as here:
                settings = {"size": options.size, "connections": options.connections}
                events.flooded(here, "warm", events=10 * options.size, **settings)
                found = events.flooded(here, "flood", events=options.events, **settings)
                yield "events", f"{backlog}, {'singly' if together == 1 else f'lists of {together}'}", found
                if together == 1:
                    yield "events", f"{backlog}, told", events.told(here, "told", events=options.events // 10)
    with backends(None) as urls:
        for backlog in options.backlog:
            name = STATE_OF[backlog]
            yield "states", name, measure_states(urls[name], options)


def measure_states(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the rate of increments of one number by several processes."""
    began_s = time.time()
    found = measure_state(url, options.functions, increment, options.increments)
    found["exact"] = State(lambda: store_at(url), STATE_GROUP).get("count") == found["operations"]
    return {**found, "span_s": (began_s, time.time())}


def spans(parts: list[dict[str, Any]]) -> tuple[float, float]:
    """Return from when to when all parts were measured."""
    return parts[0]["span_s"][0], parts[-1]["span_s"][1]


def with_slow_ratio(rounds: list[tuple[str, str, dict[str, Any]]], watch: SpeedWatch) -> list[dict[str, Any]]:
    """Return the figures with the share of moments in which the machine was slow, in the place of when it was."""
    found = []
    for kind, arm, figures in rounds:
        for one in (figures, *figures.get("trials", [])):
            one["machine_slow_ratio"] = watch.slow_ratio(*one["span_s"])
        for one in (figures, *figures.get("trials", [])):
            one.pop("span_s", None)
        found.append({"kind": kind, "arm": arm, **figures})
    return found


def summary(rounds: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the spread of each arm over its rounds."""
    arms: dict[str, list[dict[str, Any]]] = {}
    for one in rounds:
        arms.setdefault(f"{one['kind']}: {one['arm']}", []).append(one)
    return {name: {**_rates(of), "machine_slow_ratio": _slow(of)} for name, of in arms.items()}


def _rates(of: list[dict[str, Any]]) -> dict[str, Any]:
    kind = of[0]["kind"]
    if kind == "flows":
        best = [one["best"] for one in of if one["best"] is not None]
        rates = [one["best"]["rate_per_s"] if one["best"] else 0.0 for one in of]
        cpu = {name: statistics.median(one["cpu_us_per_record"][name] for one in best) for name in _CPU} if best else {}
        exact = all(trial["exact"] for one in of for trial in one["trials"])
        return {"per_s": spread(rates), "cpu_us": cpu, "exact": exact}
    exact = all(one["exact"] for one in of)
    if kind == "states":
        cpu = {"functions": statistics.median(one["cpu_of_functions_s"] / one["operations"] * 1e6 for one in of)}
        return {"per_s": spread([one["operations_per_s"] for one in of]), "cpu_us": cpu, "exact": exact}
    cpu = {name: statistics.median(one["cpu_us_per_event"][name] for one in of) for name in of[0]["cpu_us_per_event"]}
    return {"per_s": spread([one["events_per_s"] for one in of]), "cpu_us": cpu, "exact": exact}


_CPU = ("all", "collector", "loop")


def _slow(of: list[dict[str, Any]]) -> float | None:
    known = [one["machine_slow_ratio"] for one in of if one["machine_slow_ratio"] is not None]
    return statistics.median(known) if known else None


def tell(found: dict[str, dict[str, Any]]) -> None:
    """Print each arm."""
    for name, one in found.items():
        print(line(name, one["per_s"], "1/s") + ("" if one["exact"] else "   NOT EXACT"))
        spent = ", ".join(f"{who} {value:.1f} us" for who, value in one["cpu_us"].items())
        slow = "unknown" if one["machine_slow_ratio"] is None else f"{one['machine_slow_ratio'] * 100:.1f} %"
        print(f"{'':32s} processor time of one: {spent}; the machine was slow in {slow} of the moments")


def main() -> int:
    """Measure, say it, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backlog", nargs="+", choices=BACKLOGS, default=list(BACKLOGS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--start", type=float, default=20_000.0, help="flow records per second that are tried first")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each rate")
    parser.add_argument(
        "--events", type=int, default=20_000, help="of each arm and round; a tenth of it is told singly"
    )
    parser.add_argument("--size", type=int, default=100, help="events in a request")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--together", type=int, default=100, help="events in a list")
    parser.add_argument("--functions", type=int, default=8, help="processes that work on one state")
    parser.add_argument("--increments", type=int, default=2000, help="of each of them")
    parser.add_argument("--folder", default=None, help="where everything is made")
    options = parser.parse_args()
    starts = dict.fromkeys(options.backlog, options.start)
    with tempfile.TemporaryDirectory(prefix="skerry-throughput-", dir=options.folder) as folder, SpeedWatch() as watch:
        found = []
        for number in range(1, options.rounds + 1):
            for kind, arm, figures in measure_round(options, Path(folder), number, starts):
                found.append((kind, arm, figures))
                print(f"round {number}: {kind}, {arm}", file=sys.stderr, flush=True)
        rounds = with_slow_ratio(found, watch)
    arms = summary(rounds)
    tell(arms)
    packages = ["skerry", "numpy", "uvloop", "orjson", "msgpack"]
    packages += ["nats-py", "redis"] if "nats" in options.backlog else []
    settings = {key: value for key, value in vars(options).items() if key != "folder"}
    result = {"facts": facts(packages), "settings": settings, "arms": arms, "rounds": rounds}
    print(save("network_throughput", result))
    return 0 if all(one["exact"] for one in arms.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
