"""What every source promises: nothing that it is told of is lost, whatever the broker of events does meanwhile."""

from support.event_sources import Door, Running, until

NAMES = [f"n{number}" for number in range(20)]


def names(origin, door):
    return sorted(origin.name_of(document) for document in door.documents)


def test_what_happens_becomes_events_that_say_where_they_come_from(origin, tmp_path, run_loop):
    async def work():
        door = Door()
        async with Running(tmp_path, door, {"app/here": origin.source}) as roster:
            await until(lambda: roster.describe()[0]["is_open"], "the source opens")
            for name in NAMES:
                origin.add(name)
            await until(lambda: len(door.taken) == len(NAMES), "all events come")
            assert roster.describe()[0]["taken"] >= len(NAMES)
        assert names(origin, door) == sorted(NAMES)
        assert {document["source"] for document in door.documents} == {"/skerry/source/app/here"}
        assert {document["type"] for document in door.documents} == {origin.source.type}
        assert all("time" in document for document in door.documents)

    run_loop(work())


def test_a_broker_of_events_without_room_or_disk_loses_nothing(origin, tmp_path, run_loop):
    async def work():
        door = Door()
        async with Running(tmp_path, door, {"app/here": origin.source}) as roster:
            await until(lambda: roster.describe()[0]["is_open"])
            door.refuses = "full"
            origin.add("first")
            await until(lambda: door.tried >= 3)
            door.refuses = "down"
            origin.add("second")
            tried = door.tried
            await until(lambda: door.tried > tried)
            door.refuses = None
            await until(lambda: len(door.taken) == 2)
        assert names(origin, door) == ["first", "second"]

    run_loop(work())


def test_what_was_not_accepted_when_the_engine_ended_comes_to_the_next_one_and_the_rest_does_not(
    origin, tmp_path, run_loop
):
    async def work():
        door, sources = Door(), {"app/here": origin.source}
        async with Running(tmp_path, door, sources) as roster:
            await until(lambda: roster.describe()[0]["is_open"])
            origin.add("before")
            await until(lambda: door.taken)
            door.refuses = "down"
            origin.add("during")
            tried = door.tried
            await until(lambda: door.tried > tried)
        origin.add("meanwhile")
        later = Door()
        async with Running(tmp_path, later, sources):
            await until(lambda: len(later.taken) == 2)
            origin.add("last")
            await until(lambda: len(later.taken) == 3)
        assert names(origin, door) == ["before"]
        assert names(origin, later) == ["during", "last", "meanwhile"]

    run_loop(work())


def test_a_source_that_is_declared_no_more_brings_nothing_more(origin, tmp_path, run_loop):
    async def work():
        door = Door()
        async with Running(tmp_path, door, {"app/here": origin.source}) as roster:
            await until(lambda: roster.describe()[0]["is_open"])
            roster.follow({})
            assert roster.describe() == []
            await roster.close()
            origin.add("late")
            roster.follow({"app/other": origin.source})
            await until(lambda: roster.describe()[0]["is_open"])
        assert not [call for call in door.calls if call[0][0] == "/skerry/source/app/here"]

    run_loop(work())
