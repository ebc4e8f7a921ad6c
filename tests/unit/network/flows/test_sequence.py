import pytest

from skerry.network.flows.sequence import Sequence, Step


def follow(*pairs):
    sequence = Sequence()
    return [sequence.follow(number, *units) for number, units in pairs], sequence


def test_numbers_stand_for_what_was_sent_before():
    steps, _ = follow((100, [30]), (130, [12]), (142, [30]), (172, [1]))

    assert steps == [Step.FIRST, Step.NEXT, Step.NEXT, Step.NEXT]


def test_numbers_may_stand_for_what_was_sent_with_the_datagram():
    steps, sequence = follow((30, [30]), (42, [12]), (72, [30]), (82, [5]))

    assert steps == [Step.FIRST, Step.NEXT, Step.NEXT, Step.GAP]
    assert sequence.lost == 5


def test_a_way_of_counting_that_did_not_fit_is_given_up():
    # It counts datagrams: 24 more are 23 lost, though there are 24 records in each.
    steps, sequence = follow((1, [1, 24]), (2, [1, 24]), (26, [1, 24]), (27, [1, 24]))

    assert steps == [Step.FIRST, Step.NEXT, Step.GAP, Step.NEXT]
    assert sequence.lost == 23


def test_a_way_of_counting_that_fitted_by_chance_is_corrected():
    steps, _ = follow((0, [1, 5]), (1, [1, 9]), (10, [1, 7]), (17, [1, 2]), (19, [1, 2]))

    assert steps == [Step.FIRST, Step.NEXT, Step.GAP, Step.NEXT, Step.NEXT]


def test_nothing_is_said_of_what_was_not_counted():
    steps, _ = follow((5, []), (900, [3]), (903, []), (77, []), (80, [2]), (82, [2]))

    assert steps == [Step.FIRST, Step.FIRST, Step.NEXT, Step.FIRST, Step.FIRST, Step.NEXT]


@pytest.mark.parametrize(
    ("number", "step"),
    [(10, Step.NEXT), (11, Step.GAP), (9, Step.LATE), (10 - 1_000, Step.LATE), (1 << 31, Step.RESTART)],
)
def test_numbers_wrap(number, step):
    sequence = Sequence()
    sequence.follow(2**32 - 1, 1)

    assert sequence.follow(0, 1) is Step.NEXT
    for following in range(1, 10):
        sequence.follow(following, 1)
    assert sequence.follow(number % 2**32, 1) is step
