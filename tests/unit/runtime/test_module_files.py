import pytest

from skerry.errors import AppImportError
from skerry.runtime.contract import parse_target
from skerry.runtime.module_files import import_folders, module_file


@pytest.mark.parametrize(
    ("file", "module", "folders"),
    [
        ("app.py", "app", ("",)),
        ("src/app.py", "app", ("src", "")),
        ("shop/app.py", "shop.app", ("",)),
        ("src/shop/parts/app.py", "shop.parts.app", ("src", "")),
        ("shop/__init__.py", "shop", ("",)),
        ("src/shop/parts/__init__.py", "shop.parts", ("src", "")),
        ("shop/__init__.py", "__init__", ("shop", "")),
    ],
)
def test_modules_are_imported_from_where_the_file_or_its_package_lies_and_from_the_root(file, module, folders):
    assert import_folders(file, module) == folders


def test_a_package_goes_before_a_module_of_its_name(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop.py").touch()
    assert module_file(tmp_path, "shop") == "shop.py"
    (tmp_path / "shop" / "__init__.py").touch()
    assert module_file(tmp_path, "shop") == "shop/__init__.py"
    assert module_file(tmp_path, "shop.app") is None


def test_a_container_serves_what_lies_in_a_subfolder_of_a_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src" / "shop").mkdir(parents=True)
    (tmp_path / "src" / "app.py").touch()
    (tmp_path / "src" / "shop" / "app.py").touch()
    alone = parse_target("src/app.py:app")
    (tmp_path / "skerry.toml").touch()
    in_project, module = parse_target("src/app.py:app"), parse_target("src/shop.app:app")

    assert (alone.root, alone.file) == (str(tmp_path / "src"), "app.py")
    assert (in_project.root, in_project.file, in_project.module) == (str(tmp_path), "src/app.py", "app")
    assert (module.root, module.file, module.module) == (str(tmp_path), "src/shop/app.py", "shop.app")
    with pytest.raises(AppImportError, match=r"no module 'shop\.nothing'"):
        parse_target("src/shop.nothing:app")
