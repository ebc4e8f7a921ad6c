import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.engine.sources.source import Source, copied_files, digest_of, take
from skerry.engine.sources.tree import Entry, list_tree, parse_ignore
from skerry.errors import AppImportError, ConfigError

LOADER = """
import json, sys
from skerry.runtime.target import Target, _import
root, file, module, attribute = json.loads(sys.argv[1])
print(getattr(_import(Target(root=root, file=file, module=module, environment={})), attribute))
"""


@pytest.fixture
def into(tmp_path):
    return tmp_path / "home" / "sources"


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "news"
    (folder / "parts").mkdir(parents=True)
    (folder / "skerry.toml").write_text("[skerry]\n")
    (folder / "app.py").write_text("from parts.helper import name\napp = name\n")
    (folder / "parts" / "__init__.py").touch()
    (folder / "parts" / "helper.py").write_text("name = 'news'\n")
    return folder


def copied(source):
    return sorted(entry.path for entry in list_tree(source.root))


def load(source):
    given = json.dumps([str(source.root), source.file, source.module, source.attribute])
    done = subprocess.run([sys.executable, "-c", LOADER, given], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_file_alone_is_copied_alone(tmp_path, into):
    (tmp_path / "one.py").write_text("app = 1\n")
    (tmp_path / "other.py").write_text("")
    source = take(f"{tmp_path}/one.py", into)
    assert copied(source) == ["one.py"]
    assert source.root == into / source.digest
    assert (source.module, source.attribute, source.project_file) == ("one", "app", None)
    assert source.watched == (tmp_path / "one.py",)
    assert load(source) == "1"


def test_a_project_is_copied_whole_and_loads_with_its_neighbours(project, into):
    source = take(f"{project}/app.py:app", into)
    assert copied(source) == ["app.py", "parts/__init__.py", "parts/helper.py", "skerry.toml"]
    assert source.project_file == source.root / "skerry.toml"
    assert project / "parts" / "helper.py" in source.watched
    assert load(source) == "news"


def test_an_app_below_the_projects_folder_finds_what_is_beside_it_and_then_what_is_in_the_project(project, into):
    (project / "src" / "parts").mkdir(parents=True)
    (project / "src" / "beside.py").write_text("name = 'beside'\n")
    (project / "beside.py").write_text("name = 'of the project'\n")
    (project / "common.py").write_text("name = 'common'\n")
    (project / "src" / "app.py").write_text("import beside, common\napp = f'{beside.name}, {common.name}'\n")
    source = take(f"{project}/./src/app.py", into)
    assert (source.file, source.module) == ("src/app.py", "app")
    assert source.project_file == source.root / "skerry.toml"
    assert {"common.py", "parts/helper.py", "src/app.py"} <= set(copied(source))
    assert load(source) == "beside, common"
    assert Source.from_dict(source.to_dict(), into) == replace(source, watched=())


@pytest.fixture
def package(tmp_path):
    """A folder with a package and other things, and no project file."""
    folder = tmp_path / "work"
    (folder / "shop" / "parts").mkdir(parents=True)
    (folder / "shop" / "__init__.py").write_text("from .app import app\n")
    (folder / "shop" / "parts" / "__init__.py").touch()
    (folder / "shop" / "parts" / "names.py").write_text("from ..base import name\n")
    (folder / "shop" / "base.py").write_text("name = 'shop'\nruns = []\n")
    (folder / "shop" / "app.py").write_text(
        "from . import base\nfrom .parts.names import name\nbase.runs.append(1)\napp = (name, __name__, base.runs)\n"
    )
    (folder / "letters.txt").write_text("of nobody's concern")
    return folder


def test_of_a_folder_that_is_no_project_the_package_alone_is_copied_and_runs_once(package, into):
    (package / "shop" / "x.tmp").touch()
    (package / ".skerryignore").write_text("/shop/*.tmp\n")
    source = take(f"{package}/./shop.app:app", into)
    assert copied(source) == [
        "shop/__init__.py", "shop/app.py", "shop/base.py", "shop/parts/__init__.py", "shop/parts/names.py",
    ]  # fmt: skip
    assert (source.file, source.module, source.project_file) == ("shop/app.py", "shop.app", None)
    assert load(source) == "('shop', 'shop.app', [1])"
    assert load(take(f"{package}/./shop:app", into)) == "('shop', 'shop.app', [1])"
    assert Source.from_dict(source.to_dict(), into) == replace(source, watched=())


def test_a_package_in_a_project_comes_with_the_whole_of_it(package, into, tmp_path):
    (package / "skerry.toml").touch()
    source = take(f"{package}/./shop.app", into)
    assert {"letters.txt", "skerry.toml", "shop/app.py"} <= set(copied(source))
    assert load(source) == "('shop', 'shop.app', [1])"
    (tmp_path / "skerry.toml").touch()
    below = take(f"{tmp_path}/./work/shop.app", into)
    assert (below.file, below.module) == ("work/shop/app.py", "shop.app")
    assert load(below) == "('shop', 'shop.app', [1])"


def test_the_limits_and_the_rule_of_links_hold_for_a_package(package, into, tmp_path):
    with open(package / "shop" / "big.bin", "wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(ConfigError, match=r"work/shop has 65\.0 MiB .*largest: big\.bin"):
        take(f"{package}/./shop.app", into)
    (package / "shop").rename(tmp_path / "elsewhere")
    (package / "shop").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"work/shop is a link to .*outside of the project"):
        take(f"{package}/./shop.app", into)


def test_the_files_that_would_be_copied_are_told_without_a_copy(package, project, into):
    assert len(copied_files(f"{package}/./shop.app:app", into)) == 5
    assert len(copied_files(f"{project}/app.py:app", into)) == 4
    assert copied_files("skerry.errors:app", into) == []
    assert not into.exists()


def test_the_copy_stays_when_the_users_files_change(project, into):
    first = take(f"{project}/app.py", into)
    (project / "parts" / "helper.py").write_text("name = 'changed'\n")
    second = take(f"{project}/app.py", into)
    assert first.digest != second.digest
    assert (load(first), load(second)) == ("news", "changed")


def test_the_same_content_has_the_same_digest_wherever_it_is(project, into, tmp_path):
    shutil.copytree(project, tmp_path / "elsewhere")
    assert take(f"{project}/app.py", into).digest == take(f"{tmp_path}/elsewhere/app.py", into).digest
    assert len(list(into.iterdir())) == 1


def test_bytecode_left_by_a_loader_keeps_the_copy_whole(project, into):
    source = take(f"{project}/app.py", into)
    load(source)
    inode = source.root.stat().st_ino
    take(f"{project}/app.py", into)
    assert source.root.stat().st_ino == inode


def test_a_damaged_copy_is_replaced(project, into):
    source = take(f"{project}/app.py", into)
    (source.root / "app.py").write_text("broken")
    take(f"{project}/app.py", into)
    assert load(source) == "news"
    assert [path.name for path in into.iterdir()] == [source.digest]


def test_copies_made_at_once_end_as_one(project, into):
    barrier = threading.Barrier(6)
    digests = []

    def run():
        barrier.wait()
        digests.append(take(f"{project}/app.py", into).digest)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 6
    assert [path.name for path in into.iterdir()] == [digests[0]]


def test_hidden_generated_and_ignored_files_stay_out(project, into):
    for name in (
        ".git/config",
        ".venv/bin/python",
        "__pycache__/app.pyc",
        "parts/node_modules/x.js",
        ".env",
        "data/big.csv",
        "parts/data/kept.csv",
        "notes.tmp",
        "parts/deep.tmp",
    ):
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (project / ".skerryignore").write_text("# large files\n/data/\n*.tmp\n\n")
    assert copied(take(f"{project}/app.py", into)) == [
        "app.py", "parts/__init__.py", "parts/data/kept.csv", "parts/helper.py", "skerry.toml",
    ]  # fmt: skip


def test_an_engines_folder_inside_the_project_is_no_part_of_it(project):
    into = project / "state" / "sources"
    into.mkdir(parents=True)
    (project / "state" / "python").symlink_to("/usr/bin/env")
    first = take(f"{project}/app.py", into)
    (project / "state" / "records.sqlite3").write_text("changes all the time")
    assert take(f"{project}/app.py", into).digest == first.digest


def test_an_engines_folder_that_is_the_project_is_refused(project):
    with pytest.raises(ConfigError, match="the same"):
        take(f"{project}/app.py", project / "sources")


def test_an_app_file_that_is_left_out_is_refused(project, into):
    (project / ".skerryignore").write_text("app.py\n")
    with pytest.raises(ConfigError, match="left out"):
        take(f"{project}/app.py", into)


def test_a_link_out_of_the_project_is_refused(project, into, tmp_path):
    (tmp_path / "secret").write_text("x")
    (project / "parts" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ConfigError, match=r"parts/link is a link to .*outside of the project"):
        take(f"{project}/app.py", into)


def test_a_link_to_nothing_and_a_circle_of_links_are_refused(project, into):
    (project / "gone").symlink_to(project / "missing")
    with pytest.raises(ConfigError, match="does not exist"):
        take(f"{project}/app.py", into)
    (project / "gone").unlink()
    (project / "parts" / "up").symlink_to(project)
    with pytest.raises(ConfigError, match="contains it"):
        take(f"{project}/app.py", into)


def test_links_inside_the_project_become_files(project, into):
    (project / "alias.py").symlink_to("app.py")
    (project / "pieces").symlink_to("parts")
    source = take(f"{project}/app.py", into)
    assert (source.root / "alias.py").read_text() == (project / "app.py").read_text()
    assert "pieces/helper.py" in copied(source)
    assert not any(path.is_symlink() for path in source.root.rglob("*"))


def test_a_project_of_too_many_bytes_names_the_largest_entries(project, into):
    (project / "data").mkdir()
    for name in ("a.bin", "b.bin"):
        with open(project / "data" / name, "wb") as file:
            file.truncate(40 * 2**20)
    with pytest.raises(ConfigError, match=r"80\.0 MiB.*limit is 64 MiB.*largest: data/ \(80\.0 MiB in 2 files\)"):
        take(f"{project}/app.py", into)


def test_a_project_of_too_many_files_names_the_fullest_folder(project, into):
    (project / "images").mkdir()
    for number in range(5000):
        (project / "images" / f"{number}.png").touch()
    with pytest.raises(ConfigError, match=r"5004 files.*largest: images/ \(0\.0 MiB in 5000 files\)"):
        take(f"{project}/app.py", into)


@pytest.mark.parametrize(
    ("name", "module"),
    [("my-app.py", "my_app"), ("2nd.py", "_2nd"), ("class.py", "_class"), ("json.py", "json_app"), ("a.b.py", "a_b"),
     ("skerry.py", "skerry_app"), ("café.py", "café")],
)  # fmt: skip
def test_any_file_name_gives_a_safe_module_name_and_loads(tmp_path, into, name, module):
    (tmp_path / name).write_text("app = __name__\n")
    source = take(f"{tmp_path}/{name}", into)
    assert source.module == module
    assert load(source) == module


def test_a_relative_file_is_found_from_the_current_folder(project, into, monkeypatch):
    monkeypatch.chdir(project)
    assert load(take("app.py:app", into)) == "news"


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("missing.py", AppImportError, "there is no file"),
        ("no_such_module:app", AppImportError, "no module 'no_such_module'"),
        ("skerry.errors.deeper", AppImportError, "has no module 'deeper'"),
        ("skerry.nothing_here", AppImportError, "no module 'skerry.nothing_here'"),
        ("app.py:", ConfigError, "FILE.py:app"),
        (":app", ConfigError, "FILE.py:app"),
        ("app.py:not a name", ConfigError, "FILE.py:app"),
        ("my-module", ConfigError, "FILE.py:app"),
        ("/", ConfigError, "is a folder"),
        ("/etc/hostname", ConfigError, r"end in \.py"),
        ("/etc/./nothing.here:app", AppImportError, "no module 'nothing.here' in /etc"),
        ("/etc/./no-module:app", ConfigError, "FILE.py:app"),
        ("/etc/./../app.py", ConfigError, "must lie in the folder"),
    ],
)
def test_a_wrong_target_is_answered_with_what_to_write(into, target, error, message):
    with pytest.raises(error, match=message):
        take(target, into)


