import importlib.util
import os
import sys

import pytest

from skerry.platforms.engine import EnginePlatform
from skerry.platforms.engine.site import SitePlatform
from support.engine_process import Engine, write_app

APP = """
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

app = skerry.App("inputs")

class Job(BaseModel):
    files: list[skerry.File]

@app.function
def read(file: skerry.File) -> str:
    return Path(file).read_text()

@app.function
def describe(file: skerry.File) -> dict[str, str]:
    return {"path": os.fspath(file), "name": file.name, "digest": file.digest}

@app.function
def total(job: Job) -> int:
    return sum(os.path.getsize(file) for file in job.files)

@app.function
def tree(folder: skerry.Folder, under: str = "") -> dict[str, str]:
    top = Path(folder) / under
    return {str(path.relative_to(top)): path.read_text() for path in sorted(top.rglob("*")) if path.is_file()}

@app.function
def lines(file: skerry.File) -> Iterator[str]:
    yield from Path(file).read_text().split()

@app.function
async def read_async(file: skerry.File) -> bytes:
    return Path(file).read_bytes()

@app.function
def give_back(file: skerry.File) -> skerry.File:
    return file

@app.function
def give_text(file: skerry.File) -> dict[str, list[str]]:
    return {"deep": ["x", Path(file).read_text()]}

@app.function
def count(file: skerry.File) -> int:
    return len(Path(file).read_bytes())
"""


@pytest.fixture(scope="session")
def app_file(tmp_path_factory):
    return write_app(tmp_path_factory.mktemp("app") / "inputs_app.py", APP)


@pytest.fixture(scope="session")
def app(app_file):
    spec = importlib.util.spec_from_file_location("inputs_app_of_tests", app_file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="session")
def engine(tmp_path_factory, app_file):
    engine = Engine(tmp_path_factory.mktemp("engine") / "home", public=True).start(app_file)
    yield engine
    engine.close()


def connect(engine, way):
    token = (engine.home / "token").read_text().strip()
    if way == "socket":
        return EnginePlatform.of_home(engine.home)
    if way == "tcp":
        return EnginePlatform(f"http://127.0.0.1:{engine.port}", token=token)
    return SitePlatform(engine.site("edge"))


@pytest.fixture(params=["socket", "tcp", "https"])
def platform(request, engine):
    """The same engine, over each of the ways that lead to it."""
    platform = connect(engine, request.param)
    yield platform
    platform.close()


@pytest.fixture
def near(engine):
    """The engine as its own machine sees it."""
    platform = connect(engine, "socket")
    yield platform
    platform.close()


@pytest.fixture
def is_near(platform):
    """Whether the platform is reached over its Unix socket."""
    return platform.address.endswith(".sock")


@pytest.fixture
def make_file(tmp_path):
    """Write files whose content no other test has."""

    def make(name="a.csv", size_bytes=20_000, content=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size_bytes // 2).hex().encode() if content is None else content)
        return path

    return make
