"""Files and folders on their way to an engine, and what it does not give away."""

import hashlib
import http.client
import os
import threading

import pytest

import skerry
from skerry.engine.home import Home
from skerry.errors import BodyTooLargeError, CorruptObjectError, PrivacyError, UnauthorizedError
from skerry.platforms.engine import EnginePlatform
from skerry.platforms.engine import inputs as inputs_module
from support.engine_process import Engine, private_bytes, wait_until, write_app
from support.packets import Capture

APP = """
from pathlib import Path

app = skerry.App("inputs")

@app.function
def count(file: skerry.File) -> int:
    return os.path.getsize(file)

@app.function
def read(file: skerry.File) -> str:
    return Path(file).read_text()

@app.function
def give_back(file: skerry.File) -> skerry.File:
    return file

@app.function
def names(folder: skerry.Folder) -> list[str]:
    return sorted(os.listdir(folder))

@app.function
def hold(file: skerry.File, gate: str) -> int:
    until = time.monotonic() + 60
    open(f"{gate}.running", "w").close()
    while not os.path.exists(gate) and time.monotonic() < until:
        time.sleep(0.01)
    return os.path.getsize(file)
"""

app = skerry.App("client", stand_in=True)


@app.function
def count(file: skerry.File) -> int:
    return os.path.getsize(file)


@app.function
def read(file: skerry.File) -> str: ...


@app.function
def give_back(file: skerry.File) -> skerry.File: ...


@app.function
def names(folder: skerry.Folder) -> list[str]: ...


@app.function
def hold(file: skerry.File, gate: str) -> int: ...


@pytest.fixture(scope="module")
def app_file(tmp_path_factory):
    return write_app(tmp_path_factory.mktemp("app") / "inputs_app.py", APP)


@pytest.fixture(scope="module")
def site(tmp_path_factory, app_file):
    """An engine whose client stands for a caller on another machine, for tests that do not end it."""
    engine = Engine(tmp_path_factory.mktemp("site") / "home").start(app_file)
    yield engine
    engine.close()


@pytest.fixture
def far(site):
    platform = connect(site)
    yield platform
    platform.close()


@pytest.fixture
def own_site(make_engine, app_file):
    return make_engine().start(app_file)


@pytest.fixture
def own_far(own_site):
    platform = connect(own_site)
    yield platform
    platform.close()


def connect(engine):
    return EnginePlatform(f"http://127.0.0.1:{engine.port}", token=Home(engine.home).token())


def address_of(content):
    return f"/inputs/sha256:{hashlib.sha256(content).hexdigest()}"


def begin(engine, content, part, *, coding=None):
    """Send the beginning of a content, or all of it; return the connection once the engine has the beginning."""
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=30)
    connection.putrequest("PUT", f"{address_of(content)}?size_bytes={len(content)}")
    connection.putheader("Authorization", f"Bearer {Home(engine.home).token()}")
    connection.putheader("Content-Length", str(len(content)))
    if coding:
        connection.putheader("Content-Encoding", coding)
    connection.endheaders()
    connection.send(part)
    if part is content:
        return connection  # it may be whole by now, and no beginning any more
    arriving = engine.home / "inputs" / "arriving" / (address_of(content)[15:] + (".zstd" if coding else ""))
    wait_until(lambda: arriving.exists() and arriving.stat().st_size == len(part), what="the beginning")
    return connection


def test_an_upload_goes_on_where_the_connection_broke(site, far, tmp_path):
    content = os.urandom(3_000_000)
    (tmp_path / "a.bin").write_bytes(content)
    begin(site, content, content[:2_000_000]).close()
    with skerry.count_transfer() as moved:
        assert count.at(far).remote(skerry.File(tmp_path / "a.bin")) == len(content)
    assert sum(sent.bytes_sent for sent in moved.contents) == 1_000_000


