"""``skerry models serve``: the app that it writes. What the engine makes of it is an integration test."""

import importlib.util
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.app.application import NAME as APP_NAME
from skerry.cli.models.serve import app_name, write_app
from skerry.errors import SpecError
from skerry.spec import ModelReference

FUNCTIONS = st.from_regex(r"[a-z]([a-z0-9_-]{0,61}[a-z0-9])?", fullmatch=True)


@given(st.lists(FUNCTIONS, min_size=2, max_size=8, unique=True))
@settings(deadline=None)
def test_two_functions_never_share_an_app(functions):
    names = [app_name(function) for function in functions]
    assert len(set(names)) == len(names)
    assert all(APP_NAME.fullmatch(name) for name in names)
    assert app_name("digits") == "serve-digits"


@given(st.text(string.ascii_lowercase + "_-", min_size=1, max_size=6).map(lambda text: f"a{text}b"))
@settings(deadline=None)
def test_names_that_differ_in_dashes_only_do_not_either(function):
    other = function.replace("_", "-")
    assert (app_name(function) == app_name(other)) == (function == other)


def test_the_app_serves_the_model_and_is_written_anew(tmp_path):
    home = tmp_path / "home"
    for cache, size in ((None, 0), ("64MiB", 64 * 2**20)):
        file = write_app(home, "next", ModelReference.parse("digits@3"), cache)
        spec = importlib.util.spec_from_file_location("written", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.app.functions["next"].options["model"] == "digits@3"
        assert module.app.functions["next"].handler.settings.cache_bytes == size
    assert home.stat().st_mode & 0o077 == 0
    with pytest.raises(SpecError, match="--cache"):
        write_app(home, "next", ModelReference.parse("digits@3"), '"); import os')


def test_what_is_not_there_is_told_before_anything_is_written(skerry_command, own_home):
    code, _, err = skerry_command("models", "serve", "digits")
    assert code != 0
    assert "model 'digits'" in err
    assert not (own_home / "served").exists()
    code, _, err = skerry_command("models", "serve", "digits", "--name", "No")
    assert code == 2
    assert "--name 'No'" in err
