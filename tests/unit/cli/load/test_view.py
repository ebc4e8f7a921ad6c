"""What a person sees while a run goes on."""

import io
import json
import os
import pty
import subprocess
import sys
from dataclasses import replace

from rich.console import Console

from skerry.cli.load.view import View, sparkline, trimmed
from skerry.cli.load.viewer import Viewer
from skerry.testbed.load.progress import EDGES_NS, Progress

PROGRESS = Progress(
    elapsed_s=4.2,
    warming_up=False,
    asked_per_s=500.0,
    sent_per_s=499.0,
    achieved_per_s=498.0,
    failed_per_s=0.0,
    in_flight=7,
    connections=12,
    succeeded=1800,
    p50_s=0.0015,
    p90_s=0.003,
    p99_s=0.0105,
    max_s=0.04,
    late_ratio=0.0,
    errors={},
    bars=[0] * 12 + [1, 8, 4, 0, 1] + [0] * 17,
)


def drawn(progress):
    console = Console(file=io.StringIO(), width=100)
    console.print(View("add", 30).draw(progress.to_json()))
    return console.file.getvalue()


def test_it_shows_rates_percentiles_and_a_histogram():
    text = drawn(PROGRESS)
    assert "add  4 of 30 s  measuring" in text
    assert "asked 500/s   sent 499/s   answered 498/s" in text
    assert "7 on 12 connections" in text
    assert "p50 1.5 ms   p90 3 ms   p99 10.5 ms   max 40 ms" in text
    assert "▁█▄ ▁" in text
    assert "none" in text
    assert "keep up" not in text


def test_it_is_loud_when_the_generator_is_late():
    assert "5.0% sent late: the generator cannot keep up" in drawn(replace(PROGRESS, late_ratio=0.05))


def test_it_shows_errors_by_kind():
    assert "timeout 3   status_5xx 1" in drawn(replace(PROGRESS, errors={"timeout": 3, "status_5xx": 1}))


def test_a_closed_loop_asks_for_no_rate():
    assert "rate       sent 499/s" in drawn(replace(PROGRESS, asked_per_s=None))


def test_it_says_what_the_run_is_doing():
    assert "warming up" in drawn(replace(PROGRESS, warming_up=True))
    assert "30 of 30 s  waiting for the last answers" in drawn(replace(PROGRESS, elapsed_s=31.0))


def test_before_the_first_answer_there_is_nothing_to_draw():
    text = drawn(replace(PROGRESS, p50_s=None, p90_s=None, p99_s=None, max_s=None, bars=[0] * (len(EDGES_NS) + 1)))
    assert "no answer yet" in text
    assert "p50 -" in text


def test_bars_are_named_by_the_times_at_their_ends():
    bars = [0] * (len(EDGES_NS) + 1)
    bars[0] = bars[-1] = 1
    blocks, left, right = trimmed(bars)
    assert (len(blocks), blocks[0], left, right) == (len(bars), "█", "0 µs", "1.67 min")


def test_a_sparkline_of_nothing_is_flat():
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


def test_the_viewer_draws_on_a_terminal_what_it_reads_until_the_end():
    line = json.dumps(PROGRESS.to_json()) + "\n"
    command = [sys.executable, "-m", "skerry.cli.load.viewer", "add", "30"]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    done = subprocess.run(
        command, input=line.encode(), stdout=subprocess.PIPE, stderr=theirs, timeout=120, check=True, env=environment
    )
    drawn_bytes = os.read(ours, 1 << 16)
    os.close(ours)
    os.close(theirs)
    assert done.stdout == b""
    assert b"p99 10.5 ms" in drawn_bytes


def test_the_viewers_process_ends_with_its_block():
    with Viewer("add", 30, shown=True) as viewer:
        viewer.show(PROGRESS)
        process = viewer._process
    assert process.returncode == 0


def test_a_viewer_that_shows_nothing_starts_nothing():
    with Viewer("add", 30, shown=False) as viewer:
        viewer.show(PROGRESS)
        assert viewer._process is None
