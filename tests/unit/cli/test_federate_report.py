import json
from pathlib import Path

from skerry.cli.main import main
from support.federated_run import write_run


def test_the_report_is_one_file_in_the_run_s_folder(tmp_path, capsys):
    folder = write_run(tmp_path / "run", rounds=3)
    assert main(["federate", "report", str(folder)]) == 0
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert str(folder / "report.html") in capsys.readouterr().err


def test_another_file_can_be_named(tmp_path):
    folder = write_run(tmp_path / "run", rounds=3)
    assert main(["federate", "report", str(folder), "--output", str(tmp_path / "deep" / "page.html")]) == 0
    assert (tmp_path / "deep" / "page.html").exists()
    assert not (folder / "report.html").exists()


def test_with_json_the_numbers_are_printed_and_no_file_is_written(tmp_path, capsys):
    folder = write_run(tmp_path / "run", rounds=3)
    assert main(["federate", "report", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], len(found["rounds"])) == ("finished", 3)
    assert not (folder / "report.html").exists()


def test_a_folder_without_a_run_is_refused_with_a_sentence(tmp_path, capsys):
    assert main(["federate", "report", str(tmp_path / "nothing")]) == 2
    assert "holds no federated run" in capsys.readouterr().err


def test_a_run_whose_last_rounds_nobody_could_evaluate_warns_of_it(tmp_path, capsys):
    folder = write_run(tmp_path / "run", rounds=4)
    for number in (3, 4):
        path = folder / "rounds" / f"{number:05}.json"
        lost = {"evaluations": {}, "metrics": {}, "unevaluated": {"client-0": "loss is nan"}}
        path.write_text(json.dumps({**json.loads(path.read_text()), **lost}))
    said = "no client could evaluate the model since round 3: client-0: loss is nan"
    assert main(["federate", "status", str(folder)]) == 0
    assert f"warning: {said}\n" in capsys.readouterr().err
    assert main(["federate", "status", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warning"] == said
    assert main(["federate", "report", str(folder)]) == 0
    assert f"N{said[1:]}." in (folder / "report.html").read_text()


def test_a_run_whose_clients_have_no_test_rows_warns_of_it(tmp_path, capsys):
    folder = write_run(tmp_path / "run", rounds=2)
    path = folder / "rounds" / "00002.json"
    lost = {"evaluations": {"client-0": {"examples": 0, "metrics": {}}}, "metrics": {}}
    path.write_text(json.dumps({**json.loads(path.read_text()), **lost}))
    assert main(["federate", "status", str(folder), "--json"]) == 0
    said = "no client could evaluate the model since round 2: client-0: it looked at no examples"
    assert json.loads(capsys.readouterr().out)["warning"] == said


def test_rounds_that_are_not_to_be_evaluated_are_no_reason_to_warn(tmp_path, capsys):
    folder = write_run(tmp_path / "run", rounds=3, of=9, end="paused")
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "evaluate_every": 2}))
    path = folder / "rounds" / "00003.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "evaluations": {}, "metrics": {}}))
    assert main(["federate", "status", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warning"] == ""


def test_a_run_that_cannot_be_read_hides_no_other(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(Path("runs/good"), rounds=2)
    plan = json.loads((write_run(Path("runs/newer"), rounds=2) / "plan.json").read_text())
    Path("runs/newer/plan.json").write_text(json.dumps({**plan, "momentum": 0.5}))
    assert main(["federate", "status"]) == 0
    output = capsys.readouterr()
    assert output.out.splitlines()[1].split()[:3] == ["runs/good", "finished", "2/2"]
    said = "runs/newer/plan.json is no plan of a federated run: momentum = 0.5: Extra inputs are not permitted"
    assert output.err == f"warning: {said}\n"
    assert main(["federate", "status", "--json"]) == 0
    assert [view["folder"] for view in json.loads(capsys.readouterr().out)] == ["runs/good"]


def test_what_privacy_has_cost_is_said_where_there_is_noise(tmp_path, capsys):
    assert main(["federate", "status", str(write_run(tmp_path / "private", rounds=4, private=True))]) == 0
    assert "   epsilon 4 at delta 1e-05   folder: " in capsys.readouterr().err
    assert main(["federate", "status", str(write_run(tmp_path / "plain", rounds=4))]) == 0
    assert "epsilon" not in capsys.readouterr().err


def test_a_metric_that_no_client_measures_is_told_with_those_that_they_do(tmp_path, capsys):
    folder = write_run(tmp_path / "run", rounds=1)
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "best_metric": "recall"}))
    assert main(["federate", "status", str(folder)]) == 0
    assert "no client has measured 'recall', but accuracy" in capsys.readouterr().err