def test_a_module_is_not_copied_and_its_packages_are_not_run(tmp_path, into, monkeypatch):
    package = tmp_path / "outer_pkg" / "inner"
    package.mkdir(parents=True)
    (tmp_path / "outer_pkg" / "__init__.py").write_text("raise RuntimeError('was run')\n")
    (package / "__init__.py").touch()
    (package / "mod.py").write_text("app = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    source = take("outer_pkg.inner.mod:other.app", into)
    assert (source.module, source.attribute, source.root, source.file) == (
        "outer_pkg.inner.mod",
        "other.app",
        None,
        None,
    )
    assert source.watched == (package / "mod.py",)
    assert not into.exists()
    (package / "mod.py").write_text("app = 2\n")
    assert take("outer_pkg.inner.mod", into).digest != source.digest


def test_a_package_with_a_name_of_pythons_is_refused(tmp_path, into):
    (tmp_path / "platform").mkdir()
    (tmp_path / "platform" / "app.py").touch()
    with pytest.raises(ConfigError, match=r"package 'platform' .* rename it"):
        take(f"{tmp_path}/./platform.app", into)


def test_a_source_comes_back_from_its_plain_form(project, into):
    source = take(f"{project}/app.py", into)
    again = Source.from_dict(json.loads(json.dumps(source.to_dict())), into)
    assert again == replace(source, watched=())
    shutil.rmtree(source.root)
    with pytest.raises(ConfigError, match="gone; deploy the app again"):
        Source.from_dict(source.to_dict(), into)
    module = take("skerry.errors", into)
    assert Source.from_dict(module.to_dict(), into) == replace(module, watched=())


def test_an_unreadable_file_is_named(project, into):
    if os.geteuid() == 0:
        pytest.skip("the superuser reads everything")
    (project / "private.txt").touch(mode=0o000)
    with pytest.raises(ConfigError, match=r"private\.txt cannot be read"):
        take(f"{project}/app.py", into)


@pytest.mark.parametrize(
    ("line", "path", "folder", "matches"),
    [
        ("*.csv", "a/b.csv", False, True),
        ("*.csv", "a/b.csvx", False, False),
        ("data/", "x/data", True, True),
        ("data/", "x/data", False, False),
        ("/data", "x/data", True, False),
        ("a/*.txt", "a/b.txt", False, True),
        ("a/*.txt", "a/c/b.txt", False, False),
        ("a/**/b.txt", "a/b.txt", False, True),
        ("a/**/b.txt", "a/c/d/b.txt", False, True),
        ("a/**", "a/c/d", False, True),
        ("?.py", "x.py", False, True),
        ("[x].py", "x.py", False, False),
        ("a.py", "axpy", False, False),
    ],
)  # fmt: skip
def test_patterns_of_an_ignore_file(line, path, folder, matches):
    (pattern,) = parse_ignore(line, where="here")
    assert pattern.matches(path, folder=folder) is matches


def test_a_negated_pattern_is_refused_with_its_line():
    with pytest.raises(ConfigError, match="here, line 2"):
        parse_ignore("*.csv\n!keep.csv\n", where="here")


@given(files=st.dictionaries(st.text("abc", min_size=1, max_size=3), st.binary(max_size=4), max_size=4),
       other=st.dictionaries(st.text("abc", min_size=1, max_size=3), st.binary(max_size=4), max_size=4))  # fmt: skip
def test_digests_are_equal_exactly_when_the_files_are(tmp_path_factory, files, other):
    digests = []
    for content in (files, other):
        root = tmp_path_factory.mktemp("tree")
        for name, data in content.items():
            (root / name).write_bytes(data)
        digests.append(digest_of(root, [Entry(path=name, size_bytes=0) for name in content]))
    assert (digests[0] == digests[1]) == (files == other)
