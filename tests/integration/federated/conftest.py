from concurrent.futures import ThreadPoolExecutor

import pytest

from skerry.platforms.engine import EnginePlatform
from support.engine_process import Engine, write_app

APP = """
import numpy as np
from skerry.learn import federated

app = skerry.App("lines", imports=("numpy", "skerry.learn.federated.client"))

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
        file.write(f"{config.client} {config.round}\\n")
    gate = config.settings.get("gate")
    if gate and config.round == 2:
        open(f"{home}/running", "a").close()
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
    return federated.Update(parameters=parameters, examples=x.size, steps=20, metrics={"loss": loss})

@client.evaluate
def evaluate(parameters, data, config):
    x, y = data
    error = parameters["slope"][0, 0] * x + parameters["offset"][0] - y
    return federated.Evaluation(examples=x.size, metrics={"loss": float((error**2).mean())})
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


@pytest.fixture
def places():
    def find(engines):
        return {
            name: EnginePlatform(f"http://127.0.0.1:{engine.port}", expected=True) for name, engine in engines.items()
        }

    return find
