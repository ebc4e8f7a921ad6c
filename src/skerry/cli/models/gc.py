"""``skerry models gc``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.models.options import open_repository, store_options
from skerry.cli.options import Command, json_option
from skerry.cli.units import size
from skerry.spec import parse_duration, parse_size


@click.command(cls=Command, example="skerry models gc\nskerry models gc --grace 10m --cache 2GiB")
@click.option(
    "--grace", default="1h", show_default=True, help="Spare what is younger: it may be about to be published."
)
@click.option("--cache", metavar="SIZE", help="Evict models of this machine's cache too, down to this size.")
@store_options
@json_option
@click.pass_obj
def gc(console: Console, grace: str, cache: str | None, home: Path, store: str | None) -> None:
    """Remove the content that no version names any more: of deleted versions, and of publishers that were killed.

    What a worker uses is never evicted from the cache. Others are, the least recently used first.
    """
    from skerry.store.models import ModelCache, cache_folder

    grace_s = parse_duration(grace, key="--grace")
    limit_bytes = None if cache is None else parse_size(cache, key="--cache")
    garbage = open_repository(home, store).collect_garbage(grace_s=grace_s)
    eviction = None if limit_bytes is None else ModelCache(cache_folder()).evict(limit_bytes)
    if console.as_json:
        console.json({"store": asdict(garbage), "cache": None if eviction is None else asdict(eviction)})
        return
    freed = size(garbage.removed_bytes)
    console.message(f"store: removed {garbage.removed} unused contents, {freed}; kept {garbage.kept}")
    if eviction is not None:
        freed, kept = size(eviction.removed_bytes), size(eviction.kept_bytes)
        console.message(f"cache: evicted {len(eviction.versions)} versions, {freed}; kept {kept}")
