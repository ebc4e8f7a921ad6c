"""Processes that publish and fetch models, for tests that race or kill them; stores do not go over a fork."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from skerry.spec import ModelReference
from skerry.store.models import ManifestDraft, ModelCache, ModelRepository
from skerry.store.objects import open_store

PATIENCE_S = 100


def start(action, *words):
    """Start a process that does one of the things below once it reads a line, so that several start at once."""
    command = [sys.executable, "-m", "support.model_processes", action, *map(str, words)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )


def go(processes):
    """Wait until all are ready, let them begin, and return what each says; all must end well."""
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate(timeout=PATIENCE_S)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return answers


def publish_endlessly(url, who):
    """Publish until killed, in versions of several files."""
    repository = ModelRepository(open_store(url))
    turn = 0
    while True:
        turn += 1
        files = {f"part{i}.bin": f"{who} {turn} {i}".encode() * 5000 for i in range(4)}
        repository.publish("digits", files, ManifestDraft())


def fetch(url, folder, reference, log):
    """Fetch a version; note in a file every content that is asked of the store."""
    repository = ModelRepository(NotingStore(open_store(url), Path(log)))
    path = ModelCache(Path(folder)).fetch(repository, repository.resolve(ModelReference.parse(reference)))
    return {file.name: file.stat().st_size for file in path.iterdir()}


def fetch_a_part(url, folder, reference, log):
    """Begin to fetch a version, say so, and never end."""

    class Stalling(NotingStore):
        def stream(self, key, **options):
            yield next(super().stream(key, **options))
            print("begun", flush=True)
            sys.stdin.read()

    repository = ModelRepository(Stalling(open_store(url), Path(log)))
    ModelCache(Path(folder)).fetch(repository, repository.resolve(ModelReference.parse(reference)))


class NotingStore:
    """A store that notes what is streamed from it."""

    def __init__(self, store, log):
        self.store = store
        self.log = log

    def stream(self, key, **options):
        with self.log.open("a") as file:
            file.write(f"{key}\n")
        return self.store.stream(key, **options)

    def __getattr__(self, name):
        return getattr(self.store, name)


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    action = {"publish": publish_endlessly, "fetch": fetch, "fetch-a-part": fetch_a_part}[sys.argv[1]]
    print(json.dumps(action(*sys.argv[2:])))
