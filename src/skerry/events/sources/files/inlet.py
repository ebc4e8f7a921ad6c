"""Files of a place become events: found, complete, accepted, and only then written down as seen."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Sequence
from pathlib import Path

from skerry.events.delivery import Entry
from skerry.events.reading import entry_of
from skerry.events.sources.files.ledger import Ledger, ledger_name
from skerry.events.sources.files.place import FoundFile, Place, open_place
from skerry.events.sources.files.survey import Watch
from skerry.events.sources.inlet import Inlet, Intake
from skerry.payload import Event
from skerry.spec import FileSource, parse_duration

TOGETHER = 200  # files that become events in one step


class FileInlet(Inlet):
    """A folder or a bucket at work.

    Args:
        intake: Takes the events.
        source: What is declared.
        file: Where it is written down which files have become events.
    """

    def __init__(self, intake: Intake, source: FileSource, file: Path) -> None:
        super().__init__(intake)
        self._source = source
        self._file = file

    async def session(self) -> None:
        """See `Inlet.session`."""
        place = open_place(self._source)
        every_s = parse_duration(self._source.every, key="every")
        is_whole = self._source.url.startswith("s3:")  # an object of a bucket is there as a whole, or not at all
        settle_s = 0.0 if is_whole else parse_duration(self._source.settle, key="settle")
        name = ledger_name(self.intake.name, self._source.url)
        with Ledger(self._file) as ledger:
            watch = Watch(ledger.seen(name), settle_s)
            while True:
                found = await asyncio.to_thread(_files, place)
                self.is_open = True
                survey = watch.look({key: one.version for key, one in found.items()}, time.monotonic())
                if survey.gone or survey.back:
                    watch.forget(ledger.mark(name, gone=survey.gone, back=survey.back, now_s=time.time()))
                for start in range(0, len(survey.ripe), TOGETHER):
                    some = [found[key] for key in survey.ripe[start : start + TOGETHER]]
                    complete = await asyncio.to_thread(_complete, place, some)
                    if complete:
                        await self.intake.take([self._entry(one) for one in complete])
                        files = {one.key: one.version for one in complete}
                        ledger.add(name, files)  # killed before, the same events come again, and are known
                        watch.took(files)
                await asyncio.sleep(every_s)

    def _entry(self, file: FoundFile) -> Entry:
        data = {
            "key": file.key,
            "url": file.url,
            "path": file.path,
            "size_bytes": file.size_bytes,
            "modified_at": file.modified_at,
        }
        return entry_of(
            Event(
                type=self._source.type,
                source=f"/skerry/source/{self.intake.name}",
                id=f"{file.key}@{file.version}",
                subject=file.key,
                time=_moment(file.modified_at),
                data=data,
            )
        )


def _moment(at_s: float) -> datetime.datetime | None:
    """Return a moment as events tell it; none where that has no year of four digits, as some tools write."""
    try:
        return datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _files(place: Place) -> dict[str, FoundFile]:
    return {one.key: one for one in place.files()}


def _complete(place: Place, files: Sequence[FoundFile]) -> list[FoundFile]:
    return [one for one in files if not place.is_written(one)]
