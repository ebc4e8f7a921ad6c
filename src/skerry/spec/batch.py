"""How the requests of a function are handed to its handler together, within a latency objective."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from skerry.errors import SpecError
from skerry.spec.option import check_range, check_types, option
from skerry.spec.quantity import parse_duration

MOST_ITEMS = 4096
LONGEST_OBJECTIVE_S = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Bounds of a batch, and the latency that its oldest item should keep.

    A request is never held back while a worker is idle; the objective bounds how long a busy function may gather items.

    Example:
        ``Batch(max_size=64, objective="50ms")``
    """

    max_size: int = option("most items in a batch", default=64)
    objective: str = option("time from arrival to answer that an item should keep; bounds the batch", default="50ms")
    max_weight: float | None = option("most weight of a batch's items together; none means no bound", default=None)
    weight: Literal["items", "bytes"] = option(
        "weight of an item that states none: items (each weighs 1) or bytes (the size of its body)", default="items"
    )

    objective_s: float = field(init=False)

    def __post_init__(self) -> None:
        check_types(self)
        check_range("max_size", self.max_size, low=1, high=MOST_ITEMS)
        objective_s = parse_duration(self.objective, key="objective")
        if not 0 < objective_s <= LONGEST_OBJECTIVE_S:
            raise SpecError(f"objective = {self.objective!r}: must be above 0 and at most 1h", field="objective")
        object.__setattr__(self, "objective_s", objective_s)
        if self.max_weight is not None and self.max_weight <= 0:
            raise SpecError(f"max_weight = {self.max_weight:g}: must be above 0", field="max_weight")

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values."""
        return {key: value for key, value in asdict(self).items() if key != "objective_s"}
