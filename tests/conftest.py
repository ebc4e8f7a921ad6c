import asyncio
import gc
import os
import signal
from itertools import zip_longest
from pathlib import Path

import hypothesis
import pytest
import uvloop

from support.runtime_process import RuntimeProcess
from support.wheels import pack_installed

pytest_plugins = ["support.cluster_fixtures", "support.redis_fixtures"]

# A shell that runs the tests in the background has them ignore SIGINT, and what they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Neither examples nor the drawing of them have a time limit of their own: how long one takes says how busy the machine
# is, and tests have their timeout.
hypothesis.settings.register_profile(
    "tests", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

# Those with the longest tests first: what is long and last keeps one core busy alone. Who loses a node waits until
# nobody uses the nodes, and keeps all others waiting meanwhile: after the others, there is nobody.
LONG_FIRST = (
    "cluster/test_operating.py",
    "cluster",
    "cluster/test_lost_nodes.py",
    "contract/runtime",
    "e2e/test_demo.py",
    "e2e/test_edge_federated.py",
    "e2e/test_experiments.py",
    "e2e",
    "integration",
    "unit/test_docs.py",
    "unit/learn/search/test_scatter.py",
    "unit/engine/test_environment.py",
    "unit/runtime/test_dispatcher_machine.py",
    "contract",
    "unit",
)
WAITING = ("cluster", "contract/runtime")  # mostly for pods: beside them, the processors are free for other files


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Look for no garbage while tests are collected, nor among them later: all of it is needed to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config, items):
    """Order the files when several processes share them; a single process begins with the short ones."""
    if hasattr(config, "workerinput"):
        tests = Path(__file__).parent
        names = {item.path: item.path.relative_to(tests).as_posix() for item in items}
        files = sorted(names, key=lambda path: _place(names[path]))
        waiting = [path for path in files if names[path].startswith(WAITING)]
        working = [path for path in files if not names[path].startswith(WAITING)]
        in_turns = [path for pair in zip_longest(working, waiting) for path in pair if path is not None]
        order = {path: number for number, path in enumerate(in_turns)}
        items.sort(key=lambda item: order[item.path])


def _place(name):
    """Return where a file comes: with the longest of the beginnings that are its own."""
    own = [start for start in LONG_FIRST if name.startswith(start)]
    return LONG_FIRST.index(max(own, key=len)) if own else len(LONG_FIRST)


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory):
    """Keep every test, and what it starts, away from the engine and the models of who runs them."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SKERRY_MODELS", "SKERRY_ENGINE", "SKERRY_SET", "SKERRY_STATE", "SKERRY_STATE_PASSWORD"):
            patch.delenv(name, raising=False)
        patch.setenv("SKERRY_HOME", str(folder / "home"))
        patch.setenv("SKERRY_MODEL_CACHE", str(folder / "fetched"))
        yield


@pytest.fixture
def start_runtime(tmp_path):
    """Start bare runtimes with a given source; at the end nothing of them may be left."""
    started = []

    def start(source, **options):
        server = RuntimeProcess(tmp_path / f"runtime-{len(started)}", source, **options)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.close()


@pytest.fixture
def run_loop():
    """Run a coroutine on the event loop that the front uses."""

    def run(coroutine):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(asyncio.wait_for(coroutine, 30))

    return run


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """A folder with the wheels of what Skerry requires; a test may add its own."""
    folder = tmp_path_factory.mktemp("wheels")
    pack_installed(folder, "skerry")
    return folder


@pytest.fixture(scope="session")
def image_cache(tmp_path_factory):
    """Layers of images that all tests share, those of other processes too: most are made once."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "image-layers"
    folder.mkdir(exist_ok=True)
    return folder
