"""``skerry chains``: functions that run after one another, and their runs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.console import Console
from skerry.cli.invoke import JSON, check_json, read_data
from skerry.cli.options import Command, Group, connect, home_option, json_option
from skerry.cli.units import duration, moment, size

if TYPE_CHECKING:
    from skerry.platforms.engine.client import EnginePlatform

MODES = ("separated", "fused", "both")
STATUSES = ("running", "succeeded", "failed", "cancelled")
LOOK_S = 20.0

run_argument = click.argument("run", metavar="RUN")


@click.group(cls=Group, example="skerry chains run report --data '\"today\"'\nskerry chains show 70e70ab313f143f4")
def chains() -> None:
    """Run chains of functions, and look after their runs."""


@chains.command("list", cls=Command, example="skerry chains list\nskerry chains list --runs --status running")
@click.option("--runs", "as_runs", is_flag=True, help="List the newest runs instead of the chains.")
@click.option("--chain", help="Only runs of this chain.")
@click.option("--status", type=click.Choice(STATUSES), help="Only runs with this status.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Most runs to list.")
@home_option
@json_option
@click.pass_obj
def list_chains(
    console: Console, *, as_runs: bool, chain: str | None, status: str | None, limit: int, home: Path
) -> None:
    """List the chains that are deployed, or their runs; runs that ended more than a day ago are forgotten."""
    engine = connect(home)
    if as_runs or chain is not None or status is not None:
        found = engine.runs(chain=chain, status=status, limit=limit)
        columns, rows = ["ID", "CHAIN", "MODE", "STATUS", "BEGAN", "TOOK"], [_run_row(run) for run in found]
    else:
        found = engine.chains()
        columns, rows = ["NAME", "MODE", "FUNCTIONS"], [_chain_row(chain) for chain in found]
    if console.as_json:
        console.json(found)
    elif not found:
        console.message("there are none; declare a chain with app.chain(...), and run it with: skerry chains run NAME")
    else:
        console.table(columns, rows)


@chains.command(
    cls=Command,
    example="skerry chains run report --data '\"today\"'\n"
    "skerry chains run report --data @day.json --mode both --repeat 20 --json",
)
@click.argument("name")
@click.option("--data", help="What the first step is given: JSON, @FILE for a file's content, or - for standard input.")
@click.option("--content-type", default=JSON, show_default=True, help="What the data are.")
@click.option("--mode", type=click.Choice(MODES), help="How to run it; without, as the chain says.")
@click.option("--id", "run_id", help="Id of the run: with that of one that is there, nothing begins.")
@click.option("--repeat", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Runs in each mode.")
@click.option("--no-wait", is_flag=True, help="Do not wait: print the run's id.")
@home_option
@json_option
@click.pass_obj
def run(  # noqa: PLR0913  # one parameter per option of the command
    console: Console,
    *,
    name: str,
    data: str | None,
    content_type: str,
    mode: str | None,
    run_id: str | None,
    repeat: int,
    no_wait: bool,
    home: Path,
) -> None:
    """Run a chain and print its result; in both modes or several times, also what each mode has cost.

    The costs: the time of the first run, which waits for workers where there are none, the median of the others, the
    time in handlers, what came on top for each step, and the memory of the workers.
    """
    if run_id is not None and (repeat > 1 or mode == "both"):
        raise click.UsageError("--id names one run: it goes neither with --repeat nor with --mode both")
    read = read_data(data)
    if content_type == JSON and read.body:
        check_json(read)
    engine = connect(home)
    if no_wait:
        if repeat > 1 or mode == "both":
            raise click.UsageError(
                "--no-wait goes neither with --repeat nor with --mode both: costs are known at the end"
            )
        begun = engine.begin_run(name, read.body, content_type=content_type, mode=mode, id=run_id)
        console.json(begun) if console.as_json else console.data(begun["id"])
        return
    modes = ("separated", "fused") if mode == "both" else (mode,)
    found = []
    for one in modes:
        runs = [_run(engine, name, read.body, content_type, one, run_id) for _ in range(repeat)]
        found.append(_costs(runs, engine, name))
    if console.as_json:
        console.json({"chain": name, "modes": [{**one, "result": json.loads(one["result"])} for one in found]})
        return
    for text in dict.fromkeys(costs["result"] for costs in found):  # once, where the modes agree
        console.data(text)
    if len(modes) > 1 or repeat > 1:
        columns = ["MODE", "RUNS", "FIRST", "MEDIAN", "HANDLERS", "A STEP MORE", "WORKERS", "MEMORY"]
        console.table(columns, [_cost_row(costs) for costs in found])


@chains.command(cls=Command, example="skerry chains show 70e70ab313f143f4b4852b273376ff8a")
@run_argument
@home_option
@json_option
@click.pass_obj
def show(console: Console, run: str, home: Path) -> None:
    """Show a run: its status, its steps, what it has cost, and the items that were left out."""
    found = connect(home).run(run)
    if console.as_json:
        console.json(found)
        return
    error = found["error"]
    cost = found["cost"]
    for key, value in (
        ("id", found["id"]),
        ("chain", found["chain"]),
        ("mode", found["mode"]),
        ("status", found["status"]),
        ("trace", found["trace_id"]),
        ("began", moment(found["began_at"])),
        ("took", duration(cost["took_ms"] / 1000)),
        ("handlers", duration(cost["handler_ms"] / 1000)),
        ("error", "none" if error is None else f"step {error['step']}: {error['code']} {error['detail']}"),
    ):
        console.data(f"{key + ':':<11}{value}")
    if found["steps"]:
        console.table(
            ["STEP", "FUNCTION", "STATE", "ATTEMPTS", "HANDLER", "ERROR"], list(map(_step_row, found["steps"]))
        )
    for step in found["not_undone"]:
        console.data(f"not undone: step {step}")
    for dead in found["dead"]:
        text = f"{dead['knativeerrorcode']} {dead['knativeerrordata']}"
        console.data(f"left out: item {dead['item']} at step {dead['step']}: {text}")


@chains.command(cls=Command, example="skerry chains cancel 70e70ab313f143f4b4852b273376ff8a")
@run_argument
@home_option
@json_option
@click.pass_obj
def cancel(console: Console, run: str, home: Path) -> None:
    """End a run, and undo nothing; one that has ended stays as it is."""
    found = connect(home).cancel_run(run)
    console.json(found) if console.as_json else console.data(found["status"])


def _run(
    engine: EnginePlatform, name: str, body: bytes, content_type: str, mode: str | None, run_id: str | None
) -> dict[str, Any]:
    """Return a run that has ended well, with its result as text."""
    from skerry.payload import JSON, MSGPACK, decode, encode

    begun = engine.begin_run(name, body, content_type=content_type, mode=mode, id=run_id)
    while True:
        found = engine.run(begun["id"], wait_s=LOOK_S)
        if found["status"] != "running":
            break
    result = decode(engine.run_result(begun["id"]), MSGPACK)  # raises what the run has failed with
    return {**found, "result": encode(result, JSON).decode()}


def _costs(runs: list[dict[str, Any]], engine: EnginePlatform, name: str) -> dict[str, Any]:
    took = [run["cost"]["took_ms"] for run in runs]
    warm = runs[1:] or runs
    hops = [run["cost"]["hop_ms"] for run in warm if run["cost"]["hop_ms"] is not None]
    mode = runs[0]["mode"]
    workers = next(chain["workers"] for chain in engine.chains() if chain["name"] == name)
    return {
        "mode": mode,
        "runs": [run["id"] for run in runs],
        "result": runs[-1]["result"],
        "first_ms": took[0],
        "warm_median_ms": statistics.median(took[1:]) if took[1:] else None,
        "handler_ms": statistics.median(run["cost"]["handler_ms"] for run in warm),
        "hop_ms": statistics.median(hops) if hops else None,
        "steps": runs[0]["cost"]["steps"],
        "dead": len(runs[-1]["dead"]),
        **workers[mode],
    }


def _chain_row(chain: Mapping[str, Any]) -> list[str]:
    return [chain["name"], chain["mode"], ", ".join(chain["functions"])]


def _run_row(run: Mapping[str, Any]) -> list[str]:
    took = "-" if run["ended_at"] is None else duration(max(0.0, run["ended_at"] - run["began_at"]))
    return [run["id"], run["chain"], run["mode"], run["status"], moment(run["began_at"]), took]


def _step_row(step: Mapping[str, Any]) -> list[str]:
    took = duration(step["handler_ms"] / 1000) if step["state"] == "done" else "-"
    function = step.get("function") or "-"  # an engine that is older does not say it
    return [step["step"], function, step["state"], str(step["attempts"]), took, step["error"] or ""]


def _cost_row(costs: Mapping[str, Any]) -> list[str]:
    def ms(value: float | None) -> str:
        return "-" if value is None else duration(value / 1000)

    times = [ms(costs[key]) for key in ("first_ms", "warm_median_ms", "handler_ms", "hop_ms")]
    return [costs["mode"], str(len(costs["runs"])), *times, str(costs["workers"]), size(costs["memory_bytes"])]
