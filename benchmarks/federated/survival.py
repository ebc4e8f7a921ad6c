"""Kill a coordinator at every step of a run: `python -m benchmarks.federated.survival [--rounds 20]`.

Method. A run of three clients on one engine, whose codings leave things out, is made once undisturbed. Then, for every
event that it had, a new run's coordinator is killed with SIGKILL right after that event, and another one goes on with
it to the end. Each has to end with the same bits, and no client may have trained twice for a round.
"""

from __future__ import annotations

import argparse
import collections
import sys
import tempfile
from pathlib import Path

from benchmarks.federated.stepped import Coordinator
from benchmarks.measuring import facts, save
from skerry.learn.federated import Member, Plan, read_run
from skerry.platforms.engine import start_engine

APP = Path(__file__).parent / "counting_app.py"
VERSIONS = ("skerry", "numpy", "uvloop", "pydantic")


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="rounds of each run")
    parser.add_argument("--every", type=int, default=1, help="kill after every so many events only")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skerry-") as name:
        folder = Path(name)
        engine = start_engine(folder / "home", port=0, leashed=True)
        try:
            engine.platform.deploy(str(APP))
            steps, digest = finish(folder, "whole", arguments.rounds, engine.address)
            wrong = []
            for step in range(1, steps, arguments.every):
                job = f"killed-{step}"
                coordinator = Coordinator(folder / job, plan_of(job, arguments.rounds), {"here": engine.address})
                for _ in range(step):
                    coordinator.step()
                coordinator.kill()
                if finish(folder, job, arguments.rounds, engine.address)[1] != digest:
                    wrong.append(step)
            lines = (folder / "home" / "fits").read_text().splitlines()
        finally:
            engine.stop()
    repeated = sum(count - 1 for count in collections.Counter(lines).values())
    kills = len(range(1, steps, arguments.every))
    print(f"{kills} kills in runs of {steps} events: {len(wrong)} ended with other bits, {repeated} trainings repeated")
    result = {
        "facts": facts(VERSIONS),
        "rounds": arguments.rounds,
        "kills": kills,
        "wrong": wrong,
        "repeated": repeated,
    }
    print(f"written to {save('federated_survival', result)}")
    return 1 if wrong else 0


def plan_of(job: str, rounds: int) -> Plan:
    """Return the plan of one of the runs."""
    return Plan(
        job=job,
        members=tuple(Member(name=name, site="here") for name in ("a", "b", "c")),
        rounds=rounds,
        strategy="fedadam",
        settings={"job": job},
        coding="int8",
        down_coding="float16",
    )


def finish(folder: Path, job: str, rounds: int, address: str) -> tuple[int, str]:
    """Run a plan to its end; returns how many events that took, and the digest of the model."""
    coordinator = Coordinator(folder / job, plan_of(job, rounds), {"here": address})
    steps = 0
    while coordinator.step() is not None:
        steps += 1
    coordinator.close()
    return steps, read_run(folder / job).rounds[-1].model_digest


if __name__ == "__main__":
    sys.exit(main())
