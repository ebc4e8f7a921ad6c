"""What the client does: a map over two sites, something that happens in its middle, and what it saw of it."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from skerry.app.spreading import SiteEvent
from skerry.testbed.experiments.experiment import Outcome, Trial
from skerry.testbed.experiments.faults.app import Work, answer, digest

SITES = ("edge-1", "edge-2")
VICTIM = SITES[0]
PAYLOAD_BYTES = 20_000
IN_FLIGHT = 3
CUT_S = 5.0
FACTOR = 10.0

Fault = Callable[[Trial], str]


def kill(trial: Trial) -> str:
    """End one site without a word."""
    trial.disturb("kill", site=VICTIM)
    return f"{VICTIM} is killed"


def cut(trial: Trial) -> str:
    """Cut one link for five seconds."""
    trial.disturb("cut", site=VICTIM, for_s=CUT_S)
    return f"the link to {VICTIM} is cut for {CUT_S:g} s"


def slow(trial: Trial) -> str:
    """Make one link ten times slower, for good."""
    trial.disturb("slow", site=VICTIM, factor=FACTOR)
    return f"the link to {VICTIM} becomes {FACTOR:g} times slower"


class Diary:
    """What happened and when, from several threads."""

    def __init__(self) -> None:
        self.began_s = time.monotonic()
        self.lines: list[str] = []
        self.answered: Counter[str] = Counter()
        self.moved = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Note something with its time."""
        with self._lock:
            self.lines.append(f"{time.monotonic() - self.began_s:.1f} s: {text}")

    def watch(self, event: SiteEvent) -> None:
        """Take what the map tells: answers are counted, everything else is noted."""
        if event.kind == "done":
            with self._lock:
                self.answered[event.site] += 1
        elif event.kind == "moved":
            with self._lock:
                self.moved += 1
            self.write(f"job {event.item}, which {event.site} had, goes elsewhere")
        else:
            self.write(
                f"{event.site} does not answer: {event.reason}" if event.kind == "lost" else f"{event.site} is back"
            )


def run_map(trial: Trial, *, fault: Fault | None = None) -> Outcome:
    """Map jobs over two sites; after a quarter of the answers, the fault happens."""
    jobs = make_jobs(trial.seed, int(trial.options["jobs"]), float(trial.options["work_s"]))
    expected = [answer(job.model_copy(update={"work_s": 0.0})) for job in jobs]
    if fault is not None:
        trial.disturb("restore")
    try:
        return _map(trial, jobs, expected, fault)
    finally:
        if fault is not None:
            trial.disturb("restore")


def make_jobs(seed: int, count: int, work_s: float) -> list[Work]:
    """Return the jobs of a trial."""
    draw = random.Random(seed)
    return [Work(number=number, payload=draw.randbytes(PAYLOAD_BYTES), work_s=work_s) for number in range(count)]


def _map(trial: Trial, jobs: Sequence[Work], expected: Sequence[str], fault: Fault | None) -> Outcome:
    places = [trial.sites[name].place() for name in SITES]
    diary = Diary()
    diary.write(f"{len(jobs)} jobs go to {' and '.join(SITES)}")
    answers = []
    for found in digest.map(jobs, sites=places, in_flight=IN_FLIGHT, watch=diary.watch):
        answers.append(found)
        if fault is not None and len(answers) == max(1, len(jobs) // 4):
            diary.write(fault(trial))
    response_s = time.monotonic() - diary.began_s
    wrong = sum(found != right for found, right in zip(answers, expected, strict=True))
    by_site = ", ".join(f"{site} {count}" for site, count in sorted(diary.answered.items()))
    diary.write(f"all {len(answers)} answers are there, {wrong} of them wrong; answered by {by_site}")
    return Outcome(
        values={
            "response_time_s": response_s,
            "wrong_answers": float(wrong + len(jobs) - len(answers)),
            "calls": float(len(answers)),
            "repeated_calls": float(diary.moved),
            "bytes_sent": float(sum(len(job.payload) for job in jobs)),
        },
        notes={"answered_by": dict(diary.answered)},
        story=diary.lines,
    )
