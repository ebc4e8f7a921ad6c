"""Files that are dropped into a folder go through three functions, each started by the event of the one before.

Run: python examples/file_drop.py
"""

import csv
import io
import json
import sys
import tempfile
import time
from pathlib import Path

import skerry

FOLDER = Path(tempfile.gettempdir()) / "skerry-file-drop"
INBOX, OUTBOX = FOLDER / "in", FOLDER / "out"
Row = dict[str, str | float]

app = skerry.App("behaviour")
app.source("inbox", skerry.FileSource(url=str(INBOX), pattern="*.csv", every="100ms", settle="0s"))


def parse(text: str) -> list[Row]:
    """Return the rows of a file."""
    return [dict(row) for row in csv.DictReader(io.StringIO(text))]


def tidy(rows: list[Row]) -> list[Row]:
    """Return the rows that can be used, with numbers as numbers."""
    found: list[Row] = []
    for row in rows:
        try:
            found.append({"user": str(row["user"]).strip().lower(), "seconds": float(row["seconds"])})
        except (KeyError, ValueError):
            continue
    return found


def label(rows: list[Row]) -> bytes:
    """Return what kind of visit each row is, as the file that it becomes."""
    kinds = [{**row, "kind": "reads" if float(row["seconds"]) >= 30 else "leaves"} for row in rows]
    return json.dumps(kinds, sort_keys=True).encode()


def answer(event: skerry.Event, kind: str, rows: list[Row]) -> skerry.Event:
    """Return the event for the next function: with the id of the first, and a source of its own, it is known again."""
    return skerry.Event(type=kind, source=f"/{kind}", id=event.id, subject=event.subject, data=rows)


@app.on(skerry.Event(type="dev.skerry.file"))
def ingest(event: skerry.Event) -> skerry.Event:
    """Read the file that has appeared."""
    return answer(event, "behaviour.read", parse(Path(event.data["path"]).read_text()))


@app.on(skerry.Event(type="behaviour.read"))
def clean(event: skerry.Event) -> skerry.Event:
    """Leave out what cannot be used."""
    return answer(event, "behaviour.clean", tidy(event.data))


@app.on(skerry.Event(type="behaviour.clean"))
def classify(event: skerry.Event) -> None:
    """Write what is found: whole, or not at all."""
    part = OUTBOX / f"{event.subject}.part"
    part.write_bytes(label(event.data))
    part.rename(OUTBOX / f"{event.subject}.json")


def main() -> None:
    """Drop files and compare what comes out with the same steps in this process."""
    for folder in (INBOX, OUTBOX):
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
    texts = {f"day-{day}.csv": f"user,seconds\n Ada,{day * 10}\nGrace,7\nnobody,soon\n" for day in range(1, 9)}
    with app.run():
        for name, text in texts.items():
            (INBOX / name).write_text(text)
        wanted = {f"{name}.json": label(tidy(parse(text))) for name, text in texts.items()}
        until = time.monotonic() + 120
        while len(list(OUTBOX.glob("*.json"))) < len(wanted):
            if time.monotonic() > until:
                sys.exit("not every file came out")
            time.sleep(0.05)
    found = {file.name: file.read_bytes() for file in OUTBOX.iterdir()}
    print("files:", len(found))
    print("byte for byte as in this process:", found == wanted)


if __name__ == "__main__":
    main()
