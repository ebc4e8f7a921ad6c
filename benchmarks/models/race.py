"""Race two publishers: `python -m benchmarks.models.race --count 1000 --store folder|s3`.

Method. Two processes publish a version of one model and point its alias at it, each so many times, as fast as they can,
on one store: a folder, or an S3 server (moto's) that the benchmark starts. Then a third reads everything and looks for
what is missing: every version and every entry that a publisher was told of is there, as that publisher wrote it, under
numbers without gaps; there is one order, in which every entry names what the one before it had pointed at; and all
content is there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring import facts, save
from skerry.store.models import ManifestDraft, ModelRepository
from skerry.store.objects import open_store

MODEL = "digits"
ALIAS = "production"
PUBLISHERS = ("ada", "bob")
ROOT = Path(__file__).parents[2]
S3_SERVER = ROOT / "tests" / "support" / "s3_server.py"
VERSIONS = ("skerry", "obstore", "moto")

Told = Mapping[str, list[list[int]]]
"""By publisher: for each of its turns, the version and the number of the entry that it was told of."""


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="turns of each publisher")
    parser.add_argument("--store", choices=("folder", "s3"), default="folder")
    parser.add_argument("--publisher", nargs=2, metavar=("NAME", "URL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publisher:
        publish(*arguments.publisher, arguments.count)
        return 0
    with serving(arguments.store) as url:
        began_at = time.perf_counter()
        told = race(url, arguments.count)
        took_s = time.perf_counter() - began_at
        problems = judge(url, told)
    turns = len(PUBLISHERS) * arguments.count
    result = {
        "facts": facts(VERSIONS),
        "store": arguments.store,
        "count": arguments.count,
        "took_s": round(took_s, 2),
        "turns_per_s": round(turns / took_s, 1),
        "problems": problems,
    }
    print(f"{turns} turns on {arguments.store} in {took_s:.1f} s; problems: {len(problems)}")
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"written to {save(f'models_race_{arguments.store}', result)}")
    return 1 if problems else 0


@contextmanager
def serving(kind: str) -> Iterator[str]:
    """Yield the address of an empty store."""
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
        if kind == "folder":
            yield str(Path(folder, "store"))
            return
        os.environ.update({"AWS_ACCESS_KEY_ID": "benchmark", "AWS_SECRET_ACCESS_KEY": "benchmark"})
        server = subprocess.Popen(
            [sys.executable, str(S3_SERVER), "127.0.0.1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with server:  # it ends with its standard input
            endpoint = f"http://127.0.0.1:{int(server.stdout.readline() if server.stdout else 0)}"
            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/race", method="PUT")).close()
            yield f"s3://race/models?endpoint={endpoint}"


def race(url: str, count: int) -> Told:
    """Let the publishers begin at once, and return what they were told."""
    processes = {name: _start(name, url, count) for name in PUBLISHERS}
    for process in processes.values():
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("a publisher did not start")
    told = {}
    for process in processes.values():
        print("go", file=process.stdin, flush=True)
    for name, process in processes.items():
        told[name] = json.loads(process.communicate()[0])
    return told


def _start(name: str, url: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.models.race", "--publisher", name, url, "--count", str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def publish(name: str, url: str, count: int) -> None:
    """Be one of the publishers."""
    repository = ModelRepository(open_store(url))
    print("ready", flush=True)
    sys.stdin.readline()
    told = []
    for turn in range(count):
        draft = ManifestDraft(about={"publisher": name, "turn": turn})
        manifest = repository.publish(MODEL, {"model.onnx": _content(name, turn)}, draft)
        entry = repository.set_alias(MODEL, ALIAS, manifest.version, reason=f"{name} {turn}")
        told.append([manifest.version, entry.number])
    print(json.dumps(told))


def judge(url: str, told: Told) -> list[str]:
    """Return what is missing or wrong in the store; nothing, when all is as the publishers were told."""
    repository = ModelRepository(open_store(url))
    history = repository.history(MODEL)
    turns = sum(map(len, told.values()))
    problems = []
    if repository.versions(MODEL) != list(range(1, turns + 1)):
        problems.append(f"the versions are not those from 1 to {turns}")
    if [entry.number for entry in history] != list(range(1, turns + 1)):
        problems.append(f"the entries are not those from 1 to {turns}")
    previous = None
    for entry in history:
        if entry.previous != previous:
            problems.append(f"entry {entry.number} says that {entry.previous} came before, it was {previous}")
        previous = entry.version
    for name, mine in told.items():
        for turn, (version, number) in enumerate(mine):
            if repository.manifest(MODEL, version).about != {"publisher": name, "turn": turn}:
                problems.append(f"version {version} is not that of {name}'s turn {turn}")
            entry = history[number - 1]
            if (entry.version, entry.reason) != (version, f"{name} {turn}"):
                problems.append(f"entry {number} is not that of {name}'s turn {turn}")
            sha256 = repository.manifest(MODEL, version).files["model.onnx"].sha256
            if repository.store.get(f"blobs/sha256/{sha256}") != _content(name, turn):
                problems.append(f"the content of version {version} is not that of {name}'s turn {turn}")
    return problems


def _content(name: str, turn: int) -> bytes:
    return f"the weights of {name}, {turn}".encode()


if __name__ == "__main__":
    sys.exit(main())
