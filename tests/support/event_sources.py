"""Places that events come from, and a door that takes them, opens and closes."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor

from skerry.errors import QueueFullError, UnavailableError
from skerry.events.sources.roster import Roster
from skerry.spec import FileSource, MqttSource, NatsSource

SOON_S = 30.0


class Door:
    """Stands in for the broker: takes events by source and id, unless it is closed."""

    def __init__(self):
        self.refuses = None
        self.tried = 0
        self.calls = []
        self.taken = {}

    async def __call__(self, entries):
        self.tried += 1
        if self.refuses == "full":
            raise QueueFullError("no room", retry_after_s=0.01)
        if self.refuses == "down":
            raise UnavailableError("no disk")
        self.calls.append([(entry.source, entry.id) for entry in entries])
        for entry in entries:
            self.taken.setdefault((entry.source, entry.id), entry)

    @property
    def documents(self):
        return [json.loads(entry.document) for entry in self.taken.values()]


async def until(condition, what="it"):
    end = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.01)


class Running:
    """Sources of one engine, at work for a while; another one with the same folder is the same engine later."""

    def __init__(self, folder, door, sources, *, environment=None):
        self._folder = folder
        self._door = door
        self._sources = sources
        self._environment = environment or {}

    async def __aenter__(self):
        self.roster = Roster(
            self._door, file=self._folder / "seen.sqlite3", identity=self._folder.name, environment=self._environment
        )
        self.roster.follow(self._sources)
        return self.roster

    async def __aexit__(self, *_):
        self.roster.stop()
        await self.roster.close()


class FolderOrigin:
    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        self.source = FileSource(url=str(folder), every="100ms", settle="0s")

    def add(self, name):
        """Let something happen that is told by its name."""
        (self.folder / name).write_text(name)

    def name_of(self, document):
        return document["subject"]


class BucketOrigin:
    """A bucket into which something else than Skerry writes."""

    def __init__(self, server):
        self._server = server
        self._bucket = server.new_bucket()
        self.source = FileSource(url=f"s3://{self._bucket}/in?endpoint={server.endpoint}", every="100ms")

    def add(self, name):
        self._server.put(f"/{self._bucket}/in/{name}", name.encode())

    def name_of(self, document):
        assert document["data"]["url"] == f"s3://{self._bucket}/in/{document['subject']}"
        return document["subject"]


class MqttOrigin:
    def __init__(self, broker, name):
        self.broker = broker
        self._name = name
        self.source = MqttSource(url=broker.url, topics=(f"{name}/#",))

    def add(self, name):
        self.broker.publish((f"{self._name}/{name}", name))

    def name_of(self, document):
        return document["data"]


def nats_do(server, work, **options):
    """Do something on a NATS server, in a thread: the test's own loop runs in this one."""

    async def whole():
        import nats

        client = await nats.connect(server.url, **options)
        try:
            await work(client)
            await client.flush()
        finally:
            await client.close()

    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, whole()).result(SOON_S)


class NatsOrigin:
    """A stream of its own on a server."""

    def __init__(self, server, name):
        self._server = server
        self._name = name
        self.source = NatsSource(url=server.url, subject=f"{name}.>", stream=name)
        nats_do(server, lambda client: client.jetstream().add_stream(name=name, subjects=[f"{name}.>"]))

    def add(self, name):
        nats_do(self._server, lambda client: client.jetstream().publish(f"{self._name}.{name}", name.encode()))

    def name_of(self, document):
        return document["data"]
