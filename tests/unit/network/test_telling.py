import logging
import threading
import time
from ipaddress import ip_address

from skerry.network.loop import Happening, Step
from skerry.network.telling import Teller

DEADLINE_S = 60.0


def happening(number):
    return Happening(step=Step.ACTED, at_s=float(number), destination=ip_address("10.9.3.2"), reason=str(number))


def wait_until(reached):
    ends_at = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


class Listener:
    """Is told, and waits within the first telling until it may go on."""

    def __init__(self):
        self.told = []
        self.is_in = threading.Event()
        self.may_go = threading.Event()

    def __call__(self, what):
        self.is_in.set()
        assert self.may_go.wait(DEADLINE_S)
        self.told.append(what)

    def reasons(self):
        return [what.reason for what in self.told]


def test_who_is_slow_delays_nobody_and_is_told_everything_in_order_before_the_end():
    listener = Listener()
    with Teller(listener) as teller:
        for number in range(100):
            teller(happening(number))  # none of these waits, or the test would never come to the next line
        assert listener.told == []
        listener.may_go.set()

    assert listener.reasons() == [str(number) for number in range(100)]


def test_what_does_not_fit_is_counted_and_told_in_its_place(caplog):
    listener = Listener()
    with Teller(listener, most=3) as teller:
        teller(happening(0))
        assert listener.is_in.wait(DEADLINE_S)
        for number in range(1, 9):
            teller(happening(number))
        listener.may_go.set()

    assert listener.reasons()[:4] == ["0", "1", "2", "3"]
    (notice,) = listener.told[4:]

    assert (notice.step, notice.destination) == (Step.MISSED, None)
    assert notice.reason.startswith("5 happenings could not be told")
    assert "5 happenings" in caplog.text


def test_the_notice_comes_before_what_is_told_next():
    listener = Listener()
    with Teller(listener, most=1) as teller:
        teller(happening(0))
        assert listener.is_in.wait(DEADLINE_S)
        teller(happening(1))
        teller(happening(2))
        listener.may_go.set()
        wait_until(lambda: len(listener.told) == 2)
        teller(happening(3))

    assert [what.step for what in listener.told] == [Step.ACTED, Step.ACTED, Step.MISSED, Step.ACTED]
    assert listener.reasons()[-1] == "3"


def test_one_that_cannot_be_told_does_not_keep_the_next_from_being_told(caplog):
    told = []

    def tell(what):
        told.append(what.reason)
        raise OSError("as the test says")

    with Teller(tell) as teller:
        teller(happening(0))
        teller(happening(1))

    assert told == ["0", "1"]
    assert "as the test says" in caplog.text


def test_who_never_comes_back_does_not_hold_up_the_end(caplog):
    listener = Listener()
    with caplog.at_level(logging.ERROR), Teller(listener, flush_s=0.05) as teller:
        for number in range(3):
            teller(happening(number))
        assert listener.is_in.wait(DEADLINE_S)

    assert "has not come back within 0.05 s; 2 happenings were not told" in caplog.text
    listener.may_go.set()
    wait_until(lambda: len(listener.told) == 3)
