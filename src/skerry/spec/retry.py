"""What becomes of an event whose function fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from skerry.errors import SpecError
from skerry.spec.option import check_range, check_types, option
from skerry.spec.quantity import parse_duration

LONGEST_S = 7 * 86_400.0
DELIVERY = "`delivery.{}` of the Trigger"
NO_PART = "not used: what is around it delivers"


def _of_broker(help_text: str, knative: str | None, **field: Any) -> Any:
    return option(help_text, engine="done by the broker", runtime=NO_PART, knative=knative, kubernetes=None, **field)


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """How often an event is given to a function that fails, and when; then it is a dead letter.

    Example:
        ``Retry(attempts=5, backoff="linear", delay="1s", deadline="10m")``

    Source: Knative Eventing, ``delivery`` of a Trigger. Jitter, the longest delay and the deadline are Skerry's own.
    """

    attempts: int = _of_broker("further attempts after the first one", DELIVERY.format("retry"), default=10)
    backoff: Literal["exponential", "linear"] = _of_broker(
        "how the pause grows: it doubles, or `delay` is added",
        DELIVERY.format("backoffPolicy"),
        default="exponential",
    )
    delay: str = _of_broker("pause before the first retry", DELIVERY.format("backoffDelay"), default="200ms")
    max_delay: str = _of_broker("longest pause", None, default="30s")
    jitter: float = _of_broker("share of a pause by which it is shortened or lengthened at random", None, default=0.2)
    deadline: str | None = _of_broker(
        "time from acceptance after which an event is given to the function no more; none means no limit",
        None,
        default=None,
    )

    dead_letter_sink: str | None = _of_broker(
        "where a dead letter goes as well: /function/NAME of the app, or the type of the event that it becomes",
        "`delivery.deadLetterSink` of the Trigger; a type is refused",
        default=None,
    )

    delay_s: float = field(init=False)
    max_delay_s: float = field(init=False)
    deadline_s: float | None = field(init=False)

    def __post_init__(self) -> None:
        check_types(self)
        check_range("attempts", self.attempts, low=0, high=1000)
        check_range("jitter", self.jitter, low=0, high=1)
        for key in ("delay", "max_delay"):
            seconds = parse_duration(getattr(self, key), key=key)
            check_range(f"{key} (seconds)", seconds, low=0, high=86_400)
            object.__setattr__(self, f"{key}_s", seconds)
        deadline_s = None if self.deadline is None else parse_duration(self.deadline, key="deadline")
        if deadline_s is not None and not 0 < deadline_s <= LONGEST_S:
            raise SpecError(f"deadline = {self.deadline!r}: must be above 0 and at most 7d", field="deadline")
        object.__setattr__(self, "deadline_s", deadline_s)
        sink = self.dead_letter_sink
        if sink is not None and (not sink.isprintable() or not sink.removeprefix("/function/")):
            raise SpecError(
                f"dead_letter_sink = {sink!r}: write /function/NAME, or the type of an event", field="dead_letter_sink"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values."""
        names = ("attempts", "backoff", "delay", "max_delay", "jitter", "deadline", "dead_letter_sink")
        return {name: getattr(self, name) for name in names}
