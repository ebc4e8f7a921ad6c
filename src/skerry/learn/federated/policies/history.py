"""What is known of each client of a run: how long it took, what it missed, why it failed; folded from the run's record.

Histories are values. Policies read them; a coordinator that starts again gets the same ones from the same record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationError

from skerry.errors import DataError
from skerry.learn.federated.wire.message import Message

RECENT = 10
"""Entries that a history keeps of each kind: what is older says little of how a client is now."""


class Failure(Message):
    """A task that a client did not do, and why."""

    round: int = Field(ge=1)
    reason: str


class Event(Message):
    """What happened to a client's task, as the record of a run tells it.

    Args:
        kind: ``asked``; ``answered`` in time or late; ``missed`` when a round ended without the client; ``failed`` when
            no answer will come any more.
        client: Whose task.
        round: For which the client was asked.
        arrived: Round that was running when the answer came: ``round`` when it was in time.
        duration_s: From asking to the answer, in seconds.
        examples: Rows that were trained on.
        reason: Of a failure.
    """

    kind: Literal["asked", "answered", "missed", "failed"]
    client: str
    round: int = Field(ge=1)
    arrived: int = Field(default=0, ge=0)
    duration_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    examples: int = Field(default=0, ge=0)
    reason: str = ""


class History(Message):
    """What is known of a client.

    Args:
        client: Its name.
        durations_s: Of its latest answers, oldest first, from asking to the answer.
        examples: Rows of the same answers.
        rounds: Rounds in which it was asked.
        answers: Answers, late ones too.
        late: Answers that came after their round had ended.
        missed: Rounds that ended without it, or in which it failed.
        missed_in_row: The same since its last answer.
        missed_rounds: The latest of them that were not made good by a late answer, oldest first.
        last_asked: Round in which it was asked last; 0 for never.
        last_answered: Round that was running when it answered last; 0 for never.
        open_round: Round of the task that it still works on, as far as is known; 0 for none.
        failures: The latest ones, oldest first.
    """

    client: str = Field(min_length=1)
    durations_s: tuple[float, ...] = ()
    examples: tuple[int, ...] = ()
    rounds: int = 0
    answers: int = 0
    late: int = 0
    missed: int = 0
    missed_in_row: int = 0
    missed_rounds: tuple[int, ...] = ()
    last_asked: int = 0
    last_answered: int = 0
    open_round: int = 0
    failures: tuple[Failure, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether it works on a task, so that it cannot be asked for another."""
        return self.open_round > 0

    @property
    def last_missed(self) -> int:
        """Latest round that it missed and did not make good; 0 for none."""
        return self.missed_rounds[-1] if self.missed_rounds else 0

    def asked(self, round: int) -> History:
        """Return the history after the client was asked in a round."""
        return self.model_copy(update={"rounds": self.rounds + 1, "last_asked": round, "open_round": round})

    def answered(self, round: int, *, duration_s: float, examples: int, arrived: int = 0) -> History:
        """Return the history after an answer; one that is late makes its missed round good.

        Args:
            round: For which the client was asked.
            duration_s: From asking to the answer, in seconds.
            examples: Rows that were trained on.
            arrived: Round that was running when the answer came; 0 for the same.
        """
        arrived = max(arrived, round)
        return self.model_copy(
            update={
                "durations_s": (*self.durations_s, duration_s)[-RECENT:],
                "examples": (*self.examples, examples)[-RECENT:],
                "answers": self.answers + 1,
                "late": self.late + (arrived > round),
                "missed_in_row": 0,
                "missed_rounds": tuple(missed for missed in self.missed_rounds if missed != round),
                "last_answered": arrived,
                "open_round": self._open_after(round),
            }
        )

    def missed_round(self, round: int) -> History:
        """Return the history after a round ended without this client, which may still work on it."""
        if round in self.missed_rounds:
            return self
        return self.model_copy(
            update={
                "missed": self.missed + 1,
                "missed_in_row": self.missed_in_row + 1,
                "missed_rounds": (*self.missed_rounds, round)[-RECENT:],
            }
        )

    def failed(self, round: int, reason: str) -> History:
        """Return the history after it became known that no answer will come; the round counts as missed, once."""
        update = {
            "failures": (*self.failures, Failure(round=round, reason=reason))[-RECENT:],
            "open_round": self._open_after(round),
        }
        return self.missed_round(round).model_copy(update=update)

    def after(self, event: Event) -> History:
        """Return the history after an event of this client."""
        match event.kind:
            case "asked":
                return self.asked(event.round)
            case "answered":
                return self.answered(
                    event.round, duration_s=event.duration_s, examples=event.examples, arrived=event.arrived
                )
            case "missed":
                return self.missed_round(event.round)
            case "failed":
                return self.failed(event.round, event.reason)

    def _open_after(self, round: int) -> int:
        return 0 if self.open_round == round else self.open_round


Histories = Mapping[str, History]
"""Of every client of a run, by name."""

_ADAPTER = TypeAdapter(tuple[History, ...])


def fold(clients: Iterable[str], events: Iterable[Event]) -> dict[str, History]:
    """Return the histories of a run's clients after what its record tells.

    Args:
        clients: All clients of the run, also those of which nothing is told.
        events: In the order in which they happened.

    Raises:
        DataError: an event tells of a client that the run does not have.

    Example:
        ``fold(["north"], [Event(kind="asked", client="north", round=1)])["north"].busy``
    """
    histories = {client: History(client=client) for client in clients}
    for event in events:
        if event.client not in histories:
            raise DataError(f"the record tells of client {event.client!r}; the run has {sorted(histories)}")
        histories[event.client] = histories[event.client].after(event)
    return histories


def to_json(histories: Histories) -> str:
    """Return histories as JSON: a list, in the order of the clients' names."""
    return _ADAPTER.dump_json(tuple(histories[client] for client in sorted(histories))).decode()


def from_json(text: str | bytes) -> dict[str, History]:
    """Return the histories that `to_json` wrote.

    Raises:
        DataError: it is something else; the message says what is wrong.
    """
    try:
        found = _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the text"
        raise DataError(f"these are no histories of clients: {place}: {first['msg']}") from error
    return {history.client: history for history in found}
