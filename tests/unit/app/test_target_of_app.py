import pytest

from skerry.app import Target
from skerry.errors import AppImportError


@pytest.fixture
def project(tmp_path):
    (tmp_path / "app.py").write_text("")
    (tmp_path / "skerry.toml").write_text("")
    (tmp_path / "notes.txt").write_text("")
    for folder in ("pkg", ".hidden", "__pycache__", "venv"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "module.py").write_text("")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    return tmp_path


@pytest.mark.parametrize("text", ["app.py", "./app.py", ".//app.py"])
def test_a_file_becomes_an_absolute_path(project, text):
    target = Target.parse(text, folder=project)

    assert str(target) == str(project / "app.py")
    assert target.attribute is None


def test_the_app_in_a_file_can_be_named(project):
    assert str(Target.parse("app.py:news", folder=project)) == f"{project}/app.py:news"


def test_a_module_beside_the_caller_becomes_its_file(project):
    assert str(Target.parse("app:news", folder=project)) == f"{project}/app.py:news"


def test_an_installed_module_stays_a_module(project):
    target = Target.parse("skerry.app:news", folder=project)

    assert str(target) == "skerry.app:news"
    assert target.file.name == "__init__.py"


@pytest.mark.parametrize("text", ["nowhere.py", "no_such_module", "no_such.module:app", "a b", ""])
def test_what_is_not_there_is_refused(project, text):
    with pytest.raises(AppImportError):
        Target.parse(text, folder=project)


def test_sources_and_the_project_file_are_watched_and_nothing_else(project):
    watched = {path.relative_to(project).as_posix() for path in Target.parse("app.py", folder=project).watched_files()}

    assert watched == {"app.py", "skerry.toml", "pkg/module.py"}
