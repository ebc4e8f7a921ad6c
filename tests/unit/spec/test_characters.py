import pytest

from skerry.spec.characters import has_control, show_control


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;x\x07", r"\x1b]52;c;x\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
        ("a\rb\x7f", r"a\rb\x7f"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_is_no_text_is_written_out(text, shown):
    assert has_control(text)
    assert show_control(text) == shown


@pytest.mark.parametrize("text", ["C:\\new [x] — déjà vu", "دقت‌کل", "👩‍🔬", ""])
def test_text_of_any_language_is_left_as_it_is(text):
    assert not has_control(text)
    assert show_control(text) == text


def test_lines_stay_unless_one_is_wanted():
    assert show_control("a\n\tb") == "a\n\tb"
    assert show_control("a\n\tb", keep="") == r"a\n\tb"
