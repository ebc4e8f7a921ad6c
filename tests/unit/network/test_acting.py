import os

import pytest

from skerry.errors import ConfigError, PlatformError, StorageError
from skerry.network.acting import only_one, require_net_admin


def test_of_two_who_act_in_a_folder_the_second_is_refused_until_the_first_has_ended(tmp_path):
    with only_one(tmp_path):
        said = f"another defence acts in {tmp_path}: process {os.getpid()}"
        with pytest.raises(ConfigError, match=said), only_one(tmp_path):
            pass
    with only_one(tmp_path):
        pass


def test_a_folder_that_cannot_be_locked_is_named(tmp_path):
    with pytest.raises(StorageError, match="without a lock"), only_one(tmp_path / "nowhere"):
        pass


@pytest.mark.parametrize("capabilities", ["000001ffffffffff", "0000000000001000"])
def test_who_may_change_the_firewall_may_act(tmp_path, capabilities):
    status = tmp_path / "status"
    status.write_text(f"Name:\tpython\nCapEff:\t{capabilities}\n")

    require_net_admin(status)


@pytest.mark.parametrize("capabilities", ["0000000000000000", "000001ffffffefff"])
def test_who_may_not_is_told_what_is_missing(tmp_path, capabilities):
    status = tmp_path / "status"
    status.write_text(f"Name:\tpython\nCapEff:\t{capabilities}\n")

    with pytest.raises(PlatformError, match="may not change the firewall"):
        require_net_admin(status)
