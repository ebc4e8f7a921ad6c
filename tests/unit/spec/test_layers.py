import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import SpecError
from skerry.spec import Batch, Scale, parse_settings, read_project_file, resolve

DECORATOR, FILE, ENVIRONMENT, FLAG = range(4)


def resolve_from(values):
    """Return the spec of ``f`` whose queue is set by some layers, as ``{layer: value}``."""
    return resolve(
        {"f": {"queue": values[DECORATOR]} if DECORATOR in values else {}},
        file={"function": {"f": {"queue": values[FILE]}}} if FILE in values else None,
        environment={"SKERRY_SET": f"f.queue={values[ENVIRONMENT]}"} if ENVIRONMENT in values else {},
        flags=[f"f.queue={values[FLAG]}"] if FLAG in values else [],
    )["f"]


@given(st.dictionaries(st.sampled_from([DECORATOR, FILE, ENVIRONMENT, FLAG]), st.integers(0, 1000), min_size=1))
def test_flag_wins_over_environment_over_file_over_decorator(values):
    assert resolve_from(values).queue == values[max(values)]


def test_nothing_set_means_the_defaults():
    assert resolve_from({}).queue == 10_000


@pytest.mark.parametrize("declared", [{"scale": Scale(min=1, max=4)}, {"scale": {"min": 1, "max": 4}}])
def test_layers_change_single_options_of_the_scale(declared):
    spec = resolve(
        {"f": declared},
        file={"function": {"f": {"scale": {"max": 8}}}},
        environment={"SKERRY_SET": "f.scale.window=30s"},
        flags=["f.scale.grace=5s"],
    )["f"]
    assert (spec.scale.min, spec.scale.max, spec.scale.window_s, spec.scale.grace_s) == (1, 8, 30, 5)


@pytest.mark.parametrize("declared", [{"batch": Batch(max_size=8, max_weight=9)}, {"batch": {"max_size": 8}}])
def test_layers_change_single_options_of_the_batch(declared):
    batch = resolve(
        {"f": declared},
        file={"function": {"f": {"batch": {"objective": "20ms"}}}},
        environment={"SKERRY_SET": "f.batch.max_weight=4"},
        flags=["f.batch.weight=bytes"],
    )["f"].batch
    assert batch == Batch(max_size=8, objective="20ms", max_weight=4, weight="bytes")


@pytest.mark.parametrize("declared", [{}, {"batch": None}])
def test_a_layer_can_batch_a_function_that_declares_none(declared):
    assert resolve({"f": declared}, environment={}, flags=["f.batch.max_size=8"])["f"].batch == Batch(max_size=8)
    assert resolve({"f": declared}, environment={})["f"].batch is None


def test_layers_add_environment_variables():
    spec = resolve(
        {"f": {"env": {"A": "1", "B": "1"}}}, file={"function": {"f": {"env": {"B": "2", "C": "2"}}}}, environment={}
    )["f"]
    assert dict(spec.env) == {"A": "1", "B": "2", "C": "2"}


def test_several_settings_are_divided_by_white_space():
    specs = resolve({"f": {}, "g": {}}, environment={"SKERRY_SET": " f.queue=1\n g.queue=2  g.cpu=0.5"})
    assert (specs["f"].queue, specs["g"].queue, specs["g"].cpu) == (1, 2, 0.5)


def test_the_process_environment_is_read_unless_another_is_given(monkeypatch):
    monkeypatch.setenv("SKERRY_SET", "f.queue=3")
    assert resolve({"f": {}})["f"].queue == 3
    assert resolve({"f": {}}, environment={})["f"].queue == 10_000


@pytest.mark.parametrize(
    ("layer", "where"),
    [
        ({"file": {"function": {"g": {}}}}, "skerry.toml"),
        ({"environment": {"SKERRY_SET": "g.queue=1"}}, "SKERRY_SET"),
        ({"flags": ["g.queue=1"]}, "--set"),
    ],
)
def test_a_function_that_the_app_does_not_have_is_refused_with_the_layer(layer, where):
    with pytest.raises(SpecError, match=f"{where}: no function 'g' in this app; it has: f"):
        resolve({"f": {}}, **{"environment": {}, **layer})


