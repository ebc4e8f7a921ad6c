import sys

import pytest

from skerry.errors import ConfigError
from skerry.testbed.experiments import EXPERIMENTS, MEASURES, Arm, Experiment, Option, Outcome, Trial, load_experiment


def make(**changes):
    given = {
        "name": "mine",
        "title": "Mine",
        "question": "?",
        "arms": (Arm(name="a", title="A", run=lambda _: Outcome(values={})),),
        "measures": ("response_time_s",),
        "sites": ("edge-1",),
        "app": "app:app",
    }
    return Experiment(**{**given, **changes})


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_of_the_catalogue_loads_and_names_what_it_measures(name):
    experiment, target = load_experiment(name)
    assert experiment.name == name
    assert load_experiment(target)[0] is experiment
    assert set(experiment.all_measures) <= MEASURES.keys()
    assert experiment.settle({}) == {key: option.default for key, option in experiment.options.items()}
    assert experiment.settle(experiment.quick)


def test_every_measure_says_its_unit_in_its_name_or_needs_none():
    for name, measure in MEASURES.items():
        assert name == measure.name
        assert (measure.unit == "s") == name.endswith("_s")


def test_an_experiment_is_found_in_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from skerry.testbed.experiments import Arm, Experiment, Outcome\n"
        "other = Experiment(name='mine', title='', question='', measures=(), sites=(), app='x:app',\n"
        "    arms=(Arm(name='a', title='', run=lambda trial: Outcome(values={})),))\n"
    )
    experiment, target = load_experiment(f"{path}:other")
    assert (experiment.name, target) == ("mine", f"{path}:other")
    assert experiment.app == "x:app"


def test_the_app_of_an_experiment_in_a_file_may_lie_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "mine.py"
    path.write_text(
        "from app_beside import TITLE\n"
        "from skerry.testbed.experiments import Arm, Experiment, Outcome\n"
        "experiment = Experiment(name='mine', title=TITLE, question='', measures=(), sites=(), app='app_beside:app',\n"
        "    arms=(Arm(name='a', title='', run=lambda trial: Outcome(values={})),))\n"
    )
    (tmp_path / "app_beside.py").write_text("TITLE = 'found'\n")
    experiment, _ = load_experiment(str(path))
    assert (experiment.title, experiment.app) == ("found", f"{tmp_path}/app_beside.py:app")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "there are 6g-training"),
        ("nowhere.at_all", "cannot be loaded"),
        ("skerry.testbed.experiments.measures:PHASES", "not an Experiment"),
        ("no_such_file.py", "there is no file"),
    ],
)
def test_what_is_no_experiment_is_refused_with_words(text, message):
    with pytest.raises(ConfigError, match=message):
        load_experiment(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Not a name"}, "lower-case"),
        ({"arms": ()}, "at least one"),
        ({"measures": ("speed",)}, "there is none of this name"),
        ({"pairs": (("a", "b"),)}, "no arm 'b'"),
    ],
)
def test_a_wrong_declaration_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        make(**changes)


def test_options_are_checked():
    experiment = make(options={"size": Option(default="small", title="", choices=("small", "large"))})
    assert experiment.settle({"size": "large"}) == {"size": "large"}
    with pytest.raises(ConfigError, match="choose from small, large"):
        experiment.settle({"size": "huge"})
    with pytest.raises(ConfigError, match="there is no option"):
        experiment.settle({"colour": "red"})


def test_nobody_disturbs_a_place_that_takes_no_orders():
    trial = Trial(arm="a", repeat=0, seed=0, sites={}, options={}, memory={})
    with pytest.raises(ConfigError, match="takes no such orders"):
        trial.disturb("cut", link="x")
