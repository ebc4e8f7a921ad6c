import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from skerry.errors import ConfigError
from skerry.testbed.experiments import OneMachine, Settings, load_experiment, read_results, run_experiment
from skerry.testbed.experiments.measures import PHASES
from skerry.testbed.experiments.records import FILE
from skerry.testbed.experiments.report import render_report
from support.small_experiment import write_small_experiment

DEADLINE_S = 60


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SKERRY_HOME", str(tmp_path / "home"))


@pytest.fixture
def small(tmp_path):
    return write_small_experiment(tmp_path)


def run(path, folder, **changes):
    experiment, target = load_experiment(str(path))
    settings = Settings(**{"repeats": 2, **changes})
    place = OneMachine(experiment.sites, experiment.app)
    return run_experiment(experiment, target, folder, place, settings, place_name=place.name)


def ran(path):
    return [line.split()[:2] for line in (path.parent / "ran.txt").read_text().splitlines()]


def test_a_run_has_every_trial_on_record_with_what_it_took(small, tmp_path):
    results = run(small, tmp_path / "run")
    assert sorted((trial.arm, trial.repeat) for trial in results.trials) == [
        ("first", 0),
        ("first", 1),
        ("rare", 0),
        ("second", 0),
        ("second", 1),
    ]
    assert not results.failures
    for trial in results.trials:
        assert trial.notes["answer"] == 2 * (trial.seed % 100)
        assert sum(trial.values[phase] for phase in PHASES) == pytest.approx(trial.values["response_time_s"], abs=1e-9)
        assert trial.values["wall_s"] >= trial.values["response_time_s"] > 0
        assert trial.values["cpu_s"] >= 0
        assert trial.values["load_average"] >= 0
    by_repeat = {trial.repeat: trial.seed for trial in results.trials}
    assert all(trial.seed == by_repeat[trial.repeat] for trial in results.trials)
    assert len({trial.notes["client"] for trial in results.trials}) == 1
    assert results.environment["versions"]["skerry"]
    assert results.environment["cores"] == os.cpu_count()


def test_what_is_printed_as_json_is_the_same_for_every_experiment(small, tmp_path):
    run(small, tmp_path / "run")
    document = json.loads(json.dumps(read_results(tmp_path / "run").to_json()))
    assert sorted(document) == ["arms", "environment", "experiment"]
    assert document["experiment"] == "small"
    assert document["environment"]["place"] == "one machine"
    first = document["arms"]["first"]
    assert sorted(first["response_time_s"]) == ["median", "p25", "p75", "unit", "values"]
    assert first["response_time_s"]["unit"] == "s"
    assert len(first["response_time_s"]["values"]) == 2
    assert first["bytes_sent"]["unit"] == "bytes"
    assert len(document["arms"]["rare"]["cpu_s"]["values"]) == 1


def test_a_finished_run_is_not_run_again_and_more_repeats_are_added(small, tmp_path):
    first = run(small, tmp_path / "run")
    before = len(ran(small))
    assert run(small, tmp_path / "run").trials == first.trials
    assert len(ran(small)) == before
    more = run(small, tmp_path / "run", repeats=3)
    assert ran(small)[before:] in ([["first", "2"], ["second", "2"]], [["second", "2"], ["first", "2"]])
    assert len(more.sessions) == 2


def test_a_run_whose_files_change_between_its_trials_says_so(small, tmp_path):
    changed = "not all trials ran the same code"
    run(small, tmp_path / "run", repeats=1)
    run(small, tmp_path / "run", repeats=2)
    assert changed not in render_report(read_results(tmp_path / "run"))
    app = small.parent / "small_app.py"
    app.write_text(app.read_text() + "\n# The same, as anybody can see.\n")
    results = run(small, tmp_path / "run", repeats=3)
    assert changed in render_report(results)
    digests = [session["files"] for session in results.sessions]
    assert digests[0] == digests[1]
    assert digests[2] == {name: sha256((small.parent / name).read_bytes()).hexdigest() for name in digests[0]}
    assert set(digests[0]) == {small.name, "small_app.py"}


def test_a_trial_that_fails_is_on_record_and_runs_again_next_time(small, tmp_path):
    results = run(small, tmp_path / "run", options={"fail": "second"})
    assert [(trial.arm, trial.repeat, trial.error) for trial in results.failures] == [
        ("second", 0, "ValueError: this arm fails")
    ]
    assert "this arm fails" in (tmp_path / "run" / "client.log").read_text()
    (small.parent / "mended").touch()
    before = len(ran(small))
    results = run(small, tmp_path / "run", options={"fail": "second"})
    assert not results.failures
    assert ran(small)[before:] == [["second", "0"]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"seed": 2}, "seed = 1"), ({"options": {"fail": "first"}}, "options"), ({"arms": ["third"]}, "no arm 'third'")],
)
def test_a_folder_holds_one_run(small, tmp_path, changes, message):
    run(small, tmp_path / "run", repeats=1)
    with pytest.raises(ConfigError, match=message):
        run(small, tmp_path / "run", repeats=1, **changes)


def test_a_folder_with_something_else_is_left_alone(small, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="not empty"):
        run(small, tmp_path / "precious")
    assert os.listdir(tmp_path / "precious") == ["thesis.tex"]


def test_a_run_that_is_killed_goes_on_where_it_was_and_leaves_nobody_behind(small, tmp_path):
    folder, wait = tmp_path / "run", small.parent / "wait"
    wait.touch()
    program = "import sys; from skerry.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "experiment", "run", str(small), "--without-links"]
    process = subprocess.Popen([*command, "--repeats", "2", "--folder", str(folder)], stderr=subprocess.DEVNULL)
    try:
        _wait_until(lambda: any(repeat == "1" for _arm, repeat in _ran_so_far(small)))
        done = (folder / FILE).read_bytes()
        left = _descendants(process.pid)
        assert left
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    wait.unlink()
    _wait_until(lambda: not any(map(_is_alive, left)))
    # What a crash in the middle of a line would leave.
    (folder / FILE).write_bytes(done + b'{"kind": "trial", "arm": "fir')
    before = len(ran(small))
    results = run(small, folder)
    assert len(results.trials) == 5
    assert not results.failures
    assert (folder / FILE).read_bytes().startswith(done)
    assert [repeat for _arm, repeat in ran(small)[before:]] == ["1", "1"]
    assert len(results.sessions) == 2


def _ran_so_far(small):
    return ran(small) if (small.parent / "ran.txt").exists() else []


def _wait_until(holds):
    ends_at = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def _descendants(pid):
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    tree = {pid}
    while grown := {child for child, parent in parents.items() if parent in tree} - tree:
        tree |= grown
    return tree - {pid}


def _is_alive(pid):
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
