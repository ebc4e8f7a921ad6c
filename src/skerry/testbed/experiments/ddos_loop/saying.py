"""How the processes of a trial tell what they see: a line of JSON each."""

from __future__ import annotations

import json
import sys
from typing import Any


def say(**values: Any) -> None:
    """Print a line of JSON."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()
