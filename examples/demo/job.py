"""The demo step by step; each step says what it does and leaves its part of the outcome."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from outcome import Arm, Outcome, Sample
from publishing import ExportRefusedError, Held, publish
from report import write_report
from rich.console import Console
from serving import Client, wait_until_ready, wait_until_zero
from story import Story, describe_parameters
from training import by_score, contenders, load_data, same_answers, search_all

import skerry
from skerry.errors import SkerryError, UserError, exit_code
from skerry.learn.models import ModelFolder

HERE = Path(__file__).resolve().parent
# The path of a Unix socket in the engine's folder may take 107 bytes.
LONGEST_HOME_BYTES = 90


def run_job(*, data: Path | None, workers: list[int], quick: bool, output: Path) -> int:
    """Run the demo and return its exit code.

    Args:
        data: The person's own file, or None for the digits.
        workers: Numbers of workers to search with, one after the other.
        quick: Whether to search and measure less.
        output: Folder for models, shared data and the report.
    """
    console = Console()
    try:
        _Job(Story(console), data=data, workers=workers, quick=quick, output=output).run()
    except (SkerryError, OSError, RuntimeError) as error:
        message = error.message if isinstance(error, SkerryError) else str(error)
        Console(stderr=True).print(f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
        return exit_code(error) if isinstance(error, SkerryError) else 1
    return 0


class _Job:
    def __init__(self, story: Story, *, data: Path | None, workers: list[int], quick: bool, output: Path) -> None:
        self._story = story
        self._file = data
        self._workers = workers
        self._quick = quick
        self._output = output
        self._models = output / "models"
        self._name = "digits" if data is None else _model_name(data)

    def run(self) -> None:
        began_s = time.monotonic()
        self._story.console.print("[bold]Skerry demo[/]: train a model with functions, publish it, serve it")
        data = load_data(self._file, self._output / "data")
        source = "scikit-learn's handwritten digits" if self._file is None else self._file.name
        outcome = Outcome(source=source, data=data, competing=contenders(data, quick=self._quick))
        with _engine_home(self._output) as home:
            self._run_on_engine(outcome, home)
        path = write_report(outcome, self._output / "report.html", took_s=time.monotonic() - began_s)
        self._story.section("Report")
        self._story.say(f"[bold]{path}[/]")
        self._story.say(f"[dim]everything took {time.monotonic() - began_s:.0f} s; the engine has ended[/]")

    def _run_on_engine(self, outcome: Outcome, home: Path | None) -> None:
        module = importlib.import_module("news_app" if outcome.data.kind == "text" else "digits_app")
        app: skerry.App = module.app
        self._story.section("Start an engine and deploy the app")
        before_s = time.monotonic()
        with app.run(home=home) as running:
            self._story.say(f"engine at {running.address}, process {running.pid}")
            names = " and ".join(f"[bold]{name}[/]" for name in app.functions)
            self._story.say(
                f"app [bold]{app.name}[/] deployed in {time.monotonic() - before_s:.1f} s: functions {names}, "
                "no worker yet"
            )
            self._search(outcome, app, running)
            held = self._publish(outcome)
            self._serve(outcome, module, running, held)

    def _search(self, outcome: Outcome, app: skerry.App, running: skerry.RunningApp) -> None:
        count = sum(each.candidates for each in outcome.competing)
        self._story.section("Search for the best model")
        self._story.say(
            f"{outcome.source}: {outcome.data.rows} rows; {len(outcome.competing)} kinds of models, "
            f"{count} candidates, 3 folds each"
        )
        for workers in self._workers:
            self._deploy(app, running, workers)
            wait_until_ready(running.platform, "evaluate", workers)
            # A short search first: it opens the data in every worker, so that each arm is measured warm.
            search_all(
                outcome.data, outcome.competing[-1:], app.functions["evaluate"], watch=lambda _title, _progress: None
            )
            title = f"{workers} worker{'s' if workers > 1 else ''}"
            with self._story.bar(title, total=3 * count) as bar:
                before_s = time.perf_counter()
                results = search_all(outcome.data, outcome.competing, app.functions["evaluate"], watch=bar.watch)
                wall_s = time.perf_counter() - before_s
            outcome.arms.append(Arm(workers=workers, wall_s=wall_s, results=results))
            self._story.say(f"{title}: {3 * count} fits in [bold]{wall_s:.2f} s[/]")
        outcome.arrays_compared = sum(same_answers(outcome.results, arm.results) for arm in outcome.arms[1:])
        if outcome.arms[1:]:
            self._story.say(
                f"{outcome.speed_up:.2f} times as fast, and [green]the same answer[/]: "
                f"all {outcome.arrays_compared} arrays of scores and ranks are equal"
            )
        self._story.scores(outcome)
        # From here on, nothing trains; its workers give their memory back.
        self._deploy(app, running, 0)

    def _publish(self, outcome: Outcome) -> Held:
        self._story.section("Publish the best model")
        for title in by_score(outcome.results):
            result = outcome.results[title]
            try:
                outcome.model, held = publish(ModelFolder(self._models), self._name, outcome.data, title, result)
            except ExportRefusedError as error:
                outcome.refused.append((title, str(error)))
                self._story.say(f"[yellow]{title}: {error}; not published, the next best is tried[/]")
                continue
            outcome.winner = title
            files = outcome.model.manifest["files"]
            sizes = ", ".join(f"{name} ({about['bytes'] / 1024:.0f} KiB)" for name, about in files.items())
            self._story.say(f"[bold]{outcome.model}[/]: {title}, {describe_parameters(result.best_parameters)}")
            self._story.say(f"{sizes}; no pickle; gives all {len(held.truth)} held-out rows the original's label")
            return held
        raise RuntimeError("none of the models could be published; the reasons are above")

    def _serve(self, outcome: Outcome, module: Any, running: skerry.RunningApp, held: Held) -> None:
        platform = running.platform
        wait_until_zero(platform, "evaluate")
        cold, warm, burst, fresh = (4, 100, 100, 2) if self._quick else (8, 300, 200, 3)
        self._story.section("Serve it: from zero, warm, and many at once")
        client = Client(module.classify, platform, held.rows, held.predicted)
        with self._story.bar("requests", total=cold + warm + fresh) as bar:
            client.call_cold(cold, bar.advance)
            client.call_warm(warm, bar.advance)
            served = module.classify.remote(held.rows).labels
            client.call_burst(burst, clients=16)
            outcome.memory_bytes = platform.engine()["memory_bytes"]
            variables = {"MODELS": str(self._models), "MODEL": self._name}
            client.start_fresh(fresh, Path(module.__file__), variables, bar.advance)
        outcome.measured = client.finish()
        outcome.samples = [
            Sample(row=row, truth=truth, served=label)
            for row, truth, label in zip(held.rows, held.truth, served, strict=True)
        ]
        self._story.response_times(outcome)
        if outcome.surprises:
            raise RuntimeError(f"{outcome.surprises} served answers differ from the model that was published")
        self._story.say(
            f"[green]{outcome.test_score:.1%} of {len(outcome.samples)} held-out rows right[/]; "
            f"{burst} requests of 16 clients at the same moment, from zero: all answered in "
            f"{outcome.measured.burst_s:.2f} s"
        )
        self._story.say("[dim]after a moment without requests, the function is back at zero workers[/]")

    def _deploy(self, app: skerry.App, running: skerry.RunningApp, workers: int) -> None:
        """Deploy the app with a fixed number of training workers; 0 lets them go."""
        flags = [
            f"classify.env.MODELS={json.dumps(str(self._models))}",
            f"classify.env.MODEL={self._name}",
            f"evaluate.scale.min={workers}",
            f"evaluate.scale.initial={workers}",
            f"evaluate.scale.max={max(1, workers)}",
        ]
        running.platform.deploy(str(app.target()), flags=flags)


def _model_name(file: Path) -> str:
    """Return a name that a model can have, made of a file's."""
    stem = re.sub(r"[^a-z0-9]+", "-", file.name.partition(".")[0].lower()).strip("-")
    return f"m-{stem}"[:60].rstrip("-") if not stem or not stem[0].isalpha() else stem[:60].rstrip("-")


@contextmanager
def _engine_home(output: Path) -> Iterator[Path | None]:
    """Give the engine a folder of its own for this run, and remove those that killed runs have left behind.

    Yields:
        The folder, or None where the output lies too deep for it: the engine then takes a temporary one.
    """
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("engine-*"):
        if not Path("/proc", old.name.removeprefix("engine-")).exists():
            shutil.rmtree(old, ignore_errors=True)
    home = output / f"engine-{os.getpid()}"
    if len(os.fsencode(home)) > LONGEST_HOME_BYTES:
        yield None
        return
    try:
        yield home
    except (SkerryError, RuntimeError) as error:
        if not isinstance(error, UserError):
            # What the engine and the workers wrote is the only trace of what went wrong; the next run removes it.
            print(f"the logs are in {home}", file=sys.stderr)
            raise
        shutil.rmtree(home, ignore_errors=True)
        raise
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    shutil.rmtree(home, ignore_errors=True)
