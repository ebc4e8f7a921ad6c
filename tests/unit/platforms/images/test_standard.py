import gzip
import importlib.util
import io
import subprocess
import sys
import tarfile

import pytest

from skerry.platforms.images.base import THIS_PYTHON, Base
from skerry.platforms.images.blobs import Blobs
from skerry.platforms.images.standard import STANDARD_FOLDER, standard_layer

SOURCE = "def origin():\n    return 'the source'\n"


def base_of(name="python:3-slim", **variables):
    environment = [f"{key}={value}" for key, value in variables.items()]
    return Base(name=name, digest="", config={"config": {"Env": environment}}, layers=())


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "library"
    for path, text in {"one.py": SOURCE, "pack/two.py": SOURCE, "test/three.py": SOURCE, "notes.txt": ""}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def unpacked(layer, blobs, folder):
    """Put a layer's files into a folder as containers see them, and return their names."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blobs.path(layer.digest).read_bytes()))) as tar:
        tar.extractall(folder, filter="data")
        return {member.name for member in tar if member.isfile()}


def test_a_base_that_says_its_python_gets_the_bytecode_alone(tmp_path, library):
    blobs = Blobs(tmp_path / "blobs")
    layer = standard_layer(base_of(PYTHON_VERSION="3.11.1"), blobs, library=library)
    names = {f"{STANDARD_FOLDER}/{importlib.util.cache_from_source(path)}" for path in ("one.py", "pack/two.py")}
    assert unpacked(layer, blobs, tmp_path / "root") == names
    assert standard_layer(base_of(PYTHON_VERSION="3.11.1"), blobs, library=library) == layer


@pytest.mark.parametrize(("source", "taken"), [(SOURCE, True), (SOURCE.replace("the source", "another"), False)])
def test_python_takes_the_bytecode_for_the_same_source_only(tmp_path, library, source, taken):
    blobs = Blobs(tmp_path / "blobs")
    layer = standard_layer(base_of(PYTHON_VERSION="3.11.1"), blobs, library=library)
    unpacked(layer, blobs, tmp_path / "root")
    place = tmp_path / "root" / STANDARD_FOLDER
    (place / "one.py").write_text(source)
    shown = subprocess.run(
        [sys.executable, "-B", "-v", "-c", "import one; print(one.origin())"],
        cwd=place,
        env={"PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == ("the source" if taken else "another")
    assert (f" matches {place / 'one.py'}" in shown.stderr) == taken


@pytest.mark.parametrize("base", [base_of(), base_of(THIS_PYTHON, PYTHON_VERSION="3.11.1")])
def test_other_bases_need_none(tmp_path, library, base):
    assert standard_layer(base, Blobs(tmp_path / "blobs"), library=library) is None
