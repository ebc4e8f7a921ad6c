"""`down` leaves no namespace, interface, process or file outside the work folder, whatever became of `up`."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from skerry.errors import ConfigError
from skerry.testbed.links.namespace import list_namespaces
from skerry.testbed.topology import Testbed
from skerry.testbed.topology.cleanup import end_processes, find_marks, find_processes
from skerry.testbed.topology.state import read_state
from support.testbeds import TOPOLOGY, small_topology, traces

DEADLINE_S = 90.0
SKERRY = [sys.executable, "-c", "import sys; from skerry.cli.main import main; sys.exit(main())"]


def wait_until(is_so):
    ends_at = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < ends_at, "it did not come to be so"
        time.sleep(0.005)


@contextmanager
def command(folder, *words):
    """Run `skerry testbed …` in the background; it is ended at the latest with the block."""
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [*SKERRY, "testbed", *words], cwd=folder, stdout=said, stderr=said, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def down(folder):
    subprocess.run([*SKERRY, "testbed", "down"], cwd=folder, check=True, capture_output=True)


def test_nothing_is_left_of_a_testbed_that_was_taken_down(folder):
    testbed = Testbed(small_topology(), folder, self_test=None).up()
    mark = testbed.describe()["mark"]
    assert list_namespaces(mark)
    assert mark in find_marks()
    # What a user has left running in a node goes too.
    lost = subprocess.Popen(testbed.command("me", ["sleep", "1000"]), start_new_session=True)
    detached = subprocess.Popen(["nsenter", f"--net=/run/netns/{mark}-me", "sleep", "1000"], start_new_session=True)
    wait_until(lambda: {lost.pid, detached.pid} <= set(find_processes(mark)))

    testbed.down()
    testbed.down()

    assert traces(mark) == []
    assert (lost.wait(), detached.wait()) == (-signal.SIGTERM, -signal.SIGTERM)
    assert read_state(folder) is None


@pytest.mark.parametrize("moment", ["at once", "with links", "with engines"])
def test_nothing_is_left_of_a_killed_up(folder, moment):
    has_reached = {
        "at once": lambda place: (place / "testbed" / "testbed.json").exists(),
        "with links": lambda place: len(list(place.glob("testbed/links/*/control"))) == 2,
        "with engines": lambda place: (place / "testbed/sites/edge/engine.lock").exists(),
    }[moment]
    for attempt in ("1", "2", "3"):  # on a busy machine it may be up before it is killed
        place = folder / attempt
        place.mkdir()
        (place / "small.toml").write_text(TOPOLOGY)
        with command(place, "up", "small.toml", "--self-test", "none") as process:
            wait_until(lambda place=place, process=process: has_reached(place) or process.poll() is not None)
            os.kill(process.pid, signal.SIGKILL)
        state = read_state(place / "testbed")

        down(place)

        assert traces(state.mark) == []
        if state.phase == "starting":
            break
    assert state.phase == "starting"


def test_a_killed_up_does_not_stand_in_the_way_of_the_next(folder):
    with command(folder, "up", "6g-edge", "--self-test", "none") as process:
        wait_until(lambda: (folder / "testbed" / "testbed.json").exists() or process.poll() is not None)
        os.kill(process.pid, signal.SIGKILL)
    abandoned = read_state(folder / "testbed").mark

    with Testbed(small_topology(), folder / "testbed", self_test=None) as testbed:
        assert traces(abandoned) == []
        mark = testbed.describe()["mark"]

    assert traces(mark) == []


def test_the_command_line_brings_up_shows_changes_and_takes_down(folder):
    (folder / "small.toml").write_text(TOPOLOGY)

    def say(*words):
        done = subprocess.run([*SKERRY, "testbed", *words], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    described = json.loads(say("up", "small.toml", "--self-test", "none", "--json"))
    assert described["phase"] == "up"
    assert "0.5 of" in say("status") or "bound to" in say("status")
    assert "7 Mbit/s" in say("link", "edge", "switch", "rate_mbps=7")
    sites = say("run", "me", *SKERRY, "sites", "check", "--json")
    assert [site["site"] for site in json.loads(sites)] == ["edge"]
    say("down")

    assert traces(described["mark"]) == []
    with pytest.raises(ConfigError, match="no testbed"):
        Testbed.attach(folder / "testbed")


def test_killed_links_and_engines_are_removed_as_well(folder):
    testbed = Testbed(small_topology(), folder, self_test=None).up()
    described = testbed.describe()
    assert described["nodes"]["edge"]["engine"] == "running"
    os.kill(described["nodes"]["edge"]["pid"], signal.SIGKILL)
    for link in testbed.links.values():
        os.kill(link.pid, signal.SIGKILL)

    wait_until(lambda: testbed.describe()["nodes"]["edge"]["engine"] == "ended")
    status = testbed.describe()
    testbed.down()

    assert all("problem" in link for link in status["links"])
    assert traces(described["mark"]) == []


def test_a_failed_up_leaves_nothing(folder, monkeypatch):
    marks = []

    def fail(topology, plan, folder, resources, mark):
        marks.append(mark)
        raise ConfigError("no engine today")

    monkeypatch.setattr("skerry.testbed.topology.testbed.start_sites", fail)

    with pytest.raises(ConfigError, match="no engine today"):
        Testbed(small_topology(), folder, self_test=None).up()

    assert traces(marks[0]) == []
    assert read_state(folder) is None


def test_a_process_that_refuses_to_end_is_killed(folder):
    testbed = Testbed(small_topology(), folder, self_test=None).up()
    mark = testbed.describe()["mark"]
    code = (
        "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    )
    deaf = subprocess.Popen(
        testbed.command("me", [sys.executable, "-c", code]), start_new_session=True, stdout=subprocess.PIPE
    )
    assert deaf.stdout.readline() == b"deaf\n"

    ended = end_processes(mark)

    assert ended >= 4
    assert deaf.wait() == -signal.SIGKILL
    deaf.stdout.close()
    testbed.down()
