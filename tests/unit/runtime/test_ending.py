import signal

import pytest

from skerry.runtime.ending import describe_end
from skerry.runtime.reaper import UNKNOWN_CODE


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "exit status 0"),
        (3, "exit status 3"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (-signal.SIGHUP, "killed by SIGHUP"),
        (-signal.SIGKILL, "killed by SIGKILL, perhaps because the machine ran out of memory"),
        (-(signal.SIGRTMIN + 1), f"killed by signal {signal.SIGRTMIN + 1}"),
        (UNKNOWN_CODE, "nobody knows how"),
        (None, "it closed its connection"),
    ],
)
def test_the_end_of_a_worker_is_told_by_status_or_signal(code, said):
    assert describe_end(code) == said
