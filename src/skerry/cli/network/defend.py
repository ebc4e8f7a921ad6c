"""``skerry network defend``."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.console import Console
from skerry.cli.durations import Duration
from skerry.cli.network.actions.options import folder_option
from skerry.cli.network.standing import take_back, tell_after, tell_before
from skerry.cli.options import Command, json_option

if TYPE_CHECKING:
    from skerry.network.actions import Network
    from skerry.network.loop import Happening

CLOCKS = {"received": "received_ms", "told": "last_ms"}


def _networks(ctx: click.Context, param: click.Parameter, given: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks, or single addresses, that were written."""
    try:
        return tuple(map(ip_network, given))
    except ValueError as error:
        raise click.BadParameter(f"{error}; write a network like 192.0.2.0/24", ctx, param) from error


@click.command(
    cls=Command,
    example=(
        "skerry network defend --scope 192.0.2.0/24\n"
        "skerry network defend --scope 192.0.2.0/24 --allow 198.51.100.7 --window 100ms --clock told --act"
    ),
)
@click.option(
    "--scope",
    multiple=True,
    required=True,
    metavar="NETWORK",
    callback=_networks,
    help="What is defended; may be repeated.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="NETWORK",
    callback=_networks,
    help="Whose packets no rule ever drops; may be repeated.",
)
@folder_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to take flow records on.")
@click.option("--port", type=click.IntRange(0, 65535), default=2055, show_default=True, help="Port; 0 for a free one.")
@click.option("--exporter", multiple=True, metavar="NETWORK", help="Listen to this one only; repeatable.")
@click.option(
    "--window", type=Duration(min=0.01, max=60), default="200ms", show_default=True, help="What is judged at a time."
)
@click.option(
    "--clock",
    type=click.Choice(list(CLOCKS)),
    default="received",
    show_default=True,
    help="Whether records count when they are received, or when they tell that their last packet came.",
)
@click.option("--act", is_flag=True, help="Change the firewall; without, it is only said what would be done.")
@click.option("--approval", is_flag=True, help="With --act: have a person approve each action.")
@click.option("--seconds", type=Duration(min=0, min_open=True), help="Stop after so long.")
@click.option("--withdraw-at-end", is_flag=True, help="With --act: take back at the end what is in force then.")
@json_option
@click.pass_obj
def defend(console: Console, /, *, folder: Path, seconds: float | None, **given: Any) -> None:
    """Watch a link by its flow records, and with --act drop what attacks it; until Ctrl-C.

    Without --act nothing is done to the network. Needs root, nftables and an exporter. What happens is written a line
    each: the step, the destination, the rule, the reason; with --json one object a line. Rules that are in force at the
    end stay for their time to live, and are named.
    """
    from skerry.network.defence import DefenceSettings
    from skerry.network.defence import defend as run

    if given["approval"] and not given["act"]:
        raise click.UsageError("--approval goes with --act: without it, nothing is done that a person could approve")
    if given["withdraw_at_end"] and not given["act"]:
        raise click.UsageError(
            "--withdraw-at-end goes with --act: without it, nothing is done that could be taken back"
        )
    settings = DefenceSettings(
        scope=given["scope"],
        allowed=given["allow"],
        folder=folder,
        host=given["host"],
        port=given["port"],
        exporters=given["exporter"],
        window_ms=round(given["window"] * 1000),
        clock=CLOCKS[given["clock"]],  # type: ignore[arg-type]  # the values are the clocks that there are
        dry_run=not given["act"],
        approval=given["approval"],
    )
    end_s = None if seconds is None else time.monotonic() + seconds

    def say_ready(port: int) -> None:
        tell_before(console, folder)
        scope = ", ".join(map(str, settings.scope))
        how = "a dry run: nothing is done" if settings.dry_run else f"actions are kept in {folder}"
        console.message(
            f"defending {scope}; flow records come to udp {settings.host} port {port}; {how}; Ctrl-C ends it"
        )

    with _asked_to_end() as ended:

        def tell(happening: Happening) -> None:
            try:
                _tell(console, happening)
            except BrokenPipeError:  # nobody reads any more: an end for a dry run, and none for a defence
                if settings.dry_run:
                    ended.set()

        run(
            settings,
            lambda: ended.is_set() or (end_s is not None and time.monotonic() >= end_s),
            tell=tell,
            ready=say_ready,
        )
    if given["withdraw_at_end"]:
        take_back(console, folder)
    elif given["act"]:
        tell_after(console, folder)


@contextmanager
def _asked_to_end() -> Iterator[threading.Event]:
    """Return an event that Ctrl-C and SIGTERM set: a defence ends between two windows, not in the middle of one."""
    ended = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: ended.set()) for number in numbers]
    try:
        yield ended
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _tell(console: Console, happening: Happening) -> None:
    destination = "-" if happening.destination is None else str(happening.destination)
    if not console.as_json:
        action = f"  action {happening.action_id}" if happening.action_id else ""
        console.data(f"{happening.step.value:<9}  {destination}  {_reason(happening)}{action}")
        return
    console.json(
        {
            "at": time.time() - (time.monotonic() - happening.at_s),
            "step": happening.step.value,
            "destination": destination,
            "reason": happening.reason,
            "action": happening.action_id,
            "rule": happening.rule,
        }
    )


def _reason(happening: Happening) -> str:
    """Return why it happened, after what is or would be done about it where a decision is told."""
    words = {"acted": "", "waiting": "would ", "tried": "would ", "refused": "would "}.get(happening.step.value)
    return happening.reason if words is None or not happening.rule else f"{words}{happening.rule}; {happening.reason}"
