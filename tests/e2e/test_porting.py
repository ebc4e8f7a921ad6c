"""A program with threads becomes one with functions by few changes of lines, and says the same (Crucial, row P51)."""

import difflib
import subprocess
import sys
from pathlib import Path

import pytest

PORTING = Path(__file__).resolve().parents[2] / "examples" / "porting"
MOST_CHANGED_RATIO = 0.06


def count_changes(before, after):
    """Return how many lines were changed: what was taken out and what was put in, whichever is more."""
    lines = difflib.ndiff(before, after)
    marks = [line[0] for line in lines]
    return max(marks.count("-"), marks.count("+"))


def say(name, folder):
    """Return what a program prints, but for the last line: how long it took."""
    command = [sys.executable, str(PORTING / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    *lines, last = done.stdout.splitlines()
    assert last.startswith("trained in ")
    return lines


def test_at_most_six_of_a_hundred_lines_are_changed():
    threads, functions = (
        [line for line in (PORTING / name).read_text().splitlines() if line.strip()]
        for name in ("with_threads.py", "with_functions.py")
    )
    assert 0 < count_changes(threads, functions) <= MOST_CHANGED_RATIO * len(threads)
    assert not any("skerry" in line for line in threads)


@pytest.mark.timeout(620)  # on a busy machine each of them takes minutes
def test_both_say_the_same(tmp_path):
    threads, functions = say("with_threads.py", tmp_path), say("with_functions.py", tmp_path)
    assert threads == functions
    assert functions[-1] == "all workers have found what one finds alone: True"
