import numpy as np
import pytest
from sklearn.datasets import load_digits

from skerry.store.models import ModelCache, ModelRepository
from skerry.store.objects import open_store


@pytest.fixture(scope="session")
def digits():
    """Images of 64 pixels from 0 to 16, single precision, and which digit each is."""
    images, labels = load_digits(return_X_y=True)
    return images.astype(np.float32), labels


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(open_store(str(tmp_path / "store")))


@pytest.fixture
def cache(tmp_path):
    return ModelCache(tmp_path / "cache")
