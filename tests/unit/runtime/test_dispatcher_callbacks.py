"""What becomes of the others when one caller cannot be told: its callback raises."""

import pytest

from skerry.errors import InternalError, UnavailableError
from skerry.runtime.frames import Codec, Frame, Kind
from support.dispatcher_world import World


def refuse(answer):
    raise OSError("as the test says")


@pytest.fixture
def world():
    """A function of which a worker runs three calls at a time, the second one of a caller who cannot be told."""
    world = World(concurrency=4)
    world.slot = world.worker()
    world.offer("a")
    world.deaf = world.offer("deaf")
    world.offer("b")
    world.deaf.on_answer = world.deaf.on_piece = refuse
    return world


def say_together(world, *frames):
    meta = {"content_type": "text/plain"}
    said = [Frame(kind, number, Codec.JSON, meta if kind is Kind.STREAM else {}, b"") for kind, number in frames]
    world.dispatcher.heard(world.slot, said)


def test_answers_that_come_together_reach_the_others_when_one_cannot_be_delivered(world, caplog):
    world.dispatcher.pump()

    say_together(world, *((Kind.RESULT, number) for number in list(world.slot.outstanding)))

    assert world.answers.keys() == {"a", "b"}
    assert world.empty == 1
    assert world.dispatcher.in_system == 0
    assert "as the test says" in caplog.text
    assert "function 'f': an answer could not be delivered" in caplog.text


def test_those_who_wait_are_all_refused_when_one_cannot_be_told(world):
    world.dispatcher.refuse(UnavailableError("as the test says"))

    assert world.answers.keys() == {"a", "b"}
    assert world.dispatcher.in_system == 0


def test_a_piece_that_cannot_be_delivered_ends_its_stream_and_loses_no_answer(world):
    told = []
    world.deaf.on_answer = told.append
    world.dispatcher.pump()
    first, deaf, last = list(world.slot.outstanding)

    say_together(world, (Kind.RESULT, first), (Kind.STREAM, deaf), (Kind.PIECE, deaf), (Kind.RESULT, last))

    assert world.answers.keys() == {"a", "b"}
    assert [type(answer) for answer in told] == [InternalError]
    assert world.slot.port.cancelled == [deaf]
    say_together(world, (Kind.END, deaf))
    assert not world.dispatcher.is_busy
    assert len(told) == 1
