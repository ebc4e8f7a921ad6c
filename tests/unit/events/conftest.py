"""A broker on a real file, for tests that play its functions."""

import pytest

from skerry.events.backlog import SqliteBacklog
from skerry.events.broker import Broker, BrokerLimits
from support.broker_world import Functions


@pytest.fixture
def with_broker(tmp_path, run_loop):
    def run(work, *specs, **limits):
        async def whole():
            functions = Functions()
            broker = Broker(SqliteBacklog(tmp_path / "events.sqlite3"), functions, limits=BrokerLimits(**limits))
            try:
                await broker.follow(specs)
                await work(broker, functions)
            finally:
                broker.stop()
                await broker.close()

        run_loop(whole())

    return run
