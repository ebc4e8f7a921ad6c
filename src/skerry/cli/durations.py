"""Durations on the command line: seconds, or a number with its unit as in the options of functions."""

from __future__ import annotations

import math
from typing import Any

import click

from skerry.errors import SpecError


class Duration(click.FloatRange):
    """Seconds within a range, given as ``2.5`` or with a unit as ``250ms``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the seconds that were written."""
        return super().convert(self._seconds(value, param, ctx) if isinstance(value, str) else value, param, ctx)

    def _seconds(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from skerry.spec import parse_duration

        try:
            seconds = float(text)
        except ValueError:
            try:
                seconds = parse_duration(text, key="duration")
            except SpecError:
                seconds = math.nan
        if not math.isfinite(seconds):
            self.fail(f"{text!r}: write seconds, like 2.5, or a number with its unit, like 250ms or 5m", param, ctx)
        return seconds
