import subprocess
import sys

import skerry.learn.search


def test_everything_public_is_there():
    for name in skerry.learn.search.__all__:
        assert getattr(skerry.learn.search, name) is not None


def test_importing_the_search_imports_no_heavy_library():
    code = "import sys, skerry.learn.search; print({'numpy', 'sklearn', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
