import json

import pytest

from skerry.cli.main import main
from skerry.cli.testbed.link import read_changes
from skerry.cli.testbed.status import conditions_text
from skerry.errors import SpecError


def test_changes_are_read_as_the_values_of_conditions():
    changes = read_changes(["rate_mbps=2", "jitter_reorders=true", "jitter_distribution=pareto", "rate_mbps=null"])

    assert changes == {"rate_mbps": None, "jitter_reorders": True, "jitter_distribution": "pareto"}
    with pytest.raises(SpecError, match="NAME=VALUE"):
        read_changes(["cut"])


@pytest.mark.parametrize(
    ("conditions", "text"),
    [
        ({}, "nothing"),
        ({"delay_ms": 15.0, "jitter_ms": 3, "loss_ratio": 0.0024}, "15 ms, ± 3 ms, 0.0024 lost"),
        ({"loss_ratio": 1.0}, "cut"),
        ({"rate_mbps": 2, "queue_bytes": 5}, "2 Mbit/s, queue_bytes=5"),
        ({"jitter_ms": 1, "jitter_distribution": "pareto"}, "± 1 ms pareto"),
        ({"loss_burst": {"enter_ratio": 0.1, "leave_ratio": 0.3}}, "0.25 lost in bursts"),
    ],
)
def test_conditions_are_said_in_words(conditions, text):
    assert conditions_text(conditions) == text


def test_topologies_that_come_with_skerry_are_listed(capsys):
    assert main(["testbed", "list", "--json"]) == 0

    found = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert found["6g-edge"]["sites"] == 3
    assert found["zoo-abilene"]["links"] == 14


def test_who_is_not_root_is_told_so(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    assert main(["testbed", "up", "6g-edge"]) == 1

    said = capsys.readouterr().err
    assert "needs root" in said
    assert "sudo" in said
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_with_a_file_is_said_before_anything_is_made(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.toml").write_text('name = "n"\n[nodes.me]\nrole = "client"\ncore = 1\n')

    assert main(["testbed", "up", "net.toml"]) == 2

    assert "net.toml: nodes.me.core is not known" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["net.toml"]


def test_without_a_testbed_there_is_nothing_to_show(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert main(["testbed", "status"]) == 2

    assert "no testbed in testbed" in capsys.readouterr().err
