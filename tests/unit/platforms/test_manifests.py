import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import ConfigError
from skerry.platforms.knative.rendering import render
from skerry.platforms.kubernetes.api.quoting import quote, to_json
from skerry.platforms.kubernetes.manifests import layout, to_yaml, write_folder
from skerry.platforms.kubernetes.rendering import AppToRender, FunctionToRender
from skerry.spec import ClusterSettings, FunctionSpec
from support.rendering import IMAGE


def objects(*names, env=None):
    functions = tuple(FunctionToRender(spec=FunctionSpec(name=name, env=env or {})) for name in names)
    return render(AppToRender(name="news", image=IMAGE, target="app.py:app", functions=functions), ClusterSettings())


@pytest.mark.parametrize("text", ["1e3", "on", "No", "null", "~", "0o7", "0x1f", "1:30", "-", "- a", "a: b", "a #b"])
def test_a_text_that_could_be_read_as_something_else_is_quoted(text):
    assert f"value: {quote(text)}\n" in to_yaml(objects("f", env={"A": text}))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_text_between_quotes_means_itself(text):
    assert yaml.safe_load(quote(text)) == text
    assert yaml.safe_load(quote(text, escape_blanks=True)) == text
    assert quote(text, escape_blanks=True).split() == [quote(text, escape_blanks=True)]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_json_for_a_reader_of_yaml_means_the_same_to_both(text):
    assert json.loads(to_json({text: text})) == {text: text}
    assert yaml.safe_load(to_json([text])) == [text]


def test_each_document_says_what_it_is_and_what_it_was_made_of():
    text = to_yaml(objects("train_it"))
    assert text.startswith("# Made by skerry: ServiceAccount of app news (app.py:app)\napiVersion: v1\n")
    assert "---\n# Made by skerry: Service of function train_it, app news (app.py:app)\n" in text


def test_a_reviewer_reads_quantities_and_lists_without_needless_quotes():
    text = to_yaml(objects("a"))
    assert 'command: ["python", "-m", "skerry.runtime"]\n' in text
    assert "sizeLimit: 1Gi\n" in text
    assert "cpu: 250m\n" in text


def test_comments_answer_what_a_reviewer_would_ask():
    text = to_yaml(objects("a"))
    assert "  # From everybody, by the ports of a function, or of Knative's proxy before it.\n  ingress:\n" in text
    assert text.count("  # ") == 2


def test_a_folder_for_kustomize_lists_a_file_for_each_function(tmp_path):
    write_folder(objects("a", "b_c"), tmp_path / "out")
    listed = yaml.safe_load((tmp_path / "out" / "kustomization.yaml").read_text())
    assert listed["resources"] == ["app.yaml", "function-a.yaml", "function-b-c.yaml"]
    found = [made for name in listed["resources"] for made in yaml.safe_load_all((tmp_path / "out" / name).read_text())]
    assert found == list(objects("a", "b_c"))


def test_a_function_that_is_gone_leaves_the_folder_and_files_of_others_stay(tmp_path):
    (tmp_path / "patch.yaml").write_text("kind: Patch\n")
    write_folder(objects("a", "b"), tmp_path)
    write_folder(objects("b"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "app.yaml",
        "function-b.yaml",
        "kustomization.yaml",
        "patch.yaml",
    ]


def test_a_file_of_somebody_else_is_not_written_over(tmp_path):
    (tmp_path / "kustomization.yaml").write_text("resources: []\n")
    with pytest.raises(ConfigError, match="not made by skerry"):
        write_folder(objects("a"), tmp_path)
    assert not (tmp_path / "app.yaml").exists()
    assert (tmp_path / "kustomization.yaml").read_text() == "resources: []\n"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        write_folder(objects("a"), tmp_path / "file")


def test_the_same_app_gives_the_same_files():
    assert layout(objects("a", "b")) == layout(objects("b", "a"))
