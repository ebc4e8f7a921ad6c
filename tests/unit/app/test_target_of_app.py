import pytest

from skerry.app import Target
from skerry.app.project_root import Located
from skerry.errors import AppImportError, ConfigError


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


@pytest.fixture
def nested(tmp_path):
    """A folder with an app in a subfolder and one in a package; none of its folders is a project."""
    folder = tmp_path / "nested"
    (folder / "src" / "shop").mkdir(parents=True)
    (folder / "src" / "app.py").write_text("")
    (folder / "src" / "shop" / "__init__.py").write_text("")
    (folder / "src" / "shop" / "app.py").write_text("")
    return folder


def test_a_package_in_the_folder_goes_before_one_that_is_installed(nested):
    (nested / "pytest").mkdir()
    (nested / "pytest" / "app.py").write_text("")
    target = Target.parse("pytest.app:news", folder=nested)

    assert str(target) == f"{nested}/./pytest.app:news"
    assert (target.project, target.inside, target.is_package) == (nested, "pytest.app:news", True)
    assert list(target.watched_files()) == [nested / "pytest" / "app.py"]


@pytest.mark.parametrize(
    ("text", "written"),
    [("src/app.py:app", "{}/src/app.py:app"), ("src/shop.app", "{}/src/./shop.app")],
)
def test_without_a_project_file_an_app_is_copied_from_where_it_lies(nested, text, written):
    assert str(Target.parse(text, folder=nested)) == written.format(nested)


@pytest.mark.parametrize(
    "content",
    ['[app]\ntarget = "src/app.py:app"\n', '[app]\nrequirements = ["numpy"]\n', '[function.f]\nmemory = "1GiB"\n', ""],
)
def test_the_project_file_of_the_current_folder_holds_for_an_app_below_it(nested, content):
    (nested / "skerry.toml").write_text(content)
    target = Target.parse("src/app.py", folder=nested)

    assert (str(target), target.inside) == (f"{nested}/./src/app.py", "src/app.py")
    assert nested / "skerry.toml" in list(target.watched_files())


def test_the_project_file_of_the_current_folder_holds_for_a_package_below_it(nested):
    (nested / "skerry.toml").write_text('[app]\ntarget = "src/shop.app:app"\n')

    assert str(Target.parse("src/shop.app", folder=nested)) == f"{nested}/./src/shop.app"


def test_the_nearest_project_file_holds(nested):
    (nested / "skerry.toml").write_text("[function.f]\n")
    (nested / "src" / "skerry.toml").write_text("")

    assert str(Target.parse("src/app.py", folder=nested)) == f"{nested}/src/app.py"


@pytest.mark.parametrize(
    "content", ['[app]\ntarget = "other.py:app"\n', '[sites.a]\naddress = "https://127.0.0.1:1"\n']
)
def test_the_project_file_of_another_app_or_of_sites_does_not_hold_for_an_app_below_it(nested, content):
    (nested / "other.py").write_text("")
    (nested / "skerry.toml").write_text(content)

    assert str(Target.parse("src/app.py", folder=nested)) == f"{nested}/src/app.py"


def test_above_the_current_folder_project_files_hold_up_to_the_repositorys_folder(nested):
    (nested / "skerry.toml").write_text("[function.f]\n")
    outside = Target.parse("app.py", folder=nested / "src")
    (nested / ".git").mkdir()
    inside = Target.parse("app.py", folder=nested / "src")

    assert (str(outside), str(inside)) == (f"{nested}/src/app.py", f"{nested}/./src/app.py")


def test_what_lies_outside_of_the_folder_that_is_copied_is_refused(nested):
    (nested / "project").mkdir()
    with pytest.raises(ConfigError, match="outside of the folder"):
        Target.parse("../src/app.py", folder=nested / "project", root=nested / "project")


def test_a_project_file_inside_of_a_package_that_would_not_hold_is_refused(nested):
    (nested / "src" / "shop" / "skerry.toml").write_text("")
    with pytest.raises(ConfigError, match=r"would not hold for shop\.app"):
        Target.parse("shop.app", folder=nested / "src")


def test_the_target_of_a_file_that_is_known_has_its_project(nested, monkeypatch):
    (nested / "skerry.toml").write_text("[function.f]\n")
    monkeypatch.chdir(nested)
    file = nested / "src" / "app.py"

    assert str(Target.of(Located(file, file.parent, None), "app")) == f"{nested}/./src/app.py:app"
