import stat
import subprocess
import sys
from pathlib import Path

import pytest

from skerry.errors import ConfigError
from skerry.store import models
from skerry.store.models import cache_folder, models_url, publishing_url


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("SKERRY_MODELS", "SKERRY_MODEL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_models_are_in_the_folder_of_the_engine_unless_a_variable_says_where(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert models_url(Path("home/models")) == str(tmp_path / "home" / "models")

    monkeypatch.setenv("SKERRY_MODELS", "s3://bucket/models")
    assert models_url(Path("home/models")) == "s3://bucket/models"


def test_who_publishes_into_the_folder_of_an_engine_makes_it_closed_to_others(monkeypatch, tmp_path):
    home = tmp_path / "home"
    monkeypatch.setenv("SKERRY_MODELS", str(tmp_path / "elsewhere"))
    assert publishing_url(home) == str(tmp_path / "elsewhere")
    assert not home.exists()

    monkeypatch.delenv("SKERRY_MODELS")
    assert publishing_url(home) == str(home / "models")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700

    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"folder .*/file/home cannot be made: Not a directory"):
        publishing_url(tmp_path / "file" / "home")


def test_the_cache_is_the_users_unless_a_variable_says_where(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert cache_folder() == Path("/home/ada/.cache/skerry/models")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/ada")
    assert cache_folder() == Path("/var/cache/ada/skerry/models")
    monkeypatch.setenv("SKERRY_MODEL_CACHE", "~/models")
    assert cache_folder() == Path("/home/ada/models")


def test_the_package_offers_what_it_says_and_nothing_else():
    for name in models.__all__:
        assert getattr(models, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = models.Nonsense


def test_to_read_a_manifest_loads_neither_stores_nor_locks():
    code = "import sys; from skerry.store.models import Manifest; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"skerry.store.objects", "skerry.store.models.cache", "fcntl", "obstore"} & set(loaded)
