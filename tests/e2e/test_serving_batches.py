"""Batches under load, while their workers are killed."""

import os
import signal
import threading

import pytest

from support.engine_process import wait_until
from support.runtime_process import children, is_alive

CLIENTS = 12
APP = """
app = skerry.App("batches")

@app.function(batch=skerry.Batch(max_size=8, objective="1s"), idempotent=IDEMPOTENT)
def double(numbers: skerry.Items[int]) -> list[int | ValueError]:
    time.sleep(0.003)
    return [ValueError("odd") if number % 10 == 7 else 2 * number for number in numbers]
"""


class Load:
    """Clients that call until they are told to stop; some of what they send is wrong."""

    def __init__(self, server):
        self.statuses = []
        self.wrong = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(server, n * 1_000_000)) for n in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for(self, more):
        answered = self.statuses.count(200)
        wait_until(lambda: self.statuses.count(200) >= answered + more)

    def _call(self, server, number):
        with server.connect(timeout_s=60) as client:
            while not self._stop.is_set():
                number += 1
                sent = "x" if number % 10 == 3 else number
                answer = client.call("/function/double", sent)
                self.statuses.append(answer.status)
                expected = {3: 422, 7: 500}.get(number % 10, 200)
                right = answer.status == 502 or answer.status == expected
                if not right or (answer.status == 200 and answer.json() != 2 * number):
                    self.wrong.append((sent, answer))


@pytest.mark.parametrize("idempotent", [True, False], ids=["idempotent", "once"])
def test_a_killed_worker_harms_nobody_but_the_callers_of_its_batch(start_runtime, idempotent):
    server = start_runtime(APP.replace("IDEMPOTENT", str(idempotent)), function="double", workers=2)
    kills = 3
    with Load(server) as load:
        for _ in range(kills):
            load.wait_for(100)
            zygote = server.zygote()
            workers = [pid for pid in server.workers() if pid != zygote and is_alive(pid)]
            busy = [pid for pid in workers if pid in children(server.pid)]
            os.kill(busy[0], signal.SIGKILL)
        load.wait_for(100)
    assert load.wrong == []
    assert set(load.statuses) <= ({200, 422, 500} if idempotent else {200, 422, 500, 502})
    assert load.statuses.count(502) <= kills * 8
