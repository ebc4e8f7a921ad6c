from dataclasses import replace

import pytest

from skerry.runtime.inspecting import may_become
from skerry.runtime.target import Target

LOOKED = Target(
    root="/app", file="app.py", module="app", environment={"K_SERVICE": "f"}, with_schemas=False, stays=True
)
WANTED = replace(LOOKED, function="f", stays=False, with_schemas=True)


def test_limits_that_can_be_set_later_do_not_matter():
    wanted = replace(WANTED, memory_bytes=1 << 28, files=64, concurrency=8, timeout_s=1.0)
    assert may_become(LOOKED, wanted, inherited={})


@pytest.mark.parametrize(
    "changes",
    [
        {"cpu": 2.0},
        {"environment": {"K_SERVICE": "g"}},
        {"environment": {"K_SERVICE": "f", "MORE": "1"}},
        {"environment": {}},
        {"file": "other.py"},
        {"attribute": "other"},
    ],
)
def test_what_an_import_may_have_noticed_has_to_be_the_same(changes):
    assert not may_become(LOOKED, replace(WANTED, **changes), inherited={"PATH": "/bin"})


def test_variables_that_the_container_has_anyway_are_no_difference():
    wanted = replace(WANTED, environment={"K_SERVICE": "f", "MORE": "1"})
    assert may_become(LOOKED, wanted, inherited={"MORE": "1"})
    assert not may_become(LOOKED, wanted, inherited={"MORE": "2"})


def test_variables_that_are_read_when_a_function_loads_come_early_enough():
    wanted = replace(WANTED, environment={"K_SERVICE": "f", "FOLDER": "/models"})
    assert may_become(LOOKED, wanted, inherited={}, late=frozenset({"FOLDER"}))
