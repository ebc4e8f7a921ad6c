import pytest

from skerry.engine.memory.budget import memory_budget
from skerry.errors import ConfigError

GIB = 2**30


@pytest.fixture
def machine(tmp_path):
    def write(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    write("proc/meminfo", f"MemTotal:       {4 * GIB // 1024} kB\nMemFree: 1 kB\n")
    return tmp_path, write


def test_the_variable_says_it(machine):
    assert memory_budget({"SKERRY_MEMORY": "2GiB"}, root=machine[0]) == 2 * GIB


@pytest.mark.parametrize("text", ["2", "much", "1KiB"])
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(ConfigError, match="SKERRY_MEMORY"):
        memory_budget({"SKERRY_MEMORY": text})


def test_without_it_four_fifths_of_the_machine_are_used(machine):
    assert memory_budget({}, root=machine[0]) == int(0.8 * 4 * GIB)


def test_the_lowest_limit_of_the_control_groups_above_counts(machine):
    root, write = machine
    write("proc/self/cgroup", "0::/pods/one\n")
    write("sys/fs/cgroup/pods/one/memory.max", "max\n")
    write("sys/fs/cgroup/pods/memory.max", f"{GIB}\n")

    assert memory_budget({}, root=root) == int(0.8 * GIB)


def test_the_older_control_groups_are_read_too_and_so_is_a_container_that_sees_only_the_top(machine):
    root, write = machine
    write("proc/self/cgroup", "4:memory:/host/path\n3:cpu,cpuacct:/\n0::/\n")
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", f"{GIB // 2}\n")

    assert memory_budget({}, root=root) == int(0.8 * GIB / 2)


def test_this_machine_has_a_budget():
    assert memory_budget({}) > 2**20
