"""Tell of a failure before it comes: a batch layer learns from what was told, a speed layer judges each new reading.

Run: python examples/prognostics.py
"""

import sys
import time
from dataclasses import dataclass, field, replace

import numpy as np

import skerry
from skerry.store.state import Transaction

app = skerry.App("prognostics", imports=("numpy",))
plant = app.state("plant")  # log/MACHINE: all its readings; batch/MACHINE and speed/MACHINE: what is made of them
LEFT = (40, 15)  # so many cycles before its failure a machine begins to be worn, and to be critical: stages 1 and 2


@dataclass
class View:
    """How many readings of a machine were in each stage, the critical cycles, and the last one."""

    stages: list[int] = field(default_factory=lambda: [0, 0, 0])
    critical: list[int] = field(default_factory=list)
    last: int = 0

    def plus(self, later: "View") -> "View":
        """Return this view and one of later readings as one."""
        stages = [a + b for a, b in zip(self.stages, later.stages, strict=True)]
        return View(stages, self.critical + later.critical, max(self.last, later.last))

    def alarm(self) -> int | None:
        """Return the first cycle at which three of the last five readings were critical."""
        return next((c for a, c in zip(self.critical, self.critical[2:], strict=False) if c - a < 5), None)


def classify(rows: np.ndarray) -> list[int]:
    """Return the likeliest stage of each row of readings."""
    model = plant.get("model")
    distances = (rows[:, None, :] - model["mean"]) / model["deviation"]
    likely = np.argmin((distances**2 / 2 + np.log(model["deviation"])).sum(axis=2), axis=1)
    return list(likely.tolist())


@app.function
def learn(past: list[np.ndarray]) -> None:
    """Batch layer: learn what readings are like in each stage, from machines that have failed after their last one."""
    left, rows = np.concatenate([np.arange(len(rows))[::-1] for rows in past]), np.concatenate(past)
    groups = [rows[(left < limit) & (left >= end)] for limit, end in zip((np.inf, *LEFT), (*LEFT, 0), strict=True)]
    mean, deviation = ([how(group, axis=0) for group in groups] for how in (np.mean, np.std))
    plant.put("model", {"mean": np.array(mean), "deviation": np.array(deviation)})


@app.function
def compute(machine: str) -> View:
    """Batch layer: make the view of a machine from all of its readings at once."""
    stages = classify(np.array(plant.items(f"log/{machine}")))
    critical = [cycle for cycle, stage in enumerate(stages, start=1) if stage == 2]
    return View([stages.count(each) for each in range(3)], critical, len(stages))


@app.on(skerry.Event(type="reading"))
def score(event: skerry.Event) -> None:
    """Speed layer: judge one reading, and add it to what is known; told twice it counts once."""
    machine, cycle, reading = str(event.subject), event.data["cycle"], event.data["reading"]
    (stage,) = classify(np.array([reading]))
    one = View([int(stage == each) for each in range(3)], [cycle] if stage == 2 else [], cycle)
    before = plant.get(f"batch/{machine}", View) or View()

    def add(transaction: Transaction) -> None:
        speed = transaction.get(f"speed/{machine}", View) or View()
        if cycle > speed.last:
            speed = speed.plus(one)
            transaction.append(f"log/{machine}", reading)
            transaction.put(f"speed/{machine}", speed)
            if before.plus(speed).alarm() == cycle:
                transaction.put(f"alarm/{machine}", cycle)

    plant.transact(add)


def run_machine(generator: np.random.Generator, cycles: int, fails_after: int) -> list[list[float]]:
    """Return the vibration and the temperature of a machine in each of its cycles; wear grows until the failure."""
    wear = np.exp((np.arange(1, cycles + 1) - fails_after) / 20)[:, None]
    rows = np.array([1.0, 60.0]) + wear * [4.0, 25.0] + generator.normal(0, [0.2, 1.5], (cycles, 2))
    return list(rows.tolist())


def main() -> None:
    """Learn overnight, follow three machines through a day, and compare with all of it computed at once."""
    generator = np.random.default_rng(11)
    past = [np.array(run_machine(generator, life, life)) for life in generator.integers(120, 220, 20).tolist()]
    failure, night, evening = {"pump-1": 150, "pump-2": 400, "pump-3": 500}, 110, 150
    told = {machine: run_machine(generator, evening, cycle) for machine, cycle in failure.items()}
    with app.run():
        learn.remote(past)
        for machine, rows in told.items():
            plant.append(f"log/{machine}", *rows[:night])
            plant.put(f"batch/{machine}", compute.remote(machine))
        for cycle in range(night + 1, evening + 1):
            for machine, rows in told.items():
                data, key = {"cycle": cycle, "reading": rows[cycle - 1]}, {"partitionkey": machine}  # keeps their order
                event = skerry.Event(type="reading", subject=machine, data=data, extensions=key)
                again = [replace(event, id=f"{event.id}-again")] if cycle % 7 == 0 else []
                app.publish(event, *again)
        until = time.monotonic() + 120
        while any((plant.get(f"speed/{machine}", View) or View()).last < evening for machine in told):
            if time.monotonic() > until:
                sys.exit("not every reading was judged")
            time.sleep(0.05)
        for machine in told:
            batch, speed = (plant.get(f"{layer}/{machine}", View) or View() for layer in ("batch", "speed"))
            print(f"{machine}: both layers together as all at once: {batch.plus(speed) == compute.remote(machine)}")
            if alarm := plant.get(f"alarm/{machine}", int):
                print(f"{machine}: alarm {failure[machine] - alarm} cycles before its failure")


if __name__ == "__main__":
    main()
