"""`skerry doctor --size` on distributions that the test installs."""

import json

import pytest

from skerry.cli.distributions import Requirement, Site
from skerry.cli.package_size import measure


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Write a distribution into a folder that is on the path, and return that folder."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def write(name, files, requires=()):
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        metadata = [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            "Version: 1.0",
            *(f"Requires-Dist: {r}" for r in requires),
        ]
        (info / "METADATA").write_text("\n".join(metadata) + "\n")
        for path, size_bytes in files.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_bytes(b"#" * size_bytes)
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
        return site

    return write


@pytest.fixture
def app(tmp_path):
    def write(text, **project):
        path = tmp_path / "project" / "app.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        for name, content in project.items():
            (path.parent / name.replace("_", ".", 1)).write_text(content)
        return path

    return write


MB = 10**6
USER = """
import skerry
import heavy_used
app = skerry.App("a", requirements=["heavy-used", "heavy-idle>=1"])
@app.function(memory="1GiB", timeout="1m")
def f(x: int) -> int:
    return x
"""


def test_an_app_weighs_what_it_requires_with_what_that_requires(install, app, tmp_path):
    install("heavy-used", {"heavy_used.py": 2 * MB, "__pycache__/heavy_used.cpython-311.pyc": 5 * MB}, ["Shared_Part"])
    install("heavy-idle", {"heavy_idle/__init__.py": 3 * MB}, ["shared.part", 'odd; python_version < "3"', "own"])
    install("shared-part", {"shared_part.py": MB})
    install("own", {"own.py": MB // 2})
    found = measure(str(app(USER)), tmp_path / "home")

    sizes = {part.name: part.size_bytes for part in found.parts}
    assert {name: sizes[name] for name in ("heavy-used", "heavy-idle", "shared-part", "own")} == {
        "heavy-used": 2 * MB,
        "heavy-idle": 3 * MB,
        "shared-part": MB,
        "own": MB // 2,
    }
    assert {"skerry", "click"} <= sizes.keys()
    assert [part.size_bytes for part in found.parts] == sorted(sizes.values(), reverse=True)
    assert found.total_bytes == sum(sizes.values()) + len(USER)
    assert found.missing == ()


def test_a_library_that_nothing_imports_can_be_left_out_with_what_only_it_needs(install, app, tmp_path):
    install("heavy-used", {"heavy_used.py": 2 * MB}, ["shared-part"])
    install("heavy-idle", {"heavy_idle/__init__.py": 3 * MB}, ["shared-part", "own"])
    install("shared-part", {"shared_part.py": MB})
    install("own", {"own.py": MB // 2})
    found = measure(str(app(USER)), tmp_path / "home")

    [saving] = [saving for saving in found.savings if " inside " not in saving.what]
    assert (saving.what, saving.saves_bytes) == ("heavy-idle", 3 * MB + MB // 2)
    assert saving.reason == "no module of the app imports it"


def test_training_libraries_are_not_needed_where_an_exported_model_is_served(install, app, tmp_path):
    install("torch", {"torch/__init__.py": 9 * MB})
    install("onnxruntime", {"onnxruntime/__init__.py": MB})
    served = """
import skerry, torch
app = skerry.App("a", requirements=["torch", "onnxruntime"])
app.serve("digits", model="digits@production")
"""
    found = measure(str(app(served)), tmp_path / "home")

    assert [(saving.what, saving.saves_bytes) for saving in found.savings if " inside " not in saving.what] == [
        ("torch", 9 * MB)
    ]


def test_tests_and_headers_inside_of_libraries_are_counted(install, app, tmp_path):
    install("heavy-used", {"heavy_used/tests/test_a.py": 2 * MB, "heavy_used/include/a.h": MB, "heavy_used/a.py": 1})
    install("heavy-idle", {"heavy_idle.py": 1})
    found = measure(str(app(USER)), tmp_path / "home")

    inside = {saving.what.partition(" inside ")[0]: saving for saving in found.savings if " inside " in saving.what}
    assert inside["tests"].saves_bytes >= 2 * MB
    assert inside["headers and stubs"].saves_bytes >= MB
    assert "heavy-used" in inside["tests"].what


def test_without_requirements_what_the_app_imports_counts(install, app, tmp_path):
    install("oddly-named", {"heavy_used.py": MB})
    found = measure(str(app("import heavy_used, json\nimport skerry\napp = skerry.App('a')\n")), tmp_path / "home")

    needed_by = {part.name: part.required_by for part in found.parts}
    assert needed_by["oddly-named"] == needed_by["skerry"] == "the app"


def test_the_project_file_goes_first_and_what_is_not_deployed_does_not_count(install, app, tmp_path):
    install("small", {"small.py": 10})
    path = app(USER, skerry_toml='[app]\nrequirements = ["small"]\n', data_bin="x" * 1000)
    (path.parent / ".hidden").write_text("x" * 5000)
    found = measure(str(path), tmp_path / "home")

    assert "small" in {part.name for part in found.parts}
    assert "heavy-used" not in found.missing
    assert 1000 < found.source_bytes < 5000


def test_over_the_limit_is_exit_code_1_with_figures(install, app, skerry_command):
    install("heavy-used", {"heavy_used.py": 2 * MB})
    path = app(USER)

    code, out, _ = skerry_command("doctor", "--size", path, "--limit", "1MB")
    assert code == 1
    assert "above the 1 MB that are allowed" in out
    assert "unknown heavy-idle: required, and not installed here" in out
    assert skerry_command("doctor", "--size", path, "--limit", "1GB")[0] == 0


def test_json_has_everything(install, app, skerry_command):
    install("heavy-used", {"heavy_used.py": 2 * MB})
    code, out, _ = skerry_command("doctor", "--size", app(USER), "--json")

    found = json.loads(out)
    assert (code, found["limit_bytes"], found["refusals"], found["missing"]) == (0, 250 * MB, [], ["heavy-idle"])
    assert {"name": "heavy-used", "version": "1.0", "size_bytes": 2 * MB, "required_by": "the app"} in found["parts"]
    assert found["total_bytes"] == found["source_bytes"] + sum(part["size_bytes"] for part in found["parts"])


def test_what_functions_declare_is_held_against_memory_and_time(install, app, skerry_command):
    install("heavy-used", {"heavy_used.py": 10})
    path = app(USER, skerry_toml='[function.f]\ntimeout = "20s"\n')

    code, out, _ = skerry_command("doctor", "--size", path, "--memory", "512MB", "--time", "15s")
    assert code == 1
    assert "function 'f': memory is 1GiB, and 512 MB are allowed; lower memory" in out
    assert "function 'f': timeout is 20s, and 15 s are allowed; lower timeout" in out
    assert skerry_command("doctor", "--size", path, "--memory", "1GiB", "--time", "20s")[0] == 0


def test_limits_without_size_are_a_mistake(skerry_command):
    code, _, err = skerry_command("doctor", "--limit", "1MB")

    assert code == 2
    assert "add --size" in err


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("numpy>=2", Requirement("numpy")),
        ("Scikit_Learn [a,B] (>=1.0)", Requirement("scikit-learn", frozenset({"a", "b"}))),
        ("x; extra == 'docs'", Requirement("x", of_extra="docs", conditional=True)),
        ('x>1 ; python_version < "3.12"', Requirement("x", conditional=True)),
        (">=2", None),
    ],
)
def test_requirements_are_read(line, found):
    assert Requirement.parse(line) == found


def test_extras_add_what_they_name_also_in_a_circle(install):
    site = install("a", {"a.py": 1}, ["b; extra == 'more'", "a[more]; extra == 'all'"])
    install("b", {"b.py": 1}, ["a"])

    assert Site(site).closure([Requirement("a")]) == ({"a": "the app"}, set())
    assert Site(site).closure([Requirement("a", frozenset({"all"}))]) == ({"a": "the app", "b": "a"}, set())
