"""``skerry network flows listen``."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.durations import Duration
from skerry.cli.network.flows.view import RECORD_COLUMNS, record_row, say_counts
from skerry.cli.options import Command, json_option
from skerry.cli.termination import ended_in_order


@click.command(
    cls=Command,
    example=(
        "skerry network flows listen --port 2055 --seconds 10\n"
        "skerry network flows listen --host 0.0.0.0 --exporter 192.0.2.0/24 --record flows.pcap --json"
    ),
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=2055, show_default=True, help="Port; 0 for a free one.")
@click.option("--exporter", "exporters", multiple=True, metavar="NETWORK", help="Listen to this one only; repeatable.")
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False), help="Write the datagrams to a pcap file.")
@click.option("--seconds", type=Duration(min=0, min_open=True), help="Stop after so long.")
@click.option("--records", type=click.IntRange(min=1), help="Stop after so many records.")
@json_option
@click.pass_obj
def listen(
    console: Console,
    host: str,
    port: int,
    exporters: Sequence[str],
    record: Path | None,
    seconds: float | None,
    records: int | None,
) -> None:
    """Show flow records as exporters send them, until Ctrl-C; with --json one object a line.

    Without --exporter whoever reaches the port is believed, and the sender of UDP is easily forged.
    """
    from skerry.network.flows import FlowCollector, Recording

    end = None if seconds is None else time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        stack.enter_context(ended_in_order())
        recording = Recording(record) if record else None
        if recording is not None:
            stack.enter_context(recording)
        collector = FlowCollector(host, port, exporters=exporters, on_datagrams=recording.write if recording else None)
        if recording is not None:
            recording.port = collector.port
        stack.enter_context(collector)
        stack.enter_context(contextlib.suppress(KeyboardInterrupt))
        console.message(f"listening on udp {host} port {collector.port}; Ctrl-C ends it")
        shown = 0
        while (end is None or time.monotonic() < end) and (records is None or shown < records):
            batch = collector.take(0.2)
            if batch is None:
                continue
            for row in batch.rows():
                if records is not None and shown == records:
                    break
                _show(console, row, first=shown == 0)
                shown += 1
    say_counts(console, collector.decoder.counts.to_json(), collector.dropped)


def _show(console: Console, row: dict[str, object], *, first: bool) -> None:
    if console.as_json:
        console.json(row)
        return
    # Rows come one by one, so their columns have a width of their own from the start.
    if first:
        console.data(_line(RECORD_COLUMNS))
    console.data(_line(record_row(row)))


def _line(words: Sequence[str]) -> str:
    widths = (12, 24, 24, 8, 8, 8, 10, 8, 8)
    return "  ".join(word.ljust(width) for word, width in zip(words, widths, strict=True)).rstrip()
