"""What every backlog of events must do; the broker is the same on all of them."""

import time

from skerry.events.backlog import Settled
from skerry.events.delivery import Entry

SOON_S = 20.0


def entry(id, *, source="/test", type="t", key=None):
    document = b'{"specversion":"1.0","id":"%s","source":"%s","type":"%s"}' % (
        id.encode(),
        source.encode(),
        type.encode(),
    )
    return Entry(source, id, type, key, document, {"id": id, "source": source, "type": type})


def ids(deliveries):
    return [one.document.split(b'"id":"')[1].split(b'"')[0].decode() for one in deliveries]


async def take(backlog, trigger, count, *, after=0):
    """Take so many deliveries: a backlog beyond this process may need a moment for the next ones."""
    found, until = [], time.monotonic() + SOON_S
    while len(found) < count:
        assert time.monotonic() < until, f"{ids(found)} after {SOON_S} s"
        more = await backlog.take(trigger, after, count - len(found))
        after = more[-1].position if more else after
        found += more
    return found


def test_what_was_put_is_taken_in_order_by_each_trigger_that_wants_it(places):
    async def run(backlog):
        await backlog.keep_only(["a", "b"])
        accepted = await backlog.put([(entry("1"), ["a", "b"]), (entry("2", key="k"), ["a"]), (entry("3"), ["b"])])
        assert [one.is_new for one in accepted] == [True] * 3
        assert sorted({one.number for one in accepted}) == [one.number for one in accepted]
        a, b = await take(backlog, "a", 2), await take(backlog, "b", 2)
        assert (ids(a), ids(b)) == (["1", "2"], ["1", "3"])
        assert [one.key for one in a] == [None, "k"]
        assert [one.attempts for one in a] == [0, 0]
        assert (await backlog.waiting()) == {"a": 2, "b": 2}

    places.run(run)


def test_an_event_is_known_by_source_and_id_within_a_request_and_after_a_restart(places):
    async def first(backlog):
        await backlog.keep_only(["a"])
        accepted = await backlog.put([(entry("1"), ["a"]), (entry("1"), ["a"]), (entry("1", source="/other"), ["a"])])
        assert [one.is_new for one in accepted] == [True, False, True]
        assert accepted[1].number == accepted[0].number

    async def second(backlog):
        await backlog.keep_only(["a"])
        accepted = await backlog.put([(entry("1"), ["a"]), (entry("2"), ["a"])])
        assert [one.is_new for one in accepted] == [False, True]
        assert len(await take(backlog, "a", 3)) == 3

    places.run(first)
    places.run(second)


def test_what_was_not_settled_comes_again_after_a_restart_and_what_was_done_does_not(places):
    async def first(backlog):
        await backlog.keep_only(["a"])
        await backlog.put([(entry(str(n)), ["a"]) for n in range(5)])
        taken = await take(backlog, "a", 5)
        backlog.settle(Settled("a", taken[1], "done"))
        taken[2].attempts, taken[2].due_at = 2, 0.0
        backlog.settle(Settled("a", taken[2], "again"))
        backlog.settle(Settled("a", taken[3], "dead", 500, "it fails"))
        await backlog.flush()

    async def second(backlog):
        await backlog.keep_only(["a"])
        taken = await take(backlog, "a", 3)
        assert ids(taken) == ["0", "2", "4"]
        assert [one.attempts for one in taken] == [0, 2, 0]
        (dead,) = await backlog.dead(most=10)
        assert (dead.trigger, dead.code, dead.error) == ("a", 500, "it fails")
        assert ids([dead]) == ["3"]
        assert (await backlog.waiting())["a"] == 3

    places.run(first)
    places.run(second)


def test_a_dead_letter_is_delivered_again_when_it_is_revived_and_forgotten_when_it_is_buried(places):
    async def run(backlog):
        await backlog.keep_only(["a", "b"])
        await backlog.put([(entry("1"), ["a"]), (entry("2"), ["a", "b"])])
        taken = await take(backlog, "a", 2)
        for one in taken:
            backlog.settle(Settled("a", one, "dead", 422, "refused"))
        dead = await backlog.dead(trigger="a", most=10)
        assert sorted(ids(dead)) == ["1", "2"]
        assert await backlog.dead(trigger="b", most=10) == []
        by_id = {ids([one])[0]: one for one in dead}
        assert await backlog.revive([by_id["1"].position]) == ["a"]
        (again,) = await take(backlog, "a", 1, after=taken[-1].position)
        assert (ids([again]), again.attempts) == (["1"], 0)
        assert await backlog.bury([by_id["2"].position, by_id["2"].position + 1000]) == 1
        assert await backlog.dead(most=10) == []
        assert await backlog.revive([by_id["2"].position]) == []

    places.run(run)


def test_a_trigger_that_is_gone_takes_its_deliveries_along(places):
    async def run(backlog):
        await backlog.keep_only(["a", "b"])
        await backlog.put([(entry("1"), ["a", "b"]), (entry("2"), ["b"])])
        assert await backlog.keep_only(["a"]) == 2
        assert await backlog.waiting() == {"a": 1}
        assert ids(await take(backlog, "a", 1)) == ["1"]

    places.run(run)


def test_kept_events_are_listed_with_what_waits_and_can_be_replayed(places):
    async def run(backlog):
        await backlog.keep_only(["a"])
        numbers = [
            one.number for one in await backlog.put([(entry(str(n), type=f"t{n % 2}"), ["a"]) for n in range(4)])
        ]
        taken = await take(backlog, "a", 4)
        backlog.settle(Settled("a", taken[0], "done"))
        backlog.settle(Settled("a", taken[1], "dead", 500, "no"))
        await backlog.flush()
        assert [one.number for one in await backlog.events(most=3)] == numbers[:0:-1]
        assert [one.number for one in await backlog.events(most=9, type="t1")] == [numbers[3], numbers[1]]
        assert [one.number for one in await backlog.events(most=9, id="2")] == [numbers[2]]
        assert [one.number for one in await backlog.events(most=9, before=numbers[1])] == [numbers[0]]
        states = [(kept.waiting, kept.dead) for kept in [await backlog.event(number) for number in numbers[:3]]]
        assert states == [((), ()), ((), ("a",)), (("a",), ())]
        assert await backlog.event(numbers[-1] + 1000) is None
        assert await backlog.replay(numbers[0], ["a"])
        (again,) = await take(backlog, "a", 1, after=taken[-1].position)
        assert ids([again]) == ["0"]
        assert not await backlog.replay(numbers[-1] + 1000, ["a"])

    places.run(run)


def test_events_that_are_dealt_with_are_forgotten_when_they_are_old_and_others_are_not(places):
    async def run(backlog):
        await backlog.keep_only(["a"])
        assert await backlog.purge(time.time() + 3600) == 0
        await backlog.put([(entry("1"), ["a"]), (entry("2"), ["a"]), (entry("3"), [])])
        taken = await take(backlog, "a", 2)
        backlog.settle(Settled("a", taken[0], "done"))
        await backlog.flush()
        assert await backlog.purge(time.time() - 3600) == 0
        assert await backlog.purge(time.time() + 3600) == 2
        assert ids(await backlog.events(most=9)) == ["2"]

    places.run(run)
