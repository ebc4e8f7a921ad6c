"""Another process that uses a store of objects: ``python object_writer.py WHAT URL ARGUMENT…``.

It prints ``ready`` when it could begin, and begins when a line comes in.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

MIB = 2**20


class ObjectWriter:
    """The process, as tests see it."""

    def __init__(self, what, url, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), what, url, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.hear() == "ready"

    def begin(self):
        self.process.stdin.write("begin\n")
        self.process.stdin.flush()

    def hear(self):
        return self.process.stdout.readline().strip()

    def result(self):
        return json.loads(self.hear())

    def kill(self):
        """End the process, unless it has ended, and let go of it; again does nothing."""
        self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(60)


def race(store, name, count):
    """Write as many keys as can be won, and tell which were."""
    return [n for n in range(int(count)) if store.put_if_absent(f"race/{n:04}", name.encode())]


def overwrite(store, key, count):
    """Write one key again and again, each time with one byte repeated, as many thousand times as the byte says."""
    for n in range(int(count)):
        store.put(key, [bytes([n + 1]) * 1000] * (n + 1))
    return "done"


def hang(store, key):
    """Write the first piece of an object, and never the next."""

    def pieces():
        yield bytes(12 * MIB)
        print("begun", flush=True)
        sys.stdin.read()

    store.put(key, pieces())


def carry(store, key, size_mib):
    """Write and read a large object, and tell by how many bytes the most memory grew."""
    store.put("warm", [bytes(8 * MIB)])
    for _ in store.stream("warm"):
        pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    store.put(key, (bytes([n % 256]) * MIB for n in range(int(size_mib))))
    read_bytes = sum(map(len, store.stream(key)))
    return [read_bytes, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024]


def fill(store, key, limit_bytes):
    """Write more than a file may hold, and tell what was raised."""
    from skerry.errors import SkerryError

    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit_bytes), int(limit_bytes)))
    try:
        store.put(key, (bytes(MIB) for _ in range(64)))
    except SkerryError as error:
        return [type(error).__name__, str(error)]
    return "written"


def fork(store, key):
    """Use the store, and use it again in a child that was forked since; tell what the child was told."""
    from skerry.errors import SkerryError

    store.put(key, b"parent")
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            told = store.get(key).decode()
        except SkerryError as error:
            told = f"{type(error).__name__}: {error}"
        os.write(writing, told.encode())
        os._exit(0)
    os.wait()
    return [os.read(reading, 4096).decode(), store.get(key).decode()]


def main():
    from skerry.store.objects import open_store

    what, url, *arguments = sys.argv[1:]
    store = open_store(url)
    list(store.list("warm"))  # connected, so that those who race begin at once
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(globals()[what](store, *arguments)), flush=True)


if __name__ == "__main__":
    main()
