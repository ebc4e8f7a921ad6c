"""Who is told by FastNetMon's script what it does: a process that stamps it with the clock of everything else here.

The script writes a line into a pipe, which costs it nothing; a clock of the shell's would be another one, and a process
that reads the right one would make each ban later.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from skerry.testbed.experiments.ddos_loop.saying import say


def main() -> None:
    """Tell each line of a named pipe, which is made here, until interrupted: a word, and packets per second."""
    path = Path(json.loads(sys.argv[1])["pipe"])
    os.mkfifo(path)
    # Open for writing too: between two scripts nobody else writes, and that is not the end.
    with open(os.open(path, os.O_RDWR | os.O_CLOEXEC), encoding="utf-8", closefd=True) as pipe:
        say(ready=True)
        try:
            while line := pipe.readline():
                at_s = time.monotonic()
                what, _, rate = line.strip().partition(" ")
                say(what=what, at_s=at_s, reason=f"{rate} packets per second")
        except KeyboardInterrupt:
            sys.exit(0)


if __name__ == "__main__":
    main()
