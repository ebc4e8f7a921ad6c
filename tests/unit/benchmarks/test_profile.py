"""Where a request's time goes: every variant runs, is checked, and is told in microseconds per request."""

import cProfile

import pytest
import uvloop

from benchmarks.profile.__main__ import listing, measure_front, measure_worker, per_request
from benchmarks.profile.front import JSON_BODY, PHASES, VARIANTS, opened
from benchmarks.profile.worker import GROUP, make_works

WORKS = make_works([{"image": [0.5] * 64}] * GROUP, [3] * GROUP, lambda images: [3] * len(images))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_of_the_front_is_answered_and_measured(variant):
    found = uvloop.run(measure_front(variant, 3))
    assert list(found) == [*PHASES, "all"]
    assert all(values["n"] == 3 and values["min"] > 0 for values in found.values())


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_every_work_of_the_worker_is_answered_and_measured(work):
    found = measure_worker(work, 3)
    assert set(found) == set(work.phases) | ({"all"} if len(work.phases) > 1 else set())
    assert all(values["n"] == 3 and values["min"] > 0 for values in found.values())


def test_a_wrong_answer_of_the_front_ends_the_run():
    async def run():
        with opened(VARIANTS[0]) as bench:
            bench._work = lambda: b""  # a worker that does not answer
            bench._port.sent = _Forgotten()
            await bench.run(1)

    with pytest.raises(RuntimeError, match="known head: answered with"):
        uvloop.run(run())


class _Forgotten(list):
    def __bool__(self):
        return False


def test_heads_that_are_to_be_unknown_differ_and_the_others_do_not():
    requests = {variant.name: {variant.request() for _ in range(10)} for variant in VARIANTS}
    assert {name: len(some) for name, some in requests.items() if "unknown" in name} != {}
    assert all(len(some) == (10 if "unknown" in name else 1) for name, some in requests.items())
    assert next(iter(requests["known head"])).endswith(JSON_BODY)


def test_times_are_those_of_a_round_divided_by_its_requests():
    found = per_request(("read", "answer"), [(32e-6, 64e-6), (64e-6, 96e-6)], 32)
    assert found["read"]["min"] == pytest.approx(1.0)
    assert found["answer"]["max"] == pytest.approx(3.0)
    assert found["all"]["median"] == pytest.approx(4.0)


def test_a_listing_tells_no_folders_and_no_addresses():
    profile = cProfile.Profile()
    profile.runcall(per_request, ("read",), [(1.0,)], 1)
    text = listing(profile)
    assert "per_request" in text
    assert "/" not in text.replace("filename:lineno", "").split("function calls", 1)[1].split("seconds", 1)[1]
    assert "0x" not in text
