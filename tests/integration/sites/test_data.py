"""Searches and maps whose data go to the sites, once, or stay."""

import numpy as np
import pytest

import skerry
from skerry.errors import PrivacyError
from skerry.learn.search import Folds, over, search, share_arrays, share_texts
from skerry.learn.search.app import evaluate
from skerry.platforms.engine import EnginePlatform
from skerry.platforms.engine.site import site_platform
from support.engine_process import Engine

FOLDS = Folds(splits=3)


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sites")
    engines = [Engine(folder / name, public=True).start("skerry.learn.search.app:app") for name in ("a", "b")]
    yield engines
    site_platform.cache_clear()
    for engine in engines:
        engine.close()


@pytest.fixture
def numbers(tmp_path):
    random = np.random.default_rng(1)
    labels = np.arange(300) % 3
    return random.normal(size=(300, 40)) + labels[:, None], labels, tmp_path / "data"


def test_a_search_over_sites_sends_its_data_to_each_once_and_has_the_answer_of_one_machine(sites, numbers):
    features, labels, root = numbers
    data = share_arrays(features, labels, root=root)
    expected = search(data, "kn", {"n_neighbors": [1, 3, 5, 7]}, folds=FOLDS)
    with skerry.count_transfer() as moved:
        executor = over(
            evaluate, in_flight=4, sites=[engine.site(name) for engine, name in zip(sites, "ab", strict=True)]
        )
        found = search(data, "kn", {"n_neighbors": [1, 3, 5, 7]}, folds=FOLDS, map=executor)
    assert np.array_equal(found.cv_results["mean_test_score"], expected.cv_results["mean_test_score"])
    sent = [(content.address, content.digest) for content in moved.contents]
    assert len(sent) == len(set(sent))
    assert features.nbytes > 0.5 * max(moved.by_address[address].bytes_sent for address in moved.by_address)


def test_counts_of_texts_are_kept_beside_the_data_at_the_site(sites, tmp_path):
    texts = [f"{'tide' if row % 2 else 'rock'} wave {row % 5} salt" for row in range(40)]
    data = share_texts(texts, [row % 2 for row in range(40)], root=tmp_path / "data")
    executor = over(evaluate, sites=[sites[0].site("a")])
    found = search(data, "mnb", {"alpha": [0.1, 1.0]}, folds=FOLDS, map=executor)
    assert found.best_score == search(data, "mnb", {"alpha": [0.1, 1.0]}, folds=FOLDS).best_score
    views = [view for view in (sites[0].home / "inputs" / "views").iterdir() if (view / data.digest).is_dir()]
    assert len(views) == 1
    assert (views[0] / f"{data.digest}.counts").is_dir()


def test_local_data_are_searched_on_this_machine_only(sites, numbers):
    features, labels, root = numbers
    data = share_arrays(features, labels, root=root, local=True)
    with pytest.raises(PrivacyError):
        search(data, "kn", {"n_neighbors": [1]}, folds=FOLDS, map=over(evaluate.at(sites[0].site("a"))))
    with EngineClient(sites[0]) as near:
        found = search(data, "kn", {"n_neighbors": [1]}, folds=FOLDS, map=over(evaluate.at(near)))
    assert found.best_score > 0.5


class EngineClient:
    def __init__(self, engine):
        self.platform = EnginePlatform.of_home(engine.home)

    def __enter__(self):
        return self.platform

    def __exit__(self, *_):
        self.platform.close()
