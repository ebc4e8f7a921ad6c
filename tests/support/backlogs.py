"""Places where backlogs of events are kept, opened anew for each run."""

from skerry.events.backlog import SqliteBacklog


class SqlitePlace:
    def __init__(self, path, run_loop):
        self._path = path
        self._run_loop = run_loop

    def run(self, work):
        async def whole():
            backlog = SqliteBacklog(self._path)
            try:
                await work(backlog)
            finally:
                await backlog.close()

        self._run_loop(whole())
