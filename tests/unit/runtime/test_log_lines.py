"""What Python programs that have a worker's log lines print."""

import re
import subprocess
import sys

import pytest

INSTALLED = "/usr/lib/python3/site-packages/noisy/client.py"
HEAD = "import logging\nfrom skerry.runtime.log_lines import install_log_lines\n"


def printed(program):
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return ended.stderr.splitlines()


def say(path="/app/app.py"):
    """Return code that logs as a module at a path would."""
    module = "for level in ('debug', 'info', 'warning'): getattr(log, level)(level)"
    return f"exec(compile({module!r}, {path!r}, 'exec'), {{'log': logging.getLogger('shop')}})\n"


@pytest.mark.parametrize("times", [1, 2])
def test_records_of_the_app_have_time_level_and_name_from_info_on(times):
    lines = printed(HEAD + "install_log_lines()\n" * times + say())
    assert [line[24:] for line in lines] == ["INFO shop: info", "WARNING shop: warning"]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", line) for line in lines)


def test_libraries_are_heard_from_warning_on():
    assert [line[24:] for line in printed(HEAD + "install_log_lines()\n" + say(INSTALLED))] == ["WARNING shop: warning"]


@pytest.mark.parametrize("order", [0, 1])
def test_the_configuration_of_the_app_takes_the_place_of_ours(order):
    steps = ["install_log_lines()\n", "logging.basicConfig(level='WARNING', format='mine %(message)s')\n"]
    assert printed(HEAD + "".join(steps[order:] + steps[:order]) + say()) == ["mine warning"]


def test_a_level_that_the_app_has_set_stays():
    assert [line[24:] for line in printed(HEAD + "logging.root.setLevel(10)\ninstall_log_lines()\n" + say())] == [
        "DEBUG shop: debug",
        "INFO shop: info",
        "WARNING shop: warning",
    ]


def test_nothing_is_imported_for_it():
    program = "import sys\nfrom skerry.runtime.log_lines import install_log_lines\ninstall_log_lines()\n"
    assert printed(program + "print('logging' in sys.modules, file=sys.stderr)\n") == ["False"]
