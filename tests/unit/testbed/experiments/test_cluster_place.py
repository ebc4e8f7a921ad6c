"""Which clusters an experiment runs on, and what is refused."""

import pytest

from skerry.cli.experiment.clusters import choose_arms
from skerry.errors import ConfigError
from skerry.testbed.experiments import load_experiment
from skerry.testbed.experiments.cluster_place import ClusterChoice, ClustersPlace
from skerry.testbed.experiments.places import choose_place

SITES = """
[app]
requirements = ["torch"]

[sites.edge-1]
platform = "knative"
namespace = "near"

[platform.knative]
registry = "registry.example.com"

[sites.edge-2]
platform = "knative"
namespace = "near"

[platform.knative.function.train]
memory = "300MiB"

[sites.cloud]
platform = "{cloud}"
{more}
"""


@pytest.fixture
def make_place(tmp_path):
    def make(cloud="knative", more='namespace = "far"', name="6g-training"):
        (tmp_path / "skerry.toml").write_text(SITES.format(cloud=cloud, more=more))
        choice = ClusterChoice(platform="knative", project=tmp_path)
        return ClustersPlace(load_experiment(name)[0], tmp_path / "run", choice)

    return make


def test_each_namespace_is_deployed_to_once_with_what_the_project_says_of_the_platform(make_place, tmp_path):
    place = make_place()

    assert [site.namespace for site in place._namespaces()] == ["near", "far"]
    assert set(place.sites) == {"edge-1", "edge-2", "cloud"}
    source = place._write_app()
    assert source.read_text().startswith("from skerry.testbed.experiments.training_6g.app import app as app")
    settings = (source.parent / "skerry.toml").read_text()
    assert "registry.example.com" in settings
    assert "300MiB" in settings
    assert "scikit-learn" in settings
    assert "sites" not in settings
    assert "torch" not in settings


def test_a_site_of_another_platform_is_refused(make_place):
    with pytest.raises(ConfigError, match="site 'cloud' is of platform 'engine'"):
        make_place(cloud="engine", more='address = "https://10.0.0.1:8443"')


def test_an_experiment_that_needs_the_testbed_is_refused(make_place):
    for name in ("edge-federated", "faults"):
        with pytest.raises(ConfigError, match="does not run on clusters"):
            make_place(name=name)


def test_what_a_testbed_does_to_itself_is_refused(make_place):
    with pytest.raises(ConfigError, match="knative: does not know how to cut"):
        make_place().disturb("cut", {"link": "a"})


def test_a_topology_does_not_go_with_clusters(tmp_path):
    choice = ClusterChoice(platform="knative", project=tmp_path)
    with pytest.raises(ConfigError, match="--topology and --without-links are for engines"):
        choose_place(load_experiment("6g-training")[0], tmp_path, topology="6g-edge", clusters=choice)


def test_arms_that_need_an_engine_are_left_out_or_refused(tmp_path):
    experiment, _ = load_experiment("6g-training")
    choice = ClusterChoice(platform="knative", project=tmp_path)

    assert "cloud-2-cores" not in choose_arms(experiment, (), choice)
    assert choose_arms(experiment, (), None) == ()
    with pytest.raises(ConfigError, match="arm 'cloud-2-cores' does not run on clusters: a pod has one worker"):
        choose_arms(experiment, ("cloud-2-cores",), choice)
