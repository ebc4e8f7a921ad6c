import pytest


@pytest.fixture(autouse=True)
def one_thread():
    """A worker has the threads of its quota; a test has one, or it waits for others on a machine that is busy."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(1):
        yield
