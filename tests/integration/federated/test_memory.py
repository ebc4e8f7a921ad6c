import pytest

from support.engine_process import Engine, write_app

APP = """
import numpy as np
from skerry.learn.federated.models import paper_cnn
from skerry.learn.federated.models.paper_cnn import Training

app = skerry.App("small", imports=("numpy", "skerry.learn.federated.clients.client"))

def made(count):
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, 28, 28), dtype=np.uint8), random.integers(0, 10, count)

def highest():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

@app.function(memory="200MiB", cpu=1)
def train(count: int) -> tuple[int, int]:
    trained = paper_cnn.fit(paper_cnn.start(0), *made(count), Training(learning_rate=0.01))
    return trained.steps, highest()

@app.function(memory="100MiB", cpu=0.4)
def predict(count: int) -> tuple[int, int]:
    return len(paper_cnn.predict(paper_cnn.start(0), made(count)[0])), highest()
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    engine = Engine(folder / "home")
    engine.start(write_app(folder / "small.py", APP))
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("function", "count", "answer", "limit_bytes"),
    [("train", 640, 20, 200 * 2**20), ("predict", 500, 500, 100 * 2**20)],
)
def test_the_network_is_trained_and_served_within_the_memory_of_the_paper(function, count, answer, limit_bytes, engine):
    said = engine.call(function, count)
    assert said.status == 200, said
    done, highest_bytes = said.json()
    assert done == answer
    assert highest_bytes < limit_bytes
