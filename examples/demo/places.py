"""Where the demo keeps things: all of it in its output folder, nothing in the user's home."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skerry.errors import SkerryError, UserError
from skerry.store.models import CACHE_VARIABLE, MODELS_VARIABLE, ModelCache

# The path of a Unix socket in the engine's folder may take 107 bytes.
LONGEST_HOME_BYTES = 90


@contextmanager
def own_places(output: Path, model: str) -> Iterator[Path | None]:
    """Name the demo's own folders to this process and those that it starts, and give the engine a folder for this run.

    Args:
        output: The demo's folder.
        model: The model that the serving app serves, with its alias.

    Yields:
        The engine's folder, or None where the output lies too deep for it: the engine then takes a temporary one.
    """
    cache = output / "cache"
    variables = {
        "SKERRY_HOME": str(output),
        MODELS_VARIABLE: str(output / "models"),
        CACHE_VARIABLE: str(cache),
        "DEMO_MODEL": model,
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        with _engine_home(output) as home:
            yield home
    finally:
        # What is fetched is read-only, which a person who removes the output would stumble over.
        ModelCache(cache).evict(0)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def model_name(file: Path | None) -> str:
    """Return the name of the model of a person's own file, or of the digits."""
    if file is None:
        return "digits"
    stem = re.sub(r"[^a-z0-9]+", "-", file.name.partition(".")[0].lower()).strip("-")
    return f"m-{stem}"[:60].rstrip("-") if not stem or not stem[0].isalpha() else stem[:60].rstrip("-")


@contextmanager
def _engine_home(output: Path) -> Iterator[Path | None]:
    """Give the engine a folder of its own, and remove those that killed runs have left behind."""
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("engine-*"):
        if not Path("/proc", old.name.removeprefix("engine-")).exists():
            shutil.rmtree(old, ignore_errors=True)
    home = output / f"engine-{os.getpid()}"
    if len(os.fsencode(home)) > LONGEST_HOME_BYTES:
        yield None
        return
    try:
        yield home
    except (SkerryError, RuntimeError) as error:
        if not isinstance(error, UserError):
            # What the engine and the workers wrote is the only trace of what went wrong; the next run removes it.
            print(f"the logs are in {home}", file=sys.stderr)
            raise
        shutil.rmtree(home, ignore_errors=True)
        raise
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    shutil.rmtree(home, ignore_errors=True)
