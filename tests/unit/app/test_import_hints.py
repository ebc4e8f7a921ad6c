import pytest

from skerry.app import Target
from skerry.app.import_hints import explaining, find_hint
from skerry.errors import AppImportError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("service.py", "lib/features.py", "shop/__init__.py", "shop/parts/__init__.py", "shop/parts/app.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lacking(name):
    return AppImportError(f"No module named {name!r}", missing_module=name, hint="requirements")


def test_a_module_beside_a_file_that_was_copied_alone_is_told_how_to_be_copied(folder):
    hint = find_hint(lacking("lib.features"), Target.parse("service.py"))

    assert hint.startswith("only service.py was copied, and lib beside it was not")
    assert f"put a skerry.toml into {folder}" in hint


def test_a_module_beside_a_package_that_was_copied_alone_is_told_how_to_be_copied(folder):
    assert find_hint(lacking("lib"), Target.parse("shop.parts.app")).startswith("only package shop was copied")


def test_what_is_not_beside_the_app_keeps_its_own_hint(folder):
    assert find_hint(lacking("numpy"), Target.parse("service.py")) is None
    (folder / "skerry.toml").touch()
    assert find_hint(lacking("lib"), Target.parse("service.py")) is None
    with pytest.raises(AppImportError) as caught, explaining(Target.parse("service.py")):
        raise lacking("numpy")
    assert caught.value.details["hint"] == "requirements"


@pytest.mark.parametrize(("start", "name"), [(".", "shop.parts.app"), ("shop/parts", "{}/shop.parts.app")])
def test_a_file_of_a_package_is_told_by_which_name_it_can_be_deployed(folder, monkeypatch, start, name):
    target = Target.parse("shop/parts/app.py")
    monkeypatch.chdir(folder / start)
    error = AppImportError("attempted relative import", is_outside_package=True)

    with pytest.raises(AppImportError) as caught, explaining(target):
        raise error

    assert caught.value.details["hint"].endswith(f"`skerry deploy {name.format(folder)}`")
    assert str(Target.parse(name.format(folder))) == f"{folder}/./shop.parts.app"
