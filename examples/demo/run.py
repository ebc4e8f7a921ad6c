"""The main job: train a classifier with functions, publish it, serve it, and write a report of what happened.

Run: python examples/demo/run.py [--data FILE] [--workers 1,2] [--quick] [--output FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Run the demo and return its exit code: 0, 1 (something failed), 2 (wrong input) or 130 (Ctrl-C)."""
    arguments = _read_arguments()
    try:
        # Imported here because they take a second, in which Ctrl-C should already end the demo quietly.
        from job import run_job

        return run_job(
            data=arguments.data, workers=arguments.workers, quick=arguments.quick, output=arguments.output.absolute()
        )
    except KeyboardInterrupt:
        print("\ninterrupted; nothing is left running", file=sys.stderr)
        return 130


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train a classifier with serverless functions, publish it, serve it, and write a report.",
        epilog="example: python examples/demo/run.py --data my.csv --output my-report",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="CSV of numbers with a column named label, or JSON with texts in x_dict and labels in y_dict (.gz too); "
        "scikit-learn's handwritten digits by default",
    )
    parser.add_argument(
        "--workers",
        type=_read_workers,
        default=[1, 2],
        metavar="N,N",
        help="search once with each of these numbers of workers and compare (default: 1,2)",
    )
    parser.add_argument("--quick", action="store_true", help="search less and measure less: about half the time")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo-output"),
        metavar="FOLDER",
        help="where models and report go (default: demo-output)",
    )
    return parser.parse_args()


def _read_workers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1 or max(numbers) > 64:
        raise argparse.ArgumentTypeError(f"{text!r}: write numbers from 1 to 64 with commas between them, like 1,2")
    return numbers


if __name__ == "__main__":
    sys.exit(main())
