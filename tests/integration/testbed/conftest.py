import shutil
import tempfile
from pathlib import Path

import pytest

from skerry.testbed.topology import Testbed
from skerry.testbed.topology.cleanup import remove_all
from skerry.testbed.topology.state import STATE_FILE, read_state
from support.testbeds import refusal, small_topology


@pytest.fixture(scope="package", autouse=True)
def capable():
    reason = refusal()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def small():
    """A testbed for tests that do not bring it down."""
    folder = Path(tempfile.mkdtemp(prefix="tb-"))
    try:
        with Testbed(small_topology(), folder, self_test=None) as testbed:
            yield testbed
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def folder():
    """A short work folder; whatever testbed is in it when the test ends is removed."""
    path = Path(tempfile.mkdtemp(prefix="tb-"))
    yield path
    for file in path.rglob(STATE_FILE):
        remove_all(read_state(file.parent).mark)
    shutil.rmtree(path)
