"""``skerry models`` with a real store in a folder."""

import json
import os

import click
import pytest

from skerry.cli.main import cli
from skerry.cli.models import COMMANDS, models
from skerry.cli.models.options import complete_reference
from skerry.store.models import ManifestDraft, ModelRepository, TensorSpec
from skerry.store.objects import open_store


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.delenv("SKERRY_MODELS", raising=False)
    monkeypatch.setenv("SKERRY_MODEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def repository(own_home):
    return ModelRepository(open_store(str(own_home / "models")))


@pytest.fixture
def digits(repository):
    """A model of three versions: production is at 2, candidate at 3."""
    for accuracy in (0.9, 0.95, 0.97):
        draft = ManifestDraft(
            kind="classifier",
            inputs=(TensorSpec("x", "float32", (None, 64)),),
            outputs=(TensorSpec("label", "int64", (None,)),),
            labels=("zero", "one"),
            metrics={"accuracy": accuracy},
            data_digest="sha256:d",
            about={"author": "Ada"},
        )
        repository.publish("digits", {"model.onnx": b"weights %f" % accuracy}, draft)
    repository.set_alias("digits", "production", 1)
    repository.set_alias("digits", "production", 2, reason="better")
    repository.set_alias("digits", "candidate", 3)
    return repository


@pytest.fixture
def run_json(skerry_command):
    """Run a command that succeeds, and return what it says as JSON."""

    def run(*words):
        code, out, err = skerry_command("models", *words, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return run


@pytest.fixture
def run_fail(skerry_command):
    """Run a command that fails, and return what it says."""

    def run(*words):
        code, out, err = skerry_command("models", *words)
        assert (code, out) == (2, "")
        return err

    return run


def test_every_command_has_help_with_an_example(skerry_command):
    for name in COMMANDS:
        code, out, _ = skerry_command("models", name, "--help")
        assert code == 0
        assert f"skerry models {name}" in out.partition("Example")[2]
    assert skerry_command("models", "--help")[0] == 0
    assert skerry_command("models", "nonsense")[0] == 2


def test_an_empty_store_says_what_to_do(skerry_command):
    assert skerry_command("models", "list") == (0, "", "no models; push one with: skerry models push NAME FILE\n")
    code, out, err = skerry_command("models", "list", "digits")
    assert (code, out) == (0, "")
    assert "skerry models push digits FILE" in err


def test_models_are_listed(skerry_command, digits, run_json):
    code, out, _ = skerry_command("models", "list")

    assert code == 0
    assert out.splitlines()[0].split() == ["NAME", "VERSIONS", "NEWEST", "PUBLISHED", "SIZE", "ALIASES"]
    assert out.splitlines()[1].startswith("digits  3         3       ")
    assert out.splitlines()[1].endswith("16 B  candidate=3, production=2")
    [model] = run_json("list")
    assert (model["name"], model["versions"], model["size_bytes"]) == ("digits", [1, 2, 3], 16)
    assert model["aliases"] == {"candidate": 3, "production": 2}


def test_versions_are_listed(skerry_command, digits, run_json):
    code, out, _ = skerry_command("models", "list", "digits")

    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["VERSION", "1", "2", "3"]
    assert out.splitlines()[2].endswith("classifier  -       accuracy=0.95  production")
    assert [version["aliases"] for version in run_json("list", "digits")] == [[], ["production"], ["candidate"]]


def test_a_version_is_described(skerry_command, digits, run_json):
    code, out, _ = skerry_command("models", "describe", "digits")

    assert code == 0
    for line in (
        "model:       digits@2",
        "aliases:     production",
        "framework:   onnx, classifier",
        "input:       x, float32 [any, 64]",
        "labels:      zero, one",
        "metric:      accuracy 0.95",
        "data:        sha256:d",
        'about:       {"author": "Ada"}',
    ):
        assert line in out.splitlines()
    described = run_json("describe", "digits@3")
    assert (described["version"], described["aliases"], described["size_bytes"]) == (3, ["candidate"], 16)


def test_the_history_is_shown(skerry_command, digits, run_json):
    digits.delete("digits", 1, reason="old")
    code, out, _ = skerry_command("models", "describe", "digits", "--history")

    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert [row[3:7] for row in rows[1:]] == [
        ["alias", "production", "-", "1"],
        ["alias", "production", "1", "2"],
        ["alias", "candidate", "-", "3"],
        ["delete", "-", "-", "1"],
    ]
    assert rows[2][-1] == "better"
    assert [entry["number"] for entry in run_json("describe", "digits", "--history")] == [1, 2, 3, 4]
    assert "nothing has happened" in skerry_command("models", "describe", "letters", "--history")[2]


def test_an_alias_is_pointed_at_a_version_and_at_where_another_points(skerry_command, digits, run_json):
    assert skerry_command("models", "alias", "digits@candidate", "production", "--reason", "promoted") == (
        0,
        "",
        "digits@production: 2 -> 3\n",
    )
    assert run_json("alias", "digits@1", "first")["version"] == 1
    assert digits.aliases("digits") == {"candidate": 3, "first": 1, "production": 3}
    assert digits.history("digits")[-2].reason == "promoted"


def test_an_alias_is_removed(skerry_command, digits):
    code, _, err = skerry_command("models", "alias", "digits", "candidate", "--remove")

    assert (code, err) == (0, "digits@candidate: 3 -> nothing\n")
    assert digits.aliases("digits") == {"production": 2}


def test_an_alias_is_rolled_back(skerry_command, digits, run_fail):
    assert skerry_command("models", "rollback", "digits", "--reason", "bad") == (0, "", "digits@production: 2 -> 1\n")
    assert "points at 1 by now, not at 2" in run_fail("rollback", "digits", "--from", 2)
    assert "pointed at nothing before" in run_fail("rollback", "digits@production")
    error = run_fail("rollback", "digits@3")
    assert "digits@3 is a version; name the alias to roll back, such as digits@production" in error
    assert digits.history("digits")[-1].reason == "bad"


def test_a_version_is_pulled_into_the_cache(skerry_command, digits, run_json, cache):
    code, out, _ = skerry_command("models", "pull", "digits@production")

    assert code == 0
    folder = out.rstrip("\n")
    assert folder.startswith(f"{cache}/versions/digits@2-")
    assert sorted(os.listdir(folder)) == ["manifest.json", "model.onnx"]
    pulled = run_json("pull", "digits@2")
    assert (pulled["model"], pulled["folder"]) == ("digits@2", folder)


def test_a_version_is_copied_where_one_may_change_it(skerry_command, digits, tmp_path, run_fail):
    code, out, _ = skerry_command("models", "pull", "digits@1", "--to", "mine")

    assert (code, out) == (0, f"{tmp_path / 'mine'}\n")
    (tmp_path / "mine" / "model.onnx").write_bytes(b"changed")
    assert "exists; name a folder that does not" in run_fail("pull", "digits@1", "--to", "mine")


def test_a_version_is_deleted_once_no_alias_points_at_it(skerry_command, digits, run_fail):
    assert "cannot be deleted: candidate points at it" in run_fail("delete", "digits@3")
    assert "digits@production is an alias; name the version" in run_fail("delete", "digits")
    code, _, err = skerry_command("models", "delete", "digits@1", "--reason", "old")

    assert (code, err) == (0, "deleted digits@1; `skerry models gc` frees its space\n")
    assert "version 1 was deleted by" in run_fail("describe", "digits@1")


def test_garbage_is_collected(skerry_command, digits, run_json, cache):
    skerry_command("models", "pull", "digits@1")
    digits.delete("digits", 1)

    assert skerry_command("models", "gc") == (0, "", "store: removed 0 unused contents, 0 B; kept 3\n")
    code, _, err = skerry_command("models", "gc", "--grace", "0s", "--cache", "0B")
    assert (code, err.splitlines()) == (
        0,
        ["store: removed 1 unused contents, 16 B; kept 2", "cache: evicted 1 versions, 16 B; kept 0 B"],
    )
    assert run_json("gc") == {"store": {"removed": 0, "removed_bytes": 0, "kept": 2}, "cache": None}
    assert os.listdir(cache / "versions") == []


def test_another_store_is_named_by_an_option_or_a_variable(skerry_command, tmp_path, monkeypatch, digits, run_json):
    other = ModelRepository(open_store(str(tmp_path / "other")))
    other.publish("letters", {"model.onnx": b""}, ManifestDraft())

    assert [model["name"] for model in run_json("list", "--store", tmp_path / "other")] == ["letters"]
    monkeypatch.setenv("SKERRY_MODELS", (tmp_path / "other").as_uri())
    assert [model["name"] for model in run_json("list")] == ["letters"]


def test_a_wrong_reference_is_explained(run_fail):
    assert "write NAME, NAME@ALIAS or NAME@VERSION" in run_fail("describe", "Digits@")
    assert "model 'digits' has no alias 'production'; its aliases are: none" in run_fail("describe", "digits")
    assert "nothing was pushed under this name; there are: none" in run_fail("describe", "digits")


def test_names_are_completed(digits):
    context = click.Context(models.get_command(click.Context(cli), "describe"))

    assert complete_reference(context, None, "d") == ["digits"]
    assert complete_reference(context, None, "x") == []
    assert complete_reference(context, None, "digits@") == [
        "digits@candidate",
        "digits@production",
        "digits@1",
        "digits@2",
        "digits@3",
    ]
    assert complete_reference(context, None, "DIGITS@p") == []
