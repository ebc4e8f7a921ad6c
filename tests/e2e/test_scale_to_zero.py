import threading
import time
from pathlib import Path

import pytest

from support.engine_process import Engine, private_bytes, wait_until, write_app

MOST = 3
WINDOW_S, GRACE_S = 1.0, 1.0
TOLERANCE_BYTES = 8 * 2**20
APP = f"""
app = skerry.App("elastic")

@app.function(scale=skerry.Scale(initial=0, max={MOST}, window="{WINDOW_S:g}s", grace="{GRACE_S:g}s"))
def hold(x: int) -> int:
    block = bytearray(50 * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    time.sleep(0.01)
    return x + len(block)
"""


@pytest.fixture
def engine(tmp_path):
    engine = Engine(tmp_path / "home").start(write_app(tmp_path / "app.py", APP))
    yield engine
    engine.close()


def workers_at(engine):
    return sum(engine.function("hold")["workers"].values())


def is_at_zero(engine):
    return workers_at(engine) == 0 and not engine.live_workers("hold")


def children_of(pid):
    """Return the children of a process: for an engine its zygotes, its workers, and the spares they are made from."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.add(int(path.parent.name))
    return found


def base_bytes(engine):
    """Return the memory of what stays at zero: the engine's process and its zygote."""
    return private_bytes(engine.pid) + sum(private_bytes(pid) for pid in engine.zygotes())


def in_parallel(engine, requests, clients):
    answers = []
    numbers = iter(range(requests))
    lock = threading.Lock()

    def run():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            answers.append((number, engine.call("hold", number)))

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_workers_follow_the_load_from_zero_to_the_most_and_back_without_keeping_memory(engine, record_property):
    assert engine.call("hold", 0).status == 200  # from here on the zygote has imported what it will
    wait_until(lambda: is_at_zero(engine))
    wait_until(lambda: len(engine.zygotes()) == 1)
    before_bytes = base_bytes(engine)

    answers = in_parallel(engine, requests=200, clients=2 * MOST)
    ended_s = time.monotonic()
    most = max(event["to"] for event in engine.events("hold", "scaled"))
    peak = len(engine.live_workers("hold"))
    wait_until(lambda: is_at_zero(engine), within_s=WINDOW_S + GRACE_S + 10, what="zero workers")
    took_s = time.monotonic() - ended_s

    assert all(answer.json() == number + 50 * 2**20 for number, answer in answers)
    assert len(answers) == 200
    assert most == MOST
    assert 1 <= peak <= MOST
    assert took_s >= WINDOW_S + GRACE_S - 0.5  # the last worker stays for as long as was asked
    # Beside the zygote there is at most one spare: it has run nothing and serves no function.
    zygotes = set(engine.zygotes())
    wait_until(lambda: len(children_of(engine.pid) - zygotes) <= 1, what="the end of all workers")
    assert len(zygotes) == 1
    assert zygotes <= children_of(engine.pid)
    assert not set(engine.workers("hold")) & set(engine.processes())

    after_bytes = base_bytes(engine)
    for name, value in {
        "before_bytes": before_bytes,
        "after_bytes": after_bytes,
        "to_zero_s": round(took_s, 2),
    }.items():
        record_property(name, value)
    print(
        f"\nfront and zygote: {before_bytes / 2**20:.1f} MiB before, {after_bytes / 2**20:.1f} MiB after 200 requests "
        f"of 50 MiB on {most} workers; back at zero {took_s:.1f} s after the last answer"
    )
    assert after_bytes <= before_bytes + TOLERANCE_BYTES


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_a_function_comes_back_from_zero_again_and_again_and_leaves_no_descriptor_open(engine):
    held = []
    for number in range(3):
        wait_until(lambda: is_at_zero(engine), what="zero workers")
        held.append((descriptors(engine.pid), descriptors(engine.zygotes()[0])))
        in_parallel(engine, requests=8, clients=4)
        assert engine.call("hold", number).json() == number + 50 * 2**20

    wait_until(lambda: is_at_zero(engine), what="zero workers")
    started = engine.workers("hold")
    wait_until(lambda: len(engine.events("hold", "worker_stopped")) == len(started))
    assert len(started) > 3
    assert engine.events("hold", "worker_lost") == []
    wait_until(
        lambda: descriptors(engine.pid) <= held[1][0] and descriptors(engine.zygotes()[0]) <= held[1][1],
        what=f"as few open descriptors as after the first time ({held})",
    )
