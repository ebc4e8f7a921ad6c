from pathlib import Path

from skerry.learn.shared_data import shared_folder


def test_the_folder_is_beside_the_repository_unless_a_variable_names_it(tmp_path, monkeypatch):
    monkeypatch.delenv("SKERRY_SHARED", raising=False)
    repository = Path(__file__).parents[3]
    assert (repository / "pyproject.toml").is_file()
    assert shared_folder() == repository.parent / "shared" / "data"
    monkeypatch.setenv("SKERRY_SHARED", str(tmp_path))
    assert shared_folder() == tmp_path / "data"
