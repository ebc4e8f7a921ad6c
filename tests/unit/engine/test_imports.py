import pytest

from skerry.engine.sources.imports import leading_imports
from skerry.engine.sources.source import take


@pytest.fixture
def read(tmp_path):
    """Return what an app begins with whose folder holds some files; the first one is the app's."""

    def read(files):
        folder = tmp_path / "project"
        for name, text in {"skerry.toml": "", **files}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return leading_imports(take(f"{folder}/{next(iter(files))}", tmp_path / "sources"))

    return read


def test_an_app_begins_with_the_libraries_that_it_imports_in_their_order(read):
    source = """
'''What it is for.'''
from __future__ import annotations
import json, skerry
import sklearn.linear_model as linear
from scipy import stats
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import torch
app = skerry.App("news")

@app.function
def f() -> int:
    import onnx

class Later: ...
limit: int = 3
import uuid
"""
    assert read({"app.py": source}) == ("json", "skerry", "sklearn.linear_model", "scipy", "typing", "uuid")


@pytest.mark.parametrize(
    "statement",
    [
        "sys.path.insert(0, 'vendor')",
        "os.environ['THREADS'] = '4'",
        "try: import fast\nexcept ImportError: fast = None",
        "if sys.argv: import fast",
        "with open('x'): import fast",
        "del sys.modules['fast']",
        "assert skerry",
        "if TYPE_CHECKING: pass\nelse: import fast",
    ],
)
def test_the_reading_ends_where_a_statement_may_change_what_is_imported(read, statement):
    assert read({"app.py": f"import json\n{statement}\nimport numpy\n"}) == ("json",)
    assert read({"app.py": "import early\nimport numpy\n", "early.py": f"import json\n{statement}\n"}) == ("json",)


def test_the_apps_own_modules_are_read_and_are_no_libraries(read):
    files = {
        "app.py": "import training\nfrom parts.inner import deep, value\nimport numpy\nimport data.tables\nimport fast",
        "training.py": "import csv\nimport app\n",
        "parts/__init__.py": "from . import beside\nfrom .. import above\n",
        "parts/beside.py": "import bisect\n",
        "parts/inner/__init__.py": "from ..beside import x\nfrom .own import y\n",
        "parts/inner/own.py": "import heapq\n",
        "parts/inner/deep.py": "import shelve\n",
        "data/tables.py": "import glob\n",
        "fast.cpython-311-x86_64-linux-gnu.so": "",
    }
    assert read(files) == ("csv", "bisect", "heapq", "shelve", "numpy", "glob")


def test_a_file_that_cannot_be_read_ends_the_reading(read):
    assert read({"app.py": "import json\nimport broken\nimport numpy\n", "broken.py": "def ("}) == ("json",)
    assert read({"app.py": "import json\nimport binary\nimport numpy\n", "binary.py": "\0"}) == ("json",)


def test_an_installed_app_is_not_read(tmp_path):
    assert leading_imports(take("json.tool:app", tmp_path)) == ()


def test_modules_beside_an_app_in_a_subfolder_and_in_its_project_are_its_own(tmp_path):
    files = {
        "skerry.toml": "",
        "src/app.py": "import beside\nfrom shared import tool\nimport uuid\n",
        "src/beside.py": "import json\n",
        "shared/tool.py": "import csv\n",
    }
    for name, text in files.items():
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_text(text)

    source = take(f"{tmp_path}/p/./src/app.py", tmp_path / "sources")

    assert leading_imports(source) == ("json", "csv", "uuid")


def test_a_module_of_a_package_begins_with_what_its_package_imports(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("import json\n")
    (tmp_path / "shop" / "app.py").write_text("from . import parts\nimport uuid\n")
    (tmp_path / "shop" / "parts.py").write_text("import csv\n")

    assert leading_imports(take(f"{tmp_path}/./shop.app", tmp_path / "sources")) == ("json", "csv", "uuid")
    assert leading_imports(take(f"{tmp_path}/./shop", tmp_path / "sources")) == ("json",)
