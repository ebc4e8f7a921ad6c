"""The list that a handler takes when several calls are answered by one call of it."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class Items(list[T]):
    """Several callers' arguments, in one list: the only parameter of a handler that answers a whole batch at once.

    Each caller sends one `T` and gets one item of the result. The handler returns a list (or another sequence) of as
    many results, in the same order; a result that is an exception fails that caller alone.

    Example:
        ``def classify(images: skerry.Items[Image]) -> list[Label]: ...``
    """

    __slots__ = ()
