"""Which taints of nodes a function puts up with, as people write them for kubectl."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skerry.errors import SpecError

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_PREFIX = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
LABEL_KEY = re.compile(rf"({_PREFIX}/)?{_NAME}")
LABEL_VALUE = re.compile(rf"({_NAME})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A taint that is put up with.

    Args:
        key: The taint's key.
        value: Its value; none puts up with any.
        effect: Its effect; none puts up with every one.

    Example:
        ``Toleration.parse("edge=true:NoSchedule")``
    """

    key: str
    value: str | None = None
    effect: str | None = None

    @classmethod
    def parse(cls, text: str) -> Toleration:
        """Return what ``KEY``, ``KEY=VALUE``, ``KEY:EFFECT`` or ``KEY=VALUE:EFFECT`` means.

        Raises:
            SpecError: the text is not of that form.
        """
        taint, colon, effect = text.partition(":")
        key, equals, value = taint.partition("=")
        if (
            not LABEL_KEY.fullmatch(key)
            or (equals and not LABEL_VALUE.fullmatch(value))
            or (colon and effect not in EFFECTS)
        ):
            raise SpecError(
                f"tolerations: {text!r}: write KEY[=VALUE][:EFFECT], like edge=true:NoSchedule; an effect is one of "
                f"{', '.join(EFFECTS)}",
                field="tolerations",
            )
        return cls(key=key, value=value if equals else None, effect=effect if colon else None)
