"""``python -m skerry``: the command line, where the program ``skerry`` is not on the path."""

from __future__ import annotations

import sys

from skerry.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
