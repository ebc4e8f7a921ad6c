"""What a testbed is made of, on disk before it is made: so that whatever became of its maker, it can be removed."""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from skerry.errors import PlatformError

STATE_FILE = "testbed.json"
# Everything outside the folder that belongs to a testbed has a name that begins with this.
PREFIX = "sk-"
Phase = Literal["starting", "up", "stopping"]


@dataclass(slots=True, kw_only=True)
class State:
    """One testbed.

    Args:
        mark: What all its names begin with.
        phase: ``starting``, ``up`` or ``stopping``.
        maker_pid: Process that makes it.
        maker_began: When that process began, in ticks since the machine did: a number is used again, this is not.
        topology: As plain data.
        means: How its links are emulated.
        created_at: Unix time, seconds.
        congestion_control: TCP congestion control in its namespaces, as the kernel said it.
        nodes: What was found out about each node: address, process, limits.
        self_tests: By link.
    """

    mark: str
    phase: Phase
    maker_pid: int
    maker_began: int
    topology: dict[str, Any]
    means: str
    created_at: float
    congestion_control: str = ""
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    self_tests: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def is_abandoned(self) -> bool:
        """Whether its maker ended before it was up."""
        return self.phase != "up" and process_began(self.maker_pid) != self.maker_began


def new_state(topology: dict[str, Any], means: str) -> State:
    """Return the state of a testbed that is about to be made."""
    return State(
        mark=f"{PREFIX}{secrets.token_hex(3)}",
        phase="starting",
        maker_pid=os.getpid(),
        maker_began=process_began(os.getpid()) or 0,
        topology=topology,
        means=means,
        created_at=time.time(),
    )


def write_state(folder: Path, state: State) -> None:
    """Store a state in a folder; it is there as a whole, or as it was."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{STATE_FILE}"
    with draft.open("w") as file:
        json.dump(asdict(state), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / STATE_FILE)


def read_state(folder: Path) -> State | None:
    """Return the state in a folder; None when there is none.

    Raises:
        PlatformError: the file is damaged.
    """
    path = folder / STATE_FILE
    try:
        return State(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise PlatformError(
            f"{path} cannot be read: {error}", hint="`skerry testbed down --all` removes every testbed of this machine"
        ) from error


def process_began(pid: int) -> int | None:
    """Return when a process began, in ticks since the machine did; None when there is none, or it has ended."""
    try:
        values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if values[0] in "ZX" else int(values[19])
    except (OSError, ValueError, IndexError):
        return None
