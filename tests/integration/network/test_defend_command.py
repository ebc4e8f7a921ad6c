"""``skerry network defend``: what a person types on a router before anything is done."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

from skerry.cli.main import main
from skerry.engine.home import Home
from skerry.network.acting import only_one
from support.flow_messages import netflow5, record5
from support.own_network import rule_set

COMMAND = [sys.executable, "-c", "from skerry.cli.entry import main; raise SystemExit(main())", "network", "defend"]
VICTIM = "203.0.113.9"  # where the records of these tests go to


def send_flood(port, ended):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for turn in range(10_000):
            for part in range(10):
                records = [record5(f"198.{turn % 250}.{part}.{number}") for number in range(30)]
                sender.sendto(netflow5(*records), ("127.0.0.1", port))
            if ended.wait(0.05):
                return


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_dry_run_tells_of_a_flood_does_nothing_and_ends_in_order(tmp_path, number):
    before, ended = rule_set(), threading.Event()
    words = ["--scope", "203.0.113.0/24", "--port", "0", "--folder", str(tmp_path / "defence"), "--json"]
    with subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        try:
            ready = process.stderr.readline()
            assert "a dry run: nothing is done" in ready
            sender = threading.Thread(target=send_flood, args=(int(re.search(r"port (\d+)", ready)[1]), ended))
            sender.start()
            said = [json.loads(process.stdout.readline()) for _ in range(2)]
            process.send_signal(number)
            assert process.wait(60) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            ended.set()
            process.kill()
    sender.join()

    assert [each["step"] for each in said] == ["detected", "tried"]
    assert {each["destination"] for each in said} == {VICTIM}
    assert said[0]["rule"] == ""
    assert f"to port 80 of {VICTIM}" in said[1]["rule"]
    assert rule_set() == before
    assert (tmp_path / "defence").stat().st_mode & 0o777 == 0o700


def test_a_defence_that_comes_first_leaves_a_folder_that_an_engine_takes(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("SKERRY_HOME", str(tmp_path / "home"))
    before = os.umask(0o022)
    try:
        code = main(["network", "defend", "--scope", "203.0.113.0/24", "--port", "0", "--seconds", "0.01"])
    finally:
        os.umask(before)

    assert code == 0, capfd.readouterr().err
    Home(tmp_path / "home").create()


def test_a_dry_run_ends_in_order_when_nobody_reads_it_any_more(tmp_path):
    ended = threading.Event()
    words = ["--scope", "203.0.113.0/24", "--port", "0", "--folder", str(tmp_path)]
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            process.stdout.close()
            port = int(re.search(r"port (\d+)", process.stderr.readline())[1])
            sender = threading.Thread(target=send_flood, args=(port, ended))
            sender.start()
            process.wait(60)
            said = process.stderr.read()
        finally:
            ended.set()
            process.kill()
    sender.join()

    assert "Traceback" not in said
    assert "Exception" not in said


def test_what_stays_at_the_end_and_is_there_at_the_next_start_is_told(tmp_path):
    before, ended = rule_set(), threading.Event()
    words = ["--scope", "203.0.113.0/24", "--port", "0", "--folder", str(tmp_path), "--act"]
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            port = int(re.search(r"port (\d+)", process.stderr.readline())[1])
            sender = threading.Thread(target=send_flood, args=(port, ended))
            sender.start()
            detected, acted = (process.stdout.readline() for _ in range(2))
            ended.set()
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            said = process.stderr.read()
        finally:
            ended.set()
            process.kill()
    sender.join()
    again = subprocess.run(
        [*COMMAND, *words, "--seconds", "1ms", "--withdraw-at-end"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert detected.startswith("detected")
    number = acted.split()[-1]
    assert re.search(rf"acted +{VICTIM}  (drop|limit to \d+/s) tcp .*port 80 of {VICTIM}.*; taken  action", acted)
    assert re.search(rf"rule {number} \(.*\) stays until \d\d:\d\d:\d\d; take it back with: ", said)
    assert f"skerry network actions withdraw {number} --folder {tmp_path}" in said
    assert f"in force from before: rule {number}" in again.stderr
    assert f"rule {number} is withdrawn" in again.stderr
    assert rule_set() == before


def test_a_second_defence_that_acts_in_a_folder_is_refused_and_one_that_tries_is_not(tmp_path, capsys):
    words = [
        "network",
        "defend",
        "--scope",
        "203.0.113.0/24",
        "--port",
        "0",
        "--seconds",
        "1ms",
        "--folder",
        str(tmp_path),
    ]
    with only_one(tmp_path):
        assert main([*words, "--act"]) != 0
        assert f"another defence acts in {tmp_path}: process {os.getpid()}" in capsys.readouterr().err
        assert main(words) == 0


def test_who_may_not_change_the_firewall_is_told_before_anything_else(tmp_path):
    words = ["--scope", "203.0.113.0/24", "--port", "0", "--seconds", "1ms", "--folder", str(tmp_path), "--act"]

    ended = subprocess.run(
        ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", *COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode != 0
    first, *_ = ended.stderr.splitlines()
    assert first == "error: this process may not change the firewall"
    assert "CAP_NET_ADMIN" in ended.stderr
    assert "you must be root" not in ended.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Missing option '--scope'"),
        (["--scope", "192.0.2.1/24"], "192.0.2.1/24 has host bits set; write a network like 192.0.2.0/24"),
        (["--scope", "here"], "write a network like 192.0.2.0/24"),
        (["--scope", "192.0.2.0/24", "--window", "1h"], "not in the range"),
        (["--scope", "192.0.2.0/24", "--approval", "--seconds", "1ms"], "--approval goes with --act"),
        (["--scope", "192.0.2.0/24", "--withdraw-at-end"], "--withdraw-at-end goes with --act"),
    ],
)
def test_wrong_use_is_explained(words, said, capsys):
    assert main(["network", "defend", *words]) == 2

    assert said in capsys.readouterr().err
