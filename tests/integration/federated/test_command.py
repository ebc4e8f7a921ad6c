import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from skerry.cli.main import main
from skerry.learn.federated.record.record import write_request
from support.engine_process import Engine, wait_until


@pytest.fixture
def skerry_command(capfd, monkeypatch, tmp_path):
    """Run a command line in an empty folder and return its exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = main([str(word) for word in words])
        output = capfd.readouterr()
        return code, output.out, output.err

    return run


def test_a_run_on_this_machines_engine_is_shown_line_by_line_and_as_a_table(skerry_command, app_file, engines):
    home = engines["one"].home
    words = ("federate", "run", app_file, "--clients", 2, "--rounds", 2, "--metric", "loss", "--home", home)
    code, out, err = skerry_command(*words, "--set", "steps=5", "--strategy", "fedavgm", "--coding", "int8")
    assert code == 0, err
    assert "1/2  loss" in err
    assert "finished: 2 of 2 rounds   best loss" in err
    assert out.splitlines()[0].split() == ["ROUND", "CLIENTS", "LOSS", "TIME", "TRAIN", "DOWN", "UP"]
    code, out, _ = skerry_command("federate", "status", "--json")
    (document,) = json.loads(out)
    assert document["folder"] == "runs/lines-1"
    assert document["state"] == "finished"
    assert [reply["client"] for reply in document["rounds"][1]["replies"]] == ["client-1", "client-2"]
    assert document["plan"]["settings"] == {"steps": 5}
    code, out, _ = skerry_command("federate", "status")
    assert out.splitlines()[1].split()[:3] == ["runs/lines-1", "finished", "2/2"]
    code, _, err = skerry_command("federate", "cancel", "runs/lines-1")
    assert (code, err) == (0, "runs/lines-1 is finished, after 2 rounds\n")
    code, _, err = skerry_command("federate", "pause", "runs/lines-1")
    assert (code, err) == (0, "runs/lines-1 does not run: it is finished\n")
    code, _, err = skerry_command(*words, "--folder", "runs/lines-1")
    assert code == 2
    assert "skerry federate resume runs/lines-1" in err


def test_a_run_that_begins_beside_another_has_a_folder_of_its_own(skerry_command, app_file, engines, monkeypatch):
    module = importlib.import_module("skerry.cli.federate.run")  # its package has the command under this name
    deploy = module.deploy_here

    def deploy_while_another_begins(*words):
        deploy(*words)
        Path("runs/lines-1").mkdir(parents=True)
        Path("runs/lines-1/plan.json").write_text("{}")

    monkeypatch.setattr(module, "deploy_here", deploy_while_another_begins)
    words = ("federate", "run", app_file, "--clients", 1, "--rounds", 1, "--metric", "loss")
    code, _, err = skerry_command(*words, "--set", "steps=5", "--home", engines["one"].home)
    assert code == 0, err
    assert "folder: runs/lines-2" in err


@pytest.mark.parametrize(("kind", "field"), [("local", "privacy"), ("central", "central")])
def test_noise_is_asked_for_on_the_command_line(skerry_command, app_file, engines, kind, field):
    pytest.importorskip("opacus.accountants", reason="opacus is not installed: the extra privacy")
    words = ("federate", "run", app_file, "--clients", 2, "--rounds", 1, "--metric", "loss", "--set", "steps=5")
    noise = ("--privacy", kind, "--clip-norm", "1.5", "--noise", "2")
    code, out, err = skerry_command(*words, *noise, "--home", engines["one"].home, "--json")
    assert code == 0, err
    document = json.loads(out)
    wanted = {"privacy": None, "central": None, field: {"clip_norm": 1.5, "noise_multiplier": 2.0}}
    assert {name: document["plan"][name] for name in wanted} == wanted
    assert document["rounds"][0]["epsilon"] > 0


def test_a_run_that_failed_is_resumed(skerry_command, app_file, engines):
    home = engines["one"].home
    code, _, err = skerry_command("federate", "run", app_file, "--set", "steps=0", "--folder", "bad", "--home", home)
    assert code == 1
    assert "clients have answered" in err
    assert f"deploy it again: `skerry deploy FILE --home {home}`; then go on" in err
    assert f"`skerry federate resume bad --home {home}`" in err
    code, out, err = skerry_command("federate", "status", "bad")
    assert code == 0
    assert "failed: 0 of 10 rounds" in err
    assert "skerry federate resume bad" in err
    code, _, _ = skerry_command("federate", "resume", "bad", "--home", home, "--json")
    assert code == 1  # it fails again, for the same reason
    code, out, _ = skerry_command("federate", "cancel", "bad", "--json")
    assert json.loads(out)["state"] == "cancelled"
    code, _, err = skerry_command("federate", "resume", "bad", "--home", home)
    assert code == 2
    assert "was cancelled" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--site", "a", "--clients", "2"], "do not go together"),
        (["--site", "a", "--site", "a"], "name each once"),
        (["--client", "a", "--clients", "2"], "do not go together"),
        (["--strategy", "best"], "unknown strategy"),
        (["--strategy-set", "momentum"], "--strategy-set momentum: write NAME=VALUE"),
        (["--selection", "best"], "no selection 'best'"),
        (["--site", "nowhere"], "no site 'nowhere'"),
        (["--privacy", "local"], "--privacy local needs --clip-norm and --noise"),
        (["--privacy", "central", "--clip-norm", "1"], "--privacy central needs --noise"),
        (["--noise", "1"], "--noise: only with --privacy local or --privacy central"),
        (["--privacy", "central", "--clip-norm", "inf", "--noise", "1"], "clip_norm = inf"),
        (["--client", "server"], "each needs a name of its own, and none may be 'server'"),
        (["--site", "server"], "each needs a name of its own, and none may be 'server'"),
        (["--client", ""], "members.0.name = '': String should have at least 1 character"),
        (["--client", "x" * 65], "String should have at most 64 characters"),
        (["--quorum", "nan"], "quorum_ratio = nan: Input should be"),
    ],
)
def test_options_that_make_no_sense_are_wrong_use(skerry_command, app_file, words, message):
    code, _, err = skerry_command("federate", "run", app_file, *words)
    assert code == 2
    assert message in err


def test_a_folder_without_a_run_is_wrong_use(skerry_command, tmp_path):
    for verb in ("status", "resume", "pause", "cancel"):
        code, _, err = skerry_command("federate", verb, tmp_path)
        assert code == 2
        assert "holds no federated run" in err


def test_a_request_can_be_taken_back(tmp_path):
    write_request(tmp_path, "pause")
    write_request(tmp_path, None)
    write_request(tmp_path, None)
    assert not list(tmp_path.iterdir())


def begin(words, log):
    """Run a command line in a process of its own, whose output goes to a file."""
    program = "import sys; from skerry.cli.main import main; sys.exit(main(sys.argv[1:]))"
    with open(log, "wb") as file:
        return subprocess.Popen([sys.executable, "-c", program, *map(str, words)], stdout=file, stderr=file)


def test_a_run_whose_engine_is_gone_says_so_and_goes_on_when_it_is_back(
    skerry_command, app_file, make_engines, tmp_path
):
    engine = make_engines("own")["own"]
    words = ["federate", "run", app_file, "--client", "a", "--rounds", "3", "--folder", "run", "--home", engine.home]
    words += ["--metric", "loss", "--set", 'gates={"a": "gate"}']
    log = tmp_path / "run.log"
    process = begin(words, log)
    try:
        wait_until((engine.home / "running-gate").exists, within_s=60, what="the training of round 2")
        engine.kill()
        wait_until(lambda: "the engine is gone since" in log.read_text(), within_s=60, what="the word of it")
        told = f"the run waits for it; start it with: skerry engine start --port 0 --home {engine.home}"
        assert told in log.read_text()
        code, _, err = skerry_command("federate", "status", "run")
        assert code == 0
        assert re.search(rf"running: 1 of 3 rounds.*\n(.*\n)*round 2: the engine is gone since .*{told}", err)
        _, out, _ = skerry_command("federate", "status", "run", "--json")
        (lost,) = json.loads(out)["unreachable"]
        assert (lost["site"], lost["clients"]) == (None, ["a"])
        _, _, err = skerry_command("federate", "pause", "run")
        assert "will pause after round 2\nthat round has not ended: the engine is gone since" in err
        write_request(tmp_path / "run", None)
        (engine.home / "gate").touch()
        engine.start()
        assert process.wait(60) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert log.read_text().count("the engine is gone") == 1
    assert log.read_text().count("the engine answers again") == 1
    _, out, _ = skerry_command("federate", "status", "run", "--json")
    assert json.loads(out)["unreachable"] == []


def test_a_run_that_was_killed_while_it_waited_for_its_engine_ends_with_the_same_bits(
    skerry_command, app_file, make_engines, tmp_path
):
    engine = make_engines("own")["own"]
    words = ["federate", "run", app_file, "--clients", 2, "--rounds", 3, "--home", engine.home, "--metric", "loss"]
    words += ["--strategy", "fedadam", "--coding", "int8", "--down-coding", "float16"]
    assert skerry_command(*words, "--folder", "whole")[0] == 0
    log = tmp_path / "run.log"
    process = begin([*words, "--folder", "run", "--set", 'gates={"client-1": "gate"}'], log)
    try:
        wait_until((engine.home / "running-gate").exists, within_s=60, what="the training of round 2")
        engine.kill()
        wait_until(lambda: "the engine is gone since" in log.read_text(), within_s=60, what="the word of it")
    finally:
        process.kill()
        process.wait()
    (engine.home / "gate").touch()
    code, _, err = skerry_command("federate", "status", "run")
    assert code == 0
    assert "interrupted: 1 of 3 rounds" in err
    assert "the engine is gone" not in err  # nobody waits for it
    engine.start()
    code, _, err = skerry_command("federate", "resume", "run", "--home", engine.home)
    assert code == 0, err
    digests = []
    for folder in ("whole", "run"):
        rounds = json.loads(skerry_command("federate", "status", folder, "--json")[1])["rounds"]
        digests.append([each["model_digest"] for each in rounds])
    assert digests[0] == digests[1]


def test_a_mended_client_trains_once_it_is_deployed(skerry_command, app_file, make_engines, tmp_path):
    home = make_engines("own")["own"].home
    sound = app_file.read_text()
    file = tmp_path / "lines.py"
    file.write_text(sound.replace("    x, y = data\n    slope, offset", "    raise ValueError\n    slope, offset"))
    run = ("federate", "run", file, "--rounds", 2, "--metric", "loss", "--folder", "run", "--home", home)
    assert skerry_command(*run)[0] == 1
    file.write_text(sound)
    assert skerry_command("federate", "resume", "run", "--home", home)[0] == 1  # what was deployed still trains
    assert skerry_command("deploy", file, "--home", home)[0] == 0
    code, _, err = skerry_command("federate", "resume", "run", "--home", home)
    assert code == 0, err
    assert "finished: 2 of 2 rounds" in err


def test_a_finished_run_goes_on_for_more_rounds_as_if_it_had_been_begun_with_them(skerry_command, app_file, engines):
    home = engines["one"].home
    words = (
        "federate",
        "run",
        app_file,
        "--metric",
        "loss",
        "--strategy",
        "fedadam",
        "--coding",
        "int8",
        "--home",
        home,
    )
    assert skerry_command(*words, "--rounds", 4, "--folder", "whole")[0] == 0
    assert skerry_command(*words, "--rounds", 2, "--folder", "run")[0] == 0
    code, _, err = skerry_command("federate", "resume", "run", "--home", home)
    assert code == 0
    assert err.endswith(f"it has no rounds left; for more: skerry federate resume run --rounds 4 --home {home}\n")
    code, _, err = skerry_command("federate", "resume", "run", "--rounds", 1, "--home", home)
    assert code == 2
    assert "planned for 2 rounds, and 1 are fewer" in err
    code, _, err = skerry_command("federate", "resume", "run", "--rounds", 4, "--home", home)
    assert code == 0, err
    assert "finished: 4 of 4 rounds" in err
    digests = []
    for folder in ("whole", "run"):
        rounds = json.loads(skerry_command("federate", "status", folder, "--json")[1])["rounds"]
        digests.append([each["model_digest"] for each in rounds])
    assert len(digests[0]) == 4
    assert digests[0] == digests[1]


@pytest.fixture
def three_sites(tmp_path, monkeypatch):
    """Two sites that answer and a third one, which is down until it is started."""
    sites = {name: Engine(tmp_path / name, public=True) for name in ("a", "b", "c")}
    for name in ("a", "b"):
        sites[name].start()
    sites["c"].start()
    sites["c"].kill()
    lines = []
    for name, engine in sites.items():
        lines += [f"[sites.{name}]", f'address = "https://127.0.0.1:{engine.public_port}"']
        lines += [f'token_file = "{engine.home}/token"', f'certificate = "{engine.home}/certificate.pem"', ""]
    (tmp_path / "skerry.toml").write_text("\n".join(lines))
    yield sites
    for engine in sites.values():
        engine.close()


def test_a_site_that_is_down_at_the_start_is_needed_only_where_the_quorum_is(
    skerry_command, app_file, three_sites, tmp_path
):
    words = ["federate", "run", app_file, "--metric", "loss", "--rounds", 2, "--folder", "run"]
    words += [word for name in three_sites for word in ("--site", name)]
    code, _, err = skerry_command(*words)
    assert code == 1
    assert "site 'c'" in err
    assert not (tmp_path / "run").exists()
    code, _, err = skerry_command(*words, "--quorum", "0.9")  # all three
    assert code == 1
    code, _, err = skerry_command(*words, "--quorum", "0.6")
    assert code == 0, err
    assert "does not answer: connection refused; the run begins without it, for 2 of 3 sites are enough" in err
    assert f"skerry deploy {app_file} --site c" in err
    assert err.count("site 'c' does not answer since") == 1
    assert "finished: 2 of 2 rounds" in err
    _, out, _ = skerry_command("federate", "status", "run", "--json")
    replies = [[reply["client"] for reply in each["replies"]] for each in json.loads(out)["rounds"]]
    assert replies == [["a", "b"], ["a", "b"]]
    three_sites["c"].start()
    assert skerry_command("deploy", app_file, "--site", "c")[0] == 0
    heard = set()
    for rounds in range(5, 60, 5):  # one of a quorum's rounds may end without whoever is slow to begin
        code, _, err = skerry_command("federate", "resume", "run", "--rounds", rounds)
        assert code == 0, err
        _, out, _ = skerry_command("federate", "status", "run", "--json")
        heard = {reply["client"] for each in json.loads(out)["rounds"] for reply in each["replies"]}
        if "c" in heard:
            break
    assert heard == {"a", "b", "c"}


def test_a_server_that_is_down_keeps_a_run_from_beginning(skerry_command, app_file, three_sites):
    words = ("federate", "run", app_file, "--site", "a", "--site", "b", "--server", "c", "--quorum", "0.5")
    code, _, err = skerry_command(*words)
    assert code == 1
    assert "site 'c'" in err
