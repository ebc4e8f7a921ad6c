import importlib.util
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from skerry.platforms.engine.site import site_platform
from support.engine_process import Engine, write_app

APP = """
import threading
from collections.abc import Iterator

app = skerry.App("spread")

@app.function
def add(a: int, b: int) -> int:
    return a + b

@app.function(idempotent=True, max_body="64MiB")
def size(data: bytes) -> int:
    return len(data)

@app.function
def pour(pieces: int) -> Iterator[bytes]:
    for _ in range(pieces):
        yield bytes(65536)

@app.function(idempotent=True, scale=skerry.Scale(max=1))
def where(gate: str) -> str:
    '''Say which engine this is, once the gate of that engine is open.'''
    home = os.path.dirname(os.environ["SKERRY_ENGINE"])
    open(f"{home}/running", "a").close()
    until = time.monotonic() + 60
    while gate and not os.path.exists(f"{home}/{gate}"):
        if time.monotonic() > until:
            raise TimeoutError(gate)
        time.sleep(0.005)
    return os.path.basename(home)

@app.function(scale=skerry.Scale(max=1))
def once(gate: str) -> str:
    '''The same, for calls that may not run twice.'''
    return where(gate)
"""


@pytest.fixture(scope="module")
def app_file(tmp_path_factory):
    return write_app(tmp_path_factory.mktemp("app") / "spread.py", APP)


@pytest.fixture(scope="module")
def app(app_file):
    """The app of these tests, imported here as a client does."""
    spec = importlib.util.spec_from_file_location("spread_of_tests", app_file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module.app
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def edge(tmp_path_factory, app_file):
    """An engine that other machines can call, for tests that do not end it."""
    engine = Engine(tmp_path_factory.mktemp("edge") / "edge", public=True).start(app_file)
    yield engine
    site_platform.cache_clear()
    engine.close()


@pytest.fixture(scope="module")
def two_engines(tmp_path_factory, app_file):
    """Two engines that other machines can call, with the app deployed."""
    folder = tmp_path_factory.mktemp("pair")
    engines = [Engine(folder / name, public=True) for name in ("one", "two")]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda engine: engine.start(app_file), engines))
    yield engines
    site_platform.cache_clear()
    for engine in engines:
        engine.close()


@pytest.fixture
def pair(two_engines):
    """The two engines, running: those that an earlier test has ended are started again."""
    for engine in two_engines:
        for left in ("open", "running"):
            (engine.home / left).unlink(missing_ok=True)
        if engine.process.poll() is not None:
            engine.start()
    return two_engines


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty folder, which is the current one."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert os.getcwd() == str(folder)
    return folder
