from dataclasses import replace

from skerry.network.memory import REMEMBERED_SLICES, REMEMBERED_WINDOWS, Destination, Memory
from support.traffic import VICTIM, client, clients, window


def test_quiet_windows_are_forgotten_when_there_are_too_many():
    memory = Destination()
    for _ in range(REMEMBERED_WINDOWS + 5):
        memory.remember(window(clients(3)))

    assert len(memory.quiet) == REMEMBERED_WINDOWS
    assert memory.slices == sum(len(each.slices) for each in memory.quiet)
    assert len(memory.known()) == 3


def test_a_busy_destination_is_remembered_for_a_shorter_time():
    memory = Destination()
    busy = clients(REMEMBERED_SLICES // 4)
    for _ in range(8):
        memory.remember(window(busy))

    assert len(memory.quiet) == 4
    memory.remember(window(clients(2 * REMEMBERED_SLICES)))
    assert len(memory.quiet) == 1


def test_a_source_is_known_as_long_as_a_quiet_window_has_it():
    memory = Destination()
    for number in range(REMEMBERED_WINDOWS + 40):
        sources = {number * 7 % 5, number % 11, 100 + number // 30}
        memory.remember(window([client(source, packets=times) for source in sources for times in (1, 2)]))
        assert set(memory.known()) == {item.source for each in memory.quiet for item in each.slices}


def seen_at(number, *parts):
    return replace(window(*parts), destination=VICTIM + number)


def test_in_all_not_more_is_remembered_than_there_is_room_for():
    memory = Memory(most_slices=100)
    for number, windows in ((0, 5), (1, 5), (2, 3)):
        for _ in range(windows):
            memory.remember(seen_at(number, clients(10)))
    # Of the one not seen for longest, the oldest went.
    assert [item.slices for item in memory] == [20, 50, 30]

    memory.remember(seen_at(0, clients(200)))

    # The latest has a bound of its own.
    assert [item.slices for item in memory] == [0, 0, 220]


def test_what_is_forgotten_with_its_destination_takes_no_room(monkeypatch):
    monkeypatch.setattr("skerry.network.memory.MOST_DESTINATIONS", 2)
    memory = Memory(most_slices=100)
    for number in range(20):
        memory.remember(seen_at(number, clients(40)))

    assert [item.slices for item in memory] == [40, 40]
