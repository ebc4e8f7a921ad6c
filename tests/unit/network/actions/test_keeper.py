import pytest

from skerry.errors import PlatformError
from skerry.network.actions.keeper import KeeperHandle


def test_a_keeper_that_cannot_be_started_is_said_and_nothing_is_done(tmp_path):
    handle = KeeperHandle(tmp_path / "gone")

    with pytest.raises(PlatformError, match=r"cannot be started: .*No such file.*so nothing was done to the network"):
        handle.arm()

    handle.close(wait=True)
