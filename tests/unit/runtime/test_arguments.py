import pytest

from skerry.runtime.__main__ import Arguments, _read_plain


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["app.py:app"], Arguments("app.py:app")),
        (["app:app", "--function", "f"], Arguments("app:app", function="f")),
        (["--host", "0.0.0.0", "app.py", "--function", "f"], Arguments("app.py", function="f", host="0.0.0.0")),
    ],
)
def test_a_command_line_as_images_and_manifests_write_it_is_read_at_once(words, arguments):
    assert _read_plain(words) == arguments


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["--host", "0.0.0.0"],
        ["app.py", "--workers", "2"],
        ["app.py", "--function"],
        ["app.py", "--function=f"],
        ["app.py", "--function", "--host", "h"],
        ["app.py", "other.py"],
        ["app.py", "--function", "f", "--function", "g"],
    ],
)
def test_all_other_command_lines_are_left_to_argparse(words):
    assert _read_plain(words) is None
