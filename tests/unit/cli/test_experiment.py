import json
import os

import pytest

from support.experiment_results import write_run
from support.small_experiment import write_small_experiment


def test_the_experiments_that_come_along_are_listed(skerry_command):
    code, out, _ = skerry_command("experiment", "list")
    assert code == 0
    assert "6g-training" in out
    assert "faults" in out


def test_the_list_as_json_has_arms_and_options(skerry_command):
    code, out, _ = skerry_command("experiment", "list", "--json")
    first = json.loads(out)[0]
    assert code == 0
    assert first["name"] == "6g-training"
    assert list(first["arms"])[:3] == ["edge-split", "edge-exact", "cloud"]
    assert first["options"]["articles"] == "real"


def test_a_run_prints_one_object_and_writes_its_report(skerry_command, tmp_path):
    path = write_small_experiment(tmp_path)
    words = ("experiment", "run", path, "--without-links", "--repeats", "1", "--folder", tmp_path / "run")
    code, out, err = skerry_command(*words, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["experiment"] == "small"
    assert sorted(document["arms"]) == ["first", "rare", "second"]
    assert "3/3" in err
    page = (tmp_path / "run" / "report.html").read_text()
    assert "3 trials, all&#x27;s well &amp; good." in page
    code, out, _ = skerry_command("experiment", "report", tmp_path / "run", "--output", tmp_path / "again.html")
    assert code == 0
    assert (tmp_path / "again.html").read_text() == page
    assert "RESPONSE TIME" in out


@pytest.mark.parametrize("arms", [["first", "second"], ["first"]], ids=["one of two", "all"])
def test_a_run_in_which_a_trial_fails_is_exit_code_1(skerry_command, tmp_path, arms):
    path = write_small_experiment(tmp_path)
    words = ["experiment", "run", path, "--without-links", "--repeats", "1", "--folder", tmp_path / "run"]
    words += ["--set", "fail=first", *(word for arm in arms for word in ("--arm", arm))]
    code, out, err = skerry_command(*words)
    assert code == 1
    assert "failed: first, repeat 1: ValueError: this arm fails" in err
    assert ("second" in out, "report: " in err) == (len(arms) > 1, len(arms) > 1)
    (tmp_path / "mended").touch()
    assert skerry_command(*words)[0] == 0


def test_an_interrupted_run_says_how_to_go_on(skerry_command, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("skerry.testbed.experiments.run_experiment", interrupt)
    path = write_small_experiment(tmp_path)
    code, _, err = skerry_command("experiment", "run", path, "--without-links", "--folder", tmp_path / "run")
    assert code == 130
    assert f"what was measured is in {tmp_path / 'run'}, and the same command does the rest" in err


def test_a_report_as_json_writes_no_file(skerry_command, tmp_path):
    folder = write_run(tmp_path / "run")
    code, out, _ = skerry_command("experiment", "report", folder, "--json")
    assert code == 0
    assert len(json.loads(out)["arms"]["cloud"]["response_time_s"]["values"]) == 6
    assert not (folder / "report.html").exists()


def test_two_runs_stand_side_by_side(skerry_command, tmp_path):
    first, second = write_run(tmp_path / "first"), write_run(tmp_path / "second", factor=3.0)
    code, out, err = skerry_command("experiment", "compare", first, second, "--output", tmp_path / "page.html")
    assert code == 0
    assert "3.00" in out
    assert "page.html" in err
    assert "first" in (tmp_path / "page.html").read_text()
    code, out, _ = skerry_command("experiment", "compare", first, second, "--json")
    assert json.loads(out)["arms"]["cloud"]["response_time_s"]["ratio"]["estimate"] == pytest.approx(3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "nonsense"), "there is no experiment 'nonsense'"),
        (("run", "6g-training", "--set", "articles"), "write OPTION=VALUE"),
        (("run", "6g-training", "--without-links", "--set", "colour=red"), "there is no option 'colour'"),
        (("run", "6g-training", "--without-links", "--topology", "6g-edge"), "give one of them"),
    ],
)
def test_wrong_use_says_what_to_do(skerry_command, words, message):
    code, _, err = skerry_command("experiment", *words)
    assert code == 2
    assert message in err


def test_a_network_without_root_says_what_to_do(skerry_command, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, _, err = skerry_command("experiment", "run", "6g-training")
    assert code == 2
    assert "needs root" in err
    assert "--without-links" in err


def test_a_folder_without_a_run_is_named(skerry_command, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = skerry_command("experiment", "report", tmp_path / "empty")
    assert code == 2
    assert "holds no run of an experiment" in err
