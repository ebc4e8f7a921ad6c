from pathlib import Path

import pytest

from skerry.store.models import cache_folder, models_url


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("SKERRY_MODELS", "SKERRY_MODEL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_models_are_in_the_folder_of_the_engine_unless_a_variable_says_where(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert models_url(Path("home/models")) == str(tmp_path / "home" / "models")

    monkeypatch.setenv("SKERRY_MODELS", "s3://bucket/models")
    assert models_url(Path("home/models")) == "s3://bucket/models"


def test_the_cache_is_the_users_unless_a_variable_says_where(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert cache_folder() == Path("/home/ada/.cache/skerry/models")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/ada")
    assert cache_folder() == Path("/var/cache/ada/skerry/models")
    monkeypatch.setenv("SKERRY_MODEL_CACHE", "~/models")
    assert cache_folder() == Path("/home/ada/models")
