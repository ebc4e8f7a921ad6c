"""The start of a bare runtime: who comes, who leaves and what fails while its app is still being imported."""

import socket
from pathlib import Path

import pytest

from support.engine_process import wait_until
from support.raw_http import RawClient, request
from support.runtime_process import RuntimeProcess

SLOW = """
from pathlib import Path

Path(os.environ["BEGUN"]).touch()
while not Path(os.environ["GO"]).exists():
    time.sleep(0.01)
exec(os.environ.get("THEN", ""))
sys.stderr.write("imported as " + os.environ.get("K_SERVICE", "nobody") + "\\n")
app = skerry.App("slow")

@app.function{options}
def hello() -> str:
    return os.environ["K_SERVICE"]
"""
CRASHING = "import os\nos._exit(3)\n"


class Beginning:
    """A runtime whose app waits in its import until it may go on."""

    def __init__(self, folder, *, options="", environment=None, **how):
        self.begun, self.go = folder / "begun", folder / "go"
        variables = {"BEGUN": str(self.begun), "GO": str(self.go), **(environment or {})}
        source = SLOW.replace("{options}", options)
        self.server = RuntimeProcess(folder, source, function="hello", environment=variables, **how)
        self.server.launch()

    def wait(self):
        """Wait until the app is being imported and the door is open."""
        wait_until(self.begun.exists, what="the import of the app")
        wait_until(lambda: _listening_port(self.server.pid), what="the open door")
        self.server.port = _listening_port(self.server.pid)
        return self

    def ask(self):
        client = RawClient(self.server.port)
        client.send(request("/", b""))
        return client


def _listening_port(pid):
    """Return the TCP port on which a process listens, none while there is none."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(entry.readlink().name.removeprefix("socket:[").removesuffix("]"))
        except OSError:  # closed meanwhile
            continue
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in inodes:
            return int(fields[1].rpartition(":")[2], 16)
    return None


@pytest.fixture
def begin(tmp_path):
    begun = []

    def begin(**how):
        begun.append(Beginning(tmp_path / f"runtime-{len(begun)}", **how))
        return begun[-1]

    yield begin
    for beginning in begun:
        beginning.server.close()


def test_requests_that_come_while_the_app_is_imported_are_answered(begin):
    beginning = begin().wait()
    clients = [beginning.ask() for _ in range(20)]
    beginning.go.touch()
    assert [client.read_answer().json() for client in clients] == ["hello"] * 20
    for client in clients:
        client.socket.close()


@pytest.mark.parametrize(
    ("environment", "service"), [({}, "hello"), ({"K_SERVICE": "slow-hello", "K_REVISION": "r-1"}, "slow-hello")]
)
def test_the_process_that_looks_at_the_app_becomes_its_worker(begin, environment, service):
    beginning = begin(environment=environment)
    beginning.go.touch()
    beginning.server.await_door()
    assert beginning.server.call("/", b"").json() == service
    assert beginning.server.log().count(f"imported as {service}") == 1


@pytest.mark.parametrize("options", ['(env={"MORE": "1"})', "(cpu=2)"])
def test_a_function_that_asks_for_what_an_import_may_notice_has_a_process_of_its_own(begin, options):
    beginning = begin(options=options)
    beginning.go.touch()
    beginning.server.await_door()
    assert beginning.server.call("/", b"").json() == "hello"
    assert beginning.server.log().count("imported as hello") == 2
    assert len(beginning.server.workers()) <= 2  # and a spare one


def test_sigterm_while_the_app_is_imported_waits_for_the_answers_that_are_due(begin):
    beginning = begin().wait()
    with beginning.ask() as client:
        beginning.server.terminate()
        beginning.go.touch()
        answer = client.read_answer()
    assert (answer.status, answer.json()) == (200, "hello")
    assert beginning.server.wait() == 0


def test_sigterm_while_the_app_is_imported_ends_a_runtime_that_nobody_has_asked(begin):
    beginning = begin().wait()
    beginning.server.terminate()
    assert beginning.server.wait() == 0
    wait_until(lambda: not beginning.server.processes(), what="the end of the process that imports")


def test_an_import_that_fails_ends_the_runtime_and_the_connections_that_wait(begin):
    beginning = begin(environment={"THEN": "raise RuntimeError('no such sensor')"}).wait()
    with beginning.ask() as client:
        beginning.go.touch()
        assert beginning.server.wait() == 2
        assert _is_cut(client.socket)
    assert "cannot import 'app': RuntimeError: no such sensor" in beginning.server.log()


def _is_cut(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_library_that_ends_the_zygote_is_left_out(begin, tmp_path):
    (tmp_path / "libcrashing.py").write_text(CRASHING)
    beginning = begin(environment={"SKERRY_IMPORTS": "libcrashing", "PYTHONPATH": str(tmp_path)})
    beginning.go.touch()
    beginning.server.await_door()
    assert beginning.server.call("/", b"").json() == "hello"


def test_a_port_in_use_is_said_before_the_app_is_imported(begin):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        beginning = begin(port=taken.getsockname()[1])
        assert beginning.server.wait() == 1
    assert "cannot listen on 127.0.0.1" in beginning.server.log()
