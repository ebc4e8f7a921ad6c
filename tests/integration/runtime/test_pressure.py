"""Many requests, rude clients, slow clients: the front keeps nothing of them and serves the others."""

import time

from support.engine_process import private_bytes, wait_until
from support.raw_http import request
from support.runtime_process import open_files

APP = """
app = skerry.App("pressure")

@app.function(queue=50)
def add(a: int) -> int:
    return a + 1

@app.function
def fail() -> None:
    raise ValueError("x" * 1000)

@app.function
def linger(seconds: float) -> None:
    print("lingering", seconds)
    time.sleep(seconds)

@app.function(timeout="4s")
def resist(seconds: float) -> None:
    print("resisting")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            time.sleep(seconds)
        except BaseException:
            pass

@app.function
def end(now: bool) -> None:
    if now:
        os._exit(1)

@app.function
def fork_and_die() -> None:
    if os.fork() == 0:
        time.sleep(600)
    os._exit(1)

@app.function
def close_all() -> None:
    os.closerange(3, 1000)
    time.sleep(600)
"""


def pester(server, rounds):
    """Send all kinds of requests: good, wrong, refused, pipelined, aborted."""
    for _ in range(rounds):
        with server.connect() as client:
            client.send(b"".join(request("/function/add", i) for i in range(40)))
            assert [client.read_answer().status for _ in range(40)] == [200] * 40
            for path, body, status in (
                ("/function/add", b"{", 400),
                ("/function/add", b'"x"', 422),
                ("/function/fail", b"", 500),
                ("/function/nothing", b"1", 404),
                ("/nowhere", b"1", 404),
            ):
                assert client.call(path, body).status == status
        with server.connect() as client:
            client.send(b"nonsense\r\n\r\n")
            assert client.read_answer().status == 400
        with server.connect() as client:
            client.send(b"POST /function/add HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n")
            assert client.read_answer().status == 413
        for _ in range(3):
            rude = server.connect()
            rude.send(request("/function/add", 1) * 3 + b"POST /function/add HTTP/1.1\r\ncontent-length: 5\r\n\r\n1")
            rude.reset()


def wait_until_idle(server):
    """Wait until no request waits, and none has been answered for half a second."""
    answered, since_s = None, 0.0

    def is_idle():
        nonlocal answered, since_s
        lines = server.get("/metrics").body.splitlines()
        now = [line for line in lines if line.startswith(b"skerry_requests_total{")]
        waiting = [line for line in lines if line.startswith(b"kn_revision_request_queued{")]
        if now != answered or not all(line.endswith(b" 0") for line in waiting):
            answered, since_s = now, time.monotonic()
        return time.monotonic() - since_s > 0.5

    wait_until(is_idle)


def test_thousands_of_requests_leave_neither_memory_nor_descriptors_behind(start_runtime):
    server = start_runtime(APP)
    wait_until(lambda: server.get("/health/readiness").status == 200)
    pester(server, 40)
    files = open_files(server.pid)
    held_bytes = private_bytes(server.pid)
    pester(server, 120)
    wait_until(lambda: open_files(server.pid) <= files)
    assert private_bytes(server.pid) < held_bytes + 2 * 2**20


def test_replaced_workers_leave_no_descriptors_behind(start_runtime):
    server = start_runtime(APP, function="end")
    assert server.call("end", True).status == 502
    wait_until(lambda: server.get("/health/readiness").status == 200)
    files = open_files(server.pid)
    for _ in range(5):
        assert server.call("end", False).status == 200
        assert server.call("end", True).status == 502
    wait_until(lambda: server.get("/health/readiness").status == 200)
    wait_until(lambda: open_files(server.pid) <= files)


def test_slow_clients_do_not_hold_up_others(start_runtime):
    server = start_runtime(APP, function="add")
    slow = [server.connect() for _ in range(50)]
    for client in slow:
        client.send(b"POST /function/add HTTP/1.1\r\ncontent-length: 5\r\n\r\n1")  # and no more for now
    deaf = server.connect()  # asks, and never reads
    deaf.socket.settimeout(0.2)
    block = left = request("/function/add", 1) * 100
    stalls = 0
    while stalls < 3:  # once may be a busy machine
        try:
            left = left[deaf.socket.send(left) :] or block
        except TimeoutError:
            stalls += 1
        else:
            stalls = 0
    wait_until_idle(server)  # the queue is short, and the deaf one has filled it
    with server.connect(timeout_s=5) as client:
        assert [client.call("/function/add", i).json() for i in range(50)] == list(range(1, 51))
    for client in slow:
        client.send(b"    ")
        assert client.read_answer().status == 200
        client.socket.close()
    deaf.socket.close()


def test_a_caller_who_leaves_does_not_keep_a_worker(start_runtime):
    server = start_runtime(APP)
    with server.connect() as client:
        client.send(request("/function/linger", 600.0))
        wait_until(lambda: "lingering 600" in server.log())
    assert server.call("linger", 0.0).status == 200
    assert "worker_lost" not in server.log()


def test_code_that_does_not_let_itself_be_stopped_keeps_its_worker_for_no_longer_than_the_timeout(start_runtime):
    server = start_runtime(APP, function="resist")
    wait_until(lambda: server.get("/health/readiness").status == 200)
    with server.connect() as client:
        client.send(request("/function/resist", 600.0))
        wait_until(lambda: "resisting" in server.log())
    wait_until(lambda: "ran longer than its timeout" in server.log())
    wait_until(lambda: server.get("/health/readiness").status == 200)  # a call waits no longer for the next worker
    assert server.call("resist", 0.0).status == 200


def test_a_worker_that_dies_while_its_child_holds_the_link_is_noticed(start_runtime):
    server = start_runtime(APP)
    assert server.call("fork_and_die", b"").status == 502
    assert server.call("add", 1).status == 200


def test_a_worker_that_closes_its_link_is_ended(start_runtime):
    server = start_runtime(APP, function="close_all")
    before = len(server.workers())
    assert server.call("close_all", b"").status == 502
    wait_until(lambda: server.get("/health/readiness").status == 200)
    wait_until(lambda: len(server.workers()) <= max(before, 2))
