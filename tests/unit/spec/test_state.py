import pytest

from skerry.errors import SpecError
from skerry.spec import STATE_VARIABLE, read_project_file, resolve

SECRET = "hunter2"


def spec(file, environment=(), **options):
    return resolve({"f": options}, file=file, environment=dict(environment))["f"]


def test_the_address_of_the_file_reaches_every_function(tmp_path):
    path = tmp_path / "skerry.toml"
    path.write_text('[state]\nurl = "redis://10.0.0.5:6379/0"\n')
    file = read_project_file(path)
    assert spec(file).env == {STATE_VARIABLE: "redis://10.0.0.5:6379/0"}
    assert spec(file, env={"A": "1", STATE_VARIABLE: "redis://b"}).env == {"A": "1", STATE_VARIABLE: "redis://b"}
    assert spec(file, environment={STATE_VARIABLE: "redis://elsewhere"}).env == {}
    assert spec({}).env == {}


@pytest.mark.parametrize(
    "text",
    [
        f'[state]\nurl = "redis://:{SECRET}@host/0"',
        f'[state]\nurl = "redis://host/0?password={SECRET}"',
        f'[state]\nurl = "redis://[{SECRET}"',
        "[state]\nurl = 7",
        "[state]",
        '[state]\nplace = "x"',
        "state = 1",
    ],
)
def test_what_is_no_address_or_has_a_password_is_refused_without_repeating_it(tmp_path, text):
    path = tmp_path / "skerry.toml"
    path.write_text(text)
    with pytest.raises(SpecError) as refused:
        read_project_file(path)
    assert SECRET not in refused.value.message


def test_a_password_in_an_option_is_refused(tmp_path):
    with pytest.raises(SpecError, match="SKERRY_STATE_PASSWORD") as refused:
        spec({}, env={STATE_VARIABLE: f"redis://:{SECRET}@host"})
    assert SECRET not in refused.value.message
