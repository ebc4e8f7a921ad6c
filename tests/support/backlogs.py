"""Places where backlogs of events are kept, opened anew for each run."""

from skerry.events.backlog import SqliteBacklog
from skerry.events.backlog.jetstream.backlog import JetStreamBacklog


class SqlitePlace:
    def __init__(self, path, run_loop):
        self._path = path
        self._run_loop = run_loop

    async def open(self):
        return SqliteBacklog(self._path)

    def run(self, work):
        async def whole():
            backlog = await self.open()
            try:
                await work(backlog)
            finally:
                await backlog.close()

        self._run_loop(whole())


class JetStreamPlace(SqlitePlace):
    """A prefix of its own on a NATS server."""

    def __init__(self, server, prefix, run_loop):
        super().__init__(None, run_loop)
        self._server = server
        self._prefix = prefix

    async def open(self):
        return await JetStreamBacklog.open(f"{self._server.url}/{self._prefix}")