def test_an_upload_goes_on_where_the_engine_was_killed(own_site, own_far, tmp_path):
    content = os.urandom(3_000_000)
    (tmp_path / "a.bin").write_bytes(content)
    connection = begin(own_site, content, content[:2_000_000])
    own_site.kill()
    connection.close()
    own_site.start()
    with skerry.count_transfer() as moved:
        assert count.at(own_far).remote(skerry.File(tmp_path / "a.bin")) == len(content)
    assert sum(sent.bytes_sent for sent in moved.contents) == 1_000_000


def test_what_came_compressed_before_the_engine_was_killed_counts(own_site, own_far, tmp_path):
    zstandard = pytest.importorskip("zstandard", reason="Zstandard is optional")
    content = os.urandom(1_500_000).hex().encode()
    (tmp_path / "a.txt").write_bytes(content)
    coded = zstandard.ZstdCompressor(level=3).compress(content)
    connection = begin(own_site, content, coded[: len(coded) // 2], coding="zstd")
    own_site.kill()
    connection.close()
    own_site.start()
    with skerry.count_transfer() as moved:
        assert count.at(own_far).remote(skerry.File(tmp_path / "a.txt")) == len(content)
    assert 0 < sum(sent.bytes_sent for sent in moved.contents) < len(content) * 0.6


def test_half_an_upload_is_not_there(site, far):
    content = os.urandom(200_000)
    begin(site, content, content[:100_000]).close()
    answer = far._caller.pool.request("HEAD", address_of(content), headers=far._caller._headers)
    assert (answer.status, answer.headers["upload-offset"]) == (404, "100000")


def test_an_upload_that_fails_is_tried_again_from_where_it_was(site, far, tmp_path, monkeypatch):
    (tmp_path / "a.bin").write_bytes(os.urandom(3_000_000))
    pieces, monkey = inputs_module._pieces, {"left": 2}

    def break_off(content, offset_bytes, count_bytes):
        for number, piece in enumerate(pieces(content, offset_bytes, count_bytes)):
            if number == 12 and monkey["left"]:
                monkey["left"] -= 1
                raise OSError("the cable was pulled")
            yield piece

    monkeypatch.setattr(inputs_module, "_pieces", break_off)
    with skerry.count_transfer() as moved:
        assert count.at(far).remote(skerry.File(tmp_path / "a.bin")) == 3_000_000
    assert monkey["left"] == 0
    assert moved.contents[0].bytes_sent < 3_000_000 + 2 * 12 * inputs_module.PIECE_BYTES


def test_a_large_upload_does_not_go_through_the_engines_memory(site, far, tmp_path):
    (tmp_path / "small.bin").write_bytes(os.urandom(10_000))
    (tmp_path / "large.bin").write_bytes(os.urandom(2**20) * 96)
    count.at(far).remote(skerry.File(tmp_path / "small.bin"))
    before, most, done = private_bytes(site.pid), 0, threading.Event()

    def watch():
        nonlocal most
        while not done.is_set():
            most = max(most, private_bytes(site.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert count.at(far).remote(skerry.File(tmp_path / "large.bin")) == 96 * 2**20
    finally:
        done.set()
        watcher.join()
    assert most - before < 24 * 2**20


def test_two_callers_of_one_file_send_it_about_once(site, tmp_path):
    (tmp_path / "a.bin").write_bytes(os.urandom(2_000_000))
    platforms, results = [connect(site) for _ in range(2)], []
    with skerry.count_transfer() as moved:
        threads = [
            threading.Thread(target=lambda p=p: results.append(count.at(p).remote(skerry.File(tmp_path / "a.bin"))))
            for p in platforms
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [2_000_000] * 2
    assert moved.bytes_sent < 6_000_000


def test_a_content_that_is_not_its_digest_is_refused(site, far):
    content = os.urandom(10_000)
    connection = begin(site, content, content[:5_000])
    connection.send(bytes(5_000))
    answer = connection.getresponse()
    assert (answer.status, b"object_corrupt" in answer.read()) == (CorruptObjectError.http_status, True)
    connection.close()
    assert address_of(content)[15:] not in os.listdir(site.home / "inputs" / "arriving")


def test_inputs_want_the_token_over_tcp(site, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"calm sea")
    platform = EnginePlatform(f"http://127.0.0.1:{site.port}")
    with pytest.raises(UnauthorizedError):
        count.at(platform).remote(skerry.File(tmp_path / "a.bin"))
    platform.close()


def test_what_is_larger_than_all_inputs_may_be_is_refused(make_engine, app_file, tmp_path):
    engine = make_engine(environment={"SKERRY_INPUTS_LIMIT": "1MiB"}).start(app_file)
    (tmp_path / "a.bin").write_bytes(os.urandom(2**20 + 1))
    platform = connect(engine)
    with pytest.raises(BodyTooLargeError, match="SKERRY_INPUTS_LIMIT"):
        count.at(platform).remote(skerry.File(tmp_path / "a.bin"))
    platform.close()


def test_a_running_calls_file_outlives_what_makes_room(make_engine, app_file, tmp_path):
    engine = make_engine(environment={"SKERRY_INPUTS_LIMIT": "1MiB"}).start(app_file)
    platform, gate = connect(engine), tmp_path / "gate"
    paths = [tmp_path / f"{at}.bin" for at in range(3)]
    for path in paths:
        path.write_bytes(os.urandom(400_000))
    result = []
    thread = threading.Thread(target=lambda: result.append(hold.at(platform).remote(skerry.File(paths[0]), str(gate))))
    thread.start()
    wait_until(lambda: (tmp_path / "gate.running").exists(), what="the call")
    count.at(platform).remote(skerry.File(paths[1]))
    contents = engine.home / "inputs" / "contents"
    for content in contents.iterdir():
        os.utime(content, (0, 0))  # as if none had been asked for lately
    count.at(platform).remote(skerry.File(paths[2]))
    left = {path.name for path in contents.iterdir()}
    gate.touch()
    thread.join()
    assert result == [400_000]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert left == {digests[0], digests[2]}
    platform.close()


def test_a_site_hands_out_what_is_not_local(site, far):
    content = os.urandom(9 * 2**20)
    connection = begin(site, content, content)
    assert connection.getresponse().status == 201
    connection.close()
    headers, got = far._caller._headers, b""
    while len(got) < len(content):
        part = far._caller.pool.request("GET", f"{address_of(content)}?offset={len(got)}", headers=headers)
        got += part.body
    assert got == content
    assert part.headers["content-range"].endswith(f"/{len(content)}")


def test_no_byte_of_local_data_leaves_its_site(site, far, tmp_path):
    try:
        capture = Capture(site.port)
    except PermissionError:
        pytest.skip("only root may look at packets")
    local, shared = os.urandom(600).hex().encode(), os.urandom(600).hex().encode()
    (tmp_path / "patients.csv").write_bytes(local)
    (tmp_path / "shared.csv").write_bytes(shared)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "patients.csv").write_bytes(local)
    near = EnginePlatform.of_home(site.home)
    mine = skerry.File(tmp_path / "patients.csv", local=True)
    there = skerry.File.at_site(f"sha256:{hashlib.sha256(local).hexdigest()}", size_bytes=len(local), name="p.csv")
    with capture:
        assert count.at(near).remote(mine) == len(local)
        # Another site's client refuses, for files and for folders.
        with pytest.raises(PrivacyError):
            count.at(far).remote(mine)
        with pytest.raises(PrivacyError):
            names.at(far).remote(skerry.Folder(tmp_path / "folder", local=True))
        # The site lets others compute on its data, and refuses to give them away.
        assert count.at(far).remote(there) == len(local)
        for function in (read, give_back):
            with pytest.raises(PrivacyError):
                function.at(far).remote(there)
        refused = far._caller.pool.request("GET", address_of(local), headers=far._caller._headers)
        assert (refused.status, b'"private"' in refused.body) == (403, True)
        # What is not local does go, so that the capture is known to see it.
        assert read.at(far).remote(skerry.File(tmp_path / "shared.csv")).encode() == shared
    near.close()
    assert capture.dropped == 0
    assert shared in capture.payload
    for at in range(0, len(local) - 16, 8):
        assert local[at : at + 16] not in capture.payload
