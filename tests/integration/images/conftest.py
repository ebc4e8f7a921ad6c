import json
import shutil
import sys

import pytest

from support.oci_registry import OciRegistry, find_program
from support.wheels import pip_settings

APP = """\
import skerry

app = skerry.App("hello")


@app.function()
def greet(name: str) -> str:
    return f"hello {name}"
"""


@pytest.fixture
def copy_cache(image_cache, tmp_path):
    """Make a cache like that of the other tests in which nothing has to be installed, without the layers of bases."""

    def copy(*, without):
        folder = tmp_path / "cache"
        (folder / "blobs" / "sha256").mkdir(parents=True)
        # Those that other processes are writing have names of this kind.
        shutil.copytree(image_cache / "built", folder / "built", ignore=shutil.ignore_patterns("tmp*"))
        for record in (folder / "built").iterdir():
            for layer in json.loads(record.read_text())["layers"]:
                if layer["title"] != without:
                    name = layer["digest"].removeprefix("sha256:")
                    shutil.copyfile(image_cache / "blobs" / "sha256" / name, folder / "blobs" / "sha256" / name)
        return folder

    return copy


@pytest.fixture(autouse=True)
def offline(monkeypatch, wheels):
    for name, value in pip_settings(wheels).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    (folder / "skerry.toml").write_text('[app]\ntarget = "app.py:app"\n')
    (folder / "words.txt").write_text("one two\n")
    return folder


@pytest.fixture
def rootfs(tmp_path):
    """The least that passes for a root file system: what is in a base is not looked at, but for its Python."""
    folder = tmp_path / "rootfs"
    (folder / "usr" / "bin").mkdir(parents=True)
    (folder / "usr" / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}").write_bytes(b"\x7fELF")
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    return folder


@pytest.fixture
def start_registry(tmp_path):
    if find_program() is None:
        pytest.skip("no docker-registry here: `cluster build` fetches it, or install the package")
    started = []

    def start(**options):
        started.append(OciRegistry(tmp_path / f"registry-{len(started)}", **options))
        return started[-1]

    yield start
    for registry in started:
        registry.close()
