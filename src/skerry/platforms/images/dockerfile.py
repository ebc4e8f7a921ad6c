"""The same image as a Dockerfile, for people who build with docker or podman."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from skerry.errors import ConfigError, PlatformError
from skerry.platforms.images.manifest import APP_FOLDER, PORT, SITE_FOLDER, USER


def render_dockerfile(base: str, target: str, *, is_hashed: bool) -> str:
    """Return the Dockerfile for a folder that holds ``app``, ``skerry``, ``requirements.txt`` and two locks.

    ``skerry.lock`` is as the project has it, ``versions.txt`` the same without hashes, as pip's constraints.

    Args:
        base: The base image's name.
        target: What its containers serve, ``FILE.py:app``.
        is_hashed: Whether the lock has the hashes of what it names.

    Example:
        ``render_dockerfile("python:3.12-slim", "app.py", is_hashed=False)``
    """
    pip = f"pip install --no-cache-dir --no-compile --target {SITE_FOLDER}"
    exact = f"RUN {pip} --require-hashes --no-deps -r skerry.lock\n" if is_hashed else ""
    # A second run into one folder takes nothing as installed: with hashes, it adds Skerry's own libraries alone.
    rest = f"RUN {pip} --constraint versions.txt -r requirements.txt\n"
    compile_all = "python3 -m compileall -q --invalidation-mode unchecked-hash"
    library = "$(python3 -c 'import sysconfig; print(sysconfig.get_path(\"stdlib\"))')"
    return f"""\
# Written by skerry build --dockerfile. From the layer that changes least to the one that changes most.
FROM {base}
# The official images leave it out, and a container whose root cannot be written to would compile it at each start.
RUN {compile_all} "{library}" || true
WORKDIR /tmp/build
COPY requirements.txt skerry.lock versions.txt ./
{exact}{rest}COPY skerry {SITE_FOLDER}/skerry
RUN {compile_all} {SITE_FOLDER} || true
WORKDIR {APP_FOLDER}
COPY app {APP_FOLDER}
RUN {compile_all} {APP_FOLDER} || true
ENV HOME=/tmp PORT={PORT} PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={SITE_FOLDER} PYTHONUNBUFFERED=1
EXPOSE {PORT}
USER {USER}
ENTRYPOINT ["python3", "-m", "skerry.runtime", "--host", "0.0.0.0"]
CMD {json.dumps([target])}
"""


def run_engine(engine: str, context: Path, tag: str, *, push: bool) -> None:
    """Build a folder with docker or podman, and push the image.

    Args:
        engine: ``docker`` or ``podman``.
        context: The folder, with its Dockerfile.
        tag: The image's name.
        push: Whether to push it there.

    Raises:
        ConfigError: there is no such program.
        PlatformError: it failed; its own output is on standard error.
    """
    program = shutil.which(engine)
    if program is None:
        raise ConfigError(f"there is no {engine} here", hint="leave --engine out: skerry build needs none")
    commands = [[program, "build", "--tag", tag, str(context)], *([[program, "push", tag]] if push else [])]
    for command in commands:
        finished = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=2)
        if finished.returncode != 0:
            raise PlatformError(f"{engine} {command[1]} ended with {finished.returncode}")
