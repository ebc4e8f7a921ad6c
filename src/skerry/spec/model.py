"""How a model is named: which one, and which of its versions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skerry.errors import SpecError

DEFAULT_ALIAS = "production"
NAME = re.compile(r"[a-z]([a-z0-9_-]{0,61}[a-z0-9])?")
VERSION = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReference:
    """A model by name and by version or alias; exactly one of the two is given.

    Args:
        name: Lower-case letters, digits, - and _, a letter first, no - or _ last, at most 63.
        alias: A name that points at a version and may be moved, of the same letters.
        version: A version's number, from 1.
    """

    name: str
    alias: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.alias if self.version is None else self.version}"

    @classmethod
    def parse(cls, text: str) -> ModelReference:
        """Return what ``NAME``, ``NAME@ALIAS`` or ``NAME@VERSION`` means; a name alone means its alias `production`.

        Raises:
            SpecError: the text is not of that form.
        """
        name, at, which = text.partition("@")
        if NAME.fullmatch(name) and not at:
            return cls(name=name, alias=DEFAULT_ALIAS)
        if NAME.fullmatch(name) and VERSION.fullmatch(which):
            return cls(name=name, version=int(which))
        if NAME.fullmatch(name) and NAME.fullmatch(which):
            return cls(name=name, alias=which)
        raise SpecError(
            f"model {text!r}: write NAME, NAME@ALIAS or NAME@VERSION, such as digits@production or digits@3; names are "
            "lower-case letters, digits, - and _, a letter first, no - or _ last, at most 63",
            field="model",
        )
