"""``skerry jobs``: calls that run on their own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from skerry.cli.console import Console
from skerry.cli.durations import Duration
from skerry.cli.invoke import JSON, invoke
from skerry.cli.options import Command, Group, complete_function, complete_job, connect, home_option, json_option
from skerry.cli.units import duration, moment
from skerry.platforms.base import JobStatus

if TYPE_CHECKING:
    from skerry.platforms import JobRecord

job_argument = click.argument("job", metavar="ID", shell_complete=complete_job())


@click.group(cls=Group, example="skerry jobs submit train --data @job.json\nskerry jobs list --status failed")
def jobs() -> None:
    """Hand in calls that run on their own, and look after them."""


@jobs.command("list", cls=Command, example="skerry jobs list\nskerry jobs list --function train --status failed --json")
@click.option("--function", shell_complete=complete_function, help="Only jobs that call this function.")
@click.option("--status", type=click.Choice(get_args(JobStatus)), help="Only jobs with this status.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Most jobs to list.")
@home_option
@json_option
@click.pass_obj
def list_jobs(console: Console, function: str | None, status: JobStatus | None, limit: int, home: Path) -> None:
    """List the newest jobs; those that ended more than a day ago are forgotten."""
    found = connect(home).jobs(function=function, status=status, limit=limit)
    if console.as_json:
        console.json([asdict(job) for job in found])
        return
    if not found:
        console.message("no such jobs; hand one in with: skerry jobs submit NAME --data ...")
        return
    console.table(["ID", "FUNCTION", "STATUS", "ATTEMPTS", "SUBMITTED", "TOOK", "ERROR"], [_row(job) for job in found])


@jobs.command(cls=Command, example="skerry jobs status 70e70ab313f143f4b4852b273376ff8a")
@job_argument
@home_option
@json_option
@click.pass_obj
def status(console: Console, job: str, home: Path) -> None:
    """Show a job: where it is on its way, its attempts, its times and its error."""
    found = connect(home).job(job)
    if console.as_json:
        console.json(asdict(found))
        return
    for key, value in (
        ("id", found.id),
        ("function", found.function),
        ("status", found.status),
        ("attempts", found.attempts),
        ("submitted", moment(found.submitted_at)),
        ("started", moment(found.started_at)),
        ("ended", moment(found.ended_at)),
        ("took", _took(found)),
        ("error", _problem(found.error)),
    ):
        console.data(f"{key + ':':<11}{value}")


@jobs.command(cls=Command, example="skerry jobs result 70e70ab313f143f4b4852b273376ff8a --wait 60")
@job_argument
@click.option("--wait", "wait_s", type=Duration(min=0), help="Longest wait; without, to the end.")
@home_option
@json_option
@click.pass_obj
def result(console: Console, job: str, wait_s: float | None, home: Path) -> None:
    """Wait for a job's end and print its result; the error of a job that failed is this command's own."""
    answer = connect(home).result(job, timeout_s=wait_s)
    console.body(answer.content_type, answer.body)


@jobs.command(cls=Command, example="skerry jobs cancel 70e70ab313f143f4b4852b273376ff8a")
@click.argument("job", metavar="ID", shell_complete=complete_job("queued", "running"))
@home_option
@json_option
@click.pass_obj
def cancel(console: Console, job: str, home: Path) -> None:
    """Stop a job: one that waits never runs, one that runs is stopped; the end of one that has ended stays."""
    _say(console, connect(home).cancel(job))


@jobs.command(cls=Command, example="skerry jobs retry 70e70ab313f143f4b4852b273376ff8a")
@click.argument("job", metavar="ID", shell_complete=complete_job("failed", "cancelled"))
@home_option
@json_option
@click.pass_obj
def retry(console: Console, job: str, home: Path) -> None:
    """Run a job that failed or was cancelled again, under its id and with its old data."""
    _say(console, connect(home).retry(job))


@jobs.command(
    cls=Command, example="skerry jobs submit train --data '[1, 2, 3]'\nskerry jobs submit train --data @job.json"
)
@click.argument("name", shell_complete=complete_function)
@click.option("--data", help="The body: JSON, @FILE for the content of a file, or - for standard input.")
@click.option("--content-type", default=JSON, show_default=True, help="What the body is.")
@home_option
@json_option
@click.pass_context
def submit(ctx: click.Context, name: str, data: str | None, content_type: str, home: Path) -> None:
    """Hand in a call of a function and print the job's id, as `skerry invoke --async` does."""
    ctx.invoke(invoke, name=name, data=data, content_type=content_type, as_job=True, home=home)


def _say(console: Console, job: JobRecord) -> None:
    if console.as_json:
        console.json(asdict(job))
    else:
        console.data(job.status)


def _row(job: JobRecord) -> list[str]:
    code = "" if job.error is None else str(job.error.get("code", ""))
    return [job.id, job.function, job.status, str(job.attempts), moment(job.submitted_at), _took(job), code]


def _took(job: JobRecord) -> str:
    """Return how long the last attempt took, or takes by now."""
    if job.started_at is None or (job.ended_at is None and job.status != "running"):
        return "-"
    return duration(max(0.0, (job.ended_at or time.time()) - job.started_at))


def _problem(error: Mapping[str, Any] | None) -> str:
    return "none" if error is None else f"{error.get('detail', '')} ({error.get('code', 'unknown')})"
