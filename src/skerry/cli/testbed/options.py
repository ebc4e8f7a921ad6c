"""Options that the commands of testbeds share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from skerry.errors import PlatformError

if TYPE_CHECKING:
    from skerry.testbed.topology import Testbed

F = TypeVar("F", bound=Callable[..., Any])

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: Path("testbed"),
    show_default="testbed, in the current folder",
    help="Work folder of the testbed.",
)


def attach(folder: Path) -> Testbed:
    """Return the testbed of a folder.

    Raises:
        ConfigError: there is none.
    """
    from skerry.testbed.topology import Testbed

    return Testbed.attach(folder)


def require_root() -> None:
    """Fail where this process may not make namespaces.

    Raises:
        PlatformError: with what to do.
    """
    if os.geteuid() != 0:
        raise PlatformError("a testbed needs root, for network namespaces", hint="run it in a root shell: sudo -s")


def complete_topology(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the topologies that come with Skerry, and let the shell complete files."""
    from skerry.testbed.topology import shipped_topologies

    found = [CompletionItem(name) for name in shipped_topologies() if name.startswith(incomplete)]
    return [*found, CompletionItem(incomplete, type="file")]
