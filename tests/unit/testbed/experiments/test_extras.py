import importlib.metadata
from dataclasses import replace

import pytest

from skerry.errors import ConfigError
from skerry.testbed.experiments import OneMachine, Settings, load_experiment, run_experiment
from skerry.testbed.experiments.extras import require_extras


@pytest.fixture
def experiment():
    return load_experiment("6g-training")[0]


@pytest.fixture
def without_sklearn(monkeypatch):
    """A machine on which one library is not installed."""
    real = importlib.metadata.distribution

    def find(name):
        if name == "scikit-learn":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "distribution", find)


def test_what_is_installed_is_enough(experiment):
    require_extras(experiment)


@pytest.mark.usefixtures("without_sklearn")
def test_a_missing_library_is_told_before_anything_is_begun(experiment, tmp_path):
    place = OneMachine(experiment.sites, experiment.app)
    with pytest.raises(ConfigError) as caught:
        run_experiment(experiment, "6g-training", tmp_path / "run", place, Settings(repeats=1), place_name=place.name)
    assert caught.value.message == (
        "experiment '6g-training' needs scikit-learn, which is not installed: pip install \"skerry[learn]\""
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("without_sklearn")
def test_an_experiment_without_extras_runs_without_them(experiment):
    require_extras(replace(experiment, extras=()))


def test_an_extra_that_there_is_not_is_refused(experiment):
    with pytest.raises(ConfigError, match=r"no extra 'lern'; it has .*learn"):
        require_extras(replace(experiment, extras=("lern",)))
