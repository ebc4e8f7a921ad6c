import importlib
import subprocess
import sys

import pytest

FACES = ("skerry.app", "skerry.observe", "skerry.platforms", "skerry.scaling", "skerry.spec")


@pytest.mark.parametrize("package", FACES)
def test_every_name_of_a_face_is_there_and_no_other(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nonsense'"):
        _ = module.nonsense


# What each process of a container must do without until somebody needs it: its first answer waits for all of it.
@pytest.mark.parametrize(
    ("imports", "without"),
    [
        (
            "skerry.runtime.zygote, skerry.app.application, skerry.spec.function, skerry.payload",
            {"asyncio", "uvloop", "ssl", "logging", "pydantic", "tomllib", "urllib.parse", "pathlib", "hashlib"}
            | {"subprocess", "concurrent", "tempfile", "http", "email"},
        ),
        (
            "skerry.runtime.__main__, skerry.runtime.serving",
            {
                "pydantic",
                "http.client",
                "email",
                "tomllib",
                "skerry.store",
                "skerry.payload",
                "skerry.app",
                "skerry.serve",
            },
        ),
    ],
)
def test_a_container_starts_without_what_it_may_never_need(imports, without):
    code = f"import sys; before = set(sys.modules); import {imports}; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not without & set(loaded)
