"""The evidence of actions in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def evidence_lines(evidence: Mapping[str, Any], *, indent: str = "") -> list[str]:
    """Return the numbers that something was decided on, one line each."""
    lines: list[str] = []
    for name, value in evidence.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}:", *evidence_lines(value, indent=f"{indent}  ")]
        else:
            lines.append(f"{indent}{name}: {f'{value:.6g}' if isinstance(value, float) else value}")
    return lines
