"""The defence of a link as its users run it, in a process of its own that says what it has counted when it is asked.

    SKERRY_HOME=HOME python -m benchmarks.network.throughput.defending FOLDER

``FOLDER`` is where the journal goes and where the app is that the defence tells its happenings to, as in the guide
"Defend a link". It prints its port. A line on standard input is answered with a line of JSON; the end of the input is
the end of the defence, which then says how many happenings it has told.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any, ClassVar

import skerry
from benchmarks.network.throughput.exporter import SCOPE
from skerry.network import defence
from skerry.network.detection import Detector, Traffic, Verdict
from skerry.network.flows import FlowCollector
from skerry.network.loop import Happening


class CountedCollector(FlowCollector):
    """The defence's collector, which can be asked what it has counted."""

    latest: ClassVar[FlowCollector]

    def __init__(self, *values: Any, **options: Any) -> None:
        super().__init__(*values, **options)
        CountedCollector.latest = self


class CountedDetector(Detector):
    """The defence's detector, with counts of what it was given to judge."""

    name: ClassVar[str] = "counted"

    def __init__(self) -> None:
        self._detector = defence.make_detector()
        self.packets = 0.0
        self.slices = 0
        self.windows = 0
        self.lags_ms: list[float] = []

    def judge(self, window: Traffic) -> Verdict:
        """Count a window and judge it."""
        verdict = self._detector.judge(window)
        self.packets += sum(item.packets for item in window.slices)
        self.slices += len(window.slices)
        self.windows += 1
        self.lags_ms.append((time.time() - window.ended_s) * 1000)
        return verdict

    def learn(self, window: Traffic) -> None:
        """Take a window as ordinary."""
        self._detector.learn(window)


class Telling:
    """Publishes happenings as events, and counts them, also those that the broker did not take.

    Args:
        app: Whose functions take them.
    """

    def __init__(self, app: skerry.App) -> None:
        self._app = app
        self.told = 0

    def __call__(self, what: Happening) -> None:
        """Publish one."""
        self.told += 1
        data = {"reason": what.reason}
        self._app.publish(skerry.Event(type=f"network.{what.step}", subject=str(what.destination), data=data))


def counts(detector: CountedDetector) -> dict[str, Any]:
    """Return what has been counted since the begin."""
    decoder, dropped = CountedCollector.latest.decoder.counts, CountedCollector.latest.dropped
    collector = next(one for one in threading.enumerate() if one.name == "skerry-flows")
    lags_ms = sorted(detector.lags_ms)
    return {
        "dropped": dropped,
        "gaps": decoder.gaps + decoder.late + decoder.restarts,
        "refused": sum(decoder.refused.values()) + decoder.sets_dropped,
        "records": decoder.records,
        "packets": round(detector.packets),
        "windows": detector.windows,
        "slices": detector.slices,
        "lag_p50_ms": lags_ms[len(lags_ms) // 2] if lags_ms else 0.0,
        "lag_max_ms": lags_ms[-1] if lags_ms else 0.0,
        "cpu_collector_s": _thread_s(collector),
        "cpu_loop_s": _thread_s(threading.main_thread()),
        "cpu_s": time.process_time(),
    }


def _thread_s(thread: threading.Thread) -> float:
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident or 0))


def main() -> None:
    """Defend until the standard input ends."""
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(folder))
    from reacting import app

    ended = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    defence.FlowCollector = CountedCollector  # what `defend` opens is what is counted
    detector, telling = CountedDetector(), Telling(app)

    def answer() -> None:
        for _ in sys.stdin:
            print(json.dumps(counts(detector)), flush=True)
        ended.set()

    settings = defence.DefenceSettings(scope=(ip_network(SCOPE),), folder=folder / "defence", port=0)
    asked = threading.Thread(target=answer, daemon=True)

    def ready(port: int) -> None:
        asked.start()
        print(port, flush=True)

    defence.defend(settings, ended.is_set, detector=detector, tell=telling, ready=ready)
    print(telling.told, flush=True)


if __name__ == "__main__":
    main()
