import pytest

from skerry.errors import AppImportError
from skerry.runtime.target import Target, load_app
from skerry.testbed.experiments.catalogue import load_experiment

HEAD = "import skerry\n\napp = skerry.App('shop')\n\n\n"


def refused(folder, source):
    (folder / "told.py").write_text(source)
    target = Target(root=str(folder), file="told.py", module="told", environment={})
    with pytest.raises(AppImportError) as caught:
        load_app(target)
    return caught.value


@pytest.mark.parametrize(
    ("decorator", "said"),
    [
        ("@app.function(timeout='soon')", "told.py, line 6: function 'f': timeout = 'soon': write a number and a unit"),
        ("@app.every('soon')", "told.py, line 6: "),
    ],
)
def test_what_skerry_refuses_is_told_with_the_line_and_without_a_traceback(tmp_path, decorator, said):
    error = refused(tmp_path, f"{HEAD}{decorator}\ndef f(x: int) -> int:\n    return x\n")

    assert error.message.startswith(said)
    assert "traceback" not in error.details


def test_another_error_is_told_with_a_traceback_that_begins_in_the_users_file(tmp_path):
    error = refused(tmp_path, "def boom():\n    return 1 / 0\n\n\nboom()\n")

    assert error.message == "cannot import 'told': ZeroDivisionError: division by zero"
    first, second = [line for line in error.details["traceback"].splitlines() if line.startswith("  File ")]
    assert first.endswith('told.py", line 5, in <module>')
    assert second.endswith('told.py", line 2, in boom')


def test_an_unknown_option_is_shown_where_it_is_written(tmp_path):
    error = refused(tmp_path, f"{HEAD}@app.function(memry='1GiB')\ndef f(x: int) -> int:\n    return x\n")

    assert error.message.endswith("unexpected keyword argument 'memry'")
    files = [line for line in error.details["traceback"].splitlines() if line.startswith("  File ")]
    assert [file.rpartition("/")[2] for file in files] == ['told.py", line 6, in <module>']


def test_a_syntax_error_shows_nothing_but_the_users_line(tmp_path):
    error = refused(tmp_path, "x = 1\ndef (\n")

    files = [line for line in error.details["traceback"].splitlines() if line.startswith("  File ")]
    assert [file.rpartition("/")[2] for file in files] == ['told.py", line 2']


def test_the_file_of_an_experiment_is_told_of_in_the_same_way(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("1 / 0\n")

    with pytest.raises(AppImportError, match="ZeroDivisionError") as caught:
        load_experiment(str(file))

    assert 'mine.py", line 1' in caught.value.details["traceback"]


def test_a_library_that_is_not_there_is_told_with_where_to_ask_for_it(tmp_path):
    error = refused(tmp_path, "from nowhere_to_be_had.parts import x\n")

    assert error.details["missing_module"] == "nowhere_to_be_had"
    assert "name the package that holds it in requirements" in error.details["hint"]


def test_a_module_that_a_library_lacks_is_nothing_to_ask_for(tmp_path):
    error = refused(tmp_path, "import json.nothing\n")

    assert error.details["missing_module"] == "json.nothing"
    assert "hint" not in error.details


def test_a_file_that_is_none_without_its_package_is_told_how_to_name_it(tmp_path):
    error = refused(tmp_path, "from .parts import x\n")

    assert error.details["is_outside_package"]
    assert "package.module:app" in error.details["hint"]
