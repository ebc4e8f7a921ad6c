"""Where the ``skerry`` command begins: an interrupt is quiet also while the command line is being imported."""

from __future__ import annotations

# Exit code after Ctrl-C, as shells know it.
INTERRUPTED = 130


def main() -> int:
    """Run the command line of this process and return its exit code."""
    try:
        from skerry.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        return INTERRUPTED
