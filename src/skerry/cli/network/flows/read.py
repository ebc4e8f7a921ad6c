"""``skerry network flows read``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.console import Console
from skerry.cli.durations import Duration
from skerry.cli.network.flows.view import (
    FEATURE_COLUMNS,
    RECORD_COLUMNS,
    feature_row,
    record_row,
    say_counts,
)
from skerry.cli.options import Command, json_option

if TYPE_CHECKING:
    from skerry.network.flows import FlowBatch, FlowDecoder


@click.command(
    cls=Command,
    example=(
        "skerry network flows read flows.pcap\nskerry network flows read traffic.pcap.gz --packets --features 1 --json"
    ),
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--port", type=click.IntRange(1, 65535), help="Only datagrams to this port; to any port by default.")
@click.option("--packets", is_flag=True, help="FILE is ordinary traffic: show its packets, as records of one each.")
@click.option(
    "--features",
    "width_s",
    type=Duration(min=0.001),
    help="Show features by destination and protocol instead, in windows of so long.",
)
@click.option("--limit", type=click.IntRange(min=0), default=1000, show_default=True, help="Rows at most; 0 for all.")
@json_option
@click.pass_obj
def read(console: Console, file: Path, port: int | None, packets: bool, width_s: float | None, limit: int) -> None:
    """Show the flow records of FILE, a capture of what exporters sent: pcap or pcapng, also with gzip.

    With --json one object: "records" or "features", and "counts".
    """
    from skerry.network.flows import FlowBatch, FlowDecoder

    decoder = FlowDecoder()
    batches = _packets(file) if packets else _records(file, port, decoder)
    if width_s is None:
        name, columns = "records", list(RECORD_COLUMNS)
        found, total = _take(batches, limit)
        values = list(found.rows())
        rows = [record_row(value) for value in values]
    else:
        name, columns = "features", list(FEATURE_COLUMNS)
        everything = FlowBatch.join(list(batches))
        measured = [*_features(everything, round(width_s * 1000), "received_ms" if packets else "last_ms")]
        total = len(measured)
        shown = measured[: limit or None]
        values = [{"start_ms": start_ms, **row} for start_ms, row in shown]
        rows = [feature_row(*each) for each in shown]
    if console.as_json:
        console.json({name: values, "counts": decoder.counts.to_json()})
        return
    console.table(columns, rows)
    if total > len(rows):
        console.message(f"{total - len(rows)} more; --limit 0 shows all")
    if not packets:
        counts = decoder.counts
        say_counts(console, counts.to_json())
        if not counts.records and not counts.templates:
            console.message("no flow records; if this is ordinary traffic, --packets shows it")


def _records(file: Path, port: int | None, decoder: FlowDecoder) -> Iterator[FlowBatch]:
    from skerry.network.flows import read_datagrams

    for datagrams in read_datagrams(file, port=port):
        yield decoder.decode(datagrams)


def _packets(file: Path) -> Iterator[FlowBatch]:
    from skerry.network.flows import read_packets

    return read_packets(file)


def _take(batches: Iterator[FlowBatch], limit: int) -> tuple[FlowBatch, int]:
    """Return the first records, and how many there are."""
    from skerry.network.flows import FlowBatch

    kept: list[FlowBatch] = []
    total = 0
    for batch in batches:
        if not limit or total < limit:
            kept.append(FlowBatch(records=batch.records[: limit - total if limit else None]))
        total += len(batch)
    return FlowBatch.join(kept), total


def _features(batch: FlowBatch, width_ms: int, clock: str) -> Iterator[tuple[int, dict[str, Any]]]:
    from skerry.network.features import KnownSources, measure, split

    known = KnownSources()
    for window, records in split(batch, width_ms, clock=clock):
        for row in measure(records, window, known=known).rows():
            yield window.start_ms, row
        known = known.remember(records["source"], now_ms=window.start_ms)
