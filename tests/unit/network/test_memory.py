from skerry.network.memory import REMEMBERED_SLICES, REMEMBERED_WINDOWS, Destination
from support.traffic import clients, window


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
