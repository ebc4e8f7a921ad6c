"""The quick forms of the experiments on emulated links: numbers that must hold whatever the speed of the machine."""

import functools
import os
import tempfile
from pathlib import Path

import pytest

from skerry.learn.search import search, share_texts
from skerry.learn.search.wire import FOLDS
from skerry.testbed.experiments import PHASES, Settings, load_experiment, read_results, run_experiment
from skerry.testbed.experiments.places import choose_place
from skerry.testbed.experiments.report import render_report
from skerry.testbed.experiments.training_6g.articles import divide, make_articles
from skerry.testbed.links import detect_means
from skerry.testbed.topology.cleanup import find_marks, find_processes

ARTICLES = 60
ARMS = ("edge-split", "edge-exact", "cloud", "cloud-2-cores")


def _refusal():
    if os.geteuid() != 0:
        return "needs root, for namespaces"
    refusals = {means.name: means.refusal for means in detect_means() if means.name != "relay"}
    return None if None in refusals.values() else f"no links on this machine: {refusals}"


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(_refusal() is not None, reason=_refusal() or ""),
]


@pytest.fixture
def short_path():
    """A folder whose path is short: sockets of engines lie deep in it, and their paths may take 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
        yield Path(folder)


@pytest.fixture
def run(short_path, monkeypatch):
    """Run an experiment on its own topology; afterwards nothing of it may be left on the machine."""
    monkeypatch.setenv("SKERRY_HOME", str(short_path / "home"))
    before = set(find_marks())

    def run(name, **settings):
        experiment, target = load_experiment(name)
        folder = short_path / name
        # Links have tests of their own; on a machine that is busy with others, a self-test would rightly fail.
        place = choose_place(experiment, folder, self_test=False)
        options = {**experiment.quick, **settings.pop("options", {})}
        run_experiment(experiment, target, folder, place, Settings(options=options, **settings), place_name=place.name)
        return read_results(folder)

    yield run
    left = [mark for mark in set(find_marks()) - before if _is_ours(mark, short_path)]
    assert left == []
    assert not list(short_path.glob("*/testbed/testbed.json"))


def _is_ours(mark, folder):
    # Other testbeds may come and go on this machine meanwhile: ours are those with a process that knows our folder.
    commands = []
    for pid in find_processes(mark):
        try:
            commands.append((Path("/proc") / str(pid) / "cmdline").read_bytes())
        except OSError:
            continue
    return any(str(folder).encode() in command for command in commands)


@pytest.fixture
def serial_scores(tmp_path):
    """Return the scores of a serial search here, by the seed of a repeat."""

    @functools.cache  # the arms of a repeat have the same seed
    def scores(seed):
        training = divide(make_articles(ARTICLES), seed).training
        data = share_texts(training.texts, training.labels, root=tmp_path / "serial")
        return [float(score) for score in search(data, "pac", folds=FOLDS).cv_results["mean_test_score"]]

    return scores


def test_the_quick_form_of_6g_training_holds_whatever_the_speed(run, serial_scores):
    results = run("6g-training", repeats=1, arms=ARMS, options={"count": str(ARTICLES)})
    assert not results.failures
    assert sorted((trial.arm, trial.repeat) for trial in results.trials) == sorted((arm, 0) for arm in ARMS)
    place = results.sessions[0]["place"]
    assert place["means"] in ("tun", "netem")
    assert sorted(place["links"]) == ["base-station--cloud", "base-station--edge-1", "base-station--edge-2"]
    for trial in results.trials:
        values = trial.values
        assert sum(values[phase] for phase in PHASES) == pytest.approx(values["response_time_s"], abs=1e-6)
        assert all(values[phase] >= 0 for phase in PHASES if phase != "other_s")
        assert values["compute_s"] > 0
        assert values["wire_bytes"] > values["bytes_sent"] + values["bytes_received"]
        if trial.arm != "edge-split":
            # The answer of one machine, bit by bit, whoever did the work.
            assert trial.notes["scores"] == serial_scores(trial.seed)
    sent = {arm: results.by_repeat(arm, "bytes_sent")[0] for arm in ARMS}
    assert sent["cloud"] == sent["cloud-2-cores"]
    assert sent["edge-exact"] == pytest.approx(2 * sent["cloud"], rel=0.01)
    assert sent["edge-split"] == pytest.approx(sent["cloud"], rel=0.01)
    accuracy = {arm: results.by_repeat(arm, "test_accuracy")[0] for arm in ARMS}
    assert accuracy["edge-exact"] == accuracy["cloud"] == accuracy["cloud-2-cores"]
    # The far cloud cannot answer within its round trip, whatever else is quick.
    assert results.by_repeat("cloud", "upload_s")[0] > 0.05
    page = render_report(results)
    assert "edge-exact gave the answer of one machine in 1 of 1 repeats" in page
    assert "not the paper&#x27;s 3,150" in page


def test_a_map_comes_to_its_end_with_right_answers_while_sites_and_links_fail(run):
    results = run("faults", repeats=1, options={"jobs": "30"})
    assert not results.failures
    by_arm = {trial.arm: trial for trial in results.trials}
    assert sorted(by_arm) == ["link-cut", "link-slow", "site-killed", "undisturbed"]
    for trial in by_arm.values():
        assert trial.values["wrong_answers"] == 0
        assert trial.values["calls"] == 30
        assert sum(trial.notes["answered_by"].values()) == 30
    killed = " ".join(by_arm["site-killed"].story)
    assert "edge-1 is killed" in killed
    assert by_arm["site-killed"].notes["answered_by"]["edge-2"] > 15
    assert "the link to edge-1 is cut for 5 s" in " ".join(by_arm["link-cut"].story)
    assert "the link to edge-1 becomes 10 times slower" in " ".join(by_arm["link-slow"].story)
    page = render_report(results)
    assert "120 jobs were mapped over two sites, and 0 answers were wrong or missing" in page
    assert "edge-1 is killed" in page