@pytest.mark.parametrize(
    "flag",
    [
        "f.qeue=1",
        "f.queue=many",
        "f.memory=100",
        "f.scale.most=3",
        "f.scale=3",
        "f.batch.most=3",
        "f.batch=3",
        "f.queue.deep=1",
        "f.idempotent=1",
    ],
)
def test_an_unknown_option_or_a_wrong_type_in_a_flag_is_refused(flag):
    with pytest.raises(SpecError, match="function 'f'"):
        resolve({"f": {}}, environment={}, flags=[flag])


def test_a_function_that_is_not_a_table_is_refused():
    with pytest.raises(SpecError, match="table"):
        resolve({"f": {}}, file={"function": {"f": 3}}, environment={})


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("train.memory=300MiB", {"train": {"memory": "300MiB"}}),
        ("train.scale.max=2", {"train": {"scale": {"max": 2}}}),
        ("train.cpu=0.5", {"train": {"cpu": 0.5}}),
        ("train.idempotent=true", {"train": {"idempotent": True}}),
        ('train.memory="1GiB"', {"train": {"memory": "1GiB"}}),
        ("train.env.URL=a=b", {"train": {"env": {"URL": "a=b"}}}),
        ("train.env.THREADS=1", {"train": {"env": {"THREADS": "1"}}}),
        ("train.env.RATE=1.50", {"train": {"env": {"RATE": "1.50"}}}),
        ("train.env.DEBUG=true", {"train": {"env": {"DEBUG": "true"}}}),
        ('train.env.NAME="1"', {"train": {"env": {"NAME": "1"}}}),
        ("train.env={A='1'}", {"train": {"env": {"A": "1"}}}),
        ("train.memory=", {"train": {"memory": ""}}),
    ],
)
def test_settings_are_read_as_toml_or_else_as_text(setting, expected):
    assert parse_settings([setting], where="--set") == expected


def test_a_variable_may_be_set_to_a_number():
    specs = resolve({"f": {"env": {"A": "1"}}}, environment={"SKERRY_SET": "f.env.B=2"}, flags=["f.env.C=3"])
    assert specs["f"].env == {"A": "1", "B": "2", "C": "3"}


def test_settings_of_one_function_gather():
    found = parse_settings(["f.scale.min=1", "f.scale.max=2", "f.cpu=1"], where="--set")
    assert found == {"f": {"scale": {"min": 1, "max": 2}, "cpu": 1}}


@pytest.mark.parametrize("setting", ["", "f", "f=1", "f.queue", "f..queue=1", ".queue=1", "f.a.b.c=1", "=1"])
def test_a_setting_of_another_form_is_refused_with_where_it_stands(setting):
    with pytest.raises(SpecError, match="--set: "):
        parse_settings([setting], where="--set")


@given(st.lists(st.text()))
def test_any_settings_are_read_or_refused(settings):
    try:
        found = parse_settings(settings, where="--set")
    except SpecError:
        return
    assert all(isinstance(options, dict) for options in found.values())


def test_a_project_file_is_read(tmp_path):
    path = tmp_path / "skerry.toml"
    path.write_text(
        '[app]\ntarget = "app:app"\nrequirements = ["numpy"]\n[function.train]\nmemory = "1GiB"\nscale.max = 3\n'
    )
    content = read_project_file(path)
    assert content["app"]["requirements"] == ["numpy"]
    spec = resolve({"train": {}}, file=content, environment={})["train"]
    assert (spec.memory_bytes, spec.scale.max) == (2**30, 3)


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        "[apps]\n",
        "[app]\ntagret = 'x'\n",
        "app = 3\n",
        "[app]\nrequirements = 'numpy'\n",
        "[app]\nimports = [1]\n",
        "function = 3\n",
    ],
)
def test_a_broken_project_file_is_refused_with_its_path_or_key(tmp_path, text):
    path = tmp_path / "skerry.toml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"skerry\.toml"):
        read_project_file(path)


def test_a_project_file_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "skerry.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(SpecError, match="not a TOML file"):
        read_project_file(path)
