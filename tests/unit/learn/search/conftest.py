import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from skerry.learn.search import share_arrays, share_texts

WORDS = ["tide", "rock", "wave", "gull", "kelp", "salt", "wind", "storm", "mast", "sail", "reef", "shoal", "buoy"]


def make_corpus(count, seed=0):
    random = np.random.default_rng(seed)
    labels = ["sea" if row % 2 else "land" for row in range(count)]
    texts = []
    for row in range(count):
        weights = np.ones(len(WORDS))
        weights[: len(WORDS) // 2] += 2.0 * (row % 2)
        words = random.choice(WORDS, size=random.integers(5, 30), p=weights / weights.sum())
        texts.append("The " + " ".join(words) + f" unique{row}.")
    return texts, labels


@pytest.fixture
def corpus():
    return make_corpus(40)


@pytest.fixture
def text_data(corpus, tmp_path):
    return share_texts(*corpus, root=tmp_path / "data")


@pytest.fixture
def array_data(tmp_path):
    random = np.random.default_rng(1)
    labels = np.arange(60) % 3
    return share_arrays(random.normal(size=(60, 5)) + labels[:, None], labels, root=tmp_path / "data")


@pytest.fixture(scope="session")
def sample():
    beside = Path(__file__).resolve().parents[5] / "shared"
    path = Path(os.environ.get("SKERRY_SHARED") or beside) / "data/fake_news_seed/example_data.json.gz"
    if not path.is_file():
        pytest.skip("paper 001's sample is in neither $SKERRY_SHARED nor ../shared")
    return json.loads(gzip.decompress(path.read_bytes()))
