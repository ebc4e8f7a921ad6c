import importlib.metadata

from skerry.engine.sources.requirements import lock_of, read_lock
from skerry.engine.sources.source import take


def versions(lock):
    return dict(line.split("==") for line in lock.splitlines())


def test_a_lock_has_the_installed_versions_of_what_is_needed_directly_or_not():
    found = versions(lock_of(["pydantic>=2", "Click", "skerry-test-no-such-library"]))

    assert found["pydantic"] == importlib.metadata.version("pydantic")
    assert found["pydantic-core"] == importlib.metadata.version("pydantic-core")
    assert found["click"] == importlib.metadata.version("click")
    assert "skerry-test-no-such-library" not in found
    assert list(found) == sorted(found)


def test_a_lock_follows_extras_only_where_they_are_asked_for():
    plain, learn = versions(lock_of(["skerry"])), versions(lock_of(["skerry[learn]"]))

    assert "skerry" not in plain
    assert "msgpack" in plain
    assert ("scikit-learn" in plain, "scikit-learn" in learn) == (False, True)


def test_nothing_needed_is_an_empty_lock(tmp_path):
    (tmp_path / "app.py").write_text("app = 1\n")

    assert lock_of([]) == ""
    assert read_lock(take(f"{tmp_path}/app.py", tmp_path / "home" / "sources")) == ""


def test_a_projects_own_lock_is_read(tmp_path):
    folder = tmp_path / "news"
    folder.mkdir()
    for name, text in {"app.py": "", "skerry.toml": "", "skerry.lock": "numpy==2.0.0\n"}.items():
        (folder / name).write_text(text)

    assert read_lock(take(f"{folder}/app.py", tmp_path / "home" / "sources")) == "numpy==2.0.0\n"
