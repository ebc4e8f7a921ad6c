"""The demo step by step; each step says what it does and leaves its part of the outcome."""

from __future__ import annotations

import time
from pathlib import Path

import serving_app
import training_app
from outcome import Arm, Outcome, Sample
from places import model_name, own_places
from publishing import ALIAS, Held, publish
from rich.console import Console
from serving import Client, ask_over_http, wait_until_ready, wait_until_zero
from story import Story, describe_export, describe_parameters
from training import by_score, contenders, load_data, same_answers, search_all

import skerry
from skerry.errors import ModelRejectedError, SkerryError, exit_code
from skerry.store.models import ModelRepository
from skerry.store.objects import open_store


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
        self._name = model_name(data)

    def run(self) -> None:
        began_s = time.monotonic()
        self._story.console.print("[bold]Skerry demo[/]: train a model with functions, publish it, serve it")
        data = load_data(self._file, self._output / "data")
        source = "scikit-learn's handwritten digits" if self._file is None else self._file.name
        outcome = Outcome(source=source, data=data, competing=contenders(data, quick=self._quick))
        with own_places(self._output, f"{self._name}@{ALIAS}") as home:
            self._run_on_engine(outcome, home)
        from report import write_report  # with what draws, which no step before this one needs

        path = write_report(outcome, self._output / "report.html", took_s=time.monotonic() - began_s)
        self._story.section("Report")
        self._story.say(f"[bold]{path}[/]")
        self._story.say(f"[dim]everything took {time.monotonic() - began_s:.0f} s; the engine has ended[/]")

    def _run_on_engine(self, outcome: Outcome, home: Path | None) -> None:
        app = training_app.app
        self._story.section("Start an engine and deploy the app that trains")
        before_s = time.monotonic()
        with app.run(home=home) as running:
            self._story.say(f"engine at {running.address}, process {running.pid}")
            self._story.say(
                f"app [bold]{app.name}[/] deployed in {time.monotonic() - before_s:.1f} s: function "
                f"[bold]{training_app.evaluate.name}[/], no worker yet"
            )
            self._search(outcome, running)
            held = self._publish(outcome)
            self._serve(outcome, running, held)

    def _search(self, outcome: Outcome, running: skerry.RunningApp) -> None:
        evaluate = training_app.evaluate
        count = sum(each.candidates for each in outcome.competing)
        self._story.section("Search for the best model")
        self._story.say(
            f"{outcome.source}: {outcome.data.rows} rows; {len(outcome.competing)} kinds of models, "
            f"{count} candidates, 3 folds each"
        )
        for workers in self._workers:
            _deploy_workers(running, workers)
            wait_until_ready(running.platform, evaluate.name, workers)
            # A short search first: it opens the data in every worker, so that each arm is measured warm.
            search_all(outcome.data, outcome.competing[-1:], evaluate, watch=lambda _title, _progress: None)
            title = f"{workers} worker{'s' if workers > 1 else ''}"
            with self._story.bar(title, total=3 * count) as bar:
                before_s = time.perf_counter()
                results = search_all(outcome.data, outcome.competing, evaluate, watch=bar.watch)
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
        running.platform.delete_app(training_app.app.name)

    def _publish(self, outcome: Outcome) -> Held:
        self._story.section("Publish the best model")
        repository = ModelRepository(open_store(str(self._output / "models")))
        for title in by_score(outcome.results):
            result = outcome.results[title]
            try:
                outcome.model, held = publish(repository, self._name, outcome.data, title, result)
            except ModelRejectedError as error:
                outcome.refused.append((title, error.message))
                self._story.say(f"[yellow]{title}: {error.message}; not published, the next best is tried[/]")
                continue
            outcome.winner = title
            sizes = ", ".join(
                f"{name} ({file.size_bytes / 1024:.1f} KiB)" for name, file in outcome.model.files.items()
            )
            self._story.say(
                f"[bold]{outcome.model}[/], alias [bold]{ALIAS}[/]: {title}, "
                f"{describe_parameters(result.best_parameters)}"
            )
            self._story.say(f"{sizes}; no pickle")
            self._story.say(describe_export(outcome.model))
            return held
        raise RuntimeError("none of the models could be published; the reasons are above")

    def _serve(self, outcome: Outcome, running: skerry.RunningApp, held: Held) -> None:
        cold, warm, burst, fresh = (4, 100, 100, 2) if self._quick else (8, 300, 200, 3)
        self._story.section("Serve it: from zero, warm, and many at once")
        running.platform.deploy(str(serving_app.app.target()))
        label, model = ask_over_http(running.address, held.rows[:1])
        self._story.say(
            f"app [bold]{serving_app.app.name}[/] deployed; POST {running.address}/function/"
            f"{serving_app.classify.name}: label {label}, by {model}"
        )
        wait_until_zero(running.platform)
        client = Client(running.platform, held.rows, held.predicted)
        with self._story.bar("requests", total=cold + warm + fresh) as bar:
            client.call_cold(cold, bar.advance)
            client.call_warm(warm, bar.advance)
            served = client.call_all()
            client.call_burst(burst, clients=16)
            outcome.memory_bytes = running.platform.engine()["memory_bytes"]
            client.start_fresh(fresh, bar.advance)
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


def _deploy_workers(running: skerry.RunningApp, workers: int) -> None:
    """Deploy the app that trains with a fixed number of workers."""
    flags = [f"{training_app.evaluate.name}.scale.{bound}={workers}" for bound in ("min", "initial", "max")]
    running.platform.deploy(str(training_app.app.target()), flags=flags)
