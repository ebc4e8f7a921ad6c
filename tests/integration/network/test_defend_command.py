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
    assert rule_set() == before
    assert said[0]["rule"] == ""
    assert f"to port 80 of {VICTIM}" in said[1]["rule"]
    assert (tmp_path / "defence").stat().st_mode & 0o777 == 0o700


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Missing option '--scope'"),
        (["--scope", "192.0.2.1/24"], "192.0.2.1/24 has host bits set; write a network like 192.0.2.0/24"),
        (["--scope", "here"], "write a network like 192.0.2.0/24"),
        (["--scope", "192.0.2.0/24", "--window", "1h"], "not in the range"),
        (["--scope", "192.0.2.0/24", "--approval", "--seconds", "1ms"], "--approval goes with --act"),
    ],
)
def test_wrong_use_is_explained(words, said, capsys):
    assert main(["network", "defend", *words]) == 2

    assert said in capsys.readouterr().err
