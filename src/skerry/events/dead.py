"""Dead letters as events, with the attributes that Knative gives them, and where they are sent. Pure but for logs."""

from __future__ import annotations

import logging
from typing import Any, Final, NamedTuple

import orjson

from skerry.events.delivery import Delivery, Entry
from skerry.events.reply import pass_on
from skerry.spec import Retry

logger = logging.getLogger(__name__)
FUNCTION: Final = "/function/"
MOST_ERROR_DATA: Final = 1024  # Knative cuts what a dead letter says of the error as well
ORIGINAL_TYPE: Final = "skerrydeadtype"


class DeadEvent(NamedTuple):
    """A dead letter on its way.

    Args:
        entry: The event.
        function: The function that it is for; none where it is for all that take it.
    """

    entry: Entry
    function: str | None


def sink_function(retry: Retry) -> str | None:
    """Return the function that dead letters are for; none where there is none, or they are for those that take them."""
    sink = retry.dead_letter_sink
    return sink.removeprefix(FUNCTION) if sink is not None and sink.startswith(FUNCTION) else None


def sink_name(function: str) -> str:
    """Return the name under which a function is fed with dead letters of others."""
    return f"{function}/dead"


def with_error(document: bytes, *, trigger: str, code: int, error: str) -> dict[str, Any]:
    """Return an event with what its function has said of it.

    Args:
        document: The event in structured mode.
        trigger: For whom it is a dead letter.
        code: HTTP status of the last answer.
        error: What the last answer said.
    """
    data = error.encode()[:MOST_ERROR_DATA].decode("utf-8", "ignore")
    return {
        **orjson.loads(document),
        "knativeerrordest": FUNCTION + trigger.partition("/")[0],
        "knativeerrorcode": code,
        "knativeerrordata": data,
    }


def dead_event(delivery: Delivery, retry: Retry, *, trigger: str, code: int, error: str) -> DeadEvent | None:
    """Return what is sent where a dead letter goes; none where it goes nowhere.

    It goes nowhere without a sink, once it has gone round in circles, and where it cannot be written.

    The event stays what it was, with its id and its source: a function that gets it can tell what it stands for. Where
    it is for all that take it, it has the type that is asked for, and the one before in ``skerrydeadtype``.

    Args:
        delivery: What has died.
        retry: Where it goes.
        trigger: Whose it was.
        code: HTTP status of the last answer.
        error: What the last answer said.
    """
    sink = retry.dead_letter_sink
    if sink is None:
        return None
    function = sink_function(retry)
    document = with_error(delivery.document, trigger=trigger, code=code, error=error)
    if function is None:
        document = {**document, ORIGINAL_TYPE: document["type"], "type": sink}
    attributes = {
        name: value if isinstance(value, str) else str(value).lower()
        for name, value in document.items()
        if name not in ("specversion", "data", "data_base64") and value is not None
    }
    try:
        written = orjson.dumps(document)
    except TypeError as refused:  # only of events that an earlier version has taken
        logger.warning("event %d goes nowhere as a dead letter: it cannot be written: %s", delivery.event, refused)
        return None
    # It is known by its death, not by its own source and id: under those the broker knows it already.
    entry = Entry(
        source=f"/skerry/dead/{trigger}",
        id=f"{delivery.event} {delivery.position}",
        type=document["type"],
        key=delivery.key,
        document=written,
        attributes=attributes,
    )
    passed = pass_on(entry, delivery.document)
    return None if passed is None else DeadEvent(passed, function)
