import collections
from concurrent.futures import ThreadPoolExecutor

import pytest

from skerry.learn.federated import Member, Plan
from skerry.platforms.engine import EnginePlatform
from support.engine_process import Engine, write_app

APP = """
import numpy as np
from skerry.learn import federated

app = skerry.App("lines", imports=("numpy", "skerry.learn.federated.clients.client"))

def rows(client):
    '''Return a client's own points of the line y = 2 x + 1, with noise.'''
    random = np.random.default_rng(sum(client.encode()))
    x = random.uniform(-1, 1, 32 + len(client))
    return x, 2 * x + 1 + random.normal(0, 0.1, x.size)

def begin(settings):
    return {"slope": np.zeros((1, 1), np.float32), "offset": np.zeros(1, np.float32)}

client = federated.Client(app, data=rows, start=begin)

@client.fit(scale=skerry.Scale(max=4))
def fit(parameters, data, config):
    home = os.path.dirname(os.environ["SKERRY_ENGINE"])
    with open(f"{home}/fits", "a") as file:
        file.write(f"{config.settings.get('job')} {config.client} {config.round}\\n")
    gate = config.settings.get("gates", {}).get(config.client)
    if gate and config.round == 2:
        open(f"{home}/running-{gate}", "a").close()
        until = time.monotonic() + 60
        while not os.path.exists(f"{home}/{gate}"):
            assert time.monotonic() < until
            time.sleep(0.005)
    x, y = data
    slope, offset = parameters["slope"], parameters["offset"]
    for _ in range(int(config.settings.get("steps", 20))):
        error = slope[0, 0] * x + offset[0] - y
        slope -= np.float32(0.2 * (error * x).mean())
        offset -= np.float32(0.2 * error.mean())
    loss = float((error**2).mean())
    metric = config.settings.get("noted", {}).get(f"{config.client} {config.round}", "loss")
    return federated.Update(
        parameters=parameters, examples=x.size, steps=20, learning_rate=0.2, metrics={metric: loss}
    )

@client.evaluate
def evaluate(parameters, data, config):
    x, y = data
    error = parameters["slope"][0, 0] * x + parameters["offset"][0] - y
    loss = float("nan") if config.round in config.settings.get("lost", ()) else float((error**2).mean())
    metric = config.settings.get("measured", {}).get(config.client, "loss")
    return federated.Evaluation(examples=x.size, metrics={metric: loss})
"""


@pytest.fixture(scope="session")
def app_file(tmp_path_factory):
    return write_app(tmp_path_factory.mktemp("lines") / "lines.py", APP)


@pytest.fixture
def make_engines(tmp_path, app_file):
    """Start engines with the app; returns them by name. At the end nothing of them may be left."""
    started = []

    def make(*names):
        engines = {name: Engine(tmp_path / name) for name in names}
        started.extend(engines.values())
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda engine: engine.start(app_file), engines.values()))
        return engines

    yield make
    for engine in started:
        engine.close()


@pytest.fixture(scope="session")
def engines(tmp_path_factory, app_file):
    """Two engines with the app, for tests that do not end them."""
    folder = tmp_path_factory.mktemp("sites")
    found = {name: Engine(folder / name) for name in ("one", "two")}
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda engine: engine.start(app_file), found.values()))
    yield found
    for engine in found.values():
        engine.close()


@pytest.fixture
def places():
    """Where engines are, as a federation takes it."""

    def find(engines):
        return {name: EnginePlatform(address, expected=True) for name, address in addresses_of(engines).items()}

    return find


def addresses_of(engines):
    return {name: f"http://127.0.0.1:{engine.port}" for name, engine in engines.items()}


@pytest.fixture
def make_plan(request):
    """Return plans whose job is named after the test, so that no two share what clients keep."""

    def make(*, clients=("one", "two"), sites=None, **changes):
        members = tuple(Member(name=name, site=(sites or {}).get(name, name)) for name in clients)
        job = "".join(c if c.isalnum() else "-" for c in request.node.name)[:80]
        return Plan(**{"job": job, "members": members, "rounds": 3, "best_metric": "loss", **changes})

    return make


@pytest.fixture
def fits():
    """Count the runs of the user's own training, by job, client and round."""

    def count(engines, job):
        lines = [line for engine in engines.values() for line in (engine.home / "fits").read_text().splitlines()]
        return collections.Counter(line.partition(" ")[2] for line in lines if line.startswith(f"{job} "))

    return count
