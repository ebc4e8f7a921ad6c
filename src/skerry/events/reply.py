"""Events that functions answer with: published as others are, unless they go round in circles. Pure but for logs."""

from __future__ import annotations

import logging
from typing import Final

import orjson

from skerry.events.delivery import Entry

logger = logging.getLogger(__name__)
HOPS: Final = "skerryhops"  # how many functions have answered one another until this event
MOST_HOPS: Final = 255  # Knative's brokers end circles after as many


def pass_on(reply: Entry, cause: bytes) -> Entry | None:
    """Return an answer as it is published, none when it ends a circle or cannot be written.

    Args:
        reply: What a function has answered with.
        cause: The event that it was given, in structured mode.
    """
    given = orjson.loads(cause).get(HOPS, 0)
    hops = (given if isinstance(given, int) else 0) + 1
    if hops > MOST_HOPS:
        return None
    try:
        document = orjson.dumps({**orjson.loads(reply.document), HOPS: hops})
    except TypeError as error:
        logger.warning("event %r of %r cannot be written: %s", reply.id, reply.source, error)
        return None
    return reply._replace(document=document, attributes={**reply.attributes, HOPS: str(hops)})
