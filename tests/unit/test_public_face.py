import subprocess
import sys

import pytest

import skerry


def test_the_face_is_what_all_says():
    assert sorted(skerry.__all__) == skerry.__all__
    assert dir(skerry) == skerry.__all__


@pytest.mark.parametrize("name", skerry.__all__)
def test_every_name_of_the_face_is_there(name):
    assert getattr(skerry, name) is not None


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = skerry.Nonsense


@pytest.mark.parametrize("package", ["skerry.app", "skerry.platforms", "skerry.platforms.engine"])
def test_subpackages_offer_what_their_all_says(package):
    module = __import__(package, fromlist=["__all__"])

    for name in module.__all__:
        assert getattr(module, name) is not None


def test_importing_the_face_stays_light():
    code = "import sys, skerry; print(*sorted(m for m in sys.modules if '.' not in m))"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"numpy", "click", "rich", "pydantic", "uvloop", "orjson", "msgpack", "http", "asyncio"} & set(loaded)
