import pytest

from skerry.spec import FunctionSpec, PlatformLimits

LIMITS = PlatformLimits(max_package_bytes=250 * 10**6, max_memory_bytes=512 * 10**6, max_time_s=15.0)


def spec(**options):
    return FunctionSpec(name="f", **{"memory": "512MB", "timeout": "15s", **options})


def test_what_is_exactly_at_the_limits_is_allowed():
    assert LIMITS.check(spec(), 250 * 10**6) == []


@pytest.mark.parametrize(
    ("options", "package_bytes", "said"),
    [
        ({}, 300 * 10**6, "the package has 300 MB, 50 MB above the 250 MB that are allowed"),
        ({"memory": "1GiB"}, 0, "function 'f': memory is 1GiB, and 512 MB are allowed; lower memory"),
        ({"memory": None}, 0, "function 'f' declares no memory, and 512 MB are allowed; set memory"),
        ({"timeout": "1m"}, 0, "function 'f': timeout is 1m, and 15 s are allowed; lower timeout"),
    ],
)
def test_what_is_above_a_limit_is_refused_with_the_figures(options, package_bytes, said):
    [refusal] = LIMITS.check(spec(**options), package_bytes)
    assert said in refusal


def test_all_refusals_are_named_together():
    assert len(LIMITS.check(spec(memory=None, timeout="1h"), 10**9)) == 3


def test_without_limits_nothing_is_refused():
    assert PlatformLimits().check(spec(memory=None, timeout="24h"), 10**12) == []


def test_a_size_that_is_not_known_is_not_checked():
    assert LIMITS.check(spec(), None) == []
