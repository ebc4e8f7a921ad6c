"""Python's collector of cycles, set up for a process that answers: short rounds, and nothing looked at in vain."""

from __future__ import annotations

import gc

# A round looks at the objects made since the last one, a tenth of them at those that survived ten. With Python's 700,
# there are hundreds of rounds a second where much comes and goes.
YOUNG = 2_000
OLDER = 10


def calm_collector() -> None:
    """Leave out everything that is there now, and collect less often from here on.

    A full round looks at every object: some 10^5 after the imports, for which everybody waits 50 to 100 ms. What is
    there when a server has started stays until it ends. Call it once, when all is imported.
    """
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDER)
